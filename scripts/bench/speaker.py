"""One socket on which thousands of calls are spoken of in SIP, and what has to be said again.

No I/O waits here: `work` does one small piece at a time, so that the media beside it stays on
time.
"""

from __future__ import annotations

import contextlib
import heapq
import socket
from abc import ABC, abstractmethod
from typing import Final

from . import messages
from .messages import Message
from .options import HOST
from .sockets import bound

T1: Final = 0.5
T2: Final = 4.0
PATIENCE: Final = 32.0
"""Seconds until a request, or a 200, counts as unanswered (64 * T1)."""


class Speaker(ABC):
    """Speaks with the server alone."""

    def __init__(self, own_port: int, server_port: int) -> None:
        self._server = (HOST, server_port)
        self._timers: list[tuple[float, int, str, float]] = []
        self._socket = bound(own_port)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def work(self, now: float) -> bool:
        """Do one thing: a timer that is due or a message that came; False when there is none."""
        if self._timers and self._timers[0][0] <= now:
            _, stream, what, interval = heapq.heappop(self._timers)
            if self._say_again(stream, what, now):
                self._expect(stream, what, now, min(2 * interval, T2))
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
        """Close the socket."""
        self._socket.close()

    @abstractmethod
    def _take(self, message: Message, now: float) -> None:
        """Take what the server says."""

    @abstractmethod
    def _say_again(self, stream: int, what: str, now: float) -> bool:
        """Say once more `what` was not answered yet; False where there is no more to wait for."""

    def _say(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):  # a full buffer: the retransmission comes
            self._socket.sendto(datagram, self._server)

    def _expect(self, stream: int, what: str, now: float, interval: float = T1) -> None:
        """Say `what` again in so many seconds."""
        heapq.heappush(self._timers, (now + interval, stream, what, interval))
