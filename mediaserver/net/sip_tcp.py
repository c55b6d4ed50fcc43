"""SIP over TCP and TLS: listeners and connections (RFC 3261 18, 26.3.1, RFC 5626 3.5.1).

A connection is known by its hop: the address we listen on, which says who we are, and the
address of the peer. What a stranger can do with a connection is bounded in every direction:
how many there are, how long one idles, how long a message may take to arrive whole, how much
is held of it, and how much waits to be read by a peer that does not read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from mediaserver.errors import PeerError
from mediaserver.net.sip_door import HANDSHAKES, Handshakes, TlsDoor
from mediaserver.net.sip_listen import MAX_OUTGOING, ListenAddress
from mediaserver.net.sip_tls import TlsContexts, objection, sought, trouble
from mediaserver.sip.framing import KeepAlive, StreamFramer
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.limits import MAX_MESSAGE_BYTES

_READ_SIZE = 16_384
_BACKLOG = 256
_PONG = b"\r\n"
_PARTING = 2.0
"""Seconds for a peer to agree to the end of TLS, before the connection is closed all the same."""


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """Seconds and sizes."""

    max_connections: int = 1_000
    connect_timeout: float = 10.0
    idle_timeout: float = 120.0
    """Without a message in either direction, unless a session needs the connection."""
    message_timeout: float = 32.0
    """From the first byte of a message to its last: sending slowly is no progress."""
    max_buffered: int = MAX_MESSAGE_BYTES
    """Bytes held of an unfinished message, or for a connection that is not open yet."""
    handshakes: Handshakes = HANDSHAKES
    """Of TLS, with those who connect to us; connections that are not open yet count as none."""


@dataclass(frozen=True, slots=True)
class TcpUser:
    """What connections report to. None of it may raise."""

    receive: Callable[[bytes, Hop], None]
    """One whole message."""
    broken: Callable[[PeerError, Hop], None]
    """The stream makes no sense any more; what is sent now still goes out before the close."""
    failed: Callable[[Hop, str], None]
    """The connection is gone, or never came to be; with a sentence where TLS is why, else ""."""
    needed: Callable[[Hop], bool]
    """True when an idle connection should stay."""


class TcpConnection(asyncio.BufferedProtocol):
    """One connection, from before it is open until it is closed."""

    def __init__(
        self, owner: TcpConnections, over: Transport, local: tuple[str, int], hop: Hop | None
    ) -> None:
        self._owner = owner
        self._over = over
        self._local = local
        self.hop = hop
        """None until an accepted connection knows its peer."""
        self._trouble = ""
        self._loop = asyncio.get_running_loop()
        self._limits = owner.limits
        self._framer = StreamFramer(owner.limits.max_buffered)
        self._transport: asyncio.Transport | None = None
        self._waiting = bytearray()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._message_timer: asyncio.TimerHandle | None = None
        self._active_at = self._loop.time()

    def send(self, data: bytes) -> None:
        """Write, or keep it until the connection is open."""
        self._active_at = self._loop.time()
        if self._transport is None:
            if len(self._waiting) + len(data) <= self._limits.max_buffered:
                self._waiting += data
        elif not self._transport.is_closing():
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > MAX_OUTGOING:
                self._transport.abort()

    def close(self) -> None:
        """Close once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        self._transport = cast("asyncio.Transport", transport)
        if self.hop is None:
            peer = transport.get_extra_info("peername")
            if peer is None or self._owner.full:
                self._transport.abort()
                return
            self.hop = Hop(self._over, self._local, tuple(peer[:2]))
            self._owner.add(self.hop, self)
        elif self._over is Transport.TLS:
            # Not a byte goes to somebody else than was meant (RFC 5922 7.3).
            self._trouble = objection(transport.get_extra_info("peercert"), self.hop)
            if self._trouble:
                self._transport.abort()
                return
        if self._waiting:
            self._transport.write(bytes(self._waiting))
            self._waiting.clear()
        self._idle_timer = self._loop.call_later(self._limits.idle_timeout, self._idle)

    def get_buffer(self, sizehint: int) -> bytearray:
        """One buffer serves all connections: what is read into it is used before the next read."""
        return self._owner.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Cut messages out of what arrived."""
        transport, hop = self._transport, self.hop
        if transport is None or hop is None or transport.is_closing():
            return
        try:
            frames = self._framer.feed(bytes(memoryview(self._owner.read_buffer)[:nbytes]))
        except PeerError as error:
            self._break(error, hop)
            return
        if frames:
            self._active_at = self._loop.time()
        for frame in frames:
            if isinstance(frame, KeepAlive):
                self.send(_PONG)
            else:
                self._owner.user.receive(frame, hop)
        if self._framer.error is not None:
            self._break(self._framer.error, hop)
            return
        self._watch_message(restart=bool(frames))

    def _break(self, error: PeerError, hop: Hop) -> None:
        self._owner.user.broken(error, hop)
        self.close()
        # A peer that does not read must not keep it half open.
        self._watch(self._limits.message_timeout)

    def _watch_message(self, *, restart: bool) -> None:
        if self._message_timer is not None and (restart or not self._framer.buffered):
            self._message_timer.cancel()
            self._message_timer = None
        if self._framer.buffered and self._message_timer is None:
            self._watch(self._limits.message_timeout)

    def _watch(self, seconds: float) -> None:
        if self._message_timer is not None:
            self._message_timer.cancel()
        self._message_timer = self._loop.call_later(seconds, self.abort)

    def _idle(self) -> None:
        assert self.hop is not None
        left = self._active_at + self._limits.idle_timeout - self._loop.time()
        if left <= 0 and not self._owner.user.needed(self.hop):
            self.close()
            return
        wait = left if left > 0 else self._limits.idle_timeout
        self._idle_timer = self._loop.call_later(wait, self._idle)

    def eof_received(self) -> bool:
        """They will send no more: then neither do we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks and say so."""
        for timer in (self._idle_timer, self._message_timer):
            if timer is not None:
                timer.cancel()
        if exc is not None and self.hop is not None and not self._trouble:
            self._trouble = trouble(exc, self.hop)
        self._owner.lost(self, self._trouble)


class TcpConnections:
    """Every listener and connection of one endpoint."""

    def __init__(
        self, user: TcpUser, limits: TcpLimits, contexts: TlsContexts | None = None
    ) -> None:
        """Without `contexts` there is no TLS."""
        self.user = user
        self.limits = limits
        self._contexts = contexts
        self._doors: list[TlsDoor] = []
        self.read_buffer = bytearray(_READ_SIZE)
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Hop, TcpConnection] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def full(self) -> bool:
        """True when there are as many connections as there may be."""
        return len(self._connections) >= self.limits.max_connections

    async def listen(self, listen: ListenAddress) -> tuple[str, int]:
        """Listen and return the real address; LocalError when it cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)
            sock = _bound(found[0][0], found[0][4])
        except OSError as error:
            raise listen.error(error) from error
        local: tuple[str, int] = sock.getsockname()[:2]

        def accepted() -> TcpConnection:
            return TcpConnection(self, listen.transport, local, None)

        if listen.transport is Transport.TCP:
            server = await loop.create_server(accepted, sock=sock, backlog=_BACKLOG)
            self._servers.append(server)
        else:
            assert self._contexts is not None
            handshakes = self.limits.handshakes
            self._doors.append(TlsDoor(sock, self._contexts, handshakes, accepted, _PARTING))
        return local

    def send(self, hop: Hop, data: bytes) -> None:
        """Send over the connection of this hop, opening it when there is none."""
        connection = self._connections.get(hop)
        if connection is not None:
            connection.send(data)
        elif self.full:
            self.user.failed(hop, "")
        else:
            connection = TcpConnection(self, hop.transport, hop.local, hop)
            connection.send(data)
            self.add(hop, connection)
            task = asyncio.get_running_loop().create_task(self._connect(hop, connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, hop: Hop, connection: TcpConnection) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.connect_timeout):
                if hop.transport is Transport.TCP:
                    await loop.create_connection(lambda: connection, *hop.remote)
                elif self._contexts is not None:
                    await loop.create_connection(
                        lambda: connection,
                        *hop.remote,
                        ssl=self._contexts.client(hop.name),
                        server_hostname=sought(hop),
                        ssl_handshake_timeout=self.limits.connect_timeout,
                        ssl_shutdown_timeout=_PARTING,
                    )
                else:
                    self.lost(connection)
        except OSError as error:  # a TimeoutError is one too
            self.lost(connection, trouble(error, hop))

    def add(self, hop: Hop, connection: TcpConnection) -> None:
        """Know a connection by its hop from now on."""
        self._connections[hop] = connection
        self._empty.clear()

    def lost(self, connection: TcpConnection, why: str = "") -> None:
        """Forget a connection and tell the user, once."""
        hop = connection.hop
        if hop is None or self._connections.get(hop) is not connection:
            return
        del self._connections[hop]
        if not self._connections:
            self._empty.set()
        self.user.failed(hop, why)

    async def close(self, grace: float) -> None:
        """Close everything; after `grace` seconds without regard to what is unwritten."""
        for server in self._servers:
            server.close()
        for door in self._doors:
            await door.close()
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._connections.values()):
            connection.close()
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections.values()):
                connection.abort()
        self._servers.clear()
        self._doors.clear()


def _bound(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
