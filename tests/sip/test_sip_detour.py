"""INVITEs that are too large for UDP (RFC 3261 18.1.1)."""

from __future__ import annotations

from typing import Any

import pytest

from farend.sip_bench import ANSWER, OFFER, US, Bench, only_request, request, response
from mediaserver.sip.detour import LARGEST, MAX_CLOSED, MEMORY, Detours
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import Invited, Refused
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request
from mediaserver.sip.placement import HOP_PATIENCE
from mediaserver.sip.session import Session

FIRST, SECOND = (Hop(Transport.UDP, US, (f"192.0.2.{host}", 5060)) for host in (31, 32))
AROUND = {hop: Hop(Transport.TCP, US, hop.remote) for hop in (FIRST, SECOND)}
WIDE = [("X-Wide", "w" * LARGEST)]
CHALLENGE = 'WWW-Authenticate: Digest realm="x", nonce="n", qop="auth", algorithm=MD5'


def called(bench: Bench, headers: list[tuple[str, str]], *hops: Hop) -> Request:
    """Place a call, and return its first INVITE."""
    credentials = Credentials("alice", "secret")
    _, invite = bench.call(*hops, headers=headers, credentials=credentials, detours=AROUND)
    return invite


def sent_to(bench: Bench) -> Hop:
    return bench.sent[-1][1]


def length_of(invite: Request) -> int:
    return len(invite.to_bytes())


@pytest.mark.parametrize("more", [0, 1])
def test_one_byte_more_than_a_datagram_may_have_goes_over_tcp(more: int) -> None:
    empty = length_of(called(Bench(), [("X-Wide", "")], FIRST))
    bench = Bench()
    invite = called(bench, [("X-Wide", "w" * (LARGEST - empty + more))], FIRST)
    assert sent_to(bench) == (AROUND[FIRST] if more else FIRST)
    assert invite.via.transport == ("TCP" if more else "UDP")
    if not more:
        assert length_of(invite) == LARGEST


def test_a_call_over_tcp_goes_on_over_tcp() -> None:
    bench = Bench()
    invite = called(bench, WIDE, FIRST)
    answer = response(invite, 200, body=ANSWER, contact="<sip:bob@192.0.2.31>")
    ack = only_request(bench.receive(answer, AROUND[FIRST]), "ACK")
    assert ack.via.transport == "TCP"
    assert sent_to(bench) == AROUND[FIRST]


def test_another_machine_that_asks_for_no_transport_is_spoken_to_over_udp() -> None:
    bench = Bench()
    invite = called(bench, WIDE, FIRST)
    answer = response(invite, 200, body=ANSWER, contact="<sip:bob@192.0.2.40>")
    ack = only_request(bench.receive(answer, AROUND[FIRST]), "ACK")
    assert ack.via.transport == "UDP"
    assert sent_to(bench) == Hop(Transport.UDP, US, ("192.0.2.40", 5060))


def test_where_tcp_is_refused_it_goes_over_udp_and_the_next_call_does_so_at_once() -> None:
    bench = Bench()
    first = called(bench, WIDE, FIRST, SECOND)
    bench.agent.transport_failed(AROUND[FIRST], bench.now)
    again = only_request(bench.drain(), "INVITE")
    assert sent_to(bench) == FIRST
    assert again.via.transport == "UDP"
    assert (again.call_id, again.cseq) == (first.call_id, first.cseq)
    assert called(bench, WIDE, FIRST).via.transport == "UDP"
    bench.wait(MEMORY)
    assert called(bench, WIDE, FIRST).via.transport == "TCP"


def test_where_tcp_is_swallowed_it_goes_over_udp_after_five_seconds() -> None:
    bench = Bench()
    called(bench, WIDE, FIRST)
    bench.wait(HOP_PATIENCE + 0.1)
    assert sent_to(bench) == FIRST
    assert called(bench, WIDE, FIRST).via.transport == "UDP"


def test_a_503_over_tcp_leads_to_the_next_machine() -> None:
    bench = Bench()
    invite = called(bench, WIDE, FIRST, SECOND)
    bench.receive(response(invite, 503), AROUND[FIRST])
    assert sent_to(bench) == AROUND[SECOND]
    last = bench.sent[-1][2]
    assert isinstance(last, Request)
    bench.receive(response(last, 503), AROUND[SECOND])
    assert bench.last(Refused).status == 503


def test_credentials_that_make_it_too_large_take_it_to_tcp_and_back_with_a_new_count() -> None:
    narrow = length_of(called(Bench(), [("X-Wide", "")], FIRST))
    bench = Bench()
    invite = called(bench, [("X-Wide", "w" * (LARGEST - narrow - 10))], FIRST)
    assert invite.via.transport == "UDP"
    challenge = response(invite, 401, headers=[CHALLENGE])
    _, proven = bench.receive(challenge, FIRST)
    assert isinstance(proven, Request)
    assert (proven.via.transport, proven.cseq.number) == ("TCP", 2)
    assert "nc=00000001" in (proven.headers.get("Authorization") or "")
    bench.agent.transport_failed(AROUND[FIRST], bench.now)
    over_udp = only_request(bench.drain(), "INVITE")
    assert (over_udp.via.transport, over_udp.cseq.number) == ("UDP", 2)
    assert "nc=00000002" in (over_udp.headers.get("Authorization") or "")


def test_a_challenge_over_tcp_is_answered_over_tcp() -> None:
    bench = Bench()
    invite = called(bench, WIDE, FIRST)
    _, proven = bench.receive(response(invite, 401, headers=[CHALLENGE]), AROUND[FIRST])
    assert isinstance(proven, Request)
    assert proven.via.transport == "TCP"
    bench.receive(response(proven, 503), AROUND[FIRST])
    assert bench.last(Refused).status == 503


def test_what_is_remembered_of_closed_detours_is_bounded() -> None:
    detours = Detours()
    closed = [Hop(Transport.TCP, US, ("192.0.2.1", port)) for port in range(MAX_CLOSED + 1)]
    for hop in closed:
        detours.close(hop, 0.0)
    assert detours.around(FIRST, LARGEST + 1, {FIRST: closed[0]}, 1.0) == closed[0]
    assert detours.around(FIRST, LARGEST + 1, {FIRST: closed[1]}, 1.0) is None


def up(bench: Bench, contact: str = "<sip:bob@192.0.2.31>", **options: Any) -> Session:
    """Return a call over UDP that the other side has answered, whose peer has TCP, too."""
    bench.agent.ask_for_detours(AROUND.get)
    session, invite = bench.call(FIRST, **options)
    ack = bench.receive(response(invite, 200, body=ANSWER, contact=contact), FIRST)
    assert only_request(ack, "ACK").via.transport == "UDP"
    return session


def inform(bench: Bench, session: Session, size: int = LARGEST) -> Request:
    """Send an INFO with a body of `size` bytes, and return it."""
    bench.agent.info(session, "text/plain", b"x" * size, bench.now)
    return only_request(bench.drain(), "INFO")


def test_a_large_request_in_a_call_takes_tcp_and_the_rest_of_the_call_does_not() -> None:
    bench = Bench()
    session = up(bench)
    room = LARGEST - len(inform(bench, session, 0).to_bytes()) - 2  # a longer Content-Length
    for size in (room, room + 1):
        info = inform(bench, session, size)
        assert info.via.transport == ("UDP" if size == room else "TCP")
        assert sent_to(bench) == (FIRST if size == room else AROUND[FIRST])
    assert len(info.to_bytes()) == LARGEST + 1
    bench.receive(response(info, 200), AROUND[FIRST])
    assert inform(bench, session, 10).via.transport == "UDP"
    bench.agent.reinvite(session, OFFER + b"a=x:" + b"w" * LARGEST + b"\r\n", bench.now)
    again = only_request(bench.drain(), "INVITE")
    assert sent_to(bench) == AROUND[FIRST]
    assert again.contact is not None
    ack = bench.receive(response(again, 200, body=ANSWER), AROUND[FIRST])
    assert only_request(ack, "ACK").cseq.number == again.cseq.number


def test_a_large_request_to_a_peer_without_tcp_goes_over_udp_after_all() -> None:
    bench = Bench()
    session = up(bench)
    first = inform(bench, session)
    bench.agent.transport_failed(AROUND[FIRST], bench.now)
    again = only_request(bench.drain(), "INFO")
    assert sent_to(bench) == FIRST
    assert again.via.transport == "UDP"
    assert again.body == first.body
    assert again.cseq.number > first.cseq.number
    bench.receive(response(again, 200), FIRST)
    later = inform(bench, session)
    assert later.via.transport == "UDP"
    bench.receive(response(later, 200), FIRST)
    bench.wait(MEMORY)
    assert inform(bench, session).via.transport == "TCP"


def test_a_large_request_is_proven_once_and_a_challenge_over_tcp_is_answered() -> None:
    bench = Bench()
    session = up(bench, credentials=Credentials("alice", "secret"))
    first = inform(bench, session)
    challenged = bench.receive(response(first, 401, headers=[CHALLENGE]), AROUND[FIRST])
    again = only_request(challenged, "INFO")
    assert sent_to(bench) == AROUND[FIRST]
    (proof,) = again.headers.get_all("Authorization")
    assert "nc=00000001" in proof


@pytest.mark.parametrize("wants", ["udp", "tcp"])
def test_who_says_which_transport_he_wants_gets_that(wants: str) -> None:
    bench = Bench()
    session = up(bench, f"<sip:bob@192.0.2.31;transport={wants}>")
    assert inform(bench, session).via.transport == wants.upper()


def test_nobody_connects_to_a_caller_behind_a_nat() -> None:
    bench = Bench()
    bench.agent.ask_for_detours(lambda hop: Hop(Transport.TCP, US, hop.remote))
    for via, transport in (("10.0.0.5:5060;rport", "UDP"), ("192.0.2.9:5060", "TCP")):
        bench.receive(request("INVITE", body=OFFER, via=via, call_id=via, branch=f"z9hG4bK{via}"))
        session = bench.last(Invited).session
        bench.agent.answer(session, ANSWER, bench.now)
        bench.drain()
        ack = request("ACK", via=via, call_id=via, to_tag=session.local_tag, branch="z9hG4bK-b")
        bench.receive(ack)
        assert inform(bench, session).via.transport == transport
