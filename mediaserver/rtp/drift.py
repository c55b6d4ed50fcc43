"""How far streams that are passed on drift away from the clock of the leg that sends them.

A far end's timestamps follow its own clock, and so does what is passed on of it (`rtp.relay`). What
the leg sends itself follows ours, and after an hour would come most of a second too early or too
late for a party that has got used to the other clock. The network can only make a packet late, so
the one of a window that waited least says where a stream is, and how that changes is its drift.

Whoever makes up for a drift shifts what lies in between in a journal by as much, and so chooses an
instant at which nobody speaks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW: Final = 10.0
"""Seconds that are looked at together."""

SHORTEST: Final = 2.0
"""Seconds of a window that say something."""

_UNKNOWN: Final = np.iinfo(np.int64).min


class Drifts:
    """The drifts of what is said on `capacity` legs, in parallel arrays, in samples."""

    def __init__(self, capacity: int) -> None:
        self.drift: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """By how much each stream runs ahead, more than when it began to be passed on."""
        self._best: NDArray[np.int64] = np.full(capacity, _UNKNOWN, np.int64)
        self._normal: NDArray[np.int64] = np.full(capacity, _UNKNOWN, np.int64)
        self._begun_at: NDArray[np.float64] = np.zeros(capacity, np.float64)
        self._window_ends = 0.0

    def begin(self, slot: int, now: float) -> None:
        """Begin with a stream of which nothing is known."""
        self._best[slot] = self._normal[slot] = _UNKNOWN
        self.drift[slot] = 0
        self._begun_at[slot] = now

    def forget(self, slot: int) -> None:
        """Let go of a stream that is passed on no more."""
        self._best[slot] = _UNKNOWN
        self.drift[slot] = 0

    def measure(self, slot: NDArray[np.int64], ahead: NDArray[np.int64]) -> None:
        """Take a packet of each stream, none twice: by how much it came before its time."""
        self._best[slot] = np.maximum(self._best[slot], ahead)

    def make_up(self, slot: int, amount: int) -> None:
        """Take note that so much of a drift was made up for."""
        self.drift[slot] -= amount
        if self._best[slot] != _UNKNOWN:
            self._best[slot] -= amount

    def look(self, now: float) -> None:
        """Let time pass: when a window is over, tell the drifts by it."""
        if now < self._window_ends:
            return
        self._window_ends = now + WINDOW
        known = (self._best != _UNKNOWN) & (now - self._begun_at >= SHORTEST)
        first = known & (self._normal == _UNKNOWN)
        self._normal[first] = self._best[first]
        self.drift[known] = self._best[known] - self._normal[known]
        self._best[known] = _UNKNOWN
