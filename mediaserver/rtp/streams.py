"""The stream heard on each leg: which packet is next in it, and where its timestamps lie.

**From timestamp to position.** The first packet of a stream is anchored at the clock's position
when it arrived, and the stream's timestamps count from there. A stream is anchored anew when its
SSRC changes, when its timestamps run ahead of what time allows (`LEAP`), or when it falls so far
behind that its place is already final: the audio is kept, in order, and the line does not fold.

Positions are those of the leg's line (`rtp.timeline`). State is in parallel arrays with one entry
a leg.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .counting import Counts
from .packet import PacketFields, wrap_distance
from .ring import HISTORY, LARGEST
from .skew import Leads

LEAP: Final = 0.5
"""Seconds that timestamps may run ahead of time before they are taken for a new count."""

SNAP: Final = 0.1
"""Seconds: a stream anchored anew this close behind the last sample goes on exactly there."""


class Streams:
    """The streams of `capacity` legs. `counts` and `leads` are told what is found of each."""

    def __init__(self, capacity: int, rate: int, counts: Counts, leads: Leads) -> None:
        self.ssrc: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        """What is heard now; -1 before the first packet."""
        self.lead: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Samples by which packets lie ahead of the clock as they arrive, smoothed."""
        self.size: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Samples in a packet."""
        self._counts = counts
        self._leads = leads
        self._leap, self._snap = int(LEAP * rate), int(SNAP * rate)
        self._kind: NDArray[np.uint8] = np.zeros(capacity, np.uint8)
        self._anchor_timestamp: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._anchor_position: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._next_sequence: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self._next_timestamp: NDArray[np.int64] = np.zeros(capacity, np.int64)

    def open(self, slot: int) -> None:
        """Begin a leg that has heard nothing."""
        for array in (
            self.lead, self.size, self._anchor_timestamp, self._anchor_position,
            self._next_timestamp,
        ):  # fmt: skip
            array[slot] = 0
        self.ssrc[slot] = self._next_sequence[slot] = -1

    def look_again(self, slot: int | NDArray[np.int64]) -> None:
        """Expect nothing of what comes next on a leg, or on several: it is placed with care."""
        self._next_sequence[slot] = -1

    def goes_on(
        self, fields: PacketFields, kind: NDArray[np.uint8], rank: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Tell of each packet, the `rank`th of its leg here, whether it is as was expected."""
        slot, size = fields.slot, fields.size
        number = self._next_sequence[slot]
        plain: NDArray[np.bool_] = (
            (fields.sequence == (number + rank) & 0xFFFF)
            & (fields.timestamp == (self._next_timestamp[slot] + rank * size) & 0xFFFF_FFFF)
            & (fields.ssrc == self.ssrc[slot])
            & (size == self.size[slot])
            & (size > 0)
            & (size <= LARGEST)
            & (kind == self._kind[slot])
            & (number >= 0)
        )
        return plain

    def are_next(self, fields: PacketFields, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of `rows` of `fields`, one a leg, whether they are where their streams stand."""
        slot = fields.slot[rows]
        next_ones: NDArray[np.bool_] = (self._next_sequence[slot] == fields.sequence[rows]) & (
            self._next_timestamp[slot] == fields.timestamp[rows]
        )
        return next_ones

    def measure(
        self, slot: NDArray[np.int64], placed: NDArray[np.int64], clock: NDArray[np.int64]
    ) -> None:
        """Take a packet of each leg: where it lies, and the clock's position as it arrived."""
        self.lead[slot] += (placed - clock - self.lead[slot]) // 16
        self._leads.measure(slot, placed, clock)

    def go_on(
        self,
        slot: NDArray[np.int64],
        packets: NDArray[np.int64],
        samples: NDArray[np.int64],
        placed: NDArray[np.int64],
    ) -> None:
        """Move on by what came as expected on each leg, whose line ended at `placed` before."""
        self._anchor_timestamp[slot] = self._next_timestamp[slot]
        self._anchor_position[slot] = placed
        self._counts.go_on(slot, packets)
        self._next_sequence[slot] = (self._next_sequence[slot] + packets) & 0xFFFF
        self._next_timestamp[slot] = (self._next_timestamp[slot] + samples) & 0xFFFF_FFFF

    def expect(self, slot: int, sequence: int, timestamp: int, size: int, kind: int) -> None:
        """Expect that the stream goes on behind this packet, with others like it."""
        self._next_sequence[slot] = (sequence + 1) & 0xFFFF
        self._next_timestamp[slot] = (timestamp + size) & 0xFFFF_FFFF
        self.size[slot] = size
        self._kind[slot] = kind

    def stated(self, slot: int, timestamp: int) -> int:
        """Return the position that a timestamp of the present count says."""
        return int(self._anchor_position[slot]) + wrap_distance(
            timestamp, int(self._anchor_timestamp[slot]), 32
        )

    def locate(
        self, fields: PacketFields, index: int, *, clock: int, placed: int, final: int
    ) -> int | None:
        """Return a packet's position, anchoring its stream anew where need be; None if too late.

        `clock` is the clock's position when it arrived, `placed` and `final` are its line's marks.
        """
        slot = int(fields.slot[index])
        sequence, timestamp = int(fields.sequence[index]), int(fields.timestamp[index])
        if fields.ssrc[index] != self.ssrc[slot]:
            self._counts.begin(slot, sequence)
            self._next_sequence[slot] = -1
            self.ssrc[slot] = fields.ssrc[index]
            return self._anchor(slot, timestamp, clock, placed, final)
        step = self.count(slot, sequence)
        if step is None:
            return self._anchor(slot, timestamp, clock, placed, final)
        since = wrap_distance(timestamp, int(self._anchor_timestamp[slot]), 32)
        position = int(self._anchor_position[slot]) + since
        latest = max(clock + int(self.lead[slot]), placed) + self._leap
        if step <= 0:
            # An old sequence number must not carry a timestamp of hours to come either.
            if not max(0, placed - HISTORY) <= position <= latest:
                self._counts.late[slot] += 1
                return None
            return position
        if position > latest or position < final:
            return self._anchor(slot, timestamp, clock, placed, final)
        self._anchor_timestamp[slot], self._anchor_position[slot] = timestamp, position
        return position

    def count(self, slot: int, sequence: int) -> int | None:
        """Count a packet; return how far ahead of the newest it is, None if the count restarted."""
        step = self._counts.take(slot, sequence)
        if step is None or step > 0:
            self._next_sequence[slot] = -1
        return step

    def _anchor(self, slot: int, timestamp: int, clock: int, placed: int, final: int) -> int:
        """Begin a stream's count at `timestamp`: where time says, after all that is there."""
        if placed:
            clock += int(self.lead[slot])
            if clock - placed <= self._snap:
                clock = placed
        position = max(clock, placed, final)
        self._leads.count_from(slot, position)
        self._anchor_timestamp[slot], self._anchor_position[slot] = timestamp, position
        return position
