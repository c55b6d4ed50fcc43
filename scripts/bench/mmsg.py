"""Arrays of `struct mmsghdr` in numpy, for `sendmmsg` and `recvmmsg`.

Everything a message points at lies in arrays of ours, made once; between two calls only what
changed is written, for all messages at once. The calls go through `ctypes.PyDLL`, which keeps the
interpreter's lock: they never block.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES: Final = 64
"""Of a struct mmsghdr, eight words: name, its length, iov, its count, control, its length, flags,
bytes sent or received."""

_NAME: Final = 16
_CONTROL: Final = 64
_DONTWAIT: Final = 0x40
_SCM_TIMESTAMPNS: Final = 35

_LIBRARY: Final = ctypes.PyDLL(None)
_LIBRARY.sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
_LIBRARY.recvmmsg.argtypes = [
    ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
]  # fmt: skip


def send(descriptor: int, messages: int, count: int) -> int:
    """Send `count` messages that begin at address `messages`; return how many went, -1 for none."""
    sent: int = _LIBRARY.sendmmsg(descriptor, messages, count, 0)
    return sent


def socket_addresses(targets: Sequence[tuple[str, int]]) -> NDArray[np.uint8]:
    """Return one struct sockaddr_in a target, shape (n, 16)."""
    names: NDArray[np.uint8] = np.zeros((len(targets), _NAME), np.uint8)
    for name, (host, port) in zip(names, targets, strict=True):
        name[:2] = np.array([socket.AF_INET], np.uint16).view(np.uint8)
        name[2:4] = (port >> 8, port & 0xFF)
        name[4:8] = np.frombuffer(socket.inet_aton(host), np.uint8)
    return names


class Outgoing:
    """A message for each packet of an array, to the address of the same row of `names`.

    The packets may be changed between two calls, not moved. `names` are as `socket_addresses`
    returns them.
    """

    def __init__(self, packets: NDArray[np.void], names: NDArray[np.uint8]) -> None:
        count, size = packets.shape[0], packets.dtype.itemsize
        rows = np.arange(count, dtype=np.uint64)
        self._packets = packets
        self._names = names
        self._vectors: NDArray[np.uint64] = np.zeros((count, 2), np.uint64)
        self._vectors[:, 0] = packets.ctypes.data + rows * size
        self._vectors[:, 1] = size
        self._messages: NDArray[np.uint64] = np.zeros((count, 8), np.uint64)
        self._messages[:, 0] = names.ctypes.data + rows * _NAME
        self._messages[:, 1] = _NAME
        self._messages[:, 2] = self._vectors.ctypes.data + rows * 16
        self._messages[:, 3] = 1

    def at(self, row: int) -> int:
        """Return the address of a message."""
        return int(self._messages.ctypes.data) + HEADER_BYTES * row


class Incoming:
    """Room for `capacity` datagrams of up to `size` bytes, and what came of them.

    The arrays' first `count` rows are valid. With `detailed` the kernel says of each whence it
    came and when; without, both stay 0 and receiving costs less.
    """

    def __init__(self, capacity: int, size: int, *, detailed: bool) -> None:
        self.capacity = capacity
        self.count = 0
        self.data: NDArray[np.uint8] = np.zeros((capacity, size), np.uint8)
        self._names: NDArray[np.uint8] = np.zeros((capacity, _NAME), np.uint8)
        self._controls: NDArray[np.uint8] = np.zeros((capacity, _CONTROL), np.uint8)
        self._vectors: NDArray[np.uint64] = np.zeros((capacity, 2), np.uint64)
        rows = np.arange(capacity, dtype=np.uint64)
        self._vectors[:, 0] = self.data.ctypes.data + rows * size
        self._vectors[:, 1] = size
        self._messages: NDArray[np.uint64] = np.zeros((capacity, 8), np.uint64)
        self._messages[:, 2] = self._vectors.ctypes.data + rows * 16
        self._messages[:, 3] = 1
        self._detailed = detailed
        if detailed:
            self._messages[:, 0] = self._names.ctypes.data + rows * _NAME
            self._messages[:, 4] = self._controls.ctypes.data + rows * _CONTROL
            self._restore(capacity)
        self._at = int(self._messages.ctypes.data)

    def receive(self, descriptor: int, most: int) -> int:
        """Append at most `most` datagrams that wait in a socket; return how many there were."""
        most = min(most, self.capacity - self.count)
        at = self._at + HEADER_BYTES * self.count
        taken: int = _LIBRARY.recvmmsg(descriptor, at, most, _DONTWAIT, None)
        if taken <= 0:
            return 0
        self.count += taken
        return taken

    def clear(self) -> None:
        """Forget what was received."""
        if self._detailed:
            self._restore(self.count)
        self.count = 0

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Bytes of each datagram."""
        return (self._messages[: self.count, 7] & 0xFFFF_FFFF).astype(np.int64)

    @property
    def ports(self) -> NDArray[np.int64]:
        """The port each came from."""
        names = self._names[: self.count]
        return names[:, 2].astype(np.int64) << 8 | names[:, 3]

    def arrivals(self, offset: float) -> NDArray[np.float64]:
        """Return when each reached this machine; `offset` makes the clock's seconds monotonic."""
        controls = self._controls[: self.count]
        stamped = controls[:, 12:16].copy().view("=u4")[:, 0] == _SCM_TIMESTAMPNS
        seconds = controls[:, 16:32].copy().view("=i8")
        return np.where(stamped, seconds[:, 0] + seconds[:, 1] * 1e-9 + offset, np.nan)

    def _restore(self, count: int) -> None:
        """Make room again for what the kernel cut to the size it used."""
        self._messages[:count, 1] = _NAME
        self._messages[:count, 5] = _CONTROL
        self._messages[:count, 6] = 0
