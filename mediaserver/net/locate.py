"""Where a SIP URI leads: transport, address and port, in the order to try them (RFC 3263)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mediaserver.errors import LocalError
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.routing import DEFAULT_PORT, is_address
from mediaserver.sip.uri import SipUri

MAX_HOPS = 16
"""Addresses tried for one call at most, however many a zone lists."""

HopFactory = Callable[[Transport, tuple[str, int]], Hop | None]


@dataclass(frozen=True, slots=True)
class Service:
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    host: str
    port: int


class Lookup(Protocol):
    """Questions to a name service. No answer is an empty one; neither method raises."""

    async def services(self, name: str) -> Sequence[Service]:
        """The SRV records of a name."""

    async def addresses(self, host: str) -> Sequence[str]:
        """The IPv4 and IPv6 addresses of a host."""


class DnsLookup:
    """`Lookup` by DNS. A server that places no calls asks nothing, and never loads what asks."""

    def __init__(self) -> None:
        self._lookup: Lookup | None = None

    async def services(self, name: str) -> Sequence[Service]:
        """See `Lookup.services`."""
        return await self._loaded().services(name)

    async def addresses(self, host: str) -> Sequence[str]:
        """See `Lookup.addresses`."""
        return await self._loaded().addresses(host)

    def _loaded(self) -> Lookup:
        if self._lookup is None:
            from .name_service import NameService

            self._lookup = NameService()
        return self._lookup


class Locator:
    """Finds hops. `hop` makes one from a socket that fits; `chance` is a number in [0, 1)."""

    def __init__(self, lookup: Lookup, hop: HopFactory, chance: Callable[[], float]) -> None:
        self._lookup = lookup
        self._hop = hop
        self._chance = chance

    async def resolve(self, uri: SipUri) -> list[Hop]:
        """The hops to try, best first; LocalError when there is none or the URI asks for TLS."""
        wanted = _transport(uri)
        host = uri.param("maddr") or uri.host
        transport = wanted or Transport.UDP
        if is_address(host):
            # 4.1: an address needs no question; without a transport parameter it is UDP.
            targets = [(transport, (host, uri.port or DEFAULT_PORT))]
        elif uri.port is not None:
            targets = await self._by_host(transport, host, uri.port)  # 4.2
        else:
            targets = await self._by_service(wanted, host)
        hops = [hop for target in targets[:MAX_HOPS] if (hop := self._hop(*target)) is not None]
        hops = list(dict.fromkeys(hops))  # several names may lead to one machine
        if not hops:
            raise LocalError(f"no address can be reached for {uri.hostport}")
        return hops

    async def _by_service(
        self, wanted: Transport | None, host: str
    ) -> list[tuple[Transport, tuple[str, int]]]:
        # 4.1: NAPTR is optional for us; ask for the services of each transport we have.
        for transport in (wanted,) if wanted is not None else (Transport.UDP, Transport.TCP):
            services = await self._lookup.services(f"_sip._{transport.lower()}.{host}")
            if services:
                found: list[tuple[Transport, tuple[str, int]]] = []
                for service in self._in_order(services)[:MAX_HOPS]:
                    found += await self._by_host(transport, service.host, service.port)
                return found
        return await self._by_host(wanted or Transport.UDP, host, DEFAULT_PORT)

    async def _by_host(
        self, transport: Transport, host: str, port: int
    ) -> list[tuple[Transport, tuple[str, int]]]:
        addresses = ("127.0.0.1",) if host == "localhost" else await self._lookup.addresses(host)
        return [(transport, (address, port)) for address in addresses]

    def _in_order(self, services: Sequence[Service]) -> list[Service]:
        """By priority, and by chance in proportion to weight within one (RFC 2782)."""
        left = sorted(services, key=lambda service: (service.priority, service.weight))
        ordered: list[Service] = []
        while left:
            group = [service for service in left if service.priority == left[0].priority]
            mark = self._chance() * sum(service.weight for service in group)
            chosen = group[-1]
            for service in group:
                mark -= service.weight
                if mark < 0:
                    chosen = service
                    break
            ordered.append(chosen)
            left.remove(chosen)
        return ordered


def _transport(uri: SipUri) -> Transport | None:
    name = (uri.param("transport") or "").upper()
    if uri.scheme == "sips" or name not in ("", *Transport.__members__):
        raise LocalError(f"{uri} asks for a transport this server does not speak")
    return Transport[name] if name else None
