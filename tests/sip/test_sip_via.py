from __future__ import annotations

import pytest

from mediaserver.errors import PeerError
from mediaserver.sip.via import Via


def test_every_part_of_a_via_is_found() -> None:
    via = Via.parse(
        "SIP/2.0/udp Host.Example:5061;branch=z9hG4bKx;rport=7;received=192.0.2.9;ttl=1"
    )
    assert (via.transport, via.host, via.port) == ("UDP", "host.example", 5061)
    assert via.branch == "z9hG4bKx"
    assert via.has_cookie
    assert via.rport == 7
    assert via.received == "192.0.2.9"
    assert via.sent_by == "host.example:5061"


@pytest.mark.parametrize(
    "text",
    [
        "sip / 2.0 / TCP  [2001:db8::1] : 5060 ; branch = z9hG4bKx",
        "SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKx",
        "SIP\t/2.0/\tTCP\t[2001:DB8::1]:5060;branch=z9hG4bKx",
    ],
)
def test_white_space_around_separators_means_nothing(text: str) -> None:
    assert str(Via.parse(text)) == "SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKx"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 UDP host",
        "SIP/3.0/UDP host",
        "HTTP/2.0/UDP host",
        "SIP/2.0/U(P host",
        "SIP/2.0/UDP host;",
        "SIP/2.0/UDP host;;branch=x",
        "SIP/2.0/UDP host extra",
        "SIP/2.0/UDP host:0",
        "SIP/2.0/UDP host:port",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP ho<st",
    ],
)
def test_text_outside_the_grammar_is_a_400(text: str) -> None:
    with pytest.raises(PeerError) as caught:
        Via.parse(text)
    assert caught.value.status == 400


def test_a_list_is_read_in_order() -> None:
    vias = Via.parse_list('SIP/2.0/UDP a;x="1,2", SIP/2.0/TCP b')
    assert [via.host for via in vias] == ["a", "b"]


@pytest.mark.parametrize(
    ("branch", "cookie"),
    [("z9hG4bKx", True), ("Z9HG4BKx", True), ("z9hG4bK", False), ("1234", False)],
)
def test_only_a_cookie_with_something_behind_it_counts(branch: str, cookie: bool) -> None:
    assert Via.parse(f"SIP/2.0/UDP a;branch={branch}").has_cookie is cookie


def test_the_source_is_noted_only_where_it_differs() -> None:
    via = Via.parse("SIP/2.0/UDP 192.0.2.1;branch=b")
    assert via.with_source("192.0.2.1", 5070) == via
    assert str(via.with_source("192.0.2.9", 5070)).endswith(";branch=b;received=192.0.2.9")


def test_an_asked_for_port_comes_with_the_address() -> None:
    via = Via.parse("SIP/2.0/UDP 192.0.2.1;rport;branch=b").with_source("192.0.2.1", 5070)
    assert via.received == "192.0.2.1"
    assert via.rport == 5070


def test_what_a_peer_claims_about_its_source_is_replaced() -> None:
    via = Via.parse("SIP/2.0/UDP h;received=203.0.113.1;rport=9").with_source("192.0.2.9", 5070)
    assert via.params == (("received", "192.0.2.9"), ("rport", "5070"))


def test_an_rport_that_is_no_port_is_refused() -> None:
    with pytest.raises(PeerError):
        Via.parse("SIP/2.0/UDP h;rport=abc")
