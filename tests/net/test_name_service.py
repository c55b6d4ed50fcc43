"""Questions about SIP to a real name server (RFC 3263 4)."""

from __future__ import annotations

import textwrap

import pytest

from farend.zone import name_server
from mediaserver.net import name_service
from mediaserver.net.locate import Locator, Pointer, Service
from mediaserver.net.name_service import NameService
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.uri import SipUri

ZONE = textwrap.dedent("""\
    both IN NAPTR 10 20 "s" "SIP+D2T" "" _sip._tcp.both
    both IN NAPTR 20 10 "S" "sip+d2u" "" _sip._udp.both
    both IN NAPTR 5 10 "s" "SIPS+D2T" "" _sips._tcp.both
    both IN NAPTR 1 1 "u" "E2U+sip" "!^.*$!sip:info@both.test!" .
    both IN NAPTR 1 2 "a" "SIP+D2T" "" host
    _sip._tcp.both IN SRV 1 1 5081 host
    _sip._udp.both IN SRV 1 1 5080 host
    _sips._tcp.both IN SRV 1 1 5082 host
    plain IN A 127.0.0.9
    _sip._udp.plain IN SRV 1 1 5090 host
    host IN A 127.0.0.7
    host IN AAAA ::7
    """)


async def locate(service: NameService, uri: str) -> list[str]:
    def hop(transport: Transport, remote: tuple[str, int]) -> Hop:
        return Hop(transport, ("127.0.0.1", 5060), remote)

    hops = await Locator(service, hop, lambda: 0.0).resolve(SipUri.parse(uri))
    return [f"{hop.transport} {hop.remote[0]}:{hop.remote[1]}" for hop in hops]


async def test_records_are_read_as_they_are() -> None:
    async with name_server(ZONE) as (_, resolver):
        service = NameService(resolver)
        assert sorted(await service.pointers("both.test"), key=lambda it: it.order) == [
            Pointer(5, 10, "SIPS+D2T", "_sips._tcp.both.test"),
            Pointer(10, 20, "SIP+D2T", "_sip._tcp.both.test"),
            Pointer(20, 10, "SIP+D2U", "_sip._udp.both.test"),
        ]
        assert await service.services("_sip._tcp.both.test") == [Service(1, 1, "host.test", 5081)]
        assert await service.addresses("host.test") == ["127.0.0.7", "::7"]
        assert not await service.pointers("nothing.test")
        assert not await service.services("nothing.test")
        assert not await service.addresses("nothing.test")


async def test_a_domain_is_called_over_the_transport_that_it_prefers() -> None:
    async with name_server(ZONE) as (server, resolver):
        found = await locate(NameService(resolver), "sip:x@both.test")
        assert found == [
            "TLS 127.0.0.7:5082",
            "TLS ::7:5082",
            "TCP 127.0.0.7:5081",
            "TCP ::7:5081",
            "UDP 127.0.0.7:5080",
            "UDP ::7:5080",
        ]
        assert server.asked[:2] == ["NAPTR both.test.", "SRV _sips._tcp.both.test."]


async def test_a_server_that_swallows_the_question_costs_a_call_no_more_than_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(name_service, "POINTER_LIFETIME", 0.1)
    async with name_server(ZONE) as (server, resolver):
        server.silent.add("NAPTR")
        found = await locate(NameService(resolver), "sip:x@plain.test")
        assert found == ["UDP 127.0.0.7:5090", "UDP ::7:5090"]
