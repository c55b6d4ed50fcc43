"""How far each line runs ahead of the local clock, and how fast: the skew of two clocks.

A line follows the far end's timestamps (`rtp.timeline`), and no two clocks agree: at 200 ppm a
line and the local clock part by 0.72 s in an hour. The difference between the position of a
packet and the clock's position when it arrived is the line's *lead*. The network can only make it
smaller, so the largest of a window of ten seconds is that of a packet that waited for nothing.

The leads of closed windows are kept for two purposes: a leg's skew in ppm, and the notes of legs
whose audio is kept, with which a render lays what was sent beside what was heard
(`recording.skew`). They are written among those of `rtp.spans` and have their form: kind `LEAD`,
a position on the line, the lead there; and kind `COUNT`, the position from which the stream's
timestamps are counted anew. The leads of two counts tell nothing about the clocks: between them
the line was shifted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .spans import pack

WINDOW: Final = 10.0
"""Seconds; of each window the largest lead counts."""

FIRST_WINDOW: Final = 1.0
"""Seconds of the window that begins with a count: the first packet may have been late."""

SHORTEST: Final = 2.0
"""Seconds that a window must have lasted to be kept, should a new count cut it short."""

POINTS: Final = 128
"""Windows remembered of a leg; of a longer call every second, every fourth and so on."""

KNOWN_FROM: Final = 60.0
"""Seconds of leads from which a skew is more than the network's noise."""

NOTES: Final = 6
"""Notes taken at a time; a killed process loses those of a minute."""

LEAD: Final = 16
COUNT: Final = 17
"""Kinds of notes beside those of `rtp.spans.Kind`."""

_NOTHING: Final = np.iinfo(np.int64).min


@dataclass(slots=True)
class _Course:
    """The closed windows of one leg, each (position, lead, count's beginning)."""

    points: list[tuple[int, int, int]] = field(default_factory=list)
    waiting: list[tuple[int, int, int]] | None = None
    """Notes not taken yet; None while nobody keeps the leg."""
    stride: int = 1
    """Windows for each of `points`."""
    windows: int = 0
    noted_count: int = 0

    def add(self, point: tuple[int, int, int]) -> None:
        if self.waiting is not None:
            self.waiting.append(point)
        if self.windows % self.stride == 0:
            self.points.append(point)
        self.windows += 1
        if len(self.points) >= POINTS:
            self.points = self.points[::2]
            self.stride *= 2

    def take(self) -> list[tuple[int, int, int]]:
        notes = []
        for position, lead, count in self.waiting or ():
            if count != self.noted_count:
                notes.append((COUNT, count, 0))
                self.noted_count = count
            notes.append((LEAD, position, lead))
        if notes:
            self.waiting = []
        return notes


class Leads:
    """The leads of all lines, in parallel arrays with one entry a leg, in samples."""

    def __init__(self, capacity: int, rate: int) -> None:
        self.present: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Lead in the window that was closed last; 0 before the first."""
        self.due: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Legs with enough notes to be taken."""
        self._rate = rate
        self._best: NDArray[np.int64] = np.full(capacity, _NOTHING, np.int64)
        self._until: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Clock's position at which the window closes."""
        self._first: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._last: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Positions of the first and the last packet measured in the window."""
        self._counted_from: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._courses: dict[int, _Course] = {}

    def open(self, slot: int) -> None:
        """Begin a leg of which nothing is known."""
        for array in (self.present, self._until, self._first, self._last, self._counted_from):
            array[slot] = 0
        self._best[slot] = _NOTHING
        self.due[slot] = False
        self._courses.pop(slot, None)

    def measure(
        self, slot: NDArray[np.int64], position: NDArray[np.int64], clock: NDArray[np.int64]
    ) -> None:
        """Take a packet of each leg, no leg twice: where it lies, and the clock as it arrived."""
        until = self._until[slot]
        over = clock >= until
        if over.any():
            begun = slot[over]
            for one in begun.tolist():
                self._close(one)
            seconds = np.where(until[over] == 0, FIRST_WINDOW, WINDOW)
            self._until[begun] = clock[over] + (seconds * self._rate).astype(np.int64)
            self._first[begun] = position[over]
        self._best[slot] = np.maximum(self._best[slot], position - clock)
        self._last[slot] = position

    def count_from(self, slot: int, position: int) -> None:
        """Close the window of a leg whose stream is counted anew from `position` on."""
        self._close(slot)
        self._counted_from[slot] = position
        self._until[slot] = 0

    def keep(self, slot: int) -> None:
        """Take notes of a leg from now on, and of what is remembered of it."""
        course = self._courses.setdefault(slot, _Course())
        if course.waiting is None:
            course.waiting = list(course.points)
            self.due[slot] = len(course.waiting) >= NOTES

    def release(self, slot: int) -> None:
        """Take no more notes of a leg; what was not taken is lost."""
        course = self._courses.get(slot)
        if course is not None:
            course.waiting = None
        self.due[slot] = False

    def take(self, slot: int) -> bytes:
        """Return the notes of a leg not taken yet, packed."""
        self.due[slot] = False
        course = self._courses.get(slot)
        return pack(course.take()) if course is not None else b""

    def skew(self, slot: int) -> float | None:
        """Return by how many ppm the far end's clock is fast, to a tenth; None: not known yet."""
        course = self._courses.get(slot)
        if course is None or len(course.points) < 3:
            return None
        position, lead, count = np.array(course.points, np.float64).T
        if position[-1] - position[0] < KNOWN_FROM * self._rate:
            return None
        slope = median_slope(position, lead, count)
        return None if slope is None else round(slope * 1e6, 1)

    def _close(self, slot: int) -> None:
        best = int(self._best[slot])
        if best == _NOTHING:
            return
        first, last = int(self._first[slot]), int(self._last[slot])
        self._best[slot] = _NOTHING
        self.present[slot] = best
        if last - first < SHORTEST * self._rate:
            return
        course = self._courses.setdefault(slot, _Course())
        course.add(((first + last) // 2, best, int(self._counted_from[slot])))
        self.due[slot] = course.waiting is not None and len(course.waiting) >= NOTES


def median_slope(
    position: NDArray[np.float64], lead: NDArray[np.float64], count: NDArray[np.float64]
) -> float | None:
    """Return the median slope between all pairs of leads of one count; None: there is no pair.

    Up to a quarter of the leads may be off by any amount (Theil and Sen's estimator).
    """
    one, other = np.triu_indices(position.size, 1)
    usable = (count[one] == count[other]) & (position[one] != position[other])
    one, other = one[usable], other[usable]
    if not one.size:
        return None
    return float(np.median((lead[other] - lead[one]) / (position[other] - position[one])))


def read_leads(notes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the leads among unpacked `notes`, shape (n, 3): position, lead, beginning of count."""
    kind, at, value = notes[(notes[:, 0] == LEAD) | (notes[:, 0] == COUNT)].T
    count = np.maximum.accumulate(np.where(kind == COUNT, at, 0))
    leads: NDArray[np.int64] = np.stack([at, value, count], axis=1)[kind == LEAD]
    return leads
