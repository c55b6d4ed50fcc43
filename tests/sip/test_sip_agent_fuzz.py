"""The agent never raises, whatever arrives, and can end every call that such a message began.

The seed is fixed, so a failure comes back. `MEDIASERVER_FUZZ=full` mutates 100,000 messages.
"""

from __future__ import annotations

import os
from random import Random

from farend.sip_bench import ANSWER, OFFER, TCP_HOP, UDP_HOP, Bench, request
from mediaserver.sip.events import Invited
from mediaserver.sip.session import Session, SessionState

SEED = 3261
COUNT = 100_000 if os.environ.get("MEDIASERVER_FUZZ") == "full" else 4_000
ROUTES = ("Record-Route: <sip:192.0.2.77;lr>", 'X-Any: "b"')
CORPUS = (
    *[request("INVITE", body=OFFER, headers=ROUTES)] * 4,
    *[request("INVITE", body=OFFER, via="10.0.0.5;rport")] * 2,
    request("OPTIONS"),
    request("CANCEL"),
    request("ACK", to_tag="x"),
    request("BYE", to_tag="x"),
    request("INFO", to_tag="x", body=b"x"),
    b"SIP/2.0 200 OK\r\n" + request("BYE").split(b"\r\n", 1)[1],
)
SPICE = (
    *(b"\r\n", b"\0", b"\\\0", b'"', b";", b"<", b">", b",", b"%00", b"\xff", b"\xe2\x80\xa8"),
    *(b"=", b":", b" ", b"\t", b"@", b"[::1]", b";tag=", b";maddr=", b";received=", b";rport="),
    *(b"99999999999", b"sips:", b"tel:+1", b";lr", b"?a=b", b"\r\nRoute: ", b"*"),
)


def mutate(data: bytes, random: Random) -> bytes:
    """A few small wounds."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        at = random.randrange(len(data) + 1)
        match random.randrange(4):
            case 0 | 1:
                data = data[:at] + random.choice(SPICE) + data[at:]
            case 2:
                data = data[:at] + data[at + random.randrange(1, 8) :]
            case _:
                data = data[:at] + bytes((random.randrange(256),)) + data[at + 1 :]
    return data


def live_through(bench: Bench, session: Session) -> None:
    """Every command there is, on a call whose INVITE may be odd in any way."""
    agent, now = bench.agent, bench.now
    agent.ring(session, now)
    agent.answer(session, ANSWER, now)
    assert session.dialog is not None
    session.unacknowledged = None  # as if their ACK had come
    session.move(SessionState.ESTABLISHED)
    agent.info(session, "a/b", b"", now)
    agent.reinvite(session, OFFER, now)
    agent.bye(session, now)


def test_nothing_a_peer_sends_makes_the_agent_raise_or_remember() -> None:
    random = Random(SEED)
    bench = Bench()
    calls = 0
    for number in range(COUNT):
        data = mutate(random.choice(CORPUS), random)
        data = data.replace(b"call-1", b"call-%d" % number).replace(b"bK-a", b"bK-%d" % number)
        bench.agent.receive(data, random.choice((UDP_HOP, TCP_HOP)), bench.now)
        for event in bench.agent.events():
            assert isinstance(event, Invited)
            live_through(bench, event.session)
            calls += 1
        bench.agent.outgoing()
        if number % 1000 == 999:  # below the limit on transactions: each message is read
            bench.now += 65
            bench.agent.handle_timer(bench.now)
            bench.agent.events()
    assert calls > COUNT // 20
    for _ in range(3):
        bench.now += 65
        bench.agent.handle_timer(bench.now)
        bench.agent.outgoing()
    assert (bench.agent.session_count, bench.agent.transaction_count) == (0, 0)
    assert not bench.agent._core.dialogs
