"""A call that goes to the next hop when the one before says nothing or fails (RFC 3263 4.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from farend.sip_bench import ANSWER, OFFER, US, Bench, only_request, response
from mediaserver.errors import LocalError
from mediaserver.sip.events import Answered, Refused
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request
from mediaserver.sip.placement import HOP_PATIENCE
from mediaserver.sip.session import Session, SessionState

HOPS = [Hop(Transport.UDP, US, (f"192.0.2.{host}", 5060)) for host in (31, 32, 33)]


def offer(hop: Hop) -> bytes:
    return OFFER + b"a=" + hop.remote[0].encode() + b"\r\n"


def called(
    bench: Bench, hops: list[Hop] = HOPS, offer: Callable[[Hop], bytes] = offer
) -> tuple[Session, Request]:
    return bench.call(*hops, offer=offer)


def invites(bench: Bench) -> list[tuple[float, str, Request]]:
    """Every INVITE sent so far, copies left out: when, to whom, what."""
    found: dict[str | None, tuple[float, str, Request]] = {}
    for at, hop, message in bench.sent:
        if isinstance(message, Request) and message.method == "INVITE":
            found.setdefault(message.via.branch, (at - 1000, hop.remote[0], message))
    return list(found.values())


def test_a_silent_hop_makes_way_for_the_next_after_five_seconds() -> None:
    bench = Bench()
    session, first = called(bench)
    bench.wait(2 * HOP_PATIENCE + 0.1)
    sent = invites(bench)
    assert [(at, host) for at, host, _ in sent] == [
        (0, "192.0.2.31"),
        (HOP_PATIENCE, "192.0.2.32"),
        (2 * HOP_PATIENCE, "192.0.2.33"),
    ]
    last = sent[-1][2]
    assert (last.call_id, last.cseq, last.from_) == (first.call_id, first.cseq, first.from_)
    assert last.body == offer(HOPS[2])
    assert session.invite.via.branch == last.via.branch
    ack = only_request(bench.receive(response(last, 200, body=ANSWER), HOPS[2]), "ACK")
    assert ack.to.tag == "theirs"
    assert bench.kinds() == ["Answered"]


def test_the_last_hop_has_all_the_time_there_is() -> None:
    bench = Bench()
    called(bench)
    bench.wait(2 * HOP_PATIENCE + 31.9)
    assert bench.events == []
    bench.wait(0.2)
    event = bench.last(Refused)
    assert (event.status, event.response) == (408, None)
    bench.wait(33)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_a_hop_that_cannot_be_reached_makes_way_at_once() -> None:
    bench = Bench()
    called(bench)
    for hop in HOPS:
        assert bench.sent[-1][1] == hop
        assert bench.events == []
        bench.agent.transport_failed(hop, bench.now)
        bench.drain()
    assert bench.last(Refused).status == 503


def test_a_hop_that_says_503_makes_way_at_once() -> None:
    bench = Bench()
    _, invite = called(bench)
    ack, again = bench.receive(response(invite, 503), HOPS[0])
    assert isinstance(ack, Request)
    assert isinstance(again, Request)
    assert (ack.method, again.method, bench.sent[-1][1]) == ("ACK", "INVITE", HOPS[1])
    bench.receive(response(again, 503), HOPS[1])
    third = invites(bench)[2][2]
    bench.receive(response(third, 503), HOPS[2])
    event = bench.last(Refused)
    assert event.status == 503
    assert event.response is not None


@pytest.mark.parametrize("status", [404, 486, 500, 504, 603])
def test_any_other_refusal_is_final(status: int) -> None:
    bench = Bench()
    _, invite = called(bench)
    bench.receive(response(invite, status), HOPS[0])
    assert bench.last(Refused).status == status
    assert len(invites(bench)) == 1


@pytest.mark.parametrize("provisional", [100, 180])
def test_a_hop_that_said_something_is_waited_for(provisional: int) -> None:
    bench = Bench()
    _, invite = called(bench)
    bench.receive(response(invite, provisional), HOPS[0])
    bench.wait(60)
    assert len(invites(bench)) == 1


def test_a_503_after_somebody_was_alerted_is_final() -> None:
    bench = Bench()
    _, invite = called(bench)
    bench.receive(response(invite, 180), HOPS[0])
    bench.receive(response(invite, 503), HOPS[0])
    assert bench.last(Refused).status == 503


def test_a_cancelled_call_goes_to_no_other_hop() -> None:
    bench = Bench()
    session, invite = called(bench)
    bench.agent.cancel(session, bench.now)
    bench.wait(20)
    assert len(invites(bench)) == 1
    bench.receive(response(invite, 503), HOPS[0])
    assert bench.last(Refused).status == 503
    assert len(invites(bench)) == 1


def test_the_cancel_goes_to_the_hop_of_the_present_attempt() -> None:
    bench = Bench()
    session, _ = called(bench)
    bench.wait(HOP_PATIENCE)
    again = invites(bench)[1][2]
    bench.receive(response(again, 180), HOPS[1])
    bench.agent.hang_up(session, bench.now)
    cancel = only_request(bench.drain(), "CANCEL")
    assert cancel.via == again.via
    assert bench.sent[-1][1] == HOPS[1]


def test_a_hop_that_rings_too_late_is_cancelled_once() -> None:
    bench = Bench()
    session, late = called(bench)
    bench.wait(HOP_PATIENCE)
    present = invites(bench)[1][2]
    cancel = only_request(bench.receive(response(late, 180, to_tag="late"), HOPS[0]), "CANCEL")
    assert cancel.via == late.via
    assert bench.sent[-1][1] == HOPS[0]
    assert bench.receive(response(late, 180, to_tag="late"), HOPS[0]) == []
    bench.receive(response(cancel, 200), HOPS[0])
    only_request(bench.receive(response(late, 487, to_tag="late"), HOPS[0]), "ACK")
    assert bench.events == []
    bench.receive(response(present, 200, body=ANSWER), HOPS[1])
    assert bench.last(Answered).session is session
    assert session.state is SessionState.ESTABLISHED


def test_a_hop_that_answers_too_late_is_thanked_and_ended() -> None:
    bench = Bench()
    session, late = called(bench)
    bench.wait(HOP_PATIENCE)
    present = invites(bench)[1][2]
    bench.receive(response(present, 200, body=ANSWER), HOPS[1])
    out = bench.receive(response(late, 200, to_tag="late", body=ANSWER), HOPS[0])
    assert [(m.method, m.to.tag) for m in out if isinstance(m, Request)] == [
        ("ACK", "late"),
        ("BYE", "late"),
    ]
    assert session.dialog is not None
    assert session.dialog.remote_tag == "theirs"
    assert bench.kinds() == ["Answered"]


def test_nothing_is_left_of_hops_that_were_given_up() -> None:
    bench = Bench()
    _, late = called(bench)
    bench.wait(HOP_PATIENCE)
    bench.receive(response(late, 180, to_tag="late"), HOPS[0])  # and never says anything again
    present = invites(bench)[1][2]
    bench.receive(response(present, 486), HOPS[1])
    bench.wait(70)
    assert bench.last(Refused).status == 486
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)
    assert bench.agent.next_timer() is None


def test_a_hop_there_is_no_offer_for_is_left_out() -> None:
    def only_odd(hop: Hop) -> bytes:
        if hop == HOPS[1]:
            raise LocalError("no media that way")
        return OFFER

    bench = Bench()
    called(bench, offer=only_odd)
    bench.agent.transport_failed(HOPS[0], bench.now)
    bench.drain()
    assert [host for _, host, _ in invites(bench)] == ["192.0.2.31", "192.0.2.33"]


def test_a_call_there_is_no_offer_for_leaves_nothing_behind() -> None:
    def none(_hop: Hop) -> bytes:
        raise LocalError("no media")

    bench = Bench()
    with pytest.raises(LocalError):
        called(bench, offer=none)
    assert bench.drain() == []
    assert bench.agent.session_count == 0
