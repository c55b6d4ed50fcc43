"""Dialogs: keys, routes and requests within them (RFC 3261 section 12)."""

from __future__ import annotations

from farend.sip_bench import TCP_HOP, UDP_HOP, request, response
from mediaserver.sip.dialog import Dialog
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request, Response, parse_message
from mediaserver.sip.routing import is_natted, literal_hop, stays_on
from mediaserver.sip.uri import SipUri, parse_uri
from mediaserver.sip.via import Via

VIA = Via("UDP", "192.0.2.1", 5060, (("branch", "z9hG4bK-new"),))
LOOSE = ("Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>", "Record-Route: <sip:p3.example>")


def read(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def read_response(data: bytes) -> Response:
    message = parse_message(data)
    assert isinstance(message, Response)
    return message


def test_a_server_keeps_the_order_of_record_route() -> None:
    dialog = Dialog.of_server(read(request("INVITE", headers=LOOSE)), "ours")
    assert [str(route) for route in dialog.route_set] == [
        "<sip:p1.example;lr>",
        "<sip:p2.example;lr>",
        "<sip:p3.example>",
    ]
    assert dialog.key == ("call-1", "ours", "theirs")


def test_a_client_reverses_the_order_of_record_route() -> None:
    invite = read(request("INVITE"))
    dialog = Dialog.of_client(invite, read_response(response(invite, 200, headers=LOOSE)))
    hosts = [route.uri.host for route in dialog.route_set if isinstance(route.uri, SipUri)]
    assert hosts == ["p3.example", "p2.example", "p1.example"]


def test_a_request_goes_to_the_contact_when_there_is_no_route() -> None:
    dialog = Dialog.of_server(read(request("INVITE")), "ours")
    bye = dialog.request("BYE", VIA)
    assert bye.uri == "sip:peer@192.0.2.9:5060"
    assert bye.routes == ()
    assert str(bye.from_) == "<sip:100@example.com>;tag=ours"
    assert str(bye.to) == '"Peer" <sip:peer@example.org>;tag=theirs'
    assert str(bye.cseq) == "1 BYE"
    assert str(dialog.request("INFO", VIA).cseq) == "2 INFO"


def test_a_loose_route_leaves_the_target_in_the_request_uri() -> None:
    dialog = Dialog.of_server(read(request("INVITE", headers=LOOSE)), "ours")
    bye = dialog.request("BYE", VIA)
    assert bye.uri == "sip:peer@192.0.2.9:5060"
    assert len(bye.routes) == 3
    assert str(dialog.next_uri) == "sip:p1.example;lr"


def test_a_strict_router_gets_itself_in_the_request_uri_and_the_target_last() -> None:
    strict = ("Record-Route: <sip:p1.example>, <sip:p2.example;lr>",)
    dialog = Dialog.of_server(read(request("INVITE", headers=strict)), "ours")
    bye = dialog.request("BYE", VIA)
    assert bye.uri == "sip:p1.example"
    assert [str(route) for route in bye.routes] == [
        "<sip:p2.example;lr>",
        "<sip:peer@192.0.2.9:5060>",
    ]
    assert str(dialog.next_uri) == "sip:p1.example"


def test_an_ack_has_the_number_of_its_invite_and_counts_nothing() -> None:
    dialog = Dialog.of_server(read(request("INVITE")), "ours")
    dialog.request("INVITE", VIA)
    assert str(dialog.request("ACK", VIA, cseq=1).cseq) == "1 ACK"
    assert dialog.local_cseq == 1


def test_a_new_contact_moves_the_target_and_its_absence_does_not() -> None:
    dialog = Dialog.of_server(read(request("INVITE")), "ours")
    dialog.refresh(read(request("INVITE", contact=None)))
    assert str(dialog.remote_target) == "sip:peer@192.0.2.9:5060"
    dialog.refresh(read(request("INVITE", contact="<sip:new@192.0.2.50>")))
    assert str(dialog.remote_target) == "sip:new@192.0.2.50"


def test_a_peer_without_a_tag_has_a_dialog_too() -> None:
    dialog = Dialog.of_server(read(request("INVITE", from_tag=None)), "ours")
    assert dialog.key == ("call-1", "ours", "")
    assert dialog.request("BYE", VIA).to.tag is None


def test_what_a_peer_put_into_its_from_is_not_sent_back_but_for_the_tag() -> None:
    data = request("INVITE").replace(b";tag=theirs", b';x="a;b";tag=theirs;y', 1)
    dialog = Dialog.of_server(read(data), "ours")
    assert str(dialog.request("BYE", VIA).to) == '"Peer" <sip:peer@example.org>;tag=theirs'


def test_an_address_in_a_uri_is_a_hop_and_a_name_or_another_transport_is_none() -> None:
    hop = literal_hop(parse_uri("sip:x@192.0.2.50"), UDP_HOP)
    assert hop == Hop(Transport.UDP, UDP_HOP.local, ("192.0.2.50", 5060))
    assert literal_hop(parse_uri("sip:x@[2001:db8::1]:5070"), UDP_HOP) is not None
    assert literal_hop(parse_uri("sip:x@example.org"), UDP_HOP) is None
    assert literal_hop(parse_uri("sip:x@192.0.2.50;transport=tcp"), UDP_HOP) is None
    assert literal_hop(parse_uri("sips:x@192.0.2.50"), UDP_HOP) is None
    secure = Hop(Transport.TLS, UDP_HOP.local, ("192.0.2.9", 40_000), "example.org")
    moved = Hop(Transport.TLS, UDP_HOP.local, ("192.0.2.50", 5061), "example.org")
    assert literal_hop(parse_uri("sips:x@192.0.2.50"), secure) == moved
    assert literal_hop(parse_uri("sip:x@192.0.2.50;transport=tls"), secure) == moved
    assert literal_hop(parse_uri("sip:x@192.0.2.50;transport=tcp"), secure) is None
    assert literal_hop(parse_uri("tel:+4912345"), UDP_HOP) is None


def test_an_open_connection_serves_better_than_the_contact_of_the_same_host() -> None:
    same = Hop(Transport.TCP, TCP_HOP.local, (TCP_HOP.remote[0], 5060))
    other = Hop(Transport.TCP, TCP_HOP.local, ("192.0.2.77", 5060))
    assert stays_on(TCP_HOP, same)
    assert not stays_on(TCP_HOP, other)


def test_a_private_contact_seen_from_outside_is_not_followed() -> None:
    outside = Hop(Transport.UDP, UDP_HOP.local, ("8.8.8.8", 1024))
    inside = Hop(Transport.UDP, UDP_HOP.local, ("10.0.0.5", 5060))
    assert stays_on(outside, inside)
    assert not stays_on(inside, outside)


def test_a_nat_shows_in_the_via() -> None:
    assert not is_natted(read(request("INVITE")), UDP_HOP)
    assert is_natted(read(request("INVITE", via="10.0.0.5:5060;rport")), UDP_HOP)
    assert is_natted(read(request("INVITE", via="192.0.2.9:5999;rport")), UDP_HOP)
    assert not is_natted(read(request("INVITE", via="192.0.2.9:5999")), UDP_HOP)
    assert not is_natted(read(request("INVITE", via="proxy.example")), UDP_HOP)
