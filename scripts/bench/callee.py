"""Whom the server connects calls on to: thousands of SIP callees on one socket, who answer at once.

A callee's user is the number of the stream that calls it; its own stream is the next one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import messages
from .messages import Message
from .speaker import PATIENCE, Speaker
from .streams import port_of

_USER: Final = re.compile(r"sips?:(\d+)@")


@dataclass(slots=True)
class Party:
    """What became of one callee."""

    call_id: str
    """The server's."""
    answer: bytes
    target: tuple[str, int] | None
    """Where the server's offer wants audio."""
    answered_at: float
    joined_at: float | None = None
    """When the ACK came, from which on it speaks."""
    failure: str | None = None
    over: bool = False


class Callee(Speaker):
    """All callees of a run.

    `rung` is told of a stream and where its audio will go, `joined` the same when it may speak.
    """

    def __init__(
        self,
        *,
        streams: int,
        server_port: int,
        own_port: int,
        first_audio_port: int,
        rtcp_port: int,
        rung: Callable[[int, tuple[str, int]], None],
        joined: Callable[[int, tuple[str, int]], None],
        ended: Callable[[int], None],
    ) -> None:
        super().__init__(own_port, server_port)
        self.parties: dict[int, Party] = {}
        """By stream."""
        self.joined = 0
        """Callees that are connected, or were."""
        self.over = 0
        """Callees whose call has ended."""
        self._streams = streams
        self._rung = rung
        self._joined = joined
        self._ended = ended
        self._own_port = own_port
        self._first_audio_port = first_audio_port
        self._rtcp_port = rtcp_port

    def _take(self, message: Message, now: float) -> None:
        if message.status:
            return
        user = _USER.search(message.fields.get("to", ""))
        stream = int(user[1]) ^ 1 if user else -1
        if not 0 <= stream < self._streams:
            return
        party = self.parties.get(stream)
        if message.method == "INVITE":
            self._ring(stream, party, message, now)
            return
        if message.method != "ACK":
            self._say(messages.ok(message))
        if party is None or party.call_id != message.fields["call-id"] or party.over:
            return
        if message.method == "BYE":
            party.over = True
            self.over += 1
            self._ended(stream)
        elif message.method == "CANCEL":
            party.failure = "the server gave up whom it had reached"
        elif message.method == "ACK" and party.joined_at is None:
            party.joined_at = now
            self.joined += 1
            if party.target is None:
                party.failure = "the server's offer takes no audio"
            else:
                self._joined(stream, party.target)

    def _ring(self, stream: int, party: Party | None, message: Message, now: float) -> None:
        """Answer an INVITE, or do so once more."""
        call_id = message.fields["call-id"]
        if party is None:
            port = port_of(stream, self._first_audio_port)
            sdp = messages.audio(stream, port, self._rtcp_port)
            answer = messages.accept(message, tag=f"{stream}", port=self._own_port, sdp=sdp)
            target = messages.audio_target(message.body)
            party = self.parties[stream] = Party(call_id, answer, target, now)
            self._expect(stream, "200", now)
            if target is not None:
                self._rung(stream, target)
        elif party.call_id != call_id:
            party.failure = "the server called a second time"
            return
        self._say(party.answer)

    def _say_again(self, stream: int, what: str, now: float) -> bool:
        party = self.parties[stream]
        if party.joined_at is not None or party.over:
            return False
        if now - party.answered_at >= PATIENCE:
            party.failure = f"the {what} was not acknowledged within {PATIENCE:.0f} s"
            party.over = True
            self.over += 1
            return False
        self._say(party.answer)
        return True
