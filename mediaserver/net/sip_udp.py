"""SIP over UDP: one socket (RFC 3261 18, RFC 3581)."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, cast

from mediaserver.net.sip_listen import MAX_OUTGOING, ListenAddress
from mediaserver.sip.hop import Hop, Transport

RECEIVE_BUFFER = 1 << 20
"""Asked of the kernel, so that a burst of calls waits there while the loop is busy."""

# linux/in.h and linux/in6.h; the socket module has no names for them in Python 3.11.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err
_ERRORS_AT_ONCE = 64


class _Transport(Protocol):
    """What datagram transports of asyncio and uvloop have in common, and is used here."""

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def close(self) -> None: ...


class UdpSocket(asyncio.DatagramProtocol):
    """One bound socket; `local` is the address it has, with the real port."""

    def __init__(
        self,
        sock: socket.socket,
        receive: Callable[[bytes, Hop], None],
        failed: Callable[[Hop], None],
    ) -> None:
        self._sock = sock
        self._receive = receive
        self._failed = failed
        self._transport: _Transport | None = None
        self._send_error: OSError | None = None
        self.local: tuple[str, int] = sock.getsockname()[:2]

    @classmethod
    async def open(
        cls,
        listen: ListenAddress,
        receive: Callable[[bytes, Hop], None],
        failed: Callable[[Hop], None],
    ) -> UdpSocket:
        """Bind; LocalError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(listen.host, listen.port, type=socket.SOCK_DGRAM)
            sock = _bound(found[0][0], found[0][4])
        except OSError as error:
            raise listen.error(error) from error
        protocol = cls(sock, receive, failed)
        await loop.create_datagram_endpoint(lambda: protocol, sock=sock)
        return protocol

    def send(self, remote: tuple[str, int], data: bytes) -> None:
        """Send one datagram; what the system refuses at once is reported to `failed`."""
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > MAX_OUTGOING:
            return  # as if the network had lost it
        if self._refuses(transport, remote, data) is None:
            return
        # An ICMP error for an earlier datagram is delivered with the next send, whatever that
        # is about. Once those are collected the send is tried again for itself.
        self._collect_errors()
        if self._refuses(transport, remote, data) is not None:
            self._failed(Hop(Transport.UDP, self.local, remote))

    def _refuses(
        self, transport: _Transport, remote: tuple[str, int], data: bytes
    ) -> OSError | None:
        self._send_error = None
        try:
            transport.sendto(data, remote)
        except (OSError, ValueError) as error:  # an address of the other family
            return error if isinstance(error, OSError) else OSError(str(error))
        return self._send_error

    def _collect_errors(self) -> None:
        for _ in range(_ERRORS_AT_ONCE):
            try:
                _, ancillary, _, address = self._sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            if address and any(_is_fatal(data) for _, _, data in ancillary):
                self._failed(Hop(Transport.UDP, self.local, address[:2]))

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("_Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more can be sent."""
        self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass a datagram on."""
        self._receive(data, Hop(Transport.UDP, self.local, (addr[0], addr[1])))

    def error_received(self, exc: Exception) -> None:
        """Note the error of a send that is under way, or see what ICMP had to say."""
        self._send_error = exc if isinstance(exc, OSError) else OSError(str(exc))
        self._collect_errors()


def _is_fatal(extended_error: bytes) -> bool:
    """False for a message that only tells the path's MTU."""
    if len(extended_error) < _EXTENDED_ERROR.size:
        return False
    number = _EXTENDED_ERROR.unpack_from(extended_error)[0]
    return bool(number) and number != errno.EMSGSIZE


def _bound(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        with suppress(OSError):  # elsewhere than on Linux we go without ICMP
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock
