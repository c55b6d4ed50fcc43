"""Draining many UDP sockets into one `PacketBatch`: by `recvmmsg`, or portably.

The lane through `recvmmsg` costs one system call a socket and no Python object a packet. It goes
through `ctypes.PyDLL`, which keeps the interpreter's lock: a call that cannot block needs no
release, and taking the lock back is what would cost. The kernel's own arrival time comes with
each packet, so a socket may be left alone for 100 ms and nobody's timing suffers.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..rtp.packet import STRIDE, PacketBatch, source_key

ROUND: Final = 24
"""Datagrams taken from one socket before the others have their turn: with packets of 60 ms less
audio than the ring of a line holds."""

CAPACITY: Final = 4096
"""Datagrams in a batch."""

_NAME: Final = 32
_CONTROL: Final = 64
_MSG_DONTWAIT: Final = 0x40
_SCM_TIMESTAMPNS: Final = 35


class Sweeper(Protocol):
    """Takes what waits in sockets."""

    batch: PacketBatch

    def sweep(
        self, sockets: Sequence[tuple[int, socket.socket]], start: int = 0
    ) -> tuple[int, list[int]]:
        """Fill `batch` from `sockets` (pairs of slot and socket), beginning at index `start`.

        Returns the index to go on at (len(sockets) when all had their turn) and the indices of
        those sockets that may hold more than the `ROUND` datagrams taken from them.
        """


class PortableSweeper:
    """One `recvfrom` a packet: for systems without `recvmmsg`, and to test the other against."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.batch = PacketBatch.empty(capacity)

    def sweep(
        self, sockets: Sequence[tuple[int, socket.socket]], start: int = 0
    ) -> tuple[int, list[int]]:
        """See `Sweeper.sweep`."""
        batch = self.batch
        batch.count = 0
        more: list[int] = []
        capacity = batch.data.shape[0]
        for index in range(start, len(sockets)):
            if capacity - batch.count < ROUND:
                return index, more
            slot, sock = sockets[index]
            taken = 0
            with contextlib.suppress(OSError):  # empty, or an ICMP error of an earlier send
                while taken < ROUND:
                    datagram, address = sock.recvfrom(STRIDE)
                    key = source_key(address[0], address[1])
                    batch.append(slot, datagram, key, time.monotonic())
                    taken += 1
            if taken == ROUND:
                more.append(index)
        return len(sockets), more


class BatchSweeper:
    """`recvmmsg` into one buffer, its message headers made once."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.batch = batch = PacketBatch.empty(capacity)
        self._receive = ctypes.PyDLL(None, use_errno=False).recvmmsg
        self._receive.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
        ]  # fmt: skip
        self._receive.restype = ctypes.c_int
        self._names: NDArray[np.uint8] = np.zeros((capacity, _NAME), np.uint8)
        self._controls: NDArray[np.uint8] = np.zeros((capacity, _CONTROL), np.uint8)
        vectors = np.zeros((capacity, 2), np.uint64)
        rows = np.arange(capacity, dtype=np.uint64)
        vectors[:, 0] = batch.data.ctypes.data + rows * STRIDE
        vectors[:, 1] = STRIDE
        self._vectors = vectors
        # struct mmsghdr as eight words: name, its length, iov, its count, control, its length,
        # flags, bytes received.
        self._messages: NDArray[np.uint64] = np.zeros((capacity, 8), np.uint64)
        self._messages[:, 0] = self._names.ctypes.data + rows * _NAME
        self._messages[:, 1] = _NAME
        self._messages[:, 2] = vectors.ctypes.data + rows * 16
        self._messages[:, 3] = 1
        self._messages[:, 4] = self._controls.ctypes.data + rows * _CONTROL
        self._messages[:, 5] = _CONTROL
        self._at = [int(self._messages.ctypes.data) + 64 * row for row in range(capacity)]
        self._counts: NDArray[np.int64] = np.zeros(capacity, np.int64)

    def sweep(
        self, sockets: Sequence[tuple[int, socket.socket]], start: int = 0
    ) -> tuple[int, list[int]]:
        """See `Sweeper.sweep`."""
        at, receive = self._at, self._receive
        room = len(at)
        filled, index, more = 0, start, []
        slots: list[int] = []
        counts: list[int] = []
        for index in range(start, len(sockets)):
            if room - filled < ROUND:
                break
            slot, sock = sockets[index]
            taken = receive(sock.fileno(), at[filled], ROUND, _MSG_DONTWAIT, None)
            if taken > 0:
                slots.append(slot)
                counts.append(taken)
                filled += taken
                if taken == ROUND:
                    more.append(index)
        else:
            index = len(sockets)
        self._describe(filled, slots, counts)
        return index, more

    def _describe(self, filled: int, slots: list[int], counts: list[int]) -> None:
        """Fill in the batch's arrays from what the kernel wrote, and make the headers fit again."""
        batch = self.batch
        batch.count = filled
        if not filled:
            return
        messages, names = self._messages[:filled], self._names[:filled]
        batch.length[:filled] = messages[:, 7] & 0xFFFF_FFFF
        batch.slot[:filled] = np.repeat(np.array(slots, np.int64), counts)
        port = names[:, 2].astype(np.int64) << 8 | names[:, 3]
        host = names[:, 4:8].copy().view(">u4")[:, 0].astype(np.int64)
        batch.source[:filled] = host << 16 | port
        for row in np.flatnonzero(names[:, 0] == socket.AF_INET6):
            text = socket.inet_ntop(socket.AF_INET6, names[row, 8:24].tobytes())
            batch.source[row] = source_key(text, int(port[row]))
        control = self._controls[:filled]
        stamped = control[:, 12:16].copy().view("=u4")[:, 0] == _SCM_TIMESTAMPNS
        stamp = control[:, 16:32].copy().view("=i8")
        now = time.monotonic()
        offset = now - time.time()
        arrival = stamp[:, 0] + stamp[:, 1] * 1e-9 + offset
        # A step of the wall clock between arrival and now must not move the audio.
        usable = stamped & (arrival <= now + 0.001) & (arrival > now - 5.0)
        batch.arrival[:filled] = np.where(usable, arrival, now)
        messages[:, 1] = _NAME
        messages[:, 5] = _CONTROL
        messages[:, 6] = 0


def make_sweeper(*, portable: bool = False, capacity: int = CAPACITY) -> Sweeper:
    """Return the quickest sweeper this system has."""
    if not portable and sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8:
        with contextlib.suppress(AttributeError, OSError):
            return BatchSweeper(capacity)
    return PortableSweeper(capacity)
