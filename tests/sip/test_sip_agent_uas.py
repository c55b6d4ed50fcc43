"""The agent as the one who is called (RFC 3261 8.2, 9.2, 12.2.2, 13.3, 14.2, 15.1.2)."""

from __future__ import annotations

import pytest

from farend.sip_bench import (
    ANSWER,
    OFFER,
    TCP_HOP,
    UDP_HOP,
    Bench,
    only_request,
    only_response,
    request,
    response,
)
from mediaserver.sip.agent import AgentLimits
from mediaserver.sip.events import (
    Cancelled,
    Ended,
    Established,
    InfoReceived,
    Invited,
    ReinviteAcknowledged,
    Reinvited,
)
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request, Response
from mediaserver.sip.session import EndCause, Session, SessionState
from mediaserver.sip.warning import WarningValue


def invited(bench: Bench, **fields: object) -> Session:
    """A call that came in."""
    fields.setdefault("body", OFFER)
    bench.receive(request("INVITE", **fields))  # type: ignore[arg-type]  # as the caller wrote it
    return bench.last(Invited).session


def answered(bench: Bench, **fields: object) -> tuple[Session, str]:
    """A call that was answered, and our tag."""
    session = invited(bench, **fields)
    bench.agent.answer(session, ANSWER, bench.now)
    tag = only_response(bench.drain()).to.tag
    assert tag is not None
    return session, tag


def established(bench: Bench, **fields: object) -> tuple[Session, str]:
    """A call that is up, and our tag."""
    session, tag = answered(bench, **fields)
    bench.receive(request("ACK", to_tag=tag, branch="z9hG4bK-ack"))
    bench.last(Established)
    return session, tag


def test_a_call_from_invite_to_their_bye() -> None:
    bench = Bench()
    trying = only_response(bench.receive(request("INVITE", body=OFFER)))
    assert trying.status == 100
    assert trying.to.tag is None
    event = bench.last(Invited)
    assert event.request.body == OFFER
    session = event.session
    bench.agent.ring(session, bench.now)
    ringing = only_response(bench.drain())
    assert ringing.status == 180
    bench.agent.answer(session, ANSWER, bench.now, headers=[("X-Own", "1")])
    ok = only_response(bench.drain())
    assert ok.status == 200
    assert ok.to.tag == ringing.to.tag == session.local_tag
    assert ok.body == ANSWER
    assert ok.content_type == "application/sdp"
    assert ok.headers.get("Contact") == "<sip:mediaserver@192.0.2.1:5060>"
    assert "INVITE" in ok.headers.tokens("Allow")
    assert ok.headers.get("Supported") == "timer"
    assert ok.headers.get("X-Own") == "1"
    assert session.state is SessionState.ANSWERED
    bench.receive(request("ACK", to_tag=session.local_tag, branch="z9hG4bK-b"))
    assert bench.last(Established).body == b""
    bye = request("BYE", to_tag=session.local_tag, branch="z9hG4bK-c", cseq=2)
    assert only_response(bench.receive(bye)).status == 200
    assert bench.last(Ended).cause is EndCause.REMOTE_BYE
    assert session.over
    assert only_response(bench.receive(bye)).status == 200, "a copy, from the transaction"
    assert bench.kinds() == ["Invited", "Established", "Ended"]
    bench.wait(64)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_a_retransmitted_invite_makes_no_second_call() -> None:
    bench = Bench()
    for _ in range(3):
        bench.receive(request("INVITE", body=OFFER))
    assert bench.kinds() == ["Invited"]
    assert bench.statuses() == [100, 100, 100]


@pytest.mark.parametrize("hop", [UDP_HOP, TCP_HOP])
def test_a_200_is_repeated_until_its_ack(hop: Hop) -> None:
    bench = Bench()
    bench.receive(request("INVITE", body=OFFER, transport=str(hop.transport)), hop)
    session = bench.last(Invited).session
    bench.agent.answer(session, ANSWER, bench.now)
    start = bench.now
    bench.wait(12)
    times = [at - start for at, _, message in bench.sent if isinstance(message, Response)]
    assert times == [0, 0, 0.5, 1.5, 3.5, 7.5, 11.5]
    assert {sent_hop for _, sent_hop, _ in bench.sent} == {hop}
    bench.receive(request("ACK", to_tag=session.local_tag, branch="z9hG4bK-b"), hop)
    assert bench.wait(100) == []
    assert bench.kinds() == ["Invited", "Established"]


def test_a_call_that_is_never_acknowledged_is_ended_with_bye_after_32_seconds() -> None:
    bench = Bench()
    session, _ = answered(bench)
    bench.wait(31.9)
    assert bench.kinds() == ["Invited"]
    bye = only_request(bench.wait(0.2), "BYE")
    assert bye.to.tag == "theirs"
    assert bench.last(Ended).cause is EndCause.ACK_TIMEOUT
    bench.receive(response(bye, 200))
    bench.wait(5)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)
    assert session.over


def test_our_bye_waits_for_their_ack() -> None:
    bench = Bench()
    session, tag = answered(bench)
    bench.agent.hang_up(session, bench.now)
    assert bench.drain() == []
    assert bench.agent.parting
    out = bench.receive(request("ACK", to_tag=tag, branch="z9hG4bK-b"))
    bye = only_request(out, "BYE")
    bench.receive(response(bye, 200))
    assert bench.kinds() == ["Invited", "Established", "Ended"]
    assert bench.last(Ended).cause is EndCause.LOCAL_BYE


@pytest.mark.parametrize("status", [200, 401, 407, 481, 503])
def test_any_answer_to_our_bye_ends_the_call_and_none_gets_credentials(status: int) -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.bye(session, bench.now, reason="Q.850;cause=16")
    bye = only_request(bench.drain(), "BYE")
    assert bye.headers.get("Reason") == "Q.850;cause=16"
    challenge = ('WWW-Authenticate: Digest realm="r", nonce="n"',)
    assert bench.receive(response(bye, status, headers=challenge)) == []
    assert bench.last(Ended).cause is EndCause.LOCAL_BYE
    bench.wait(64)
    assert bench.agent.transaction_count == 0
    assert not any("Authorization" in message.headers for _, _, message in bench.sent)


def test_our_bye_without_an_answer_ends_the_call_after_32_seconds() -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.bye(session, bench.now)
    bench.wait(32)
    assert bench.last(Ended).cause is EndCause.LOCAL_BYE
    assert bench.kinds().count("Ended") == 1


def test_two_byes_that_cross_end_the_call_once() -> None:
    bench = Bench()
    session, tag = established(bench)
    bench.agent.bye(session, bench.now)
    ours = only_request(bench.drain(), "BYE")
    bench.receive(request("BYE", to_tag=tag, branch="z9hG4bK-c", cseq=2))
    bench.receive(response(ours, 481))
    assert bench.kinds().count("Ended") == 1


def test_a_peer_that_knows_no_dialog_before_our_2xx_has_arrived_loses_no_call() -> None:
    bench = Bench()
    session, tag = answered(bench)
    bench.agent.info(session, "application/dtmf-relay", b"Signal=1", bench.now)
    info = only_request(bench.drain(), "INFO")
    bench.receive(request("ACK", to_tag=tag))  # of a copy of the 2xx; the first was lost
    bench.receive(response(info, 481))
    assert session.state is SessionState.ESTABLISHED


def test_cancel_before_the_answer() -> None:
    bench = Bench()
    session = invited(bench)
    ok, terminated = bench.receive(request("CANCEL"))
    assert isinstance(ok, Response)
    assert isinstance(terminated, Response)
    assert (ok.status, str(ok.cseq)) == (200, "1 CANCEL")
    assert (terminated.status, str(terminated.cseq)) == (487, "1 INVITE")
    assert ok.to.tag == terminated.to.tag == session.local_tag
    bench.last(Cancelled)
    bench.receive(request("ACK", to_tag=session.local_tag))
    bench.agent.answer(session, ANSWER, bench.now)
    bench.agent.ring(session, bench.now)
    bench.agent.hang_up(session, bench.now)
    assert bench.drain() == [], "commands that come too late do nothing"
    bench.wait(32)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_cancel_after_the_answer_has_no_effect() -> None:
    bench = Bench()
    session, _ = answered(bench)
    assert only_response(bench.receive(request("CANCEL"))).status == 200
    assert session.state is SessionState.ANSWERED


def test_cancel_of_nothing_is_481() -> None:
    bench = Bench()
    assert only_response(bench.receive(request("CANCEL"))).status == 481


def test_an_early_bye_ends_the_invite_with_487() -> None:
    bench = Bench()
    session = invited(bench)
    out = bench.receive(
        request("BYE", to_tag=session.local_tag, branch="z9hG4bK-b", cseq=2),
    )
    assert [message.status for message in out if isinstance(message, Response)] == [200, 487]
    bench.last(Cancelled)


def test_the_application_refuses() -> None:
    bench = Bench()
    session = invited(bench)
    bench.agent.reject(session, 486, bench.now, reason="Not Today", headers=[("X-Why", "no")])
    refusal = only_response(bench.drain())
    assert (refusal.status, refusal.reason) == (486, "Not Today")
    assert refusal.to.tag == session.local_tag
    assert session.over
    assert bench.kinds() == ["Invited"]


def test_a_refusal_says_why_in_a_warning_of_our_address() -> None:
    bench = Bench()
    session = invited(bench)
    bench.agent.reject(session, 488, bench.now, warning=(305, 'no "G729" \\ here\r\nX: y'))
    (value,) = only_response(bench.drain()).headers.get_all("Warning")
    said = WarningValue.first([value])
    assert said == WarningValue(305, UDP_HOP.local[0], 'no "G729" \\ here\ufffd\ufffdX: y')


def test_a_provisional_response_is_repeated_each_minute() -> None:
    bench = Bench()
    session = invited(bench)
    bench.agent.ring(session, bench.now, status=183, body=ANSWER)
    bench.drain()
    assert [m.status for m in bench.wait(150) if isinstance(m, Response)] == [183, 183]
    bench.agent.reject(session, 480, bench.now)
    assert only_response(bench.drain()).status == 480
    bench.receive(request("ACK", to_tag=session.local_tag))
    assert bench.wait(150) == []


def test_record_route_is_copied_and_our_requests_take_it() -> None:
    bench = Bench()
    route = ("Record-Route: <sip:192.0.2.77;lr>",)
    session = invited(bench, headers=route)
    bench.agent.answer(session, ANSWER, bench.now)
    ok = only_response(bench.drain())
    assert ok.headers.get("Record-Route") == "<sip:192.0.2.77;lr>"
    bench.receive(request("ACK", to_tag=ok.to.tag, branch="z9hG4bK-b"))
    bench.agent.bye(session, bench.now)
    bye = only_request(bench.drain(), "BYE")
    assert bye.headers.get("Route") == "<sip:192.0.2.77;lr>"
    assert bench.sent[-1][1].remote == ("192.0.2.77", 5060)


def test_a_request_behind_a_nat_goes_back_the_way_the_invite_came() -> None:
    bench = Bench()
    session, _ = established(bench, via="10.0.0.5:5060;rport", contact="<sip:peer@10.0.0.5:5060>")
    bench.agent.bye(session, bench.now)
    bench.drain()
    assert bench.sent[-1][1] == UDP_HOP


def test_a_call_over_tcp_outlives_its_connection() -> None:
    bench = Bench()
    bench.receive(request("INVITE", body=OFFER, transport="TCP"), TCP_HOP)
    session = bench.last(Invited).session
    bench.agent.answer(session, ANSWER, bench.now)
    bench.receive(request("ACK", to_tag=session.local_tag, branch="z9hG4bK-b"), TCP_HOP)
    assert bench.agent.uses(TCP_HOP)
    bench.agent.transport_failed(TCP_HOP, bench.now)
    assert not bench.agent.uses(TCP_HOP)
    bench.agent.bye(session, bench.now)
    bench.drain()
    assert bench.sent[-1][1] == Hop(Transport.TCP, TCP_HOP.local, ("192.0.2.9", 5060))


def test_a_delayed_offer_is_answered_in_the_ack() -> None:
    bench = Bench()
    session, tag = answered(bench, body=b"")
    bench.receive(request("ACK", to_tag=tag, branch="z9hG4bK-b", body=OFFER))
    assert bench.last(Established).body == OFFER
    assert session.state is SessionState.ESTABLISHED


@pytest.mark.parametrize(
    ("data", "status", "header"),
    [
        (request("REGISTER"), 405, "Allow"),
        (request("SUBSCRIBE"), 405, "Allow"),
        (request("PRACK", to_tag="x"), 405, "Allow"),
        (request("DANCE"), 501, "Allow"),
        (request("INVITE", headers=["Require: 100rel"]), 420, "Unsupported"),
        (request("INVITE", body=b"x", content_type="text/plain"), 415, "Accept"),
        (request("INVITE", body=OFFER, headers=["Content-Encoding: gzip"]), 415, "Accept-Encoding"),
        (request("INVITE", headers=["Accept: text/plain"]), 406, "Accept"),
        (request("INVITE", contact=None), 400, None),
        (request("INVITE", to_tag="unknown"), 481, None),
        (request("BYE", to_tag="unknown"), 481, None),
        (request("INFO", to_tag="unknown"), 481, None),
        (request("UPDATE", to_tag="unknown"), 481, None),
        (request("BYE"), 481, None),
        (request("INVITE", uri="tel:+123"), 416, None),
        (request("INVITE").replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1), 505, None),
        (request("INVITE").replace(b"Max-Forwards: 70", b"Max-Forwards: x", 1), 400, None),
        (request("INVITE", cseq_method="BYE"), 400, None),
    ],
)
def test_a_request_that_goes_no_further(data: bytes, status: int, header: str | None) -> None:
    bench = Bench()
    refusal = only_response(bench.receive(data))
    assert refusal.status == status
    assert refusal.to.tag is not None
    assert header is None or header in refusal.headers
    assert bench.events == []
    assert bench.sent[0][1] == UDP_HOP
    bench.wait(32)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_what_is_not_supported_is_named() -> None:
    bench = Bench()
    refusal = only_response(bench.receive(request("INVITE", headers=["Require: 100rel, x-y"])))
    assert refusal.headers.get_all("Unsupported") == ["100rel", "x-y"]


def test_a_refusal_of_what_cannot_be_read_is_the_same_for_every_copy() -> None:
    bench = Bench()
    data = request("INVITE").replace(b"Max-Forwards: 70", b"Max-Forwards: x", 1)
    assert only_response(bench.receive(data)) == only_response(bench.receive(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"garbage",
        request("ACK", to_tag="x"),
        request("ACK").replace(b"CSeq: 1 ACK", b"CSeq: x", 1),
        b"SIP/2.0 200 OK\r\n\r\n",
    ],
)
def test_noise_and_stray_acks_are_not_answered(data: bytes) -> None:
    bench = Bench()
    assert bench.receive(data) == []
    assert bench.agent.transaction_count == 0


def test_max_forwards_0_is_no_obstacle_at_the_end_of_the_way() -> None:
    bench = Bench()
    bench.receive(request("INVITE", body=OFFER).replace(b"Forwards: 70", b"Forwards: 0"))
    bench.last(Invited)


def test_an_invite_that_took_two_paths_is_refused_on_the_second() -> None:
    bench = Bench()
    invited(bench)
    out = bench.receive(request("INVITE", body=OFFER, branch="z9hG4bK-other"))
    assert only_response(out).status == 482
    assert bench.kinds() == ["Invited"]


def test_options_shows_what_we_can() -> None:
    bench = Bench()
    reply = only_response(bench.receive(request("OPTIONS")))
    assert reply.status == 200
    assert "UPDATE" in reply.headers.tokens("Allow")
    assert reply.headers.get("Accept") == "application/sdp"
    assert reply.headers.get("Supported") == "timer"


def test_while_draining_new_calls_and_options_get_503_and_calls_go_on() -> None:
    bench = Bench()
    _, tag = established(bench)
    bench.agent.draining = True
    assert bench.agent.draining
    for method in ("OPTIONS", "INVITE"):
        out = bench.receive(request(method, call_id="new", branch=f"z9hG4bK-{method}"))
        refusal = only_response(out)
        assert refusal.status == 503
        assert 10 <= int(refusal.headers.get("Retry-After") or "") <= 30
    bye = request("BYE", to_tag=tag, branch="z9hG4bK-c", cseq=2)
    assert only_response(bench.receive(bye)).status == 200


def test_too_many_calls_get_503() -> None:
    bench = Bench(limits=AgentLimits(max_sessions=1))
    invited(bench)
    out = bench.receive(request("INVITE", call_id="c2", branch="z9hG4bK-2", body=OFFER))
    assert only_response(out).status == 503


def test_whoever_is_asked_refuses_a_call_before_there_is_a_session() -> None:
    bench = Bench()
    asked: list[float] = []

    def refusal(now: float) -> int | None:
        asked.append(now)
        return 7 if len(asked) == 1 else None

    bench.agent.ask_before_calls(refusal)
    data = request("INVITE", call_id="c2", branch="z9hG4bK-2", body=OFFER)
    refused = only_response(bench.receive(data))
    assert (refused.status, refused.headers.get("Retry-After")) == (503, "7")
    assert bench.kinds() == []
    assert bench.agent.session_count == 0
    # Its copy gets the same answer, whatever would be said by now.
    assert only_response(bench.receive(data)) == refused
    assert len(asked) == 1
    invited(bench)
    assert bench.agent.session_count == 1


def test_nobody_is_asked_about_requests_of_a_call_that_is_there() -> None:
    bench = Bench()
    _, tag = established(bench)
    bench.agent.ask_before_calls(lambda now: 5)
    out = bench.receive(request("INVITE", to_tag=tag, branch="z9hG4bK-5", cseq=5, body=OFFER))
    assert 503 not in [m.status for m in out if isinstance(m, Response)]
    out = bench.receive(request("BYE", to_tag=tag, branch="z9hG4bK-6", cseq=6))
    assert 200 in [m.status for m in out if isinstance(m, Response)]


def test_too_many_transactions_leave_no_trace_and_calls_go_on() -> None:
    bench = Bench(limits=AgentLimits(max_transactions=1))
    session = invited(bench)
    data = request("INVITE", call_id="c2", branch="z9hG4bK-2", body=OFFER)
    first = only_response(bench.receive(data))
    assert first.status == 503
    assert first == only_response(bench.receive(data))
    assert bench.agent.transaction_count == 1
    bye = request("BYE", to_tag=session.local_tag, branch="z9hG4bK-c", cseq=2)
    assert 200 in [m.status for m in bench.receive(bye) if isinstance(m, Response)]


def test_a_sequence_number_that_goes_back_is_500() -> None:
    bench = Bench()
    _, tag = established(bench)
    bench.receive(request("INFO", to_tag=tag, branch="z9hG4bK-5", cseq=5))
    out = bench.receive(request("BYE", to_tag=tag, branch="z9hG4bK-4", cseq=4))
    assert only_response(out).status == 500
    assert "Ended" not in bench.kinds()


def test_info_is_answered_and_reported() -> None:
    bench = Bench()
    _, tag = established(bench)
    data = request(
        "INFO",
        to_tag=tag,
        branch="z9hG4bK-i",
        cseq=2,
        body=b"Signal=5\r\n",
        content_type="application/dtmf-relay",
    )
    assert only_response(bench.receive(data)).status == 200
    event = bench.last(InfoReceived)
    assert (event.content_type, event.body) == ("application/dtmf-relay", b"Signal=5\r\n")


def reinvite(tag: str, cseq: int = 2, **fields: object) -> bytes:
    fields.setdefault("body", OFFER)
    return request("INVITE", to_tag=tag, branch=f"z9hG4bK-r{cseq}", cseq=cseq, **fields)  # type: ignore[arg-type]  # as the caller wrote it


def test_a_reinvite_is_answered_by_the_application_and_moves_the_target() -> None:
    bench = Bench()
    session, tag = established(bench)
    out = bench.receive(reinvite(tag, contact="<sip:moved@192.0.2.50:5070>"))
    assert only_response(out).status == 100
    assert bench.last(Reinvited).request.body == OFFER
    bench.agent.answer(session, ANSWER, bench.now)
    ok = only_response(bench.drain())
    assert (ok.status, ok.body) == (200, ANSWER)
    assert only_response(bench.wait(0.5)) == ok, "repeated like any 200 to INVITE"
    bench.receive(request("ACK", to_tag=tag, branch="z9hG4bK-ra", cseq=2))
    bench.last(ReinviteAcknowledged)
    bench.agent.bye(session, bench.now)
    assert only_request(bench.drain(), "BYE").uri == "sip:moved@192.0.2.50:5070"
    assert bench.sent[-1][1].remote == ("192.0.2.50", 5070)


def test_a_refused_reinvite_leaves_the_session_as_it_was() -> None:
    bench = Bench()
    session, tag = established(bench)
    bench.receive(reinvite(tag))
    bench.agent.reject(session, 488, bench.now)
    assert only_response(bench.drain()).status == 488
    bench.receive(request("ACK", to_tag=tag, branch="z9hG4bK-r2", cseq=2))
    assert session.state is SessionState.ESTABLISHED
    bench.receive(reinvite(tag, 3))
    assert bench.kinds().count("Reinvited") == 2


def test_a_cancelled_reinvite_gets_487_and_the_call_goes_on() -> None:
    bench = Bench()
    session, tag = established(bench)
    bench.receive(reinvite(tag))
    cancel = request("CANCEL", to_tag=tag, branch="z9hG4bK-r2", cseq=2)
    assert [m.status for m in bench.receive(cancel) if isinstance(m, Response)] == [200, 487]
    bench.agent.answer(session, ANSWER, bench.now)
    assert bench.drain() == []
    assert session.state is SessionState.ESTABLISHED


def test_a_second_invite_before_the_answer_to_the_first_is_500_with_retry_after() -> None:
    bench = Bench()
    _, tag = established(bench)
    bench.receive(reinvite(tag))
    refusal = only_response(bench.receive(reinvite(tag, 3)))
    assert refusal.status == 500
    assert 0 <= int(refusal.headers.get("Retry-After") or "") <= 10


def test_an_invite_that_meets_ours_is_491() -> None:
    bench = Bench()
    session, tag = established(bench)
    bench.agent.reinvite(session, ANSWER, bench.now)
    only_request(bench.drain(), "INVITE")
    assert only_response(bench.receive(reinvite(tag))).status == 491
    update = request("UPDATE", to_tag=tag, branch="z9hG4bK-u", cseq=3, body=OFFER)
    assert only_response(bench.receive(update)).status == 491


def test_our_reinvite_waits_while_theirs_is_undecided() -> None:
    bench = Bench()
    session, tag = established(bench)
    bench.receive(reinvite(tag))
    bench.agent.reinvite(session, ANSWER, bench.now)
    assert bench.drain() == []
    bench.agent.reject(session, 488, bench.now)
    bench.receive(request("ACK", to_tag=tag, branch="z9hG4bK-r2", cseq=2))
    methods = [m.method for m in bench.wait(5) if isinstance(m, Request)]
    assert methods[0] == "INVITE"


def test_a_bye_during_a_reinvite_answers_both() -> None:
    bench = Bench()
    _, tag = established(bench)
    bench.receive(reinvite(tag))
    out = bench.receive(request("BYE", to_tag=tag, branch="z9hG4bK-c", cseq=3))
    assert sorted(m.status for m in out if isinstance(m, Response)) == [200, 487]


def test_update_with_an_offer_is_decided_by_the_application() -> None:
    bench = Bench()
    session, tag = established(bench)
    update = request("UPDATE", to_tag=tag, branch="z9hG4bK-u", cseq=2, body=OFFER)
    assert bench.receive(update) == []
    assert bench.last(Reinvited).request.method == "UPDATE"
    bench.agent.answer(session, ANSWER, bench.now)
    ok = only_response(bench.drain())
    assert (ok.status, ok.body) == (200, ANSWER)
    assert bench.wait(10) == [], "no ACK is waited for"


def test_update_without_an_offer_moves_the_target_alone() -> None:
    bench = Bench()
    session, tag = established(bench)
    update = request("UPDATE", to_tag=tag, branch="z9hG4bK-u", cseq=2, contact="<sip:n@192.0.2.50>")
    assert only_response(bench.receive(update)).status == 200
    assert "Reinvited" not in bench.kinds()
    assert session.dialog is not None
    assert str(session.dialog.remote_target) == "sip:n@192.0.2.50"


def test_update_before_the_first_answer_is_500() -> None:
    bench = Bench()
    session = invited(bench)
    update = request("UPDATE", to_tag=session.local_tag, branch="z9hG4bK-u", cseq=2, body=OFFER)
    refusal = only_response(bench.receive(update))
    assert refusal.status == 500
    assert "Retry-After" in refusal.headers


@pytest.mark.parametrize("how", ["refused", "cancelled", "never acknowledged", "abandoned by bye"])
def test_nothing_is_left_of_calls_that_came_to_nothing(how: str) -> None:
    bench = Bench()
    for number in range(1_000):
        names: dict[str, object] = {"call_id": f"c{number}", "branch": f"z9hG4bK-{number}"}
        session = invited(bench, **names)
        if how == "refused":
            bench.agent.reject(session, 488, bench.now)
        elif how == "cancelled":
            bench.receive(request("CANCEL", **names))  # type: ignore[arg-type]  # as above
        elif how == "never acknowledged":
            bench.agent.answer(session, ANSWER, bench.now)
        else:
            names["branch"] = f"z9hG4bK-b{number}"
            bench.receive(request("BYE", to_tag=session.local_tag, cseq=2, **names))  # type: ignore[arg-type]  # as above
        bench.drain()
    assert bench.agent.transaction_count >= 1_000
    while (at := bench.agent.next_timer()) is not None and at < bench.now + 65:
        bench.agent.handle_timer(at)
        bench.agent.outgoing()
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)
    assert bench.agent.next_timer() is None
    assert not bench.agent._core.dialogs
    assert not bench.agent._core.transactions._by_hop
    assert not bench.agent._core.transactions._merges
