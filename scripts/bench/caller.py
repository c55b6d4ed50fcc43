"""Thousands of SIP callers on one socket: INVITE, ACK, BYE, with retransmission over UDP.

No I/O waits here: `work` does one small piece at a time, so that the media beside it stays on
time.
"""

from __future__ import annotations

import contextlib
import heapq
import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import messages
from .messages import Dialog, Message
from .options import HOST
from .sockets import bound
from .streams import port_of, sockets_of

T1: Final = 0.5
T2: Final = 4.0
PATIENCE: Final = 32.0
"""Seconds until a request counts as unanswered (64 * T1)."""

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


class Caller:
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
        self._server = (HOST, server_port)
        self.rtcp_port = first_audio_port + sockets_of(calls)
        """Where the server's RTCP goes; nobody reads it, and the kernel drops what is too much."""
        self._timers: list[tuple[float, int, str, float]] = []
        self._socket = bound(own_port)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._reports = bound(self.rtcp_port)

    def invite(self, stream: int, now: float) -> None:
        """Place a call."""
        call = self.calls[stream]
        call.invited_at = now
        self._send(call.dialog.invite(call.audio_port, self.rtcp_port))
        self._set_timer(now + T1, stream, "INVITE", T1)

    def hang_up(self, stream: int, now: float) -> None:
        """End a call; one that is not up yet is ended when it is answered."""
        call = self.calls[stream]
        if call.over:
            return
        if call.answer_seconds is None:
            call.failure = "the call was not answered before it was to end"
            return
        call.hung_up, call.bye_at = True, now
        self._send(call.dialog.bye())
        self._set_timer(now + T1, stream, "BYE", T1)

    def work(self, now: float) -> bool:
        """Do one thing: a timer that is due or a message that came; False when there is none."""
        if self._timers and self._timers[0][0] <= now:
            _, stream, method, interval = heapq.heappop(self._timers)
            self._run_out(stream, method, interval, now)
            return True
        try:
            datagram = self._socket.recv(65536)
        except OSError:
            return False
        message = messages.read(datagram)
        if message is not None:
            self._take(message, now)
        return True

    def close(self) -> None:
        """Close the sockets."""
        self._socket.close()
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
                self._send(messages.ok(message))
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
            self._send(call.dialog.ack(refused=True))
            self._finish(stream, f"INVITE was answered {message.status}")
            return
        contact = _URI.search(message.fields.get("contact", ""))
        call.dialog.target = contact[1] if contact else message.fields.get("contact", "")
        self._send(call.dialog.ack())
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

    def _run_out(self, stream: int, method: str, interval: float, now: float) -> None:
        call = self.calls[stream]
        if call.over or (method == "INVITE" and call.answer_seconds is not None):
            return
        if now - (call.bye_at if method == "BYE" else call.invited_at) >= PATIENCE:
            self._finish(stream, f"{method} was not answered within {PATIENCE:.0f} s")
            return
        if method == "BYE":
            self._send(call.dialog.bye())
        elif not call.provisional:
            self.retransmitted += 1
            self._send(call.dialog.invite(call.audio_port, self.rtcp_port))
        interval = min(2 * interval, T2)
        self._set_timer(now + interval, stream, method, interval)

    def _finish(self, stream: int, failure: str | None) -> None:
        call = self.calls[stream]
        if call.over:
            return
        call.over = True
        self.over += 1
        self.settled += call.answer_seconds is None
        call.failure = call.failure or failure
        self._ended(stream)

    def _set_timer(self, at: float, stream: int, method: str, interval: float) -> None:
        heapq.heappush(self._timers, (at, stream, method, interval))

    def _send(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):  # a full buffer: the retransmission comes
            self._socket.sendto(datagram, self._server)
