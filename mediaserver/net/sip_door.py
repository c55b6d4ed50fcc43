"""Connections over TLS that come in, until their handshake is done.

A handshake costs us more than it costs a stranger. So only so many go on at a time, of one host
fewer, and each has its time; those that come to nothing are told of in the log now and then.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from mediaserver.net.sip_tls import TlsContexts

ACCEPTED_AT_A_TURN: Final = 4
"""Connections, after which the loop goes round: what else is due comes between."""

TOLD_EVERY: Final = 60.0
"""Seconds between two lines of the log about handshakes that failed."""

NO_DESCRIPTOR: Final = 1.0
"""Seconds until the next attempt where the system had no descriptor left."""


@dataclass(frozen=True, slots=True)
class Handshakes:
    """How much of them there may be."""

    at_a_time: int = 64
    of_one_host: int = 16
    timeout: float = 5.0
    """Seconds, from the connection to the end of the handshake."""


HANDSHAKES: Final = Handshakes()


class TlsDoor:
    """One listening socket. `made` makes what gets a connection once its handshake is done."""

    def __init__(
        self,
        sock: socket.socket,
        contexts: TlsContexts,
        limits: Handshakes,
        made: Callable[[], asyncio.BaseProtocol],
        shutdown: float,
    ) -> None:
        """`shutdown` are the seconds that a peer has to agree to the end of a connection."""
        self._sock = sock
        self._contexts = contexts
        self._limits = limits
        self._made = made
        self._shutdown = shutdown
        self._loop = asyncio.get_running_loop()
        self._shaking: set[asyncio.Task[None]] = set()
        self._hosts: Counter[str] = Counter()
        self._resting: asyncio.TimerHandle | None = None
        self._failed = 0
        self._told_at = -TOLD_EVERY
        self._log = structlog.get_logger("sip")
        self._loop.add_reader(sock.fileno(), self._accept)

    async def close(self) -> None:
        """Take in nobody any more; handshakes that go on end."""
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for task in list(self._shaking):
            task.cancel()
        await asyncio.gather(*self._shaking, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_A_TURN):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError:
                self._loop.remove_reader(self._sock.fileno())
                self._resting = self._loop.call_later(NO_DESCRIPTOR, self._wake)
                return
            self._let_in(sock, str(address[0]))

    def _wake(self) -> None:
        self._resting = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _let_in(self, sock: socket.socket, host: str) -> None:
        limits = self._limits
        if len(self._shaking) >= limits.at_a_time or self._hosts[host] >= limits.of_one_host:
            sock.close()
            self._tell(host, "too many handshakes at a time")
            return
        sock.setblocking(False)
        self._hosts[host] += 1
        task = self._loop.create_task(self._shake(sock, host))
        self._shaking.add(task)
        task.add_done_callback(lambda task: self._done(task, host))

    def _done(self, task: asyncio.Task[None], host: str) -> None:
        self._shaking.discard(task)
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    async def _shake(self, sock: socket.socket, host: str) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._made,
                sock,
                ssl=self._contexts.server,
                ssl_handshake_timeout=self._limits.timeout,
                ssl_shutdown_timeout=self._shutdown,
            )
        except OSError as error:
            sock.close()
            self._tell(host, _why(error))

    def _tell(self, host: str, why: str) -> None:
        """Log the first, and then how many there were, with the latest."""
        self._failed += 1
        now = self._loop.time()
        if now - self._told_at < TOLD_EVERY:
            return
        self._log.warning("TLS handshakes failed", count=self._failed, peer=host, why=why)
        self._told_at, self._failed = now, 0


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return str(error) or type(error).__name__
