"""What the generator's callers make of answers, against a server played by the test."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from scripts.bench import messages
from scripts.bench.caller import Caller

FIRST = 27_300


@pytest.fixture
def caller(server: socket.socket) -> Iterator[Caller]:
    made = Caller(
        calls=2,
        server_port=server.getsockname()[1],
        own_port=FIRST - 1,
        first_audio_port=FIRST,
        answered=lambda stream, target: None,
        ended=lambda stream: None,
    )
    yield made
    made.close()


def answer(server: socket.socket, status: str, *fields: str) -> None:
    datagram, address = server.recvfrom(65536)
    request = messages.read(datagram)
    assert request is not None
    copied = [f"{name}: {request.fields[name.lower()]}" for name in ("From", "Call-ID", "CSeq")]
    vias = [f"Via: {via}" for via in request.vias]
    lines = [f"SIP/2.0 {status}", *vias, *copied, "To: <sip:0@x>;tag=1", *fields, "", ""]
    server.sendto("\r\n".join(lines).encode(), address)


def test_a_refusal_keeps_when_to_try_again_and_is_acknowledged(
    server: socket.socket, caller: Caller
) -> None:
    caller.invite(0, 1.0)
    answer(server, "503 Service Unavailable", "Retry-After: 5")
    assert caller.work(1.1)
    call = caller.calls[0]
    assert (call.status, call.retry_after, call.over) == (503, "5", True)
    assert caller.settled == 1
    assert server.recv(65536).startswith(b"ACK ")


def test_a_call_that_is_answered_too_late_is_ended_at_once(
    server: socket.socket, caller: Caller
) -> None:
    caller.invite(0, 1.0)
    caller.hang_up(0, 1.2)
    answer(server, "200 OK", "Contact: <sip:bench@127.0.0.1>")
    assert caller.work(1.3)
    assert server.recv(65536).startswith(b"ACK ")
    assert server.recv(65536).startswith(b"BYE sip:bench@127.0.0.1 ")
    assert caller.calls[0].failure is not None


def test_an_invite_without_an_answer_is_sent_again(server: socket.socket, caller: Caller) -> None:
    caller.invite(1, 1.0)
    assert caller.work(1.6)
    assert caller.retransmitted == 1
    assert server.recv(65536) == server.recv(65536)
