"""Before the answer: branches of a fork, and reliable responses (RFC 3261 13.2.2, 3262, 6228)."""

from __future__ import annotations

from farend.sip_bench import (
    ANSWER,
    OFFER,
    Bench,
    only_request,
    only_response,
    request,
    response,
)
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import Answered, Progressed
from mediaserver.sip.message import Request, Response
from mediaserver.sip.placement import MAX_BRANCHES, MAX_RELIABLE
from mediaserver.sip.session import Session

OTHER = ANSWER.replace(b"192.0.2.1", b"192.0.2.2")


def called(bench: Bench, body: bytes = OFFER) -> tuple[Session, Request]:
    return bench.call(offer=lambda _: body, credentials=Credentials("u", "p"))


def reliably(
    bench: Bench, invite: Request, rseq: int | str, tag: str = "theirs", body: bytes = b""
) -> list[Request | Response]:
    headers = ["Require: 100rel", f"RSeq: {rseq}"]
    return bench.receive(response(invite, 183, to_tag=tag, headers=headers, body=body))


def theirs(invite: Request, method: str, tag: str, cseq: int) -> bytes:
    """A request in the early dialog of a branch."""
    return request(
        method,
        call_id=invite.call_id,
        from_tag=tag,
        to_tag=invite.from_.tag,
        cseq=cseq,
        branch=f"z9hG4bK-{tag}{cseq}",
    )


def test_each_branch_tells_of_its_own_early_media() -> None:
    bench = Bench()
    session, invite = called(bench)
    for tag, body in (("one", ANSWER), ("two", OTHER)):
        bench.receive(response(invite, 183, to_tag=tag, body=body))
        told = bench.last(Progressed).response
        assert (told.to.tag, told.body) == (tag, body)
        assert session.dialog is not None
        assert session.dialog.remote_tag == tag
    assert bench.kinds() == ["Progressed", "Progressed"]


def test_each_branch_has_its_own_sequence_numbers() -> None:
    bench = Bench()
    session, invite = called(bench)
    for tag in ("one", "two"):
        bench.receive(response(invite, 180, to_tag=tag))
    assert only_response(bench.receive(theirs(invite, "INFO", "one", 900))).status == 200
    assert only_response(bench.receive(theirs(invite, "INFO", "two", 5))).status == 200
    assert only_response(bench.receive(theirs(invite, "INFO", "one", 800))).status == 500
    bench.receive(response(invite, 200, to_tag="two", body=ANSWER))
    assert only_response(bench.receive(theirs(invite, "INFO", "two", 6))).status == 200
    assert only_response(bench.receive(theirs(invite, "INFO", "one", 901))).status == 481
    assert session.branches == {}


def test_the_answer_may_leave_its_sdp_to_what_the_branch_said_before() -> None:
    bench = Bench()
    _, invite = called(bench)
    reliably(bench, invite, 1, "one", ANSWER)
    reliably(bench, invite, 1, "two", OTHER)
    bench.receive(response(invite, 200, to_tag="one"))
    assert bench.last(Answered).body == ANSWER


def test_the_sdp_of_the_answer_comes_first() -> None:
    bench = Bench()
    _, invite = called(bench)
    bench.receive(response(invite, 183, body=OTHER))
    bench.receive(response(invite, 200, body=ANSWER))
    assert bench.last(Answered).body == ANSWER


def test_a_branch_that_ends_leaves_the_others() -> None:
    bench = Bench()
    session, invite = called(bench)
    for tag in ("one", "two"):
        bench.receive(response(invite, 180, to_tag=tag))
    bench.receive(response(invite, 199, to_tag="two"))
    assert bench.last(Progressed).response.status == 199
    assert session.dialog is not None
    assert session.dialog.remote_tag == "one"
    assert only_response(bench.receive(theirs(invite, "INFO", "two", 5))).status == 481
    assert only_response(bench.receive(theirs(invite, "INFO", "one", 5))).status == 200
    bench.receive(response(invite, 199, to_tag="one"))
    assert session.dialog is None


def test_a_peer_cannot_make_branches_without_end() -> None:
    bench = Bench()
    session, invite = called(bench)
    for number in range(MAX_BRANCHES + 20):
        bench.receive(response(invite, 180, to_tag=f"t{number}"))
    assert len(session.branches) == MAX_BRANCHES
    assert bench.kinds() == ["Progressed"] * MAX_BRANCHES
    bench.receive(response(invite, 486))
    assert bench.agent._core.dialogs == {}


def test_reliable_responses_are_offered_only_with_an_offer() -> None:
    bench = Bench()
    _, invite = called(bench)
    assert "100rel" in invite.headers.tokens("Supported")
    assert invite.headers.tokens("Require") == []
    _, empty = called(bench, b"")
    assert "100rel" not in empty.headers.tokens("Supported")


def test_a_reliable_response_gets_a_prack_in_its_dialog() -> None:
    bench = Bench()
    session, invite = called(bench)
    prack = only_request(reliably(bench, invite, 4711, body=ANSWER), "PRACK")
    assert prack.headers.get("RAck") == "4711 1 INVITE"
    assert (prack.to.tag, str(prack.cseq), prack.body) == ("theirs", "2 PRACK", b"")
    assert prack.uri == "sip:peer@192.0.2.9:5060"
    assert bench.last(Progressed).response.body == ANSWER
    bench.receive(response(prack, 200))
    bench.receive(response(invite, 200))
    bench.agent.bye(session, bench.now)
    assert str(only_request(bench.drain(), "BYE").cseq) == "3 BYE"


def test_a_branch_is_spoken_to_where_it_is_now() -> None:
    bench = Bench()
    _, invite = called(bench)
    bench.receive(response(invite, 180))
    headers = ["Require: 100rel", "RSeq: 1"]
    moved = response(invite, 183, headers=headers, contact="<sip:moved@192.0.2.50>")
    assert only_request(bench.receive(moved), "PRACK").uri == "sip:moved@192.0.2.50"
    assert bench.sent[-1][1].remote == ("192.0.2.50", 5060)


def test_copies_and_what_comes_out_of_order_are_not_acknowledged() -> None:
    bench = Bench()
    _, invite = called(bench)
    only_request(reliably(bench, invite, 10), "PRACK")
    assert reliably(bench, invite, 10) == []
    assert reliably(bench, invite, 12) == []
    assert bench.kinds() == ["Progressed"]
    second = only_request(reliably(bench, invite, 11), "PRACK")
    assert second.headers.get("RAck") == "11 1 INVITE"
    assert bench.kinds() == ["Progressed", "Progressed"]


def test_each_branch_counts_its_reliable_responses_for_itself() -> None:
    bench = Bench()
    _, invite = called(bench)
    one = only_request(reliably(bench, invite, 5, "one"), "PRACK")
    two = only_request(reliably(bench, invite, 900, "two"), "PRACK")
    again = only_request(reliably(bench, invite, 6, "one"), "PRACK")
    assert [m.to.tag for m in (one, two, again)] == ["one", "two", "one"]
    assert [m.cseq.number for m in (one, two, again)] == [2, 2, 3]


def test_an_rseq_that_is_none_is_not_acknowledged() -> None:
    bench = Bench()
    _, invite = called(bench)
    for rseq in ("0", "x", "4294967296", "-1", ""):
        assert reliably(bench, invite, rseq) == []
    assert bench.events == []


def test_a_peer_cannot_have_us_acknowledge_without_end() -> None:
    bench = Bench()
    _, invite = called(bench)
    sent = [bool(reliably(bench, invite, rseq)) for rseq in range(1, MAX_RELIABLE + 20)]
    assert sent == [True] * MAX_RELIABLE + [False] * 19


def test_a_prack_nobody_answers_leaves_the_call_to_its_invite() -> None:
    bench = Bench()
    _, invite = called(bench)
    reliably(bench, invite, 1)
    bench.wait(33)
    assert bench.kinds() == ["Progressed"]
    bench.receive(response(invite, 200, body=ANSWER))
    bench.last(Answered)


def test_a_challenged_prack_counts_on_in_the_dialog_of_the_call() -> None:
    bench = Bench()
    session, invite = called(bench)
    prack = only_request(reliably(bench, invite, 1), "PRACK")
    bench.receive(response(invite, 200, body=ANSWER))
    bench.agent.info(session, "a/b", b"x", bench.now)
    info = only_request(bench.drain(), "INFO")
    challenge = ['Proxy-Authenticate: Digest realm="r", nonce="n"']
    again = only_request(bench.receive(response(prack, 407, headers=challenge)), "PRACK")
    assert (info.cseq.number, again.cseq.number) == (3, 4)
    assert "Proxy-Authorization" in again.headers


def test_a_reliable_response_is_acknowledged_while_the_call_is_cancelled() -> None:
    bench = Bench()
    session, invite = called(bench)
    bench.agent.cancel(session, bench.now)
    out = reliably(bench, invite, 1)
    assert sorted(m.method for m in out if isinstance(m, Request)) == ["CANCEL", "PRACK"]
