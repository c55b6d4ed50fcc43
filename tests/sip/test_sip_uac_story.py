"""Calls of ours against peers that answer anything at all, in any order."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from farend.sip_bench import ANSWER, OFFER, US, Bench, request, response
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import ReferProgressed
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request
from mediaserver.sip.session import SessionState
from mediaserver.sip.uri import SipUri

HOPS = [Hop(Transport.UDP, US, (f"192.0.2.{host}", 5060)) for host in (31, 32, 33)]
HEADERS = [
    'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"',
    'WWW-Authenticate: Digest realm="r", nonce="m", stale=true',
    'Proxy-Authenticate: Digest realm="r", nonce="p", algorithm=SHA-256',
    "Require: 100rel",
    "RSeq: 1",
    "RSeq: 2",
    "Min-SE: 3600",
    "Session-Expires: 90;refresher=uac",
    "Session-Expires: 90;refresher=uas",
    "Allow: UPDATE, INFO",
    "Contact: <sip:elsewhere@198.51.100.1>",
]
STATUSES = [100, 180, 183, 199, 200, 202, 302, 401, 407, 408, 422, 481, 486, 491, 500, 503]

RESPONSE = st.tuples(
    st.just("response"),
    st.sampled_from(STATUSES),
    st.sampled_from(["one", "two"]),
    st.lists(st.sampled_from(HEADERS), max_size=4),
)
NONE: list[str] = []
COMMAND = st.tuples(
    st.sampled_from(["hang up", "reinvite", "refer", "info", "wait", "bye", "notify", "fail"]),
    st.integers(0, 40),
    st.sampled_from(["one", "two"]),
    st.just(NONE),
)


@settings(max_examples=120)
@given(st.lists(RESPONSE | COMMAND, max_size=14))
def test_whatever_a_peer_answers_the_call_ends_once_and_leaves_nothing(
    story: list[tuple[str, int, str, list[str]]],
) -> None:
    bench = Bench()
    session = bench.agent.invite(
        SipUri.parse("sip:bob@example.org"),
        HOPS,
        lambda _: OFFER,
        bench.now,
        from_="<sip:us@example.com>",
        credentials=Credentials("u", "p"),
    )
    for step, (what, number, tag, headers) in enumerate(story):
        agent = bench.agent
        up = session.state is SessionState.ESTABLISHED
        bench.drain()
        asked = [m for _, _, m in bench.sent if isinstance(m, Request) and m.method != "ACK"]
        match what:
            case "response":
                body = ANSWER if number in (183, 200) else b""
                bench.receive(response(asked[-1], number, to_tag=tag, headers=headers, body=body))
            case "hang up":
                agent.hang_up(session, bench.now)
            case "reinvite" if up:
                agent.reinvite(session, OFFER, bench.now)
            case "refer" if up and session.referral is None:
                agent.refer(session, "sip:carol@example.org", bench.now)
            case "info":
                agent.info(session, "a/b", b"x", bench.now)
            case "wait":
                bench.wait(number)
            case "fail":
                agent.transport_failed(session.hop, bench.now)
            case "bye" | "notify":
                fields = ["Event: refer", "Subscription-State: terminated"]
                bench.receive(
                    request(
                        what.upper(),
                        call_id=session.invite.call_id,
                        from_tag=tag,
                        to_tag=session.local_tag,
                        branch=f"z9hG4bK-{step}",
                        cseq=step + 1,
                        headers=fields,
                    )
                )
    bench.agent.hang_up(session, bench.now)
    bench.wait(250)
    assert session.over
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)
    assert bench.agent._core.dialogs == {}
    assert bench.agent.next_timer() is None
    told = Counter(bench.kinds())
    assert told["Refused"] + told["Answered"] == 1
    assert told["Ended"] == told["Answered"]
    assert bench.kinds()[-1] in ("Refused", "Ended")
    ends = [event for event in bench.events if isinstance(event, ReferProgressed) and event.final]
    refers = {m.call_id for _, _, m in bench.sent if isinstance(m, Request) and m.method == "REFER"}
    assert bool(ends) <= bool(refers)
    for _, hop, message in bench.sent:
        if hop.remote[0] not in {hop.remote[0] for hop in HOPS}:
            assert "Authorization" not in message.headers
            assert "Proxy-Authorization" not in message.headers
