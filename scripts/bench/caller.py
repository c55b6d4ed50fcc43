"""Thousands of SIP callers on one socket: INVITE, ACK, BYE, with retransmission over UDP."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import messages
from .messages import Dialog, Message
from .sockets import bound
from .speaker import PATIENCE, Speaker
from .streams import port_of, sockets_of

_TAG: Final = re.compile(r";\s*tag=([^;\s]+)", re.IGNORECASE)
_URI: Final = re.compile(r"<([^<>]+)>")


@dataclass(slots=True)
class Call:
    """What became of one call."""

    dialog: Dialog
    audio_port: int
    invited_at: float = 0.0
    bye_at: float = 0.0
    answer_seconds: float | None = None
    """From the INVITE to its 200."""
    failure: str | None = None
    status: int = 0
    """Of the INVITE's final response; 0 before there is one."""
    retry_after: str | None = None
    """What a refusal said of when to try again."""
    provisional: bool = False
    hung_up: bool = False
    over: bool = False


class Caller(Speaker):
    """All calls of a run. `answered` is told of a call's stream and where its audio goes."""

    def __init__(
        self,
        *,
        calls: int,
        server_port: int,
        own_port: int,
        first_audio_port: int,
        answered: Callable[[int, tuple[str, int]], None],
        ended: Callable[[int], None],
    ) -> None:
        super().__init__(own_port, server_port)
        run = secrets.token_hex(4)
        self.calls = [
            Call(Dialog(stream, run, server_port, own_port), port_of(stream, first_audio_port))
            for stream in range(calls)
        ]
        self.settled = 0
        """Calls that were answered or have failed."""
        self.over = 0
        """Calls that have ended."""
        self.retransmitted = 0
        """INVITEs that were sent again."""
        self._answered = answered
        self._ended = ended
        self.rtcp_port = first_audio_port + sockets_of(calls)
        """Where the server's RTCP goes; nobody reads it, and the kernel drops what is too much."""
        self._reports = bound(self.rtcp_port)

    def invite(self, stream: int, now: float) -> None:
        """Place a call."""
        call = self.calls[stream]
        call.invited_at = now
        self._say(call.dialog.invite(call.audio_port, self.rtcp_port))
        self._expect(stream, "INVITE", now)

    def hang_up(self, stream: int, now: float) -> None:
        """End a call; one that is not up yet is ended when it is answered."""
        call = self.calls[stream]
        if call.over:
            return
        if call.answer_seconds is None:
            call.failure = "the call was not answered before it was to end"
            return
        call.hung_up, call.bye_at = True, now
        self._say(call.dialog.bye())
        self._expect(stream, "BYE", now)

    def close(self) -> None:
        """Close the sockets."""
        super().close()
        self._reports.close()

    def _take(self, message: Message, now: float) -> None:
        number = message.fields["call-id"].rpartition("-")[2]
        if not number.isdigit() or int(number) >= len(self.calls):
            return
        stream = int(number)
        call = self.calls[stream]
        if call.dialog.call_id != message.fields["call-id"]:
            return
        if not message.status:
            if message.method != "ACK":
                self._say(messages.ok(message))
            if message.method == "BYE" and not call.over:
                self._finish(stream, None if call.hung_up else "the server hung up")
        elif message.method == "INVITE":
            self._on_invite_response(call, stream, message, now)
        elif message.method == "BYE" and message.status >= 200:
            wrong = None if message.status == 200 else f"BYE was answered {message.status}"
            self._finish(stream, wrong)

    def _on_invite_response(self, call: Call, stream: int, message: Message, now: float) -> None:
        if message.status < 200:
            call.provisional = True
            return
        tag = _TAG.search(message.fields.get("to", ""))
        call.dialog.to_tag = tag[1] if tag else ""
        call.status = message.status
        if message.status >= 300:
            call.retry_after = message.fields.get("retry-after")
            self._say(call.dialog.ack(refused=True))
            self._finish(stream, f"INVITE was answered {message.status}")
            return
        contact = _URI.search(message.fields.get("contact", ""))
        call.dialog.target = contact[1] if contact else message.fields.get("contact", "")
        self._say(call.dialog.ack())
        if call.answer_seconds is None and not call.over:
            call.answer_seconds = now - call.invited_at
            self.settled += 1
            if call.failure is not None:
                self.hang_up(stream, now)
                return
            target = messages.audio_target(message.body)
            if target is None:
                call.failure = "the answer takes no audio"
            else:
                self._answered(stream, target)

    def _say_again(self, stream: int, what: str, now: float) -> bool:
        call = self.calls[stream]
        if call.over or (what == "INVITE" and call.answer_seconds is not None):
            return False
        if now - (call.bye_at if what == "BYE" else call.invited_at) >= PATIENCE:
            self._finish(stream, f"{what} was not answered within {PATIENCE:.0f} s")
            return False
        if what == "BYE":
            self._say(call.dialog.bye())
        elif not call.provisional:
            self.retransmitted += 1
            self._say(call.dialog.invite(call.audio_port, self.rtcp_port))
        return True

    def _finish(self, stream: int, failure: str | None) -> None:
        call = self.calls[stream]
        if call.over:
            return
        call.over = True
        self.over += 1
        self.settled += call.answer_seconds is None
        call.failure = call.failure or failure
        self._ended(stream)
