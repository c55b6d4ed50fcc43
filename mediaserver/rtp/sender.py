"""The audio streams that legs send: even frames, and timestamps that never stop.

A stream's timestamp runs with time from its first packet on, also while nothing is sent, so that
a receiver places every prompt where it was played. A frame is due every `ptime`; a sender that is
asked late sends what it owes, but never more than `CATCH_UP` frames at once: what is later than
that is skipped in time, not squeezed.

State is in parallel arrays with one entry a leg (a *slot*), and the frames due of all legs are
made together. What is played is known here by its length alone: a frame is an offset and a size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .packet import HEADER, build_packet

CATCH_UP: Final = 5
"""Frames sent at once at the most."""

PASSED_AHEAD: Final = 2.0
"""Seconds for which what was passed on to a leg (`rtp.relay`) is heard to its end, if it runs
ahead of time."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Audio packets that are due, one a leg, in parallel arrays of shape (n,)."""

    slot: NDArray[np.int64]
    header: NDArray[np.uint8]
    """Shape (n, HEADER): each packet's RTP header."""
    offset: NDArray[np.int64]
    """Where in what its leg plays each packet's payload begins, in bytes."""
    size: NDArray[np.int64]
    """Bytes of payload."""
    due: NDArray[np.float64]
    """Monotonic seconds at which each frame begins to be heard."""

    def take(self, wanted: NDArray[np.bool_]) -> Frames:
        """Return those that `wanted` marks."""
        return Frames(
            self.slot[wanted],
            self.header[wanted],
            self.offset[wanted],
            self.size[wanted],
            self.due[wanted],
        )


class Senders:
    """The outgoing streams of `capacity` legs.

    `token` returns a random number of as many bits as it is asked for (RFC 3550 section 5.1 wants
    the beginnings of SSRC, sequence and timestamp unguessable).
    """

    def __init__(self, capacity: int, token: Callable[[int], int], rate: int = 8000) -> None:
        self.rate = rate
        self._token = token
        self.ssrc: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.kind: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Payload type of the audio."""
        self.frame: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Samples (and G.711 bytes) in a packet."""
        self.sequence: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Sequence number of the next packet."""
        self.packets: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.octets: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.last_sent: NDArray[np.float64] = np.zeros(capacity, np.float64)
        self.base: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """RTP timestamp of the beginning of the stream."""
        self.reached: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Samples since then up to which audio was passed on (`rtp.relay`)."""
        self._origin: NDArray[np.float64] = np.zeros(capacity, np.float64)
        self._offset: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._length: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._next: NDArray[np.float64] = np.zeros(capacity, np.float64)

    def open(self, slot: int) -> None:
        """Begin a stream that has sent nothing yet."""
        self.ssrc[slot] = self._token(32)
        self.sequence[slot] = self._token(16)
        self.base[slot] = self._token(32)
        self._origin[slot] = math.nan
        self.kind[slot] = 0
        self.frame[slot] = self.rate // 50
        for array in (self.packets, self.octets, self.reached, self._offset, self._length):
            array[slot] = 0
        self.last_sent[slot] = self._next[slot] = 0.0

    def playing(self, slot: int) -> bool:
        """Tell whether audio is left to send."""
        return bool(self._offset[slot] < self._length[slot])

    def sent(self, slot: int) -> int:
        """Return how many samples of what it plays, or has played last, a leg has sent."""
        return int(self._offset[slot])

    def finished(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of `slots` that have no audio left to send."""
        return slots[self._offset[slots] >= self._length[slots]]

    def play(self, slot: int, length: int, now: float) -> None:
        """Send `length` bytes, one a sample, from `now` on; what played before stops.

        The frame sent last is heard to its end first: no two frames claim the same instant.
        """
        self._offset[slot], self._length[slot] = 0, length
        self._next[slot] = max(self._next[slot], now)
        if self.reached[slot]:
            present = self.samples(slot, now)
            ahead = self.free_from(slot, present, round(PASSED_AHEAD * self.rate)) - present
            self._next[slot] = max(self._next[slot], now + ahead / self.rate)

    def stop(self, slot: int) -> None:
        """Send no more audio."""
        self._offset[slot] = self._length[slot] = 0

    def due(self, slots: NDArray[np.int64], now: float) -> Frames | None:
        """Return the next frame of each of `slots` whose time has come by `now`; None: of none.

        Ask again until there is none: a leg may owe several.
        """
        waits = (self._offset[slots] < self._length[slots]) & (self._next[slots] <= now)
        slot = slots[waits]
        if not slot.size:
            return None
        frame = self.frame[slot]
        period = frame / self.rate
        due = self._next[slot]
        due = np.where(now - due > CATCH_UP * period, now, due)
        self._origin[slot] = np.where(np.isnan(self._origin[slot]), due, self._origin[slot])
        offset = self._offset[slot]
        size = np.minimum(frame, self._length[slot] - offset)
        since = np.rint((due - self._origin[slot]) * self.rate).astype(np.int64)
        due = self._origin[slot] + since / self.rate  # of what is sent, all is on one grid
        header = pack_headers(
            self.kind[slot] | np.where(offset == 0, 0x80, 0),
            self.sequence[slot],
            self.base[slot] + since,
            self.ssrc[slot],
        )
        self.sequence[slot] = (self.sequence[slot] + 1) & 0xFFFF
        self._offset[slot] = offset + size
        self._next[slot] = due + period
        self.packets[slot] += 1
        self.octets[slot] += size
        self.last_sent[slot] = now
        return Frames(slot, header, offset, size, due)

    def free(self, slots: NDArray[np.int64], due: float) -> NDArray[np.bool_]:
        """Tell of each of `slots` whether nothing that is played is heard at the instant `due`."""
        free: NDArray[np.bool_] = (self._offset[slots] >= self._length[slots]) & (
            self._next[slots] <= due + 1 / self.rate
        )
        return free

    def since(
        self, slots: NDArray[np.int64], due: NDArray[np.float64] | float
    ) -> NDArray[np.int64]:
        """Return how many samples after the beginning of each stream the instant `due` is.

        A stream that has sent nothing yet begins with the first of its instants.
        """
        origin = self._origin[slots]
        new = np.isnan(origin)
        if new.any():
            begun, first = np.unique(slots[new], return_index=True)
            self._origin[begun] = np.broadcast_to(due, slots.shape)[new][first]
            origin = self._origin[slots]
        samples: NDArray[np.int64] = np.rint((due - origin) * self.rate).astype(np.int64)
        return samples

    def headers(
        self,
        slots: NDArray[np.int64],
        since: NDArray[np.int64],
        size: int,
        first: NDArray[np.bool_],
        due: float,
        now: float,
    ) -> NDArray[np.uint8]:
        """Return the RTP headers of a packet of `size` bytes on each of `slots`, sent now.

        Each is heard from `due` on, `since` samples after its stream's beginning, and is the
        `first` of a talk spurt or not.
        """
        header = pack_headers(
            self.kind[slots] | np.where(first, 0x80, 0),
            self.sequence[slots],
            self.base[slots] + since,
            self.ssrc[slots],
        )
        self.sequence[slots] = (self.sequence[slots] + 1) & 0xFFFF
        self._next[slots] = due + size / self.rate
        self.packets[slots] += 1
        self.octets[slots] += size
        self.last_sent[slots] = now
        return header

    def event(
        self, slot: int, kind: int, timestamp: int, payload: bytes, now: float, *, marker: bool
    ) -> bytes:
        """Return a packet that is no audio, the next of the stream."""
        packet = build_packet(
            kind, int(self.sequence[slot]), timestamp, int(self.ssrc[slot]), payload, marker=marker
        )
        self.sequence[slot] = (self.sequence[slot] + 1) & 0xFFFF
        self.packets[slot] += 1
        self.octets[slot] += len(payload)
        self.last_sent[slot] = now
        return packet

    def timestamp(self, slot: int, at: float) -> int:
        """Return the RTP timestamp that stands for the instant `at`."""
        return (int(self.base[slot]) + self.samples(slot, at)) & 0xFFFF_FFFF

    def samples(self, slot: int, at: float) -> int:
        """Return how many samples after the beginning of the stream `at` is; see `since`."""
        if math.isnan(self._origin[slot]):
            self._origin[slot] = at
        return round((at - float(self._origin[slot])) * self.rate)

    def origins(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the instant at which each stream began, in monotonic seconds."""
        return self._origin[slots]

    def free_from(self, slot: int, present: int, most: int) -> int:
        """Return the sample of the stream, `present` or later, from which on nothing is heard yet.

        What runs ahead by more than `most` does not count: it will never be heard as it is.
        """
        played = round((float(self._next[slot]) - float(self._origin[slot])) * self.rate)
        free = max(present, played, int(self.reached[slot]))
        return free if free <= present + most else present

    def shift(self, slot: int, amount: int) -> None:
        """Let the timestamp of every instant from now on be greater by `amount`."""
        self.base[slot] += amount
        self.reached[slot] -= amount


def pack_headers(
    second: NDArray[np.int64],
    sequence: NDArray[np.int64],
    timestamp: NDArray[np.int64],
    ssrc: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Return RTP headers, shape (n, HEADER). `second` is the second octet: marker and type."""
    words = np.empty((second.size, HEADER // 4), ">u4")
    words[:, 0] = 0x8000_0000 | second << 16 | sequence & 0xFFFF
    words[:, 1] = timestamp & 0xFFFF_FFFF
    words[:, 2] = ssrc
    return words.view(np.uint8)
