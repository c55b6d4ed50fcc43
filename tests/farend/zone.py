"""A small name server on loopback, made of the lines of a zone file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.zone


class NameServer(asyncio.DatagramProtocol):
    """Answers what the zone has, and nothing of types in `silent`."""

    def __init__(self, zone: dns.zone.Zone) -> None:
        self._zone = zone
        self.silent: set[str] = set()
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{kind} {question.name}")
        if kind in self.silent:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        if question.name.is_subdomain(self._zone.origin or dns.name.root):
            found = self._zone.get_rrset(question.name, question.rdtype)
            if found is not None:
                answer.answer.append(found)
        self._transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def name_server(records: str) -> AsyncIterator[tuple[NameServer, dns.asyncresolver.Resolver]]:
    """A server of the zone `test.`, and a resolver that asks it and nobody else."""
    text = f"$TTL 60\n@ IN SOA ns. root. 1 2 3 4 5\n@ IN NS ns.\n{records}"
    zone = dns.zone.from_text(text, origin="test.", relativize=False)
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(zone), ("127.0.0.1", 0)
    )
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        yield server, resolver
    finally:
        transport.close()
