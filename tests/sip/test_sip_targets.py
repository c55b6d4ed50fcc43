"""Whom requests in a dialog may go to: what a peer's Contact or Record-Route leads to is asked of
whoever keeps the rule (RFC 3261 12.2.1.1, RFC 3581)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from farend.sip_bench import ANSWER, OFFER, TCP_HOP, UDP_HOP, US, Bench, request, response
from mediaserver.sip.events import Answered, Established, Invited, TargetRefused
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request
from mediaserver.sip.uri import SipUri

INSIDE = "<sip:victim@203.0.113.66:80>"
TARGET = Hop(Transport.UDP, US, ("203.0.113.66", 80))
PROXY = Hop(Transport.UDP, US, ("192.0.2.31", 5060))


class Strict(Bench):
    """A bench whose agent follows nobody to 203.0.113.0/24."""

    def __init__(self) -> None:
        super().__init__()
        self.agent.ask_before_following(
            lambda _spoken, target: not target.remote[0].startswith("203.0.113.")
        )

    def went(self, method: str) -> list[tuple[str, int]]:
        """Where every request of this method was sent."""
        return [
            hop.remote
            for _, hop, message in self.sent
            if isinstance(message, Request) and message.method == method
        ]

    def refusals(self) -> list[Hop]:
        return [event.target for event in self.events if isinstance(event, TargetRefused)]


@pytest.mark.parametrize(
    "fields",
    [
        {"contact": INSIDE},
        {"headers": ["Record-Route: <sip:203.0.113.66:80;lr>"]},
        {"headers": ["Record-Route: <sip:proxy.example;lr;maddr=203.0.113.66>"]},
    ],
    ids=["contact", "record-route", "maddr"],
)
def test_a_caller_cannot_lead_our_bye_inside(fields: dict[str, object]) -> None:
    bench = Strict()
    bench.receive(request("INVITE", body=OFFER, **fields))  # type: ignore[arg-type]
    session = bench.last(Invited).session
    bench.agent.answer(session, ANSWER, bench.now)
    bench.drain()
    bench.receive(request("ACK", to_tag=session.local_tag, branch="z9hG4bK-b"))
    bench.last(Established)
    bench.agent.info(session, "text/plain", b"x", bench.now)
    bench.agent.bye(session, bench.now)
    bench.wait(40)
    assert set(bench.went("INFO") + bench.went("BYE")) == {UDP_HOP.remote}
    assert [target.remote[0] for target in bench.refusals()] == ["203.0.113.66"]
    assert bench.kinds()[:2] == ["TargetRefused", "Invited"]


def test_whom_we_called_cannot_lead_ack_prack_and_bye_inside() -> None:
    bench = Strict()
    session = bench.agent.invite(
        SipUri.parse("sip:bob@example.org"),
        [PROXY],
        lambda _: OFFER,
        bench.now,
        from_="<sip:us@example.com>",
    )
    (invite,) = bench.drain()
    assert isinstance(invite, Request)
    reliable = ["Require: 100rel", "RSeq: 1"]
    bench.receive(response(invite, 183, contact=INSIDE, headers=reliable), PROXY)
    bench.receive(response(invite, 200, body=ANSWER, contact=INSIDE), PROXY)
    bench.last(Answered)
    bench.agent.bye(session, bench.now)
    bench.wait(40)
    for method in ("PRACK", "ACK", "BYE"):
        assert set(bench.went(method)) == {PROXY.remote}, method
    assert bench.refusals() == [TARGET], "told once"


def test_a_reinvite_cannot_lead_us_inside_later() -> None:
    bench = Strict()
    bench.receive(request("INVITE", body=OFFER))
    session = bench.last(Invited).session
    bench.agent.answer(session, ANSWER, bench.now)
    bench.drain()
    tag = session.local_tag
    bench.receive(request("ACK", to_tag=tag, branch="z9hG4bK-b"))
    for number in (2, 3):
        update = request(
            "UPDATE", to_tag=tag, branch=f"z9hG4bK-{number}", cseq=number, contact=INSIDE
        )
        bench.receive(update)
    bench.agent.bye(session, bench.now)
    bench.drain()
    assert bench.went("BYE") == [UDP_HOP.remote]
    assert bench.refusals() == [TARGET]


def test_a_lost_connection_is_not_replaced_by_one_that_leads_inside() -> None:
    bench = Strict()
    inside = "<sip:victim@203.0.113.66:80;transport=tcp>"
    bench.receive(request("INVITE", body=OFFER, transport="TCP", contact=inside), TCP_HOP)
    session = bench.last(Invited).session
    bench.agent.answer(session, ANSWER, bench.now)
    bench.receive(
        request("ACK", to_tag=session.local_tag, branch="z9hG4bK-b", transport="TCP"), TCP_HOP
    )
    bench.agent.transport_failed(TCP_HOP, bench.now)
    bench.agent.bye(session, bench.now)
    bench.drain()
    assert {hop.remote[0] for _, hop, _ in bench.sent} == {"192.0.2.9"}


def test_a_private_contact_behind_a_public_address_is_no_news() -> None:
    """A NAT: requests go back where the peer's came from, and nobody is troubled with it."""
    bench = Strict()
    bench.agent.ask_before_following(lambda _spoken, target: target.remote[0] != "10.0.0.5")
    public = replace(UDP_HOP, remote=("8.8.8.8", 5060))
    bench.receive(
        request("INVITE", body=OFFER, via="8.8.8.8:5060;rport", contact="<sip:a@10.0.0.5>"), public
    )
    session = bench.last(Invited).session
    assert session.hop == public
    assert bench.refusals() == []


def test_an_allowed_target_is_followed() -> None:
    bench = Strict()
    bench.receive(request("INVITE", body=OFFER, contact="<sip:desk@192.0.2.77:5070>"))
    assert bench.last(Invited).session.hop.remote == ("192.0.2.77", 5070)
    assert bench.refusals() == []


def test_a_via_cannot_lead_our_answers_inside() -> None:
    bench = Strict()
    via = "192.0.2.9:5062;maddr=203.0.113.66"
    bench.receive(request("INVITE", body=OFFER, via=via))
    bench.agent.reject(bench.last(Invited).session, 486, bench.now)
    bench.receive(request("OPTIONS", via=via, call_id="call-2", branch="z9hG4bK-2"))
    wrong = request("OPTIONS", via=via, call_id="call-3", branch="z9hG4bK-3", cseq_method="BYE")
    bench.receive(wrong)
    bench.wait(40)
    assert {100, 486, 200, 400} <= set(bench.statuses())
    assert {hop.remote for _, hop, _ in bench.sent} == {UDP_HOP.remote}
