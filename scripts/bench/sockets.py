"""UDP sockets on loopback."""

from __future__ import annotations

import socket
from typing import Final

from .options import HOST

_SO_TIMESTAMPNS: Final = 35


def bound(port: int) -> socket.socket:
    """Return a non-blocking UDP socket on `port`; an OSError names the port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"UDP port {port}: {error.strerror}") from None
    return sock


def stamp_arrivals(sock: socket.socket) -> None:
    """Have the kernel say of every datagram when it arrived."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
