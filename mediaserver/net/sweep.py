"""Draining many UDP sockets into one `PacketBatch`: by `recvmmsg`, or portably.

The lane through `recvmmsg` costs one system call a socket and no Python object a packet. It goes
through `ctypes.PyDLL`, which keeps the interpreter's lock: a call that cannot block needs no
release, and taking the lock back is what would cost. The kernel's own arrival time comes with
each packet, so a socket may be left alone for 100 ms and nobody's timing suffers. See `net.uring`
for the lane that costs one system call for all sockets.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import time
from collections.abc import Iterable
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..rtp.packet import NOBODY, STRIDE, PacketBatch, source_key

ROUND: Final = 24
"""Datagrams taken from one socket before the others have their turn: with packets of 60 ms less
audio than the ring of a line holds."""

CAPACITY: Final = 4096
"""Datagrams in a batch."""

_NAME: Final = 32
_CONTROL: Final = 64
_MSG_DONTWAIT: Final = 0x40
_SCM_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("=qq")
_OLDEST: Final = 5.0
"""Seconds; what claims to have waited longer says that the wall clock was set."""


class SocketSet:
    """Sockets that are swept together, and the slot of each, in parallel arrays.

    `expected` is how many datagrams one of them is likely to hold: where it is 1, a lane may take
    no more.
    """

    def __init__(
        self, slots: Iterable[int], sockets: Iterable[socket.socket], expected: int = ROUND
    ) -> None:
        self.expected = expected
        self.slot: NDArray[np.int64] = np.array(list(slots), np.int64)
        self.sockets: NDArray[np.object_] = np.array(list(sockets), np.object_)
        self.descriptor: NDArray[np.int32] = np.array(
            [sock.fileno() for sock in self.sockets], np.int32
        )

    def __len__(self) -> int:
        return self.slot.size

    def take(self, wanted: NDArray[np.int64] | NDArray[np.bool_], expected: int) -> SocketSet:
        """Return some of them, by index or by a mask, and how many datagrams each may hold."""
        taken = SocketSet.__new__(SocketSet)
        taken.expected = expected
        taken.slot = self.slot[wanted]
        taken.sockets = self.sockets[wanted]
        taken.descriptor = self.descriptor[wanted]
        return taken


class Sweeper(Protocol):
    """Takes what waits in sockets."""

    batch: PacketBatch

    def sweep(self, sockets: SocketSet, start: int = 0) -> tuple[int, NDArray[np.int64]]:
        """Add to `batch` what `sockets` hold, beginning at index `start`, while there is room.

        Returns the index to go on at (len(sockets) when all had their turn) and the indices of
        those sockets that may hold more than what was taken from them.
        """


class PortableSweeper:
    """One `recvmsg` a packet: for systems without `recvmmsg`, and to test the other against."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.batch = PacketBatch.empty(capacity)

    def sweep(self, sockets: SocketSet, start: int = 0) -> tuple[int, NDArray[np.int64]]:
        """See `Sweeper.sweep`."""
        batch = self.batch
        more: list[int] = []
        index = start
        while index < len(sockets) and batch.room >= ROUND:
            slot, sock = int(sockets.slot[index]), sockets.sockets[index]
            taken = 0
            with contextlib.suppress(OSError):  # empty, or an ICMP error of an earlier send
                while taken < ROUND:
                    datagram, notes, _, address = sock.recvmsg(STRIDE, _CONTROL)
                    key = source_key(address[0], address[1])
                    batch.append(slot, datagram, key, _arrival(notes))
                    taken += 1
            if taken == ROUND:
                more.append(index)
            index += 1
        return index, np.array(more, np.int64)


def _arrival(notes: list[tuple[int, int, bytes]]) -> float:
    """Return when a datagram arrived: as the kernel noted, where it does, else now."""
    now = time.monotonic()
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SCM_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            arrival = float(seconds + nanoseconds * 1e-9 + now - time.time())
            if now - _OLDEST < arrival <= now:
                return arrival
    return now


class Inbox:
    """One buffer for a batch of datagrams, and the `struct mmsghdr`s that fill it, made once."""

    def __init__(self, capacity: int) -> None:
        self.batch = batch = PacketBatch.empty(capacity)
        self._names: NDArray[np.uint8] = np.zeros((capacity, _NAME), np.uint8)
        self._controls: NDArray[np.uint8] = np.zeros((capacity, _CONTROL), np.uint8)
        self._vectors: NDArray[np.uint64] = np.zeros((capacity, 2), np.uint64)
        rows = np.arange(capacity, dtype=np.uint64)
        self._vectors[:, 0] = batch.data.ctypes.data + rows * STRIDE
        self._vectors[:, 1] = STRIDE
        # struct mmsghdr as eight words: name, its length, iov, its count, control, its length,
        # flags, bytes received. The first seven are a struct msghdr.
        self._messages: NDArray[np.uint64] = np.zeros((capacity, 8), np.uint64)
        self._messages[:, 0] = self._names.ctypes.data + rows * _NAME
        self._messages[:, 2] = self._vectors.ctypes.data + rows * 16
        self._messages[:, 3] = 1
        self._messages[:, 4] = self._controls.ctypes.data + rows * _CONTROL
        self._renew(slice(capacity))
        self.addresses: NDArray[np.uint64] = self._messages.ctypes.data + rows * 64
        """Where each message header is."""

    def received(self, count: int) -> NDArray[np.int64]:
        """Return the bytes that `recvmmsg` said it put into each of so many rows to be added."""
        first = self.batch.count
        return self._messages[first : first + count, 7].astype(np.int64) & 0xFFFF_FFFF

    def add(self, slot: NDArray[np.int64], length: NDArray[np.int64]) -> None:
        """Add rows that the kernel wrote to the batch, and make their headers fit again.

        Both arrays are of shape (rows,); a length of 0 says that nothing came for a row.
        """
        if not slot.size:
            return
        batch = self.batch
        rows = slice(batch.count, batch.count + slot.size)
        batch.count = rows.stop
        names = self._names[rows]
        batch.length[rows] = length
        batch.slot[rows] = slot
        # Family, port and IPv4 address, one big-endian word.
        name = names.view(">u8")[:, 0].astype(np.int64)
        source = (name & 0xFFFF_FFFF) << 16 | name >> 32 & 0xFFFF
        batch.source[rows] = np.where(length > 0, source, NOBODY)
        for row in np.flatnonzero((names[:, 0] == socket.AF_INET6) & (length > 0)):
            text = socket.inet_ntop(socket.AF_INET6, names[row, 8:24].tobytes())
            batch.source[rows][row] = source_key(text, int(name[row] >> 32 & 0xFFFF))
        control = self._controls[rows].view(np.int64)
        stamped = control[:, 1] >> 32 == _SCM_TIMESTAMPNS
        now = time.monotonic()
        offset = now - time.time()
        arrival = control[:, 2] + control[:, 3] * 1e-9 + offset
        # A step of the wall clock between arrival and now must not move the audio.
        usable = stamped & (length > 0) & (arrival <= now + 0.001) & (arrival > now - _OLDEST)
        batch.arrival[rows] = np.where(usable, arrival, now)
        self._renew(rows)

    def _renew(self, rows: slice) -> None:
        self._messages[rows, 1] = _NAME
        self._messages[rows, 5] = _CONTROL
        self._messages[rows, 6] = 0


class BatchSweeper:
    """`recvmmsg`, one call a socket."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.inbox = Inbox(capacity)
        self.batch = self.inbox.batch
        self._at = self.inbox.addresses.tolist()
        self._receive = ctypes.PyDLL(None, use_errno=False).recvmmsg
        self._receive.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
        ]  # fmt: skip
        self._receive.restype = ctypes.c_int

    def sweep(self, sockets: SocketSet, start: int = 0) -> tuple[int, NDArray[np.int64]]:
        """See `Sweeper.sweep`."""
        at, receive = self._at, self._receive
        first = filled = self.batch.count
        last = len(at) - ROUND
        counts: list[int] = []
        for descriptor in sockets.descriptor[start:].tolist():
            if filled > last:
                break
            taken = receive(descriptor, at[filled], ROUND, _MSG_DONTWAIT, None)
            if taken < 0:  # empty, or an ICMP error of an earlier send
                taken = 0
            counts.append(taken)
            filled += taken
        index = start + len(counts)
        count = np.array(counts, np.int64)
        slot = np.repeat(sockets.slot[start:index], count)
        self.inbox.add(slot, self.inbox.received(filled - first))
        return index, np.flatnonzero(count == ROUND) + start
