"""The lines of what is passed on to legs, as their parties hear it.

A packet passed on (`rtp.relay`) lies on the line of the leg that sends it where its timestamp
says, whenever it came: gaps are silence, what comes late finds its place, and nothing jitters.
Positions are those of the leg's clock, on which lies what it sends itself as well.

A line is a *stretch* at a time. Where a stream is set anew another stretch begins; what the leg
sent itself in between is not on the line, and is not to be taken for silence.

Shapes and marks are those of `rtp.timeline`, of which this is the plain part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .lines import NOT_LATE, Lines
from .packet import HEADER, PacketBatch, first_of_each, rank_in_leg
from .ring import HISTORY, LARGEST, RING

NOTHING: Final = -1
"""In place of a position: the leg has no stretch."""


class SentLines(Lines):
    """The stretches of all legs; `placed` is where each ends so far."""

    def __init__(
        self,
        capacity: int,
        laws: Mapping[int, NDArray[np.int16]],
        renew: Callable[[int, int], None],
    ) -> None:
        """`renew` is called with a leg and the position at which another stretch of it begins.

        The one before, if there is one, can still be read then.
        """
        super().__init__(capacity, laws)
        self.placed[:] = NOTHING
        self.first: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Where each stretch began."""
        self._row: NDArray[np.int64] = np.full(capacity, NOTHING, np.int64)
        """Which row of the ring a leg has: those in use lie together, others cost nothing."""
        self._free = list(range(capacity - 1, -1, -1))
        self._renew = renew

    def forget(self, slot: int) -> None:
        """End the stretch of a leg, if it has one."""
        if self._row[slot] != NOTHING:
            self._free.append(int(self._row[slot]))
            self._row[slot] = NOTHING
        self.placed[slot] = NOTHING
        self.late_from[slot] = NOT_LATE

    def place(
        self,
        batch: PacketBatch,
        slot: NDArray[np.int64],
        row: NDArray[np.int64],
        size: NDArray[np.int64],
        position: NDArray[np.int64],
        law: NDArray[np.uint8],
        begins: NDArray[np.bool_],
    ) -> None:
        """Place packets, grouped by slot: `size` bytes of payload in `row`, heard at `position`.

        `begins` marks those with which a stream was set anew.
        """
        starts = np.flatnonzero(first_of_each(slot))
        expected = self.placed[slot]
        if starts.size == slot.size:
            plain = whole = (position == expected) & (size > 0) & (size <= LARGEST) & ~begins
        else:
            counts = np.diff(starts, append=slot.size)
            rank = rank_in_leg(starts, counts)
            plain = (position == expected + rank * size) & (size > 0) & (size <= LARGEST) & ~begins
            whole = np.repeat(np.logical_and.reduceat(plain, starts), counts)
        if whole.all():
            self._append(batch, slot, row, size, position, law)
            return
        if whole.any():
            self._append(batch, slot[whole], row[whole], size[whole], position[whole], law[whole])
        for index in np.flatnonzero(~whole).tolist():
            one, where, length = int(slot[index]), int(row[index]), int(size[index])
            if not length:
                continue
            payload = batch.data[where, HEADER : HEADER + length]
            samples = self._decoder.one(payload, int(law[index]))
            self._place_one(one, int(position[index]), samples, begins=bool(begins[index]))

    def read(self, slot: int, start: int, end: int) -> NDArray[np.int16]:
        """Return a copy of the samples from `start` to `end`, silence outside of the stretch."""
        placed = int(self.placed[slot])
        out = np.zeros(end - start, np.int16)
        begin, stop = max(start, placed - RING, int(self.first[slot])), min(end, placed)
        if begin < stop:
            self._ring.get(int(self._row[slot]), begin, stop, out[begin - start :])
        return out

    def blocks(self, slot: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int16]:
        """See `Lines.blocks`."""
        return self._ring.blocks(self._row[slot], number)

    def _append(
        self,
        batch: PacketBatch,
        slot: NDArray[np.int64],
        row: NDArray[np.int64],
        size: NDArray[np.int64],
        position: NDArray[np.int64],
        law: NDArray[np.uint8],
    ) -> None:
        """Decode and store packets that go on where their stretch ends."""
        self._decoder.put(self._ring, self._row[slot], position, batch, row, size, law)
        self.placed[slot] = position + size  # of several of a leg, that of the last

    def _place_one(
        self, slot: int, position: int, samples: NDArray[np.int16], *, begins: bool
    ) -> None:
        placed = int(self.placed[slot])
        if begins or placed == NOTHING or position - placed >= RING:
            self._renew(slot, position)
            if self._row[slot] == NOTHING:
                self._row[slot] = self._free.pop()
            placed = self.placed[slot] = self.first[slot] = position
            self.late_from[slot] = NOT_LATE
        elif position < max(int(self.first[slot]), placed - HISTORY):
            return  # its place was given away
        self._put(slot, int(self._row[slot]), position, samples)
