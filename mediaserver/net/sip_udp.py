"""SIP over UDP: one socket (RFC 3261 18, RFC 3581).

It is read and written here and not by a transport of asyncio: those of uvloop read 32 datagrams in
a row, and 32 new calls are as many milliseconds in which no media moves.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from mediaserver.net.sip_listen import ListenAddress
from mediaserver.sip.hop import Hop, Transport

RECEIVE_BUFFER = 1 << 20
"""Asked of the kernel, so that a burst of calls waits there while the loop is busy."""

TURN: Final = 0.001
"""Seconds of reading, begun messages apart, after which the loop goes round: what else is due, the
media's tick above all, comes between."""

MAX_DATAGRAM: Final = 1 << 16

# linux/in.h and linux/in6.h; the socket module has no names for them in Python 3.11.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err
_ERRORS_AT_ONCE = 64


class UdpSocket:
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
        self._buffer = memoryview(bytearray(MAX_DATAGRAM))
        self._loop = asyncio.get_running_loop()
        # An error that waits on a socket makes uvloop stop watching it; it does not see through
        # the descriptor of a set of one.
        self._ready = select.epoll(1)
        self._ready.register(sock, select.EPOLLIN)
        self._loop.add_reader(self._ready.fileno(), self._read)
        self._closed = False
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
        return cls(sock, receive, failed)

    def send(self, remote: tuple[str, int], data: bytes) -> None:
        """Send one datagram; what the system refuses at once is reported to `failed`.

        Where the system has no room for it, it is as if the network had lost it.
        """
        if self._closed or self._refuses(remote, data) is None:
            return
        # An ICMP error for an earlier datagram is delivered with the next send, whatever that
        # is about. Once those are collected the send is tried again for itself.
        self._collect_errors()
        if self._refuses(remote, data) is not None:
            self._failed(Hop(Transport.UDP, self.local, remote))

    def _refuses(self, remote: tuple[str, int], data: bytes) -> Exception | None:
        try:
            self._sock.sendto(data, remote)
        except BlockingIOError:
            return None
        except (OSError, ValueError, OverflowError) as error:  # such as one of the other family
            return error
        return None

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
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._ready.fileno())
            self._ready.close()
            self._sock.close()

    def _read(self) -> None:
        """Pass on what came, for as long as a turn lasts."""
        over = time.monotonic() + TURN
        while not self._closed:
            try:
                size, address = self._sock.recvfrom_into(self._buffer)
            except OSError:
                # None is left, or ICMP had something to say, which takes the place of one.
                self._collect_errors()
                return
            self._pass_on(bytes(self._buffer[:size]), address)
            if time.monotonic() >= over:
                return

    def _pass_on(self, data: bytes, address: tuple[Any, ...]) -> None:
        self._receive(data, Hop(Transport.UDP, self.local, (address[0], address[1])))


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
