"""Where calls of ours may go (robustness S14): decided on the addresses a URI was resolved to.

A script names whom it calls. Without this, one could have the server knock at every door of the
network it stands in, and see by the answers who is at home. The addresses checked are those that
the call then goes to; nothing is looked up a second time. A peer could do the same with its Contact
or Record-Route, which requests in a dialog follow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from mediaserver.addresses import AddressRule, is_public, parse_address
from mediaserver.errors import LocalError
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.routing import is_address
from mediaserver.sip.uri import SipUri

from .locate import HopFactory, Locator, Lookup

Place = tuple[str, int | None]
"""Host and port as a URI writes them; None: it names no port."""

MAX_TRUNK_ADDRESSES: Final = 1024
"""Addresses that trunks' names led to are remembered, the latest of them."""


class GuardedLocator(Locator):
    """Finds hops at public addresses, in allowed networks, and at the operator's own trunks."""

    def __init__(
        self,
        lookup: Lookup,
        hop: HopFactory,
        chance: Callable[[], float],
        rule: AddressRule,
        trunks: Collection[Place] = (),
    ) -> None:
        """`trunks` may be anywhere: they are named by whoever runs the server."""
        super().__init__(lookup, hop, chance)
        self._rule = rule
        self._trunks = frozenset(trunks)
        self._trunk_addresses: dict[tuple[str, int], None] = {
            (host, number): None
            for host, port in trunks
            if is_address(host)
            for number in ((port,) if port else (Transport.UDP.port, Transport.TLS.port))
        }

    async def resolve(self, uri: SipUri) -> list[Hop]:
        """See `Locator.resolve`; LocalError also where one of the addresses is forbidden."""
        hops = await super().resolve(uri)
        # `maddr` leads past the host (RFC 3263 4), so it is what has to be a trunk's.
        host = (uri.param("maddr") or uri.host).lower()
        if (host, uri.port) in self._trunks:
            self._remember(hops)
            return hops
        if not all(self._rule.permits(hop.remote[0]) for hop in hops):
            raise LocalError(
                f"{uri.hostport} must not be called: its address is not a public one, "
                "nor is it in outbound.allow, nor a trunk's"
            )
        return hops

    def may_follow(self, spoken: Hop, target: Hop) -> bool:
        """Tell whether requests in a dialog may go to what the peer's URI leads to, `target`.

        `spoken` is the hop over which the peer spoke: its own address is no news to it. A trunk
        inside may send us on to its neighbours. One outside may not: the Contact of a call from
        there is often that of a stranger.
        """
        host = target.remote[0]
        if host == spoken.remote[0] or self._rule.permits(host):
            return True
        if target.remote in self._trunk_addresses:
            return True
        return _is_inside(spoken.remote[0]) and any(
            spoken.remote[0] == trunk for trunk, _ in self._trunk_addresses
        )

    def _remember(self, hops: Collection[Hop]) -> None:
        known = self._trunk_addresses
        for hop in hops:
            known.pop(hop.remote, None)
            known[hop.remote] = None
        while len(known) > MAX_TRUNK_ADDRESSES:
            del known[next(iter(known))]


def _is_inside(host: str) -> bool:
    address = parse_address(host)
    return address is not None and not is_public(address)
