"""What the generator's callees make of calls, against a server played by the test."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from scripts.bench import messages
from scripts.bench.callee import Callee
from scripts.bench.messages import Message

FIRST = 27_500
OWN = FIRST - 1


@pytest.fixture
def joined() -> list[tuple[int, tuple[str, int]]]:
    return []


@pytest.fixture
def callee(server: socket.socket, joined: list[tuple[int, tuple[str, int]]]) -> Iterator[Callee]:
    made = Callee(
        streams=4,
        server_port=server.getsockname()[1],
        own_port=OWN,
        first_audio_port=FIRST,
        rtcp_port=FIRST + 100,
        rung=lambda stream, target: None,
        joined=lambda stream, target: joined.append((stream, target)),
        ended=lambda stream: None,
    )
    yield made
    made.close()


def say(server: socket.socket, method: str, *, user: int = 2, call: str = "a@b") -> None:
    body = messages.audio(0, 11_000, 11_001) if method == "INVITE" else ""
    lines = [
        f"{method} sip:{user}@127.0.0.1:{OWN} SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1",
        "From: <sip:us@127.0.0.1>;tag=1",
        f"To: <sip:{user}@127.0.0.1:{OWN}>",
        f"Call-ID: {call}",
        f"CSeq: 1 {method}",
    ]
    server.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), ("127.0.0.1", OWN))


def heard(server: socket.socket) -> Message:
    message = messages.read(server.recv(65536))
    assert message is not None
    return message


def test_who_is_called_answers_with_the_stream_next_to_the_callers(
    server: socket.socket, callee: Callee, joined: list[tuple[int, tuple[str, int]]]
) -> None:
    say(server, "INVITE")
    assert callee.work(1.0)
    answer = heard(server)
    assert (answer.status, answer.method) == (200, "INVITE")
    assert re.search(";tag=", answer.fields["to"])
    assert messages.audio_target(answer.body) == ("127.0.0.1", FIRST + 3)
    assert joined == []
    say(server, "ACK")
    assert callee.work(1.2)
    assert joined == [(3, ("127.0.0.1", 11_000))]
    assert (callee.parties[3].answered_at, callee.parties[3].joined_at) == (1.0, 1.2)


def test_an_answer_without_an_ack_is_sent_again(server: socket.socket, callee: Callee) -> None:
    say(server, "INVITE")
    callee.work(1.0)
    assert callee.work(1.6)
    assert server.recv(65536) == server.recv(65536)
    assert not callee.work(1.7)


def test_a_bye_is_the_end(server: socket.socket, callee: Callee) -> None:
    for method in ("INVITE", "ACK", "BYE"):
        say(server, method)
        callee.work(1.0)
    assert [heard(server).method for _ in range(2)] == ["INVITE", "BYE"]
    assert (callee.joined, callee.over) == (1, 1)


def test_a_second_call_for_the_same_caller_is_a_failure(
    server: socket.socket, callee: Callee
) -> None:
    for call in ("a@b", "c@d"):
        say(server, "INVITE", call=call)
        callee.work(1.0)
    assert callee.parties[3].failure is not None


def test_whom_nobody_calls_from_is_no_callee(server: socket.socket, callee: Callee) -> None:
    say(server, "INVITE", user=4)
    callee.work(1.0)
    assert callee.parties == {}
