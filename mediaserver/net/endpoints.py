"""Each leg's socket and where it sends, as the kernel wants to be told."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..rtp.packet import source_key

NAME: Final = 28
"""Bytes of the largest address, `struct sockaddr_in6`."""

_IN4: Final = struct.Struct("=H")
_PORT: Final = struct.Struct(">H")


class Endpoints:
    """The sockets of `capacity` legs and the addresses they send to, in parallel arrays."""

    def __init__(self, capacity: int) -> None:
        self.sockets: dict[int, socket.socket] = {}
        self.descriptors: NDArray[np.int32] = np.full(capacity, -1, np.int32)
        self.names: NDArray[np.uint8] = np.zeros((capacity, NAME), np.uint8)
        """A `struct sockaddr` a leg."""
        self.sizes: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Bytes of it; 0 where a leg sends nowhere."""
        self._announced: dict[int, tuple[str, int]] = {}
        self._keys: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._sends: NDArray[np.bool_] = np.zeros(capacity, np.bool_)

    def open(self, slot: int, sock: socket.socket) -> None:
        """Begin a leg that has a socket and sends nowhere yet."""
        self.sockets[slot] = sock
        self.descriptors[slot] = sock.fileno()
        self.set(slot, None)

    def close(self, slot: int) -> None:
        """Forget a leg."""
        self.set(slot, None)
        self.descriptors[slot] = -1
        del self.sockets[slot]

    def set(self, slot: int, address: tuple[str, int] | None) -> None:
        """Send the media of `slot` to the address SDP names; None: nowhere.

        Where SDP gives a name instead of an address, media goes nowhere until it comes.
        """
        self._announced.pop(slot, None)
        self.sizes[slot] = self._keys[slot] = 0
        self._sends[slot] = address is not None
        if address is not None:
            self._announced[slot] = address
            with contextlib.suppress(OSError):
                self._write(slot, address, source_key(*address))

    def follow(self, slot: NDArray[np.int64], accepted: NDArray[np.int64]) -> None:
        """Send where media comes from, if that was learned to be elsewhere than SDP says.

        `accepted` is the key of that address for each of `slot`, 0 where none is known.
        """
        elsewhere = (accepted != self._keys[slot]) & (accepted != 0) & self._sends[slot]
        for index in np.flatnonzero(elsewhere):
            one, key = int(slot[index]), int(accepted[index])
            with contextlib.suppress(OSError):
                self._write(one, self._heard(one, key), key)

    def address(self, slot: int) -> tuple[str, int] | None:
        """Return where the leg sends, None for nowhere."""
        if not self.sizes[slot]:
            return None
        return self._heard(slot, int(self._keys[slot]))

    def _heard(self, slot: int, key: int) -> tuple[str, int]:
        """Return the address of a key; of an IPv6 one only the port can have been learned."""
        if key >> 16 < 1 << 32:
            return socket.inet_ntoa((key >> 16).to_bytes(4, "big")), key & 0xFFFF
        return self._announced[slot][0], key & 0xFFFF

    def _write(self, slot: int, address: tuple[str, int], key: int) -> None:
        host, port = address
        six = ":" in host
        name = _IN4.pack(socket.AF_INET6 if six else socket.AF_INET) + _PORT.pack(port)
        if six:
            name += bytes(4) + socket.inet_pton(socket.AF_INET6, host) + bytes(4)
        else:
            name += socket.inet_aton(host) + bytes(8)
        self.names[slot, : len(name)] = np.frombuffer(name, np.uint8)
        self.sizes[slot] = len(name)
        self._keys[slot] = key
