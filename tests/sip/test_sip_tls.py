"""What TLS changes for the agent: sips URIs, Contacts, and what a call is told that failed."""

from __future__ import annotations

import pytest

from farend.sip_bench import ANSWER, OFFER, TCP_HOP, UDP_HOP, Bench, only_response, request
from mediaserver.sip.events import Invited, Refused
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request, parse_message
from mediaserver.sip.routing import fallback_hop
from mediaserver.sip.uri import SipUri

TLS_HOP = Hop(Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.9", 40_000))
SIPS = "sips:100@192.0.2.1"


@pytest.mark.parametrize("hop", [UDP_HOP, TCP_HOP])
def test_a_request_to_a_sips_uri_is_refused_in_clear(hop: Hop) -> None:
    bench = Bench()
    data = request("INVITE", uri=SIPS, body=OFFER, transport=str(hop.transport))
    answer = only_response(bench.receive(data, hop))
    assert answer.status == 416
    assert "must come over TLS" in (answer.headers.get("Warning") or "")
    assert not bench.kinds()


@pytest.mark.parametrize(
    ("uri", "headers", "contact", "secure"),
    [
        (SIPS, (), "<sip:peer@192.0.2.9:5061;transport=tls>", True),
        ("sip:100@192.0.2.1", (), "<sips:peer@192.0.2.9:5061>", True),
        ("sip:100@192.0.2.1", ("Record-Route: <sips:p1;lr>",), "<sip:peer@192.0.2.9>", True),
        ("sip:100@192.0.2.1", ("Record-Route: <sip:p1;lr>",), "<sips:peer@192.0.2.9>", False),
        ("sip:100@192.0.2.1", (), "<sip:peer@192.0.2.9:5061;transport=tls>", False),
    ],
)
def test_our_contact_is_a_sips_uri_where_theirs_has_to_be(
    uri: str, headers: tuple[str, ...], contact: str, secure: bool
) -> None:
    bench = Bench()
    data = request("INVITE", uri=uri, headers=headers, contact=contact, body=OFFER, transport="TLS")
    bench.receive(data, TLS_HOP)
    session = bench.last(Invited).session
    assert session.hop == TLS_HOP, "requests of ours take the connection"
    bench.agent.answer(session, ANSWER, bench.now)
    said = only_response(bench.drain()).contact
    assert said is not None
    assert isinstance(said.uri, SipUri)
    assert said.uri.scheme == ("sips" if secure else "sip")


def test_a_lost_connection_is_replaced_at_the_port_of_tls() -> None:
    data = parse_message(request("BYE", transport="TLS", via="192.0.2.9"), stream=True)
    assert isinstance(data, Request)
    assert fallback_hop(data, TLS_HOP).remote == ("192.0.2.9", 5061)


def test_a_call_that_reaches_nobody_tells_what_was_wrong_with_the_first_hop() -> None:
    bench = Bench()
    hops = [Hop(Transport.TLS, TLS_HOP.local, (f"192.0.2.{n}", 5061), "a.example") for n in (8, 9)]
    bench.agent.invite(
        SipUri.parse("sips:x@a.example"), hops, lambda _: OFFER, bench.now, from_="sip:me@a.example"
    )
    bench.drain()
    bench.agent.transport_failed(hops[0], bench.now, "the certificate has expired")
    bench.drain()
    bench.agent.transport_failed(hops[1], bench.now)
    bench.drain()
    refused = bench.last(Refused)
    assert (refused.status, refused.reason) == (503, "the certificate has expired")
