"""REFER that we send, and what its NOTIFYs tell (RFC 3515, RFC 6665)."""

from __future__ import annotations

import pytest

from farend.sip_bench import (
    ANSWER,
    OFFER,
    Bench,
    only_request,
    only_response,
    request,
    response,
)
from mediaserver.errors import LocalError
from mediaserver.sip.events import Ended, ReferAnswered, ReferProgressed
from mediaserver.sip.message import Request
from mediaserver.sip.referral import MAX_NEWS
from mediaserver.sip.session import EndCause, Session

CAROL = "sip:carol@192.0.2.20"


def established(bench: Bench) -> tuple[Session, Request]:
    session, invite = bench.call(from_="Us <sip:us@example.com>")
    bench.receive(response(invite, 200, body=ANSWER))
    return session, invite


def referred(bench: Bench) -> tuple[Session, Request, Request]:
    session, invite = established(bench)
    bench.agent.refer(session, CAROL, bench.now)
    return session, invite, only_request(bench.drain(), "REFER")


def notify(
    bench: Bench,
    invite: Request,
    cseq: int,
    body: bytes = b"SIP/2.0 100 Trying\r\n",
    *,
    state: str = "active;expires=60",
    event: str = "refer",
    kind: str = "message/sipfrag;version=2.0",
) -> int:
    """The status a NOTIFY of theirs gets."""
    data = request(
        "NOTIFY",
        call_id=invite.call_id,
        to_tag=invite.from_.tag,
        cseq=cseq,
        branch=f"z9hG4bK-n{cseq}",
        headers=[f"Event: {event}", f"Subscription-State: {state}"],
        body=body,
        content_type=kind,
    )
    return only_response(bench.receive(data)).status


def told(bench: Bench) -> list[tuple[int, bool]]:
    return [(e.status, e.final) for e in bench.events if isinstance(e, ReferProgressed)]


def test_a_refer_says_who_is_to_call_whom_and_by_whose_wish() -> None:
    bench = Bench()
    _, _, refer = referred(bench)
    assert refer.headers.get("Refer-To") == f"<{CAROL}>"
    assert refer.headers.get("Referred-By") == "<sip:us@example.com>"
    assert str(refer.contact) == "<sip:mediaserver@192.0.2.1:5060>"
    assert refer.to.tag == "theirs"
    bench.receive(response(refer, 202))
    assert bench.last(ReferAnswered).status == 202


def test_its_progress_is_told_until_the_outcome() -> None:
    bench = Bench()
    session, invite, refer = referred(bench)
    bench.receive(response(refer, 202))
    assert notify(bench, invite, 1) == 200
    bench.wait(40)
    assert notify(bench, invite, 2, b"SIP/2.0 180 Ringing\r\n") == 200
    assert notify(bench, invite, 3, b"SIP/2.0 200 OK", state="terminated;reason=noresource") == 200
    assert told(bench) == [(100, False), (180, False), (200, True)]
    assert notify(bench, invite, 4) == 481
    assert session.referral is None
    bench.agent.refer(session, "<sip:dave@192.0.2.21?Replaces=x>", bench.now)
    second = only_request(bench.drain(), "REFER")
    assert second.headers.get("Refer-To") == "<sip:dave@192.0.2.21?Replaces=x>"


def test_news_may_come_before_the_answer_to_the_refer() -> None:
    bench = Bench()
    _, invite, refer = referred(bench)
    assert notify(bench, invite, 1) == 200
    bench.receive(response(refer, 202))
    bench.wait(40)
    assert bench.kinds()[1:] == ["ReferProgressed", "ReferAnswered"]


def test_an_outcome_is_told_once_though_the_subscription_ends_later() -> None:
    bench = Bench()
    _, invite, refer = referred(bench)
    bench.receive(response(refer, 202))
    assert notify(bench, invite, 1, b"SIP/2.0 486 Busy Here\r\n") == 200
    assert notify(bench, invite, 2, b"SIP/2.0 486 Busy Here\r\n", state="terminated") == 200
    assert told(bench) == [(486, True)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "message/sipfrag"),
        (b"SIP/2.0 200 OK", "text/plain"),
        (b"SIP/2.0 20 OK", "message/sipfrag"),
        (b"SIP/2.0 999 OK", "message/sipfrag"),
        (b"HTTP/1.1 200 OK", "message/sipfrag"),
        (b"\xff\x00" * 500, "message/sipfrag"),
    ],
)
def test_an_end_without_a_status_is_told_with_the_latest(body: bytes, kind: str) -> None:
    bench = Bench()
    _, invite, refer = referred(bench)
    bench.receive(response(refer, 202))
    assert notify(bench, invite, 1, body, kind=kind) == 200
    assert told(bench) == []
    assert notify(bench, invite, 2, body, kind=kind, state="terminated") == 200
    assert told(bench) == [(100, True)]


@pytest.mark.parametrize("status", [403, 405, 603])
def test_a_refused_refer_has_no_subscription(status: int) -> None:
    bench = Bench()
    session, invite, refer = referred(bench)
    bench.receive(response(refer, status))
    assert bench.last(ReferAnswered).status == status
    assert notify(bench, invite, 1) == 481
    assert not session.over


@pytest.mark.parametrize(("status", "cause"), [(481, EndCause.DIALOG_GONE)])
def test_a_refer_to_a_dialog_that_is_gone_ends_the_call(status: int, cause: EndCause) -> None:
    bench = Bench()
    _, _, refer = referred(bench)
    bench.receive(response(refer, status))
    assert bench.kinds()[-2:] == ["ReferAnswered", "Ended"]
    assert bench.last(Ended).cause is cause


def test_news_that_never_come_are_a_408() -> None:
    bench = Bench()
    session, invite, refer = referred(bench)
    bench.receive(response(refer, 202))
    bench.wait(31.9)
    assert told(bench) == []
    bench.wait(0.2)
    assert told(bench) == [(408, True)]
    assert notify(bench, invite, 1) == 481
    assert not session.over


def test_a_notify_nobody_asked_for_is_refused() -> None:
    bench = Bench()
    _, invite = established(bench)
    assert notify(bench, invite, 1) == 481
    assert notify(bench, invite, 2, event="presence") == 489
    outside = request("NOTIFY", headers=["Event: refer", "Subscription-State: active"])
    assert only_response(bench.receive(outside)).status == 481


def test_a_notify_names_the_refer_it_is_about() -> None:
    bench = Bench()
    session, invite, refer = referred(bench)
    bench.receive(response(refer, 202))
    number = refer.cseq.number
    assert notify(bench, invite, 1, event=f"refer;id={number}") == 200
    assert notify(bench, invite, 2, event=f"refer;id={number - 1}") == 481
    assert notify(bench, invite, 3, event="refer;id=no") == 481
    assert session.referral is not None


def test_a_peer_cannot_tell_news_without_end() -> None:
    bench = Bench()
    _, invite, refer = referred(bench)
    bench.receive(response(refer, 202))
    statuses = [notify(bench, invite, number) for number in range(1, MAX_NEWS + 10)]
    assert statuses == [200] * MAX_NEWS + [481] * 9


def test_one_refer_at_a_time() -> None:
    bench = Bench()
    session, _, _ = referred(bench)
    with pytest.raises(LocalError, match="under way"):
        bench.agent.refer(session, CAROL, bench.now)


@pytest.mark.parametrize("to", ["", "no address", "sip:", "<sip:x@y", "sip:a@b\r\nX: 1"])
def test_a_refer_to_nobody_is_our_own_fault(to: str) -> None:
    bench = Bench()
    session, _ = established(bench)
    with pytest.raises(LocalError, match="Refer-To"):
        bench.agent.refer(session, to, bench.now)
    assert bench.drain() == []
    bench.agent.refer(session, CAROL, bench.now)
    only_request(bench.drain(), "REFER")


def test_a_refer_needs_a_call_that_is_up() -> None:
    bench = Bench()
    session, invite, _ = referred(bench)
    bye = request("BYE", call_id=invite.call_id, to_tag=invite.from_.tag)
    bench.receive(bye)
    bench.agent.refer(session, CAROL, bench.now)
    assert bench.drain() == []
    early, _ = bench.call()
    with pytest.raises(LocalError, match="established"):
        bench.agent.refer(early, CAROL, bench.now)


def test_an_incoming_refer_is_refused_with_what_is_taken() -> None:
    bench = Bench()
    _, invite = established(bench)
    data = request(
        "REFER", call_id=invite.call_id, to_tag=invite.from_.tag, headers=[f"Refer-To: {CAROL}"]
    )
    answer = only_response(bench.receive(data))
    assert answer.status == 405
    assert "REFER" not in answer.headers.tokens("Allow")
    assert "NOTIFY" in answer.headers.tokens("Allow")


def test_what_a_peer_takes_is_what_it_said_last() -> None:
    bench = Bench()
    session, invite = bench.call()
    assert not session.allows("INFO")
    allow = ["Allow: INVITE, ACK, INFO", "Allow: BYE, X-ODD"]
    bench.receive(response(invite, 200, headers=allow, body=ANSWER))
    assert session.allows("INFO")
    assert session.allows("BYE")
    assert not session.allows("REFER")
    assert not session.allows("X-ODD")
    again = request(
        "UPDATE", call_id=invite.call_id, to_tag=invite.from_.tag, headers=["Allow: BYE"]
    )
    bench.receive(again)
    assert not session.allows("INFO")


def test_a_caller_says_what_it_takes_in_its_invite() -> None:
    bench = Bench()
    bench.receive(request("INVITE", body=OFFER, headers=["Allow: INVITE, INFO"]))
    assert bench.events[0].session.allows("INFO")
