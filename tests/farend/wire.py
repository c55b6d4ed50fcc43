"""SIP messages and their way over UDP, TCP and TLS; nothing here is shared with the server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

_COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
}


@dataclass(frozen=True)
class SipMessage:
    """A message as it came: start line, fields in order, body."""

    start: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> SipMessage:
        """Read a whole message."""
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        fields = []
        for line in lines:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields.append((_COMPACT.get(name, name), value.strip()))
        return cls(first, tuple(fields), body)

    @property
    def status(self) -> int:
        """The status of a response, 0 of a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """The method of a request, or of the request that a response answers."""
        if self.status:
            return (self.get("cseq").split() or [""])[-1]
        return self.start.split(" ")[0]

    @property
    def number(self) -> int:
        """The number of its CSeq."""
        return int((self.get("cseq") or "0").split()[0])

    def get(self, name: str) -> str:
        """Return the first field of a name, empty if there is none."""
        return next((value for found, value in self.fields if found == name.lower()), "")

    def get_all(self, name: str) -> list[str]:
        """Return all fields of a name."""
        return [value for found, value in self.fields if found == name.lower()]


class UdpWire(asyncio.DatagramProtocol):
    """SIP over UDP from a chosen address."""

    name = "UDP"

    def __init__(self, server: tuple[str, int]) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()
        self._server = server

    @classmethod
    async def open(cls, server: tuple[str, int], host: str) -> UdpWire:
        """Bind a free port of `host`."""
        loop = asyncio.get_running_loop()
        transport, wire = await loop.create_datagram_endpoint(
            lambda: cls(server), local_addr=(host, 0)
        )
        wire._transport = transport
        return wire

    @property
    def local(self) -> tuple[str, int]:
        """The own address."""
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.inbox.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there any more: a phone finds out by its timers."""

    async def send(self, data: bytes) -> None:
        """Send one datagram."""
        self._transport.sendto(data, self._server)

    async def close(self) -> None:
        """Give the port back."""
        self._transport.close()

    _transport: asyncio.DatagramTransport


class TcpWire:
    """SIP over one TCP connection."""

    name = "TCP"

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, server: tuple[str, int], host: str) -> TcpWire:
        """Connect from a free port of `host`."""
        return cls(*await asyncio.open_connection(*server, local_addr=(host, 0)))

    @property
    def local(self) -> tuple[str, int]:
        """The own address."""
        host, port = self._writer.get_extra_info("sockname")[:2]
        return host, port

    async def send(self, data: bytes) -> None:
        """Send octets, a message or a part of one."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    async def close(self) -> None:
        """Close the connection."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.close()
        # TLS takes it ill that the far end went on talking while we closed.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readuntil(b"\r\n\r\n")
                if not head.strip():
                    continue
                message = SipMessage.parse(head)
                body = await self._reader.readexactly(int(message.get("content-length") or 0))
                self.inbox.put_nowait(head + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()


class TlsWire(TcpWire):
    """SIP over one TLS connection; whoever answers will do, and is shown no certificate."""

    name = "TLS"

    @classmethod
    async def open(cls, server: tuple[str, int], host: str) -> TlsWire:
        """Connect from a free port of `host`."""
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        return cls(*await asyncio.open_connection(*server, local_addr=(host, 0), ssl=trusting))


Wire = UdpWire | TcpWire


async def open_wire(transport: str, server: tuple[str, int], host: str = "127.0.0.1") -> Wire:
    """Open SIP over `udp`, `tcp` or `tls` to `server`, from `host`."""
    if transport == "tls":
        return await TlsWire.open(server, host)
    if transport == "tcp":
        return await TcpWire.open(server, host)
    return await UdpWire.open(server, host)
