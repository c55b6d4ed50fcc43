"""Pairs of UDP sockets for RTP and RTCP, from a range, never handed on while still in use.

A closed call's far end may go on sending for a while. Its pair stays bound for `drain` seconds,
so that no packet of a stranger can land in the next call's recording.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from dataclasses import dataclass
from typing import Final

from ..errors import LocalError

RECEIVE_BUFFER: Final = 1 << 19
"""Bytes asked of the kernel for each RTP socket: seconds of audio, should the loop be held up."""

SO_TIMESTAMPNS: Final = 35
"""Linux: every datagram carries the time at which it arrived."""


@dataclass(frozen=True, slots=True)
class PortPair:
    """RTP on an even port and RTCP on the next (RFC 3550 section 11)."""

    rtp: socket.socket
    rtcp: socket.socket
    port: int

    def close(self) -> None:
        """Give both ports back to the operating system."""
        self.rtp.close()
        self.rtcp.close()


class PortPool:
    """The ports of `first` to `last` inclusive, handed out in turn."""

    def __init__(self, host: str, first: int, last: int, drain: float = 1.0) -> None:
        """`host` is the local address to bind; `drain` the seconds a used pair rests."""
        self.host = host
        self.drain = drain
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        start = first + first % 2
        self._free: deque[int] = deque(range(start, last, 2))
        self._resting: deque[tuple[float, PortPair]] = deque()
        self.in_use = 0

    def take(self) -> PortPair:
        """Return a bound pair; LocalError when every port of the range is taken."""
        for _ in range(len(self._free)):
            port = self._free.popleft()
            pair = None
            try:
                pair = self._bind(port)
            finally:
                if pair is None:
                    self._free.append(port)
            if pair is not None:
                self.in_use += 1
                return pair
        raise LocalError("rtp.ports: every port of the range is in use; widen the range")

    def give_back(self, pair: PortPair, now: float) -> None:
        """Let a pair rest; `sweep` closes it when its time is over."""
        self.in_use -= 1
        self._resting.append((now + self.drain, pair))

    def sweep(self, now: float) -> None:
        """Close the pairs that rested long enough and make their ports available."""
        while self._resting and self._resting[0][0] <= now:
            _, pair = self._resting.popleft()
            pair.close()
            self._free.append(pair.port)

    def close(self) -> None:
        """Close what still rests."""
        while self._resting:
            self._resting.popleft()[1].close()

    @property
    def resting(self) -> int:
        """Number of pairs that are closed to calls but still bound."""
        return len(self._resting)

    def _bind(self, port: int) -> PortPair | None:
        sockets: list[socket.socket] = []
        try:
            for number in (port, port + 1):
                sock = socket.socket(self._family, socket.SOCK_DGRAM)
                sockets.append(sock)
                sock.setblocking(False)
                sock.bind((self.host, number))
            rtp, rtcp = sockets
            rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        except OSError as error:
            for sock in sockets:
                sock.close()
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return None
            raise LocalError(
                f"rtp.ports: cannot bind {self.host}:{port}: {error.strerror}"
            ) from None
        return PortPair(rtp, rtcp, port)
