"""The agent as the one who calls (RFC 3261 8.1, 9.1, 13.2, 14.1, 15.1.1)."""

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
from mediaserver.errors import LocalError
from mediaserver.sip.events import (
    Answered,
    Ended,
    InfoReceived,
    Progressed,
    Refused,
    ReinviteAnswered,
    ReinviteRefused,
)
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Request
from mediaserver.sip.session import EndCause, Session, SessionState
from mediaserver.sip.uri import SipUri

TARGET = SipUri.parse("sip:bob@192.0.2.9")


def called(bench: Bench, hop: Hop = UDP_HOP, body: bytes = OFFER) -> tuple[Session, Request]:
    """A call on its way, and its INVITE."""
    return bench.call(hop, offer=lambda _: body, from_="Us <sip:us@example.com>")


def established(bench: Bench) -> tuple[Session, Request]:
    """A call that is up, and its INVITE."""
    session, invite = called(bench)
    only_request(bench.receive(response(invite, 200, body=ANSWER)), "ACK")
    bench.last(Answered)
    return session, invite


def theirs(invite: Request, method: str, cseq: int = 1, body: bytes = b"") -> bytes:
    """A request of the peer in the dialog that `invite` made."""
    return request(
        method,
        call_id=invite.call_id,
        to_tag=invite.from_.tag,
        branch=f"z9hG4bK-{method}{cseq}",
        cseq=cseq,
        body=body,
    )


def test_a_call_from_invite_to_our_bye() -> None:
    bench = Bench()
    session, invite = called(bench)
    assert invite.uri == "sip:bob@192.0.2.9"
    assert (invite.from_.display_name, invite.from_.tag) == ("Us", session.local_tag)
    assert str(invite.to) == "<sip:bob@192.0.2.9>"
    assert invite.max_forwards == 70
    assert invite.via.has_cookie
    assert invite.via.wants_rport
    assert invite.via.sent_by == "192.0.2.1:5060"
    assert str(invite.contact) == "<sip:mediaserver@192.0.2.1:5060>"
    assert invite.content_type == "application/sdp"
    bench.receive(response(invite, 100, to_tag=None))
    bench.receive(response(invite, 180))
    assert bench.last(Progressed).response.status == 180
    ack = only_request(bench.receive(response(invite, 200, body=ANSWER)), "ACK")
    assert bench.last(Answered).response.body == ANSWER
    assert (ack.uri, str(ack.cseq), ack.to.tag) == ("sip:peer@192.0.2.9:5060", "1 ACK", "theirs")
    assert ack.via.branch != invite.via.branch
    bench.agent.hang_up(session, bench.now)
    bye = only_request(bench.drain(), "BYE")
    assert str(bye.cseq) == "2 BYE"
    assert session.state is SessionState.ENDING
    bench.receive(response(bye, 200))
    assert bench.last(Ended).cause is EndCause.LOCAL_BYE
    bench.wait(32)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_each_copy_of_the_200_is_acknowledged_and_reported_once() -> None:
    bench = Bench()
    _, invite = called(bench)
    data = response(invite, 200, body=ANSWER)
    first = only_request(bench.receive(data), "ACK")
    assert only_request(bench.receive(data), "ACK") == first
    assert bench.kinds() == ["Answered"]


def test_a_200_is_acknowledged_again_even_after_our_bye() -> None:
    bench = Bench()
    session, invite = established(bench)
    bench.agent.bye(session, bench.now)
    bench.receive(response(only_request(bench.drain(), "BYE"), 200))
    only_request(bench.receive(response(invite, 200, body=ANSWER)), "ACK")


def test_an_offer_in_the_200_is_answered_in_the_ack() -> None:
    bench = Bench()
    session, invite = called(bench, body=b"")
    assert invite.content_type is None
    assert bench.receive(response(invite, 200, body=OFFER)) == []
    assert bench.receive(response(invite, 200, body=OFFER)) == []
    assert bench.kinds() == ["Answered"]
    bench.agent.acknowledge(session, ANSWER)
    ack = only_request(bench.drain(), "ACK")
    assert (ack.body, ack.content_type) == (ANSWER, "application/sdp")
    assert only_request(bench.receive(response(invite, 200, body=OFFER)), "ACK") == ack


def test_hanging_up_on_an_offer_acknowledges_it_first() -> None:
    bench = Bench()
    session, invite = called(bench, body=b"")
    bench.receive(response(invite, 200, body=OFFER))
    bench.agent.hang_up(session, bench.now)
    assert [m.method for m in bench.drain() if isinstance(m, Request)] == ["ACK", "BYE"]


@pytest.mark.parametrize("status", [302, 401, 404, 486, 503, 603])
def test_a_refusal_is_reported_and_no_credentials_are_sent(status: int) -> None:
    bench = Bench()
    session, invite = called(bench)
    challenge = ('Proxy-Authenticate: Digest realm="r", nonce="n"',)
    ack = only_request(bench.receive(response(invite, status, headers=challenge)), "ACK")
    assert "Authorization" not in ack.headers
    event = bench.last(Refused)
    assert (event.status, event.reason) == (status, "Because")
    assert event.response is not None
    assert session.over
    bench.wait(32)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_no_answer_is_a_408_after_32_seconds() -> None:
    bench = Bench()
    called(bench)
    bench.wait(32)
    event = bench.last(Refused)
    assert (event.status, event.reason, event.response) == (408, "Request Timeout", None)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


@pytest.mark.parametrize("hop", [UDP_HOP, TCP_HOP])
def test_what_cannot_be_sent_is_a_503(hop: Hop) -> None:
    bench = Bench()
    called(bench, hop)
    bench.agent.transport_failed(hop, bench.now)
    bench.drain()
    assert bench.last(Refused).status == 503
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_cancel_waits_for_a_provisional_response() -> None:
    bench = Bench()
    session, invite = called(bench)
    bench.agent.cancel(session, bench.now)
    bench.agent.cancel(session, bench.now)
    assert bench.drain() == []
    cancel = only_request(bench.receive(response(invite, 100, to_tag=None)), "CANCEL")
    assert cancel.via == invite.via
    assert (cancel.uri, str(cancel.cseq), cancel.to.tag) == (invite.uri, "1 CANCEL", None)
    assert bench.receive(response(invite, 180)) == []
    bench.receive(response(cancel, 200))
    only_request(bench.receive(response(invite, 487)), "ACK")
    assert bench.last(Refused).status == 487
    assert bench.kinds() == ["Refused"]
    bench.wait(32)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_a_call_is_parting_until_the_other_side_confirms_its_end() -> None:
    bench = Bench()
    session, invite = called(bench)
    story: list[bool] = []

    def hear(data: bytes) -> None:
        bench.receive(data)
        story.append(bench.agent.parting)

    hear(response(invite, 180))
    bench.agent.hang_up(session, bench.now)
    hear(response(only_request(bench.drain(), "CANCEL"), 200))
    hear(response(invite, 487))
    session, _ = established(bench)
    bench.agent.hang_up(session, bench.now)
    bye = only_request(bench.drain(), "BYE")
    hear(response(bye, 100))
    hear(response(bye, 200))
    assert story == [False, True, False, True, False]


def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_ended() -> None:
    bench = Bench()
    session, invite = called(bench)
    bench.receive(response(invite, 180))
    bench.agent.hang_up(session, bench.now)
    only_request(bench.drain(), "CANCEL")
    out = bench.receive(response(invite, 200, body=ANSWER))
    assert [m.method for m in out if isinstance(m, Request)] == ["ACK", "BYE"]
    assert bench.last(Refused).status == 487
    assert "Answered" not in bench.kinds()
    assert session.over
    only_request(bench.receive(response(invite, 200, body=ANSWER)), "ACK")


def test_a_cancel_that_nobody_heeds_ends_after_32_seconds() -> None:
    bench = Bench()
    session, invite = called(bench)
    bench.receive(response(invite, 180))
    bench.agent.cancel(session, bench.now)
    bench.wait(32)
    assert bench.last(Refused).status == 487
    bench.wait(1)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_the_second_branch_of_a_fork_that_answers_is_ended() -> None:
    bench = Bench()
    session, invite = called(bench)
    bench.receive(response(invite, 180, to_tag="one"))
    bench.receive(response(invite, 180, to_tag="two"))
    bench.receive(response(invite, 200, to_tag="one", body=ANSWER))
    out = bench.receive(response(invite, 200, to_tag="two", body=ANSWER))
    assert [(m.method, m.to.tag) for m in out if isinstance(m, Request)] == [
        ("ACK", "two"),
        ("BYE", "two"),
    ]
    again = bench.receive(response(invite, 200, to_tag="two", body=ANSWER))
    assert only_request(again, "ACK").to.tag == "two"
    assert session.dialog is not None
    assert session.dialog.remote_tag == "one"
    assert session.state is SessionState.ESTABLISHED


def test_their_bye_ends_the_call() -> None:
    bench = Bench()
    session, invite = established(bench)
    assert only_response(bench.receive(theirs(invite, "BYE"))).status == 200
    assert bench.last(Ended).cause is EndCause.REMOTE_BYE
    assert session.over


def test_the_ack_takes_the_route_of_the_200_and_goes_to_its_first_hop() -> None:
    bench = Bench()
    _, invite = called(bench)
    route = ("Record-Route: <sip:192.0.2.70;lr>, <sip:192.0.2.71;lr>",)
    ack = only_request(bench.receive(response(invite, 200, headers=route, body=ANSWER)), "ACK")
    assert [str(r) for r in ack.routes] == ["<sip:192.0.2.71;lr>", "<sip:192.0.2.70;lr>"]
    assert bench.sent[-1][1].remote == ("192.0.2.71", 5060)


def test_our_reinvite_is_acknowledged_and_reported() -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.reinvite(session, OFFER, bench.now)
    again = only_request(bench.drain(), "INVITE")
    assert str(again.cseq) == "2 INVITE"
    assert again.contact is not None
    ok = response(again, 200, body=ANSWER, contact="<sip:moved@192.0.2.50>")
    ack = only_request(bench.receive(ok), "ACK")
    assert (str(ack.cseq), ack.uri) == ("2 ACK", "sip:moved@192.0.2.50")
    assert bench.last(ReinviteAnswered).response.body == ANSWER
    assert only_request(bench.receive(ok), "ACK") == ack
    assert bench.kinds().count("ReinviteAnswered") == 1


def test_a_reinvite_without_an_offer_is_acknowledged_by_the_application() -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.reinvite(session, b"", bench.now)
    again = only_request(bench.drain(), "INVITE")
    for _ in range(2):
        assert bench.receive(response(again, 200, body=OFFER)) == []
    bench.agent.acknowledge(session, ANSWER)
    assert only_request(bench.drain(), "ACK").body == ANSWER
    assert bench.kinds().count("ReinviteAnswered") == 1


def test_a_refused_reinvite_leaves_the_call() -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.reinvite(session, OFFER, bench.now)
    bench.receive(response(only_request(bench.drain(), "INVITE"), 488))
    assert bench.last(ReinviteRefused).status == 488
    assert session.state is SessionState.ESTABLISHED


@pytest.mark.parametrize("seed", [f"seed{n}" for n in range(20)])
def test_the_owner_of_the_call_id_tries_again_after_2_1_to_4_seconds(seed: str) -> None:
    bench = Bench(seed=seed)
    session, _ = established(bench)
    bench.agent.reinvite(session, OFFER, bench.now)
    bench.receive(response(only_request(bench.drain(), "INVITE"), 491))
    assert bench.wait(2.09) == []
    again = [m for m in bench.wait(1.92) if isinstance(m, Request) and m.method == "INVITE"]
    assert str(again[0].cseq) == "3 INVITE"
    assert again[0].body == OFFER


@pytest.mark.parametrize("seed", [f"seed{n}" for n in range(10)])
def test_the_called_side_tries_again_within_2_seconds(seed: str) -> None:
    bench = Bench(seed=seed)
    bench.receive(request("INVITE", body=OFFER))
    session = bench.events[0].session
    bench.agent.answer(session, ANSWER, bench.now)
    bench.receive(request("ACK", to_tag=session.local_tag, branch="z9hG4bK-k"))
    bench.agent.reinvite(session, OFFER, bench.now)
    bench.receive(response(only_request(bench.drain(), "INVITE"), 491))
    again = [m for m in bench.wait(2.0) if isinstance(m, Request)]
    assert again
    assert again[0].method == "INVITE"


def test_a_peer_that_always_says_491_is_believed_in_the_end() -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.reinvite(session, OFFER, bench.now)
    messages = bench.drain()
    for _ in range(6):
        bench.receive(response(only_request(messages[:1], "INVITE"), 491))
        messages = bench.wait(4)
    assert bench.last(ReinviteRefused).status == 491
    assert messages == []


@pytest.mark.parametrize("command", ["reinvite", "info"])
def test_a_dialog_the_peer_does_not_know_is_gone(command: str) -> None:
    bench = Bench()
    session, _ = established(bench)
    if command == "info":
        bench.agent.info(session, "application/x", b"x", bench.now)
    else:
        bench.agent.reinvite(session, OFFER, bench.now)
    sent = bench.drain()[0]
    assert isinstance(sent, Request)
    bench.receive(response(sent, 481))
    assert bench.last(Ended).cause is EndCause.DIALOG_GONE
    assert session.over


def test_a_peer_that_answers_no_reinvite_gets_a_bye() -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.reinvite(session, OFFER, bench.now)
    sent = [m.method for m in bench.wait(32.1) if isinstance(m, Request)]
    assert sent[-1] == "BYE"
    assert bench.last(Ended).cause is EndCause.DIALOG_GONE


def test_a_peer_that_cannot_be_reached_any_more_ends_the_call() -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.info(session, "application/x", b"x", bench.now)
    bench.drain()
    bench.agent.transport_failed(session.hop, bench.now)
    bench.drain()
    assert bench.last(Ended).cause is EndCause.TRANSPORT


def test_info_is_sent_and_its_answer_changes_nothing() -> None:
    bench = Bench()
    session, invite = established(bench)
    bench.agent.info(session, "application/dtmf-relay", b"Signal=1", bench.now)
    info = only_request(bench.drain(), "INFO")
    assert (info.content_type, info.body) == ("application/dtmf-relay", b"Signal=1")
    bench.receive(response(info, 415))
    assert session.state is SessionState.ESTABLISHED
    bench.receive(theirs(invite, "INFO", body=b"x"))
    bench.last(InfoReceived)


def test_a_reinvite_before_the_call_is_up_is_our_own_fault() -> None:
    bench = Bench()
    session, _ = called(bench)
    with pytest.raises(LocalError):
        bench.agent.reinvite(session, OFFER, bench.now)


def test_commands_for_a_call_that_is_over_do_nothing() -> None:
    bench = Bench()
    session, invite = established(bench)
    bench.receive(theirs(invite, "BYE"))
    agent = bench.agent
    agent.reinvite(session, OFFER, bench.now)
    agent.info(session, "a/b", b"", bench.now)
    agent.bye(session, bench.now)
    agent.hang_up(session, bench.now)
    agent.cancel(session, bench.now)
    agent.acknowledge(session)
    agent.answer(session, ANSWER, bench.now)
    agent.reject(session, 486, bench.now)
    agent.ring(session, bench.now)
    assert bench.drain() == []


def test_a_reinvite_left_open_by_their_bye_is_forgotten() -> None:
    bench = Bench()
    session, invite = established(bench)
    bench.agent.reinvite(session, OFFER, bench.now)
    again = only_request(bench.drain(), "INVITE")
    bench.receive(response(again, 100, to_tag=None))
    bench.receive(theirs(invite, "BYE"))
    bench.receive(response(again, 487))
    assert bench.kinds() == ["Answered", "Ended"]
    bench.wait(33)
    assert bench.agent.transaction_count == 0


def test_nothing_is_left_of_a_thousand_calls_however_they_end() -> None:
    bench = Bench()
    for number in range(1_000):
        session, invite = called(bench)
        if number % 4 == 0:
            bench.receive(response(invite, 486))
        elif number % 4 == 1:
            bench.receive(response(invite, 180))
            bench.agent.cancel(session, bench.now)
            bench.drain()
        elif number % 4 == 2:
            bench.receive(response(invite, 200, body=ANSWER))
            bench.agent.bye(session, bench.now)
            bench.drain()
    while (at := bench.agent.next_timer()) is not None and at < bench.now + 65:
        bench.agent.handle_timer(at)
        bench.agent.outgoing()
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)
    assert bench.agent.next_timer() is None
