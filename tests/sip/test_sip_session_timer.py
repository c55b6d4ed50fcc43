"""Calls that are refreshed, by us or by them, and that end when they are not (RFC 4028)."""

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
from mediaserver.sip.events import Ended, Refused
from mediaserver.sip.message import Request, Response
from mediaserver.sip.session import EndCause, Session, SessionState

UPDATE = "Allow: INVITE, ACK, BYE, UPDATE"
NO_UPDATE = "Allow: INVITE, ACK, BYE"


def called(bench: Bench, interval: int | None = None) -> tuple[Session, Request]:
    return bench.call(interval=interval)


def answered(bench: Bench, *headers: str) -> tuple[Session, Request]:
    """A call of ours whose 200 says this."""
    session, invite = called(bench)
    bench.receive(response(invite, 200, headers=headers, body=ANSWER))
    return session, invite


def taken(bench: Bench, *headers: str) -> tuple[Session, Response]:
    """A call of theirs whose INVITE says this, and our 200."""
    bench.receive(request("INVITE", body=OFFER, headers=headers))
    session = bench.events[-1].session
    bench.agent.answer(session, ANSWER, bench.now)
    ok = only_response(bench.drain())
    bench.receive(request("ACK", to_tag=session.local_tag, branch="z9hG4bK-k"))
    return session, ok


def requests(messages: list[Request | Response]) -> list[str]:
    return [message.method for message in messages if isinstance(message, Request)]


def test_a_call_of_ours_proposes_half_an_hour() -> None:
    bench = Bench()
    _, invite = called(bench)
    assert invite.headers.get("Session-Expires") == "1800"
    assert invite.headers.tokens("Supported") == ["timer", "100rel"]


def test_a_peer_that_knows_no_timers_is_left_alone() -> None:
    bench = Bench()
    session, _ = answered(bench, UPDATE)
    assert bench.wait(10_000) == []
    assert session.expiry is None


def test_we_refresh_by_update_at_half_the_interval() -> None:
    bench = Bench()
    session, _ = answered(bench, UPDATE, "Session-Expires: 600;refresher=uac")
    for _ in range(3):
        assert bench.wait(299) == []
        update = only_request(bench.wait(1), "UPDATE")
        assert update.body == b""
        assert update.headers.get("Session-Expires") == "600;refresher=uac"
        assert update.contact is not None
        bench.receive(response(update, 200, headers=["Session-Expires: 600;refresher=uac", UPDATE]))
    assert session.state is SessionState.ESTABLISHED
    assert bench.kinds() == ["Answered"]


def test_we_refresh_by_a_reinvite_of_the_same_sdp_where_update_is_not_taken() -> None:
    bench = Bench()
    session, _ = answered(bench, NO_UPDATE, "Session-Expires: 600;refresher=uac")
    again = only_request(bench.wait(300), "INVITE")
    assert (again.body, again.headers.get("Session-Expires")) == (OFFER, "600;refresher=uac")
    ok = response(again, 200, headers=["Session-Expires: 600;refresher=uac"], body=ANSWER)
    only_request(bench.receive(ok), "ACK")
    assert bench.kinds() == ["Answered"]
    assert requests(bench.wait(300)) == ["INVITE"]
    assert session.state is SessionState.ESTABLISHED


def test_an_update_that_is_not_taken_after_all_becomes_a_reinvite() -> None:
    bench = Bench()
    answered(bench, UPDATE, "Session-Expires: 600")
    update = only_request(bench.wait(300), "UPDATE")
    only_request(bench.receive(response(update, 405)), "INVITE")


def test_a_refresh_that_is_refused_is_tried_again_until_the_call_expires() -> None:
    bench = Bench()
    session, _ = answered(bench, UPDATE, "Session-Expires: 90;refresher=uac")
    tries = 0
    while session.state is SessionState.ESTABLISHED and tries < 20:
        for message in bench.wait(1):
            if isinstance(message, Request) and message.method == "UPDATE":
                tries += 1
                bench.receive(response(message, 500))
    assert tries == 2
    assert bench.last(Ended).cause is EndCause.DIALOG_GONE
    assert requests([bench.sent[-1][2]]) == ["BYE"]


def test_a_refresh_in_a_dialog_that_is_gone_ends_the_call() -> None:
    bench = Bench()
    answered(bench, UPDATE, "Session-Expires: 600")
    update = only_request(bench.wait(300), "UPDATE")
    bench.receive(response(update, 481))
    assert bench.last(Ended).cause is EndCause.DIALOG_GONE


def test_a_refresh_too_often_for_them_is_made_less_often() -> None:
    bench = Bench()
    session, _ = answered(bench, UPDATE, "Session-Expires: 600;refresher=uac")
    update = only_request(bench.wait(300), "UPDATE")
    again = only_request(bench.receive(response(update, 422, headers=["Min-SE: 900"])), "UPDATE")
    assert again.headers.get("Session-Expires") == "900;refresher=uac"
    assert again.headers.get("Min-SE") == "900"
    bench.receive(response(again, 200, headers=["Session-Expires: 900;refresher=uac", UPDATE]))
    later = only_request(bench.wait(450), "UPDATE")
    assert later.headers.get("Session-Expires") == "900;refresher=uac"
    assert later.headers.get("Min-SE") == "900"
    assert session.state is SessionState.ESTABLISHED


def test_a_call_they_do_not_refresh_is_ended() -> None:
    bench = Bench()
    session, _ = answered(bench, "Session-Expires: 600;refresher=uas")
    assert bench.wait(567) == []
    bye = only_request(bench.wait(2)[:1], "BYE")
    assert (bye.headers.get("Reason") or "").startswith("SIP;cause=408")
    assert bench.last(Ended).cause is EndCause.DIALOG_GONE
    assert session.over


@pytest.mark.parametrize("body", [b"", OFFER])
def test_a_call_they_refresh_goes_on(body: bytes) -> None:
    bench = Bench()
    session, ok = taken(
        bench, "Supported: timer", "Session-Expires: 600;refresher=uac", "Allow: UPDATE"
    )
    assert ok.headers.get("Session-Expires") == "600;refresher=uac"
    assert ok.headers.tokens("Require") == ["timer"]
    for turn in range(2, 5):
        assert bench.wait(400) == []
        refresh = request(
            "UPDATE",
            cseq=turn,
            branch=f"z9hG4bK-{turn}",
            to_tag=session.local_tag,
            headers=["Supported: timer", "Session-Expires: 600;refresher=uac"],
            body=body,
        )
        out = bench.receive(refresh)
        if body:
            bench.agent.answer(session, ANSWER, bench.now)
            out = bench.drain()
        assert only_response(out).headers.get("Session-Expires") == "600;refresher=uac"
    assert session.state is SessionState.ESTABLISHED
    assert requests(bench.wait(569))[0] == "BYE"


def test_a_change_that_says_nothing_of_time_refreshes_the_call_too() -> None:
    bench = Bench()
    session, _ = taken(bench, "Supported: timer", "Session-Expires: 600;refresher=uac")
    bench.wait(500)
    update = request("UPDATE", cseq=2, branch="z9hG4bK-u", to_tag=session.local_tag)
    ok = only_response(bench.receive(update))
    assert ok.headers.get("Session-Expires") == "600;refresher=uac"
    assert bench.wait(560) == []
    assert session.state is SessionState.ESTABLISHED


@pytest.mark.parametrize(
    "headers",
    [
        ("Supported: timer", "Session-Expires: 600"),
        ("Supported: timer", "Session-Expires: 600;refresher=uas"),
        ("x: 600;refresher=uac",),
    ],
)
def test_we_refresh_a_call_of_theirs_where_they_do_not(headers: tuple[str, ...]) -> None:
    bench = Bench()
    _, ok = taken(bench, *headers, "Allow: UPDATE")
    assert ok.headers.get("Session-Expires") == "600;refresher=uas"
    assert ok.headers.tokens("Require") == []
    update = only_request(bench.wait(300), "UPDATE")
    assert update.headers.get("Session-Expires") == "600;refresher=uac"


def test_an_interval_too_short_is_refused_where_that_is_understood() -> None:
    bench = Bench()
    short = ["Supported: timer", "Session-Expires: 89"]
    answer = only_response(bench.receive(request("INVITE", body=OFFER, headers=short)))
    assert (answer.status, answer.headers.get("Min-SE")) == (422, "90")
    assert bench.events == []
    _, ok = taken(Bench(), "Session-Expires: 10")
    assert ok.headers.get("Session-Expires") == "90;refresher=uas"


@pytest.mark.parametrize("value", ["", "x", "-1", "99999999999", "600;;", "600;refresher=me"])
def test_an_interval_that_is_none_does_no_harm(value: str) -> None:
    bench = Bench()
    session, _ = taken(bench, f"Session-Expires: {value}", "Supported: timer")
    assert session.state is SessionState.ESTABLISHED
    assert session.expiry is None or value == "600;refresher=me"


def test_an_invite_may_require_timers() -> None:
    bench = Bench()
    _, ok = taken(bench, "Require: timer", "Supported: timer", "Session-Expires: 600")
    assert ok.status == 200


def test_an_invite_too_short_for_them_is_sent_again_with_what_they_want() -> None:
    bench = Bench()
    session, invite = called(bench)
    out = bench.receive(response(invite, 422, headers=["Min-SE: 3600"]))
    again = out[1]
    assert isinstance(again, Request)
    assert (str(again.cseq), again.call_id) == ("2 INVITE", invite.call_id)
    assert again.headers.get("Session-Expires") == "3600"
    assert again.headers.get("Min-SE") == "3600"
    bench.receive(response(again, 422, headers=["Min-SE: 3600"]))
    assert bench.last(Refused).status == 422
    assert session.over


@pytest.mark.parametrize(
    ("wanted", "proposed"),
    [(None, "1800"), (600, "600"), (1, "90"), (90, "90"), (10**9, "86400")],
)
def test_who_calls_may_say_how_long_a_session_lasts(wanted: int | None, proposed: str) -> None:
    bench = Bench()
    _, invite = called(bench, wanted)
    assert invite.headers.get_all("Session-Expires") == [proposed]
    assert "Min-SE" not in invite.headers


def test_a_peer_may_find_that_too_short() -> None:
    bench = Bench()
    _, invite = called(bench, 120)
    again = bench.receive(response(invite, 422, headers=["Min-SE: 300"]))[1]
    assert again.headers.get("Session-Expires") == "300"
    assert again.headers.get("Min-SE") == "300"


@pytest.mark.parametrize("header", ["X-None: 1", "Min-SE: x", "Min-SE: 4000000000"])
def test_a_422_that_does_not_say_what_is_wanted_is_a_refusal(header: str) -> None:
    bench = Bench()
    _, invite = called(bench)
    bench.receive(response(invite, 422, headers=[header]))
    assert bench.last(Refused).status == 422


def test_a_call_that_ends_is_not_refreshed() -> None:
    bench = Bench()
    session, _ = answered(bench, UPDATE, "Session-Expires: 90")
    bench.agent.bye(session, bench.now)
    bye = only_request(bench.drain(), "BYE")
    bench.receive(response(bye, 200))
    assert bench.wait(200) == []
    assert bench.agent.next_timer() is None
