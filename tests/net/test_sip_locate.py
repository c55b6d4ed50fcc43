"""From a SIP URI to hops (RFC 3263), with a name service made of dictionaries."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from mediaserver.errors import LocalError
from mediaserver.net import locate as locate_module
from mediaserver.net.locate import MAX_HOPS, MAX_POINTERS, DnsLookup, Locator, Pointer, Service
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.uri import SipUri


class Names:
    """A name service."""

    def __init__(self) -> None:
        self.naptr: dict[str, list[Pointer]] = {}
        self.srv: dict[str, list[Service]] = {}
        self.hosts: dict[str, list[str]] = {}
        self.asked: list[str] = []

    async def pointers(self, name: str) -> Sequence[Pointer]:
        return self.naptr.get(name, [])

    async def services(self, name: str) -> Sequence[Service]:
        self.asked.append(name)
        return self.srv.get(name, [])

    async def addresses(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.hosts.get(host, [])


def make_hop(transport: Transport, remote: tuple[str, int]) -> Hop | None:
    return None if ":" in remote[0] else Hop(transport, ("192.0.2.1", 5060), remote)


async def locate(names: Names, uri: str, chance: float = 0.0) -> list[str]:
    hops = await Locator(names, make_hop, lambda: chance).resolve(SipUri.parse(uri))
    return [shown(hop) for hop in hops]


def shown(hop: Hop) -> str:
    return f"{hop.transport} {hop.remote[0]}:{hop.remote[1]}"


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:x@192.0.2.9", "UDP 192.0.2.9:5060"),
        ("sip:x@192.0.2.9:5070", "UDP 192.0.2.9:5070"),
        ("sip:x@192.0.2.9;transport=tcp", "TCP 192.0.2.9:5060"),
        ("sip:x@example.org;maddr=192.0.2.7", "UDP 192.0.2.7:5060"),
        ("sip:x@localhost:5070", "UDP 127.0.0.1:5070"),
    ],
)
async def test_an_address_needs_no_question(uri: str, hop: str) -> None:
    names = Names()
    assert await locate(names, uri) == [hop]
    assert names.asked == []


async def test_a_port_means_the_host_itself() -> None:
    names = Names()
    names.hosts["example.org"] = ["192.0.2.9", "2001:db8::1", "192.0.2.10"]
    assert await locate(names, "sip:x@example.org:5070") == [
        "UDP 192.0.2.9:5070",
        "UDP 192.0.2.10:5070",
    ]
    assert names.asked == ["example.org"]


async def test_services_come_by_priority_and_weight() -> None:
    names = Names()
    names.srv["_sip._udp.example.org"] = [
        Service(20, 0, "c", 5062),
        Service(10, 10, "a", 5060),
        Service(10, 30, "b", 5061),
    ]
    names.hosts |= {"a": ["192.0.2.1"], "b": ["192.0.2.2"], "c": ["192.0.2.3"]}
    low = ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5061", "UDP 192.0.2.3:5062"]
    assert await locate(names, "sip:x@example.org", chance=0.2) == low
    high = ["UDP 192.0.2.2:5061", "UDP 192.0.2.1:5060", "UDP 192.0.2.3:5062"]
    assert await locate(names, "sip:x@example.org", chance=0.9) == high


async def test_a_machine_with_several_names_is_tried_once() -> None:
    names = Names()
    names.srv["_sip._udp.example.org"] = [Service(10, 0, "a", 5060), Service(20, 0, "b", 5060)]
    names.hosts |= {"a": ["192.0.2.1"], "b": ["192.0.2.1", "192.0.2.2"]}
    assert await locate(names, "sip:x@example.org") == ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5060"]


async def test_tcp_is_used_when_it_is_all_there_is() -> None:
    names = Names()
    names.srv["_sip._tcp.example.org"] = [Service(0, 0, "a", 5060)]
    names.hosts["a"] = ["192.0.2.1"]
    assert await locate(names, "sip:x@example.org") == ["TCP 192.0.2.1:5060"]


async def test_without_services_the_host_is_asked_at_the_default_port() -> None:
    names = Names()
    names.hosts["example.org"] = ["192.0.2.9"]
    assert await locate(names, "sip:x@example.org") == ["UDP 192.0.2.9:5060"]


def domain() -> Names:
    """A domain with both transports, whose records are about names of their own."""
    names = Names()
    names.srv["u.example.net"] = [Service(0, 0, "a", 5070)]
    names.srv["t.example.net"] = [Service(0, 0, "a", 5080)]
    names.hosts |= {"a": ["192.0.2.1"], "example.org": ["192.0.2.9"]}
    return names


@pytest.mark.parametrize(
    ("udp", "tcp", "expected"),
    [
        ((10, 10), (20, 5), ["UDP 192.0.2.1:5070", "TCP 192.0.2.1:5080"]),
        ((20, 5), (10, 10), ["TCP 192.0.2.1:5080", "UDP 192.0.2.1:5070"]),
        ((10, 20), (10, 10), ["TCP 192.0.2.1:5080", "UDP 192.0.2.1:5070"]),
    ],
)
async def test_a_domain_says_which_transport_it_prefers(
    udp: tuple[int, int], tcp: tuple[int, int], expected: list[str]
) -> None:
    names = domain()
    names.naptr["example.org"] = [
        Pointer(1, 1, "SIP+D2S", "_sip._sctp.example.net"),
        Pointer(*udp, "SIP+D2U", "u.example.net"),
        Pointer(*tcp, "SIP+D2T", "t.example.net"),
    ]
    assert await locate(names, "sip:x@example.org") == expected
    assert names.asked.count("_sip._udp.example.org") == 0


async def test_a_transport_in_the_uri_counts_more_than_what_the_domain_prefers() -> None:
    names = domain()
    names.naptr["example.org"] = [Pointer(1, 1, "SIP+D2U", "u.example.net")]
    assert await locate(names, "sip:x@example.org;transport=tcp") == ["TCP 192.0.2.9:5060"]


async def test_pointers_to_no_services_leave_the_name_itself_as_the_host() -> None:
    names = domain()
    names.naptr["example.org"] = [Pointer(1, 1, "SIP+D2T", "missing.example.net")]
    assert await locate(names, "sip:x@example.org") == ["TCP 192.0.2.9:5060"]


async def test_a_domain_that_takes_what_we_lack_alone_is_told_in_a_sentence() -> None:
    names = domain()
    names.naptr["example.org"] = [Pointer(1, 1, "SIP+D2S", "_sip._sctp.example.net")]
    with pytest.raises(LocalError, match=r"example\.org takes calls by SIP\+D2S alone"):
        await locate(names, "sip:x@example.org")


async def test_where_nothing_listens_with_tls_a_domain_of_tls_alone_is_told_in_a_sentence() -> None:
    def clear(transport: Transport, remote: tuple[str, int]) -> Hop | None:
        return None if transport is Transport.TLS else make_hop(transport, remote)

    names = domain()
    names.naptr["example.org"] = [Pointer(1, 1, "SIPS+D2T", "t.example.net")]
    with pytest.raises(LocalError, match=r"example\.org: it takes the transport TLS alone"):
        await Locator(names, clear, lambda: 0.0).resolve(SipUri.parse("sip:x@example.org"))
    names.naptr["example.org"].append(Pointer(2, 1, "SIP+D2U", "u.example.net"))
    (hop,) = await Locator(names, clear, lambda: 0.0).resolve(SipUri.parse("sip:x@example.org"))
    assert shown(hop) == "UDP 192.0.2.1:5070"


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sips:x@192.0.2.9", "TLS 192.0.2.9:5061 192.0.2.9"),
        ("sip:x@192.0.2.9:5070;transport=tls", "TLS 192.0.2.9:5070 192.0.2.9"),
        ("sips:x@Example.org", "TLS 192.0.2.9:5061 example.org"),
        ("sips:x@example.org;transport=tcp", "TLS 192.0.2.9:5061 example.org"),
        ("sips:x@served.example", "TLS 192.0.2.1:5071 served.example"),
        ("sip:x@served.example;transport=tls", "TLS 192.0.2.1:5071 served.example"),
        ("sips:x@named.example", "TLS 192.0.2.1:5080 named.example"),
        ("sip:x@example.org;maddr=192.0.2.7;transport=tls", "TLS 192.0.2.7:5061 example.org"),
    ],
)
async def test_tls_leads_where_it_is_offered_and_has_to_prove_the_name_asked_for(
    uri: str, hop: str
) -> None:
    names = domain()
    names.srv["_sips._tcp.served.example"] = [Service(0, 0, "a", 5071)]
    names.naptr["named.example"] = [
        Pointer(1, 1, "SIP+D2U", "u.example.net"),
        Pointer(2, 1, "SIPS+D2T", "t.example.net"),
    ]
    (found,) = await Locator(names, make_hop, lambda: 0.0).resolve(SipUri.parse(uri))
    assert f"{shown(found)} {found.name}" == hop


async def test_a_zone_full_of_records_costs_a_bounded_number_of_questions() -> None:
    names = Names()
    names.naptr["example.org"] = [Pointer(1, n, "SIP+D2U", f"s{n}") for n in range(1000)]
    names.srv |= {
        f"s{n}": [Service(n, 0, f"h{n}-{m}", 5060) for m in range(1000)] for n in range(9)
    }
    names.hosts |= {f"h0-{n}": [f"198.51.{n // 250}.{n % 250}"] for n in range(1000)}
    assert len(await locate(names, "sip:x@example.org")) == MAX_HOPS
    names.hosts.clear()
    with pytest.raises(LocalError, match="no address can be reached"):
        await locate(names, "sip:x@example.org")
    assert len(names.asked) <= 2 * (MAX_POINTERS * (MAX_HOPS + 1) + 1)


@pytest.mark.parametrize(
    ("uri", "detours"),
    [
        ("sip:x@192.0.2.9:5070", ["UDP 192.0.2.9:5070 by TCP 192.0.2.9:5070"]),
        ("sip:x@example.org", ["UDP 192.0.2.9:5060 by TCP 192.0.2.9:5060"]),
        ("sip:x@192.0.2.9;transport=udp", []),
        ("sip:x@192.0.2.9;transport=tcp", []),
    ],
)
async def test_large_requests_go_around_udp_unless_the_uri_wants_it(
    uri: str, detours: list[str]
) -> None:
    locator = Locator(domain(), make_hop, lambda: 0.0)
    target = SipUri.parse(uri)
    found = locator.detours(target, await locator.resolve(target))
    assert [f"{shown(hop)} by {shown(detour)}" for hop, detour in found.items()] == detours


async def test_a_tcp_socket_of_another_address_of_ours_is_no_detour() -> None:
    def hop(transport: Transport, remote: tuple[str, int]) -> Hop:
        return Hop(transport, ("192.0.2.1" if transport == "UDP" else "127.0.0.1", 5060), remote)

    locator = Locator(domain(), hop, lambda: 0.0)
    target = SipUri.parse("sip:x@192.0.2.9")
    assert locator.detours(target, await locator.resolve(target)) == {}


@pytest.mark.parametrize(
    "uri",
    [
        "sip:x@nowhere.example",
        "sips:x@192.0.2.9;transport=udp",
        "sip:x@192.0.2.9;transport=ws",
        "sip:x@[::1]",
    ],
)
async def test_what_leads_nowhere_is_told_in_a_sentence(uri: str) -> None:
    with pytest.raises(LocalError):
        await locate(Names(), uri)


async def test_what_asks_is_loaded_once_and_in_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []
    names = Names()
    names.hosts["sip.example"] = ["192.0.2.7"]

    def load() -> Names:
        threads.append(threading.get_ident())
        return names

    monkeypatch.setattr(locate_module, "_name_service", load)
    lookup = DnsLookup()
    for _ in range(2):
        assert await lookup.addresses("sip.example") == ["192.0.2.7"]
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()
