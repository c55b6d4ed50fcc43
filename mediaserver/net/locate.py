"""Where a SIP URI leads: transport, address and port, in the order to try them (RFC 3263)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from mediaserver.errors import LocalError
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.routing import is_address, named_transport
from mediaserver.sip.uri import SipUri

MAX_HOPS = 16
"""Addresses tried for one call at most, however many a zone lists."""

MAX_POINTERS = 4
"""NAPTR records of a host that are followed, whatever it has."""

SERVICES: Final[Mapping[str, Transport]] = {
    "SIP+D2U": Transport.UDP,
    "SIP+D2T": Transport.TCP,
    "SIPS+D2T": Transport.TLS,
}
"""What a NAPTR record calls the transports we have (RFC 3263 4.1)."""

_SRV: Final[Mapping[Transport, str]] = {
    Transport.UDP: "_sip._udp",
    Transport.TCP: "_sip._tcp",
    Transport.TLS: "_sips._tcp",
}
"""What the names of SRV records begin with."""

HopFactory = Callable[[Transport, tuple[str, int]], Hop | None]

Target = tuple[Transport, tuple[str, int]]
"""A transport, and an address with its port."""


@dataclass(frozen=True, slots=True)
class Service:
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """One NAPTR record (RFC 3403) that leads to SRV records."""

    order: int
    preference: int
    service: str
    """In capitals, as SIP+D2U."""
    target: str
    """The name whose SRV records are meant."""


class Lookup(Protocol):
    """Questions to a name service. No answer is an empty one; none of the methods raises."""

    async def pointers(self, name: str) -> Sequence[Pointer]:
        """The NAPTR records of a name about SIP."""

    async def services(self, name: str) -> Sequence[Service]:
        """The SRV records of a name."""

    async def addresses(self, host: str) -> Sequence[str]:
        """The IPv4 and IPv6 addresses of a host."""


class DnsLookup:
    """`Lookup` by DNS. A server that places no calls asks nothing, and never loads what asks."""

    def __init__(self) -> None:
        self._lookup: Lookup | None = None

    async def pointers(self, name: str) -> Sequence[Pointer]:
        """See `Lookup.pointers`."""
        return await (await self._loaded()).pointers(name)

    async def services(self, name: str) -> Sequence[Service]:
        """See `Lookup.services`."""
        return await (await self._loaded()).services(name)

    async def addresses(self, host: str) -> Sequence[str]:
        """See `Lookup.addresses`."""
        return await (await self._loaded()).addresses(host)

    async def _loaded(self) -> Lookup:
        if self._lookup is None:
            self._lookup = await asyncio.to_thread(_name_service)
        return self._lookup


def _name_service() -> Lookup:
    # Takes tens of milliseconds to load and reads a file: not for the loop.
    from .name_service import NameService

    return NameService()


class Locator:
    """Finds hops. `hop` makes one from a socket that fits; `chance` is a number in [0, 1)."""

    def __init__(self, lookup: Lookup, hop: HopFactory, chance: Callable[[], float]) -> None:
        self._lookup = lookup
        self._hop = hop
        self._chance = chance

    async def resolve(self, uri: SipUri) -> list[Hop]:
        """The hops to try, best first; LocalError when there is none."""
        wanted = _transport(uri)
        host = uri.param("maddr") or uri.host
        transport = wanted or Transport.UDP
        if is_address(host):
            # 4.1: an address needs no question; without a transport parameter it is UDP.
            targets = [(transport, (host, uri.port or transport.port))]
        elif uri.port is not None:
            targets = await self._by_host(transport, host, uri.port)  # 4.2
        else:
            targets = await self._by_name(wanted, host)
        hops = [hop for target in targets[:MAX_HOPS] if (hop := self._hop(*target)) is not None]
        # RFC 5922 4: who answers has to prove the name that was asked for, not what DNS made of it.
        name = uri.host.lower().rstrip(".")
        hops = [replace(hop, name=name) if hop.transport is Transport.TLS else hop for hop in hops]
        hops = list(dict.fromkeys(hops))  # several names may lead to one machine
        if not hops:
            secured = targets and all(transport is Transport.TLS for transport, _ in targets)
            why = ": it takes the transport TLS alone, and no address here is a tls: one that fits"
            why = why if secured else ""
            raise LocalError(f"no address can be reached for {uri.hostport}{why}")
        return hops

    def detours(self, uri: SipUri, hops: Collection[Hop]) -> dict[Hop, Hop]:
        """The hops over TCP for requests that are too large for `hops` (RFC 3261 18.1.1).

        `hops` are those of `uri`. There is none where it says which transport it wants.
        """
        if _transport(uri) is not None:
            return {}
        found: dict[Hop, Hop] = {}
        for hop in hops:
            if hop.transport is Transport.UDP and (detour := self.detour(hop)) is not None:
                found[hop] = detour
        return found

    def detour(self, hop: Hop) -> Hop | None:
        """The hop over TCP to where `hop` leads; None when there is none from the same host."""
        detour = self._hop(Transport.TCP, hop.remote)
        # The Contact says the host that is listened on: it has to be one for both.
        return detour if detour is not None and detour.local[0] == hop.local[0] else None

    async def _by_name(self, wanted: Transport | None, host: str) -> list[Target]:
        if wanted is None:
            # 4.1: the domain says which transports it prefers, in one order or the other.
            pointers = await self._lookup.pointers(host)
            if pointers:
                return await self._by_pointer(host, pointers)
        elif wanted is Transport.TLS:
            # Those of a sips URI may be NAPTR records too, and one that names TLS alone is as good.
            pointers = [p for p in await self._lookup.pointers(host) if p.service == "SIPS+D2T"]
            if pointers:
                return await self._by_pointer(host, pointers)
        # 4.1: without, ask for the services of each transport we have.
        for transport in (wanted,) if wanted is not None else (Transport.UDP, Transport.TCP):
            services = await self._lookup.services(f"{_SRV[transport]}.{host}")
            if services:
                return await self._by_services(transport, services)
        transport = wanted or Transport.UDP
        return await self._by_host(transport, host, transport.port)

    async def _by_pointer(self, host: str, pointers: Sequence[Pointer]) -> list[Target]:
        ours = [pointer for pointer in pointers if pointer.service in SERVICES]
        if not ours:
            names = ", ".join(sorted({pointer.service for pointer in pointers}))
            raise LocalError(f"{host} takes calls by {names} alone, which this server has not")
        ours.sort(key=lambda pointer: (pointer.order, pointer.preference))
        found: list[Target] = []
        for pointer in ours[:MAX_POINTERS]:
            if len(found) < MAX_HOPS:
                services = await self._lookup.services(pointer.target)
                found += await self._by_services(SERVICES[pointer.service], services)
        # 4.2: where no services are found, the name itself is the host.
        first = SERVICES[ours[0].service]
        return found or await self._by_host(first, host, first.port)

    async def _by_services(self, transport: Transport, services: Sequence[Service]) -> list[Target]:
        found: list[Target] = []
        for service in self._in_order(services)[:MAX_HOPS]:
            found += await self._by_host(transport, service.host, service.port)
        return found

    async def _by_host(self, transport: Transport, host: str, port: int) -> list[Target]:
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
    name = named_transport(uri)
    if name is None:
        return None
    if name not in Transport.__members__:
        raise LocalError(f"{uri} asks for a transport this server does not speak")
    return Transport[name]
