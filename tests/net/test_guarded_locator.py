"""Robustness S14 for calls: whom a script may have the server call."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from mediaserver.addresses import AddressRule
from mediaserver.errors import LocalError
from mediaserver.net.guarded_locator import GuardedLocator
from mediaserver.net.locate import Pointer, Service
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.uri import SipUri

TRUNKS = [("10.9.9.9", 5080), ("sbc.inside", None)]


class Names:
    """A name service that says something else from the second time on."""

    def __init__(self, hosts: dict[str, list[list[str]]]) -> None:
        self._hosts = hosts
        self.asked: list[str] = []

    async def pointers(self, name: str) -> Sequence[Pointer]:
        return []

    async def services(self, name: str) -> Sequence[Service]:
        if name == "_sip._udp.services.example":
            return [Service(1, 1, "public.example", 5060), Service(2, 1, "inside.example", 5060)]
        return []

    async def addresses(self, host: str) -> Sequence[str]:
        answers = self._hosts.get(host, [[]])
        self.asked.append(host)
        return answers[min(self.asked.count(host), len(answers)) - 1]


def make_names() -> Names:
    return Names(
        {
            "public.example": [["8.8.8.8"]],
            "inside.example": [["10.0.0.1"]],
            "both.example": [["8.8.8.8", "127.0.0.1"]],
            "rebinding.example": [["8.8.8.8"], ["127.0.0.1"]],
            "sbc.inside": [["10.0.0.7"]],
        }
    )


def make_hop(transport: Transport, remote: tuple[str, int]) -> Hop:
    return Hop(transport, ("192.0.2.1", 5060), remote)


async def locate(uri: str, names: Names | None = None) -> list[str]:
    rule = AddressRule([ip_network("172.16.5.0/24")])
    locator = GuardedLocator(names or make_names(), make_hop, lambda: 0.0, rule, TRUNKS)
    return [hop.remote[0] for hop in await locator.resolve(SipUri.parse(uri))]


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:x@8.8.8.8", "8.8.8.8"),
        ("sip:x@public.example:5060", "8.8.8.8"),
        ("sip:x@172.16.5.9", "172.16.5.9"),
        ("sip:+4930123456@10.9.9.9:5080", "10.9.9.9"),
        ("sip:+4930123456@10.9.9.9:5080;transport=tcp", "10.9.9.9"),
        ("sip:+4930123456@SBC.inside", "10.0.0.7"),
        ("sip:x@[2606:4700::1111]", "2606:4700::1111"),
    ],
)
async def test_public_and_allowed_addresses_and_trunks_are_called(uri: str, address: str) -> None:
    assert await locate(uri) == [address]


@pytest.mark.parametrize(
    "uri",
    [
        "sip:x@127.0.0.1",
        "sip:x@localhost",
        "sip:x@localhost:5060",
        "sip:x@10.0.0.1",
        "sip:x@172.16.6.1",
        "sip:x@169.254.169.254:80;transport=tcp",
        "sip:x@[::1]",
        "sip:x@[::ffff:127.0.0.1]",
        "sip:x@[64:ff9b::7f00:1]",
        "sip:x@0.0.0.0",
        "sip:x@2130706433:5060",
        "sip:x@0x7f.1:5060",
        "sip:x@0177.0.0.1:5060",
        "sip:8.8.8.8@127.0.0.1",
        "sip:x@inside.example:5060",
        "sip:x@both.example:5060",
        "sip:x@services.example",
        # A trunk's host is no pass to its other ports, nor its name one to elsewhere.
        "sip:x@10.9.9.9",
        "sip:x@10.9.9.9:22;transport=tcp",
        "sip:x@sbc.inside:22;transport=tcp",
        "sip:x@sbc.inside;maddr=127.0.0.1",
        "sip:x@8.8.8.8;maddr=10.0.0.1",
    ],
)
async def test_nobody_inside_is_called(uri: str) -> None:
    with pytest.raises(LocalError):
        await locate(uri)


async def test_a_name_that_changes_after_the_check_gains_nothing() -> None:
    names = make_names()
    assert await locate("sip:x@rebinding.example:5060", names) == ["8.8.8.8"]
    assert names.asked == ["rebinding.example"]
    with pytest.raises(LocalError):
        await locate("sip:x@rebinding.example:5060", names)


def may_follow(spoken: str, target: str, port: int = 5060) -> bool:
    rule = AddressRule([ip_network("172.16.5.0/24")])
    locator = GuardedLocator(make_names(), make_hop, lambda: 0.0, rule, TRUNKS)
    return locator.may_follow(
        make_hop(Transport.UDP, (spoken, 40_000)), make_hop(Transport.UDP, (target, port))
    )


@pytest.mark.parametrize(
    ("spoken", "target", "port"),
    [
        ("8.8.8.8", "9.9.9.9", 5060),
        ("10.1.1.1", "10.1.1.1", 5070),
        ("8.8.8.8", "172.16.5.9", 5060),
        ("10.1.1.1", "10.9.9.9", 5080),
        # A trunk inside, and a neighbour that it hands its calls to.
        ("10.9.9.9", "10.9.9.10", 5060),
    ],
)
def test_a_dialog_goes_on_where_the_peer_is_outside_or_with_trunks(
    spoken: str, target: str, port: int
) -> None:
    assert may_follow(spoken, target, port)


@pytest.mark.parametrize(
    ("spoken", "target", "port"),
    [
        ("8.8.8.8", "10.0.0.1", 5060),
        ("8.8.8.8", "127.0.0.1", 5060),
        ("8.8.8.8", "100.64.0.1", 5060),
        ("8.8.8.8", "::ffff:10.0.0.1", 5060),
        ("10.1.1.1", "10.0.0.1", 5060),
        ("10.1.1.1", "10.9.9.9", 22),
    ],
)
def test_a_dialog_leads_nobody_else_inside(spoken: str, target: str, port: int) -> None:
    assert not may_follow(spoken, target, port)


async def test_what_a_trunks_name_leads_to_is_a_trunk() -> None:
    locator = GuardedLocator(make_names(), make_hop, lambda: 0.0, AddressRule(), TRUNKS)
    trunk = make_hop(Transport.UDP, ("10.0.0.7", 5060))
    neighbour = make_hop(Transport.UDP, ("10.0.0.8", 5060))
    assert not locator.may_follow(trunk, neighbour)
    await locator.resolve(SipUri.parse("sip:+4930123456@sbc.inside"))
    assert locator.may_follow(trunk, neighbour)


async def test_a_trunk_outside_leads_nobody_inside() -> None:
    trunks = [("8.8.8.8", None)]
    locator = GuardedLocator(make_names(), make_hop, lambda: 0.0, AddressRule(), trunks)
    await locator.resolve(SipUri.parse("sip:+4930123456@8.8.8.8"))
    trunk = make_hop(Transport.UDP, ("8.8.8.8", 5060))
    for inside in ("10.0.0.1", "100.64.0.1", "127.0.0.1"):
        assert not locator.may_follow(trunk, make_hop(Transport.UDP, (inside, 5060)))
