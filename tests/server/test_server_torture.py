"""The torture messages of RFC 4475 and RFC 5118, sent to a live server beside a call."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farend.phone import Phone
from farend.receiver import Receiver
from farend.scene import Outcome, Stage
from farend.server import Server
from farend.speech import choose, passage
from farend.talker import Talker
from farend.waveform import around, is_quiet, place
from farend.wire import SipMessage

CORPUS = Path(__file__).resolve().parent.parent / "sip" / "torture"
ROWS: dict[str, dict[str, dict[str, Any]]] = json.loads((CORPUS / "expectations.json").read_text())
CASES = [(rfc, name) for rfc, rows in ROWS.items() for name in rows]

SHARED = b"branch=z9hG4bKkdjuw"

TORTURER = "127.0.0.7"
WAIT = 0.6
"""Seconds in which an answer must be there."""

NOTHING = 0.1
"""Seconds in which none must come to what is to be discarded."""

_VIA = re.compile(rb"\n(?:via|v)[ \t]*:([^\r\n]*)", re.IGNORECASE)
_PORT = re.compile(rb":[ \t]*(\d+)[ \t]*$")


class Torturer:
    """Sends from port 5060, and listens wherever the topmost Via may send the answer."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._sockets: dict[int, socket.socket] = {}
        self.listen(5060)

    def listen(self, port: int) -> None:
        """Bind a port unless it is bound."""
        if port not in self._sockets:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((TORTURER, port))
            sock.setblocking(False)
            self._sockets[port] = sock

    async def send(self, message: bytes, wait: float) -> list[SipMessage]:
        """Send a message; return all that comes within `wait`, or until a final answer."""
        via = _VIA.search(message)
        port = _PORT.search(via[1].split(b",")[0].split(b";")[0]) if via else None
        if port is not None and 1024 <= int(port[1]) <= 65535:
            self.listen(int(port[1]))
        self._drain()
        self._sockets[5060].sendto(message, self._server)
        answers: list[SipMessage] = []
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            # A refusal that nobody acknowledges comes again while we are at the next message.
            answers += [
                answer
                for answer in self._drain()
                if answer.get("call-id").encode("utf-8", "surrogateescape") in message
                and str(answer.number).encode() in message
            ]
            if any(answer.status >= 200 for answer in answers):
                break
            await asyncio.sleep(0.005)
        return answers

    def _drain(self) -> list[SipMessage]:
        found = []
        for sock in self._sockets.values():
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.append(SipMessage.parse(sock.recv(65535)))
        return found

    def close(self) -> None:
        """Give the ports back."""
        for sock in self._sockets.values():
            sock.close()


class Tortured:
    """What was answered to each message, and what became of the call beside them."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[SipMessage]] = {}
        self.call: Outcome | None = None
        self.alive = False


async def torture(stage: Stage) -> Tortured:
    result = Tortured()
    torturer = Torturer(stage.server.sip)
    payload, sent = passage(stage.speech, 3.0)
    async with Phone.open(stage.server.sip, user="beside") as phone:
        await phone.call("mailbox")
        talking = asyncio.create_task(phone.say(Talker().say(payload)))
        for rfc, name in CASES:
            message = (CORPUS / rfc / f"{name}.sip").read_bytes()
            # Many share one branch: within 32 s the second is the first again (17.2.3).
            message = message.replace(SHARED, SHARED + name.encode())
            wait = NOTHING if ROWS[rfc][name]["answer"] == "discard" else WAIT
            result.answers[rfc, name] = await torturer.send(message, wait)
        await talking
        await asyncio.sleep(0.02)
        phone.number += 1
        options = await phone.ask(phone.compose("OPTIONS"))
        result.alive = options.status == 200
        await phone.hang_up()
        result.call = await stage.outcome("beside", phone, sent)
    torturer.close()
    return result


@pytest.fixture(scope="module")
def tortured(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
    speech_files: tuple[Path, ...],
) -> Iterator[Tortured]:
    url = receiver.url("/record/${call.sip_data.sip_from_user}")
    scripts: dict[str, list[object]] = {"mailbox": [{"record": {"status_url": url}}]}
    with Server(tmp_path_factory.mktemp("torture"), scripts) as server:
        speech = tuple(choose(speech_files, 2.0, 4.0))
        yield asyncio.run(torture(Stage(server, receiver, speech)))


@pytest.mark.parametrize(("rfc", "name"), CASES, ids=[name for _, name in CASES])
def test_a_live_server_answers_torture_as_the_table_says(
    tortured: Tortured, rfc: str, name: str
) -> None:
    expected = ROWS[rfc][name]["answer"]
    final = [answer.status for answer in tortured.answers[rfc, name] if answer.status >= 200]
    if expected == "discard":
        assert not final
    elif expected == "accept":
        # Nothing is wrong with it; nobody of that name is here, or no codec is in common.
        assert final[:1] in ([200], [404], [488])
    else:
        assert final[:1] in [[status] for status in expected]


def test_the_server_lives_and_the_call_beside_is_undisturbed(tortured: Tortured) -> None:
    assert tortured.alive
    outcome = tortured.call
    assert outcome is not None
    placement = place(outcome.sent, outcome.recorded)
    assert placement.exact, placement
    assert is_quiet(around(placement, outcome.sent, outcome.recorded))
