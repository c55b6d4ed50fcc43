"""Where calls of ours may go (robustness S14): decided on the addresses a URI was resolved to.

A script names whom it calls. Without this, one could have the server knock at every door of the
network it stands in, and see by the answers who is at home. The addresses checked are those that
the call then goes to; nothing is looked up a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from mediaserver.addresses import AddressRule
from mediaserver.errors import LocalError
from mediaserver.sip.hop import Hop
from mediaserver.sip.uri import SipUri

from .locate import HopFactory, Locator, Lookup

Place = tuple[str, int | None]
"""Host and port as a URI writes them; None: it names no port."""


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

    async def resolve(self, uri: SipUri) -> list[Hop]:
        """See `Locator.resolve`; LocalError also where one of the addresses is forbidden."""
        hops = await super().resolve(uri)
        # `maddr` leads past the host (RFC 3263 4), so it is what has to be a trunk's.
        host = (uri.param("maddr") or uri.host).lower()
        if (host, uri.port) in self._trunks:
            return hops
        if not all(self._rule.permits(hop.remote[0]) for hop in hops):
            raise LocalError(
                f"{uri.hostport} must not be called: its address is not a public one, "
                "nor is it in outbound.allow, nor a trunk's"
            )
        return hops
