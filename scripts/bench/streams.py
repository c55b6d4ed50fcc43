"""The packets of thousands of callers, sent on time.

Every stream has a UDP socket and a port of its own, as every telephone has. All headers lie in one
numpy array and the speech in one buffer; before a group of streams is sent, sequence numbers,
timestamps and pointers of the whole group are moved on at once, and the kernel gathers header and
speech from where they lie. What is left a packet is one `sendmmsg`, which takes one message at a
time because each leaves by another socket. It goes through `ctypes.PyDLL`, which keeps the
interpreter's lock.

Streams are spread over 20 groups, one a millisecond, as calls of a trunk fall anywhere in 20 ms.
"""

from __future__ import annotations

import ctypes
import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .sockets import bound
from .speech import FRAME, Voice

GROUPS: Final = 20
SLOT: Final = 0.02 / GROUPS
"""Seconds between two groups' turns."""

_HEADER: Final = np.dtype(
    [("first", "u1"), ("kind", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")]
)


class Streams:
    """All streams of a run; they are silent until `begin`."""

    def __init__(self, voice: Voice, count: int, first_port: int) -> None:
        self.count = count
        self.packets: NDArray[np.int64] = np.zeros(count, np.int64)
        """Packets sent of each stream."""
        self.starts = [voice.start(stream, count) for stream in range(count)]
        self.failed_sends = 0
        self._sockets = [bound(first_port + 2 * stream) for stream in range(count)]
        self._groups: list[list[int]] = [[] for _ in range(GROUPS)]
        self._rows: list[NDArray[np.intp]] = [np.zeros(0, np.intp)] * GROUPS
        self._arguments: list[tuple[list[int], list[int]]] = [([], [])] * GROUPS
        random = np.random.default_rng(3550)
        self._header = np.zeros(count, _HEADER)
        self._header["first"] = 0x80
        self._header["ssrc"] = random.integers(1, 1 << 32, count)
        self._sequence = random.integers(0, 1 << 16, count)
        self._timestamp = random.integers(0, 1 << 32, count)
        self._position = np.array(self.starts, np.int64)
        self._length = voice.codes.size
        self._speech = np.concatenate([voice.codes, voice.codes[:FRAME]])
        rows = np.arange(count, dtype=np.uint64)
        # struct iovec twice a message: header, speech.
        self._vectors: NDArray[np.uint64] = np.zeros((count, 4), np.uint64)
        self._vectors[:, 0] = self._header.ctypes.data + rows * _HEADER.itemsize
        self._vectors[:, 1] = _HEADER.itemsize
        self._vectors[:, 3] = FRAME
        # struct mmsghdr in eight words: name, its length, iov, its count, control (2), flags, sent.
        self._messages: NDArray[np.uint64] = np.zeros((count, 8), np.uint64)
        self._messages[:, 2] = self._vectors.ctypes.data + rows * 32
        self._messages[:, 3] = 2
        self._sendmmsg = ctypes.PyDLL(None).sendmmsg
        self._sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]

    def begin(self, stream: int, target: tuple[str, int]) -> None:
        """Let a stream speak to `target` from its group's next turn on."""
        self._sockets[stream].connect(target)
        self._groups[stream % GROUPS].append(stream)
        self._rebuild(stream % GROUPS)

    def end(self, stream: int) -> None:
        """Let a stream fall silent."""
        members = self._groups[stream % GROUPS]
        if stream in members:
            members.remove(stream)
            self._rebuild(stream % GROUPS)

    def send(self, group: int) -> None:
        """Send the next packet of every stream of a group."""
        rows = self._rows[group]
        if not rows.size:
            return
        self._header["sequence"][rows] = self._sequence[rows] & 0xFFFF
        self._header["timestamp"][rows] = self._timestamp[rows] & 0xFFFF_FFFF
        self._vectors[rows, 2] = self._position[rows] + self._speech.ctypes.data
        sockets, messages = self._arguments[group]
        once, flags = itertools.repeat(1), itertools.repeat(0)
        results = list(map(self._sendmmsg, sockets, messages, once, flags))
        if results.count(1) != len(results):
            self._try_again(group, results)
        self._sequence[rows] += 1
        self._timestamp[rows] += FRAME
        self._position[rows] = (self._position[rows] + FRAME) % self._length
        self.packets[rows] += 1

    def close(self) -> None:
        """Close every socket."""
        for sock in self._sockets:
            sock.close()

    def _rebuild(self, group: int) -> None:
        members = self._groups[group]
        self._rows[group] = np.array(members, np.intp)
        base = self._messages.ctypes.data
        self._arguments[group] = (
            [self._sockets[stream].fileno() for stream in members],
            [base + 64 * stream for stream in members],
        )

    def _try_again(self, group: int, results: list[int]) -> None:
        """Send what the kernel refused once more: an earlier ICMP error costs one attempt."""
        sockets, messages = self._arguments[group]
        for index in (at for at, sent in enumerate(results) if sent != 1):
            if self._sendmmsg(sockets[index], messages[index], 1, 0) != 1:
                self.failed_sends += 1
