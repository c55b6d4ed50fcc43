"""UDP sockets on loopback."""

from __future__ import annotations

import socket

from .options import HOST


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
