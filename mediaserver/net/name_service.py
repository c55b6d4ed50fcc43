"""Questions to the system's name servers (RFC 3263 section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.rdatatype

from .locate import Pointer, Service

LIFETIME = 5.0
"""Seconds for one DNS question with all its repetitions."""


POINTER_LIFETIME = 2.0
"""The same for a question that few zones have an answer to, and some servers swallow."""


class NameService:
    """`locate.Lookup` by DNS, without blocking the loop."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        self._resolver = resolver or _system_resolver()

    async def pointers(self, name: str) -> Sequence[Pointer]:
        """See `Lookup.pointers`."""
        try:
            answer = await self._resolver.resolve(
                name, dns.rdatatype.NAPTR, search=False, lifetime=POINTER_LIFETIME
            )
        except dns.exception.DNSException:
            return ()
        found: list[Pointer] = []
        for record in answer:
            service = record.service.decode("ascii", "replace").upper()
            # RFC 3263 4.1: the next question is for SRV records, and the name is not rewritten.
            if service.startswith(("SIP+", "SIPS+")) and record.flags.lower() == b"s":
                target = str(record.replacement).rstrip(".")
                found.append(Pointer(record.order, record.preference, service, target))
        return found

    async def services(self, name: str) -> Sequence[Service]:
        """See `Lookup.services`."""
        try:
            answer = await self._resolver.resolve(
                name, dns.rdatatype.SRV, search=False, lifetime=LIFETIME
            )
        except dns.exception.DNSException:
            return ()
        return [
            Service(record.priority, record.weight, str(record.target).rstrip("."), record.port)
            for record in answer
        ]

    async def addresses(self, host: str) -> Sequence[str]:
        """See `Lookup.addresses`."""
        found: list[str] = []
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                answer = await self._resolver.resolve(host, kind, lifetime=LIFETIME)
            except dns.exception.DNSException:
                continue
            found.extend(record.address for record in answer)
        return found


def _system_resolver() -> dns.asyncresolver.Resolver:
    try:
        return dns.asyncresolver.Resolver()
    except dns.exception.DNSException:  # no resolv.conf: then names lead nowhere
        return dns.asyncresolver.Resolver(configure=False)
