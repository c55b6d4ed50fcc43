"""From a SIP URI to hops (RFC 3263), with a name service made of two dictionaries."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mediaserver.errors import LocalError
from mediaserver.net.locate import Locator, Service
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.uri import SipUri


class Names:
    """A name service."""

    def __init__(self) -> None:
        self.srv: dict[str, list[Service]] = {}
        self.hosts: dict[str, list[str]] = {}
        self.asked: list[str] = []

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
    return [f"{hop.transport} {hop.remote[0]}:{hop.remote[1]}" for hop in hops]


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


@pytest.mark.parametrize(
    "uri",
    ["sip:x@nowhere.example", "sips:x@192.0.2.9", "sip:x@192.0.2.9;transport=ws", "sip:x@[::1]"],
)
async def test_what_leads_nowhere_is_told_in_a_sentence(uri: str) -> None:
    with pytest.raises(LocalError):
        await locate(Names(), uri)
