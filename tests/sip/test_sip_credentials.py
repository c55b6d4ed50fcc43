"""Challenges of our requests: who is answered, how often, and who never is (robustness S8)."""

from __future__ import annotations

import pytest

from farend.sip_bench import (
    ANSWER,
    OFFER,
    UDP_HOP,
    US,
    Bench,
    only_request,
    request,
    response,
)
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import Answered, Ended, Refused, ReinviteAnswered
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request, Response
from mediaserver.sip.session import EndCause, Session
from mediaserver.sip.uri import SipUri

TARGET = SipUri.parse("sip:bob@192.0.2.9")
CREDENTIALS = Credentials("alice", "secret")
OTHER_HOP = Hop(Transport.UDP, US, ("192.0.2.10", 5060))


def challenge(nonce: str, *, realm: str = "trunk", more: str = "", proxy: bool = False) -> str:
    """The header of a 401 or 407."""
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    return f'{name}: Digest realm="{realm}", nonce="{nonce}", qop="auth"{more}'


def called(
    bench: Bench, credentials: Credentials | None = CREDENTIALS, *hops: Hop
) -> tuple[Session, Request]:
    return bench.call(UDP_HOP, *hops, credentials=credentials)


def refuse(bench: Bench, asked: Request, status: int, *headers: str) -> list[Request]:
    """The requests that follow a refusal, but for its ACK."""
    out = bench.receive(response(asked, status, headers=headers))
    return [m for m in out if isinstance(m, Request) and m.method != "ACK"]


def established(bench: Bench, *headers: str) -> tuple[Session, Request]:
    """A call that was challenged and then answered, and its last INVITE."""
    session, invite = called(bench)
    (invite,) = refuse(bench, invite, 401, challenge("one"))
    bench.receive(response(invite, 200, headers=headers, body=ANSWER))
    bench.last(Answered)
    return session, invite


def said(message: Request | Response, name: str = "Authorization") -> str:
    value = message.headers.get(name)
    assert value is not None
    return value


@pytest.mark.parametrize(("status", "proxy"), [(401, False), (407, True)])
def test_a_challenged_invite_is_sent_again_with_credentials(status: int, proxy: bool) -> None:
    bench = Bench()
    session, invite = called(bench)
    out = bench.receive(response(invite, status, headers=[challenge("one", proxy=proxy)]))
    ack, again = out
    assert isinstance(ack, Request)
    assert isinstance(again, Request)
    assert (ack.method, again.method) == ("ACK", "INVITE")
    assert "Authorization" not in ack.headers
    assert (again.call_id, again.from_) == (invite.call_id, invite.from_)
    assert (again.to.tag, str(again.cseq), again.body) == (None, "2 INVITE", OFFER)
    assert again.via.branch != invite.via.branch
    name = "Proxy-Authorization" if proxy else "Authorization"
    value = said(again, name)
    assert 'username="alice", realm="trunk", nonce="one", uri="sip:bob@192.0.2.9"' in value
    assert "nc=00000001" in value
    ack = only_request(bench.receive(response(again, 200, body=ANSWER)), "ACK")
    assert said(ack, name) == value
    assert str(ack.cseq) == "2 ACK"
    assert bench.kinds() == ["Answered"]
    assert bench.last(Answered).session is session
    assert session.invite is not invite
    bench.agent.bye(session, bench.now)
    bye = only_request(bench.drain(), "BYE")
    assert str(bye.cseq) == "3 BYE"
    assert "nc=00000002" in said(bye, name)


def test_wrong_credentials_are_tried_once() -> None:
    bench = Bench()
    session, invite = called(bench)
    (again,) = refuse(bench, invite, 401, challenge("one"))
    assert refuse(bench, again, 401, challenge("two")) == []
    event = bench.last(Refused)
    assert (event.session, event.status) == (session, 401)
    bench.wait(33)
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)


def test_the_ack_of_a_refused_invite_repeats_its_credentials() -> None:
    bench = Bench()
    _, invite = called(bench)
    (again,) = refuse(bench, invite, 401, challenge("one"))
    ack = only_request(bench.receive(response(again, 486)), "ACK")
    assert said(ack) == said(again)


def test_a_stale_nonce_is_answered_with_the_new_one_a_few_times() -> None:
    bench = Bench()
    _, invite = called(bench)
    (invite,) = refuse(bench, invite, 401, challenge("0"))
    nonces = []
    for number in range(1, 10):
        found = refuse(bench, invite, 401, challenge(str(number), more=", stale=true"))
        if not found:
            break
        (invite,) = found
        nonces.append(number)
    assert nonces == [1, 2]
    assert bench.last(Refused).status == 401


def test_a_proxy_and_the_server_behind_it_are_both_answered_in_one_realm() -> None:
    bench = Bench()
    _, invite = called(bench)
    (invite,) = refuse(bench, invite, 407, challenge("p", proxy=True))
    (invite,) = refuse(bench, invite, 401, challenge("s"))
    assert "nc=00000002" in said(invite, "Proxy-Authorization")
    assert "nc=00000001" in said(invite)


def test_another_realm_behind_the_first_gets_nothing() -> None:
    bench = Bench()
    _, invite = called(bench)
    (invite,) = refuse(bench, invite, 407, challenge("p", proxy=True))
    assert refuse(bench, invite, 401, challenge("s", realm="elsewhere")) == []
    assert bench.last(Refused).status == 401


@pytest.mark.parametrize("header", ['WWW-Authenticate: Basic realm="trunk"', "X-None: 1"])
def test_a_401_without_a_challenge_we_know_is_a_refusal(header: str) -> None:
    bench = Bench()
    _, invite = called(bench)
    assert refuse(bench, invite, 401, header) == []
    assert bench.last(Refused).status == 401


def test_without_credentials_no_challenge_is_answered() -> None:
    bench = Bench()
    _, invite = called(bench, None)
    assert refuse(bench, invite, 401, challenge("one")) == []
    assert bench.last(Refused).status == 401


def test_a_redirection_is_not_followed() -> None:
    bench = Bench()
    _, invite = called(bench)
    assert refuse(bench, invite, 302, "Contact: <sip:bob@198.51.100.1>") == []
    assert bench.last(Refused).status == 302


def test_a_call_that_is_cancelled_answers_no_challenge() -> None:
    bench = Bench()
    session, invite = called(bench)
    bench.agent.cancel(session, bench.now)
    assert refuse(bench, invite, 401, challenge("one")) == []
    assert bench.last(Refused).status == 401


def test_a_call_is_cancelled_with_the_invite_that_had_the_credentials() -> None:
    bench = Bench()
    session, invite = called(bench)
    (again,) = refuse(bench, invite, 401, challenge("one"))
    bench.receive(response(again, 180))
    bench.agent.cancel(session, bench.now)
    cancel = only_request(bench.drain(), "CANCEL")
    assert (cancel.via, str(cancel.cseq)) == (again.via, "2 CANCEL")


def test_the_early_dialogs_of_a_challenged_invite_are_gone() -> None:
    bench = Bench()
    session, invite = called(bench)
    bench.receive(response(invite, 183, to_tag="early", body=ANSWER))
    (again,) = refuse(bench, invite, 401, challenge("one"))
    assert session.dialog is None
    info = request("INFO", call_id=invite.call_id, from_tag="early", to_tag=invite.from_.tag)
    assert [m.status for m in bench.receive(info) if isinstance(m, Response)] == [481]
    bench.receive(response(again, 200, body=ANSWER))
    bench.last(Answered)


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "REFER"])
def test_a_request_in_the_dialog_is_sent_again_with_a_new_nonce(method: str) -> None:
    bench = Bench()
    session, _ = established(bench)
    match method:
        case "INVITE":
            bench.agent.reinvite(session, OFFER, bench.now)
        case "BYE":
            bench.agent.bye(session, bench.now)
        case "INFO":
            bench.agent.info(session, "application/x", b"x", bench.now)
        case _:
            bench.agent.refer(session, "sip:carol@192.0.2.20", bench.now)
    asked = only_request(bench.drain(), method)
    assert "nc=00000002" in said(asked)
    (again,) = refuse(bench, asked, 401, challenge("two"))
    assert 'nonce="two"' in said(again)
    assert again.cseq.number == asked.cseq.number + 1
    assert again.body == asked.body
    out = bench.receive(response(again, 200, body=ANSWER if method == "INVITE" else b""))
    if method == "INVITE":
        ack = only_request(out, "ACK")
        assert (ack.cseq.number, said(ack)) == (again.cseq.number, said(again))
        bench.last(ReinviteAnswered)
    if method == "BYE":
        assert bench.last(Ended).cause is EndCause.LOCAL_BYE
    bench.wait(40)
    assert bench.agent.transaction_count == 0


def test_a_bye_challenged_without_end_ends_the_call() -> None:
    bench = Bench()
    session, _ = established(bench)
    bench.agent.bye(session, bench.now)
    bye = only_request(bench.drain(), "BYE")
    (bye,) = refuse(bench, bye, 401, challenge("two"))
    assert refuse(bench, bye, 401, challenge("three")) == []
    assert bench.last(Ended).cause is EndCause.LOCAL_BYE


def test_a_call_that_is_over_answers_no_challenge_but_that_of_its_bye() -> None:
    bench = Bench()
    session, invite = established(bench)
    bench.agent.info(session, "application/x", b"x", bench.now)
    info = only_request(bench.drain(), "INFO")
    bye = request("BYE", call_id=invite.call_id, to_tag=invite.from_.tag)
    bench.receive(bye)
    assert session.over
    assert refuse(bench, info, 401, challenge("two")) == []


def test_a_contact_elsewhere_gets_no_credentials() -> None:
    bench = Bench()
    session, invite = called(bench)
    (invite,) = refuse(bench, invite, 401, challenge("one"))
    out = bench.receive(
        response(invite, 200, body=ANSWER, contact="<sip:thief@198.51.100.66:5060>")
    )
    ack = only_request(out, "ACK")
    assert bench.sent[-1][1].remote == ("198.51.100.66", 5060)
    bench.agent.bye(session, bench.now)
    bye = only_request(bench.drain(), "BYE")
    assert "Authorization" not in ack.headers
    assert "Authorization" not in bye.headers
    assert refuse(bench, bye, 401, challenge("two")) == []
    assert bench.last(Ended).cause is EndCause.LOCAL_BYE


def test_a_reinvite_to_another_host_answers_no_challenge() -> None:
    bench = Bench()
    session, invite = established(bench)
    moved = request(
        "UPDATE",
        call_id=invite.call_id,
        to_tag=invite.from_.tag,
        contact="<sip:thief@198.51.100.66:5060>",
    )
    bench.receive(moved)
    bench.agent.info(session, "application/x", b"x", bench.now)
    info = only_request(bench.drain(), "INFO")
    assert bench.sent[-1][1].remote == ("198.51.100.66", 5060)
    assert "Authorization" not in info.headers
    assert refuse(bench, info, 401, challenge("two")) == []


@pytest.mark.parametrize("method", ["BYE", "INVITE"])
def test_a_call_that_came_in_answers_no_challenge(method: str) -> None:
    bench = Bench()
    bench.receive(request("INVITE", body=OFFER))
    session = bench.events[0].session
    bench.agent.answer(session, ANSWER, bench.now)
    bench.receive(request("ACK", to_tag=session.local_tag, branch="z9hG4bK-k"))
    if method == "BYE":
        bench.agent.bye(session, bench.now)
    else:
        bench.agent.reinvite(session, OFFER, bench.now)
    asked = only_request(bench.drain(), method)
    assert refuse(bench, asked, 401, challenge("one")) == []
    assert refuse(bench, asked, 407, challenge("one", proxy=True)) == []
    assert not any("Authorization" in str(message.headers) for _, _, message in bench.sent)


def test_credentials_of_a_refer_are_for_that_refer_alone() -> None:
    bench = Bench()
    bench.receive(request("INVITE", body=OFFER))
    session = bench.events[0].session
    bench.agent.answer(session, ANSWER, bench.now)
    bench.receive(request("ACK", to_tag=session.local_tag, branch="z9hG4bK-k"))
    bench.agent.refer(session, "sip:carol@192.0.2.20", bench.now, credentials=CREDENTIALS)
    asked = only_request(bench.drain(), "REFER")
    (again,) = refuse(bench, asked, 401, challenge("one"))
    assert 'username="alice"' in said(again)
    bench.receive(response(again, 202))
    bench.agent.bye(session, bench.now)
    bye = only_request(bench.drain(), "BYE")
    assert "Authorization" not in bye.headers
    assert refuse(bench, bye, 401, challenge("two")) == []


def test_the_next_hop_is_sent_what_is_known_and_may_ask_anew() -> None:
    bench = Bench()
    _, invite = called(bench, CREDENTIALS, OTHER_HOP)
    (invite,) = refuse(bench, invite, 401, challenge("one"))
    (invite,) = refuse(bench, invite, 503)
    assert bench.sent[-1][1] == OTHER_HOP
    assert "nc=00000002" in said(invite)
    out = bench.receive(response(invite, 401, headers=[challenge("two")]), OTHER_HOP)
    (again,) = [m for m in out if isinstance(m, Request) and m.method == "INVITE"]
    assert 'nonce="two"' in said(again)
