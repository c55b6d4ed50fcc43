"""The packets of thousands of callers, sent on time.

`SHARED` streams leave by one socket: a call is known by where its packets go, so many may come
from the same address. The packets of a group of streams lie side by side in one numpy array; before
they are sent, sequence numbers, timestamps and speech of the whole group are filled in at once, and
one `sendmmsg` carries a packet of each stream of a socket. What is left a packet is what the kernel
does for it. (Speech is gathered here because the kernel, pointed to it, would wait for memory at
every packet; numpy fetches that of many at a time.)

Streams are spread over 20 groups, one a millisecond, as calls of a trunk fall anywhere in 20 ms.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from . import mmsg
from .sockets import bound
from .speech import FRAME, Voice

GROUPS: Final = 20
SLOT: Final = 0.02 / GROUPS
"""Seconds between two groups' turns."""

SHARED: Final = 64
"""Streams that leave by one socket."""

RECEIVE_BUFFER: Final = 1 << 22
"""Bytes asked of the kernel for what the server sends to the streams of a socket."""

_PACKET: Final = np.dtype(
    [
        ("first", "u1"),
        ("kind", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("speech", "u1", FRAME),
    ]
)


def sockets_of(streams: int) -> int:
    """Return how many sockets so many streams take, and so how many ports."""
    a_group = -(-streams // GROUPS)
    return GROUPS * -(-a_group // SHARED)


def port_of(stream: int, first_port: int) -> int:
    """Return the port a stream leaves by: that of its group's next socket with room."""
    return first_port + _socket_of(stream)


def _socket_of(stream: int) -> int:
    return stream // GROUPS // SHARED * GROUPS + stream % GROUPS


class Streams:
    """All streams of a run; they are silent until `begin`."""

    def __init__(self, voice: Voice, count: int, first_port: int) -> None:
        self.count = count
        self.packets: NDArray[np.int64] = np.zeros(count, np.int64)
        """Packets sent of each stream."""
        self.starts = [voice.start(stream, count) for stream in range(count)]
        self.failed_sends = 0
        self.first_turn: NDArray[np.int64] = np.zeros(count, np.int64)
        """The turn of its group in which a stream's first packet was sent."""
        self.turns: list[list[float]] = [[] for _ in range(GROUPS)]
        """When each group had its turns, monotonic seconds."""
        self.sockets = [bound(first_port + number) for number in range(sockets_of(count))]
        for sock in self.sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._groups = [_Group() for _ in range(GROUPS)]
        random = np.random.default_rng(3550)
        self._ssrc = random.integers(1, 1 << 32, count)
        self._sequence = random.integers(0, 1 << 16, count)
        self._timestamp = random.integers(0, 1 << 32, count)
        self._position = np.array(self.starts, np.int64)
        self._length = voice.codes.size
        speech = np.concatenate([voice.codes, voice.codes[:FRAME]])
        # Row n is the packet that begins at sample n; the rows share their memory.
        self._speech = np.lib.stride_tricks.sliding_window_view(speech, FRAME)
        self._names = mmsg.socket_addresses([("0.0.0.0", 0)] * count)

    def begin(self, stream: int, target: tuple[str, int]) -> None:
        """Let a stream speak to `target` from its group's next turn on."""
        self._names[stream] = mmsg.socket_addresses([target])[0]
        group = stream % GROUPS
        self.first_turn[stream] = len(self.turns[group])
        self._groups[group].members.append(stream)
        self._groups[group].changed = True

    def end(self, stream: int) -> None:
        """Let a stream fall silent."""
        group = self._groups[stream % GROUPS]
        if stream in group.members:
            group.members.remove(stream)
            group.changed = True

    def send(self, number: int) -> None:
        """Send the next packet of every stream of group `number`."""
        group = self._groups[number]
        if group.changed:
            self._rebuild(group)
        self.turns[number].append(time.monotonic())
        rows = group.rows
        if not rows.size:
            return
        packets = group.packets
        packets["sequence"] = self._sequence[rows] & 0xFFFF
        packets["timestamp"] = self._timestamp[rows] & 0xFFFF_FFFF
        packets["speech"] = self._speech[self._position[rows]]
        for descriptor, messages, count in group.batches:
            sent = mmsg.send(descriptor, messages, count)
            if sent != count:
                self._send_rest(descriptor, messages, count, sent)
        self._sequence[rows] += 1
        self._timestamp[rows] += FRAME
        self._position[rows] = (self._position[rows] + FRAME) % self._length
        self.packets[rows] += 1

    def sent_at(self, stream: int) -> Callable[[int], float]:
        """Return when packet n of a stream was sent, as a function of n; monotonic seconds."""
        turns, first = self.turns[stream % GROUPS], int(self.first_turn[stream])
        return lambda n: turns[first + n]

    def began(self) -> list[float]:
        """Return when each stream began, monotonic seconds; 0 if it sent nothing.

        That is by its packet that was sent with the least delay: the first may have left late.
        """
        return [self._began(stream) for stream in range(self.count)]

    def _began(self, stream: int) -> float:
        first, packets = int(self.first_turn[stream]), int(self.packets[stream])
        if not packets:
            return 0.0
        turns = np.array(self.turns[stream % GROUPS][first : first + packets])
        return float((turns - SLOT * GROUPS * np.arange(packets)).min())

    def close(self) -> None:
        """Close every socket."""
        for sock in self.sockets:
            sock.close()

    def _rebuild(self, group: _Group) -> None:
        """Lay the messages of the group's streams side by side, those of a socket together."""
        members = sorted(group.members, key=_socket_of)
        group.rows = np.array(members, np.intp)
        group.packets = np.zeros(len(members), _PACKET)
        group.packets["first"] = 0x80
        group.packets["ssrc"] = self._ssrc[group.rows]
        group.messages = mmsg.Outgoing(group.packets, self._names[group.rows])
        numbers, firsts, counts = np.unique(
            [_socket_of(stream) for stream in members], return_index=True, return_counts=True
        )
        group.batches = [
            (self.sockets[int(number)].fileno(), group.messages.at(int(first)), int(count))
            for number, first, count in zip(numbers, firsts, counts, strict=True)
        ]
        group.changed = False

    def _send_rest(self, descriptor: int, messages: int, count: int, sent: int) -> None:
        """Go on behind what the kernel took; what it refuses once more is given up."""
        done, refused = max(sent, 0), False
        while done < count:
            at = messages + mmsg.HEADER_BYTES * done
            taken = mmsg.send(descriptor, at, count - done)
            if taken <= 0 and refused:
                self.failed_sends += 1
                done += 1
            refused = taken <= 0
            done += max(taken, 0)


class _Group:
    """The streams that have their turn together."""

    def __init__(self) -> None:
        self.members: list[int] = []
        self.changed = False
        """Whether the rest has yet to follow `members`."""
        self.rows: NDArray[np.intp] = np.zeros(0, np.intp)
        self.packets: NDArray[np.void] = np.zeros(0, _PACKET)
        self.messages: mmsg.Outgoing | None = None
        self.batches: list[tuple[int, int, int]] = []
        """A socket's descriptor, the address of its first message, and how many."""
