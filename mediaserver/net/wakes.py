"""Whose listener is told that its line went on, and when.

A listener says at which position it has something to do (`at`). It costs a tenth of a millisecond
or two to look at some seconds of audio, and calls that began together wake together: hundreds of
them at one tick would make what is passed on to others late. So a tick tells some, those first who
have waited longest. What a listener decides is by position and not by when it is told.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..rtp.timeline import Timelines

NEVER: Final = np.iinfo(np.int64).max
"""A position no line reaches."""

FEW: Final = 16
"""Listeners that are told at a tick if there are so many to be told: a few milliseconds."""

SHARE: Final = 16
"""Of more, one in so many is told at a tick: all of a thousand within a second."""


class Wakes:
    """The positions that the listeners of `capacity` legs wait for."""

    def __init__(self, lines: Timelines, capacity: int, tell: Callable[[int], None]) -> None:
        """`tell` is called with each leg whose line went on to where its listener waits."""
        self.at: NDArray[np.int64] = np.full(capacity, NEVER, np.int64)
        """Of each leg the position of `decided` at which its listener is told."""
        self._lines = lines
        self._tell = tell
        self._waiting: dict[int, None] = {}

    def forget(self, slot: int) -> None:
        """A leg is closed, or new: nobody waits."""
        self.at[slot] = NEVER
        self._waiting.pop(slot, None)

    def tell_all(self, slots: NDArray[np.int64]) -> None:
        """Tell all of those of `slots` that are to be told, for what they wait for goes away."""
        for slot in self._due(slots):
            self._waiting.pop(slot, None)
            self._tell(slot)

    def turn(self, slots: NDArray[np.int64]) -> None:
        """Some of `slots` may be to be told: tell some of all that are."""
        for slot in self._due(slots):
            self._waiting.setdefault(slot)
        waiting = self._waiting
        if waiting:
            for slot in list(islice(waiting, max(FEW, len(waiting) // SHARE))):
                # One that was told may have closed the next.
                if slot in waiting:
                    del waiting[slot]
                    self._tell(slot)

    def _due(self, slots: NDArray[np.int64]) -> list[int]:
        due: list[int] = slots[self._lines.decided[slots] >= self.at[slots]].tolist()
        return due
