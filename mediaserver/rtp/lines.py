"""What lines have in common: samples in a ring, where each ends, what was filled in behind that.

There are those of what is heard (`rtp.timeline`) and those of what is passed on (`rtp.sent`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .decoding import Decoder
from .ring import Ring

NOT_LATE: Final = np.iinfo(np.int64).max


class Lines(ABC):
    """The lines of `capacity` legs. `laws` maps numbers to 256-entry int16 tables."""

    def __init__(self, capacity: int, laws: Mapping[int, NDArray[np.int16]]) -> None:
        self.placed: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Where each line ends so far."""
        self.late_from: NDArray[np.int64] = np.full(capacity, NOT_LATE, np.int64)
        """Lowest position filled in behind `placed` since `take_late`; NOT_LATE if none was."""
        self._decoder = Decoder(laws)
        self._ring = Ring(capacity)

    @abstractmethod
    def read(self, slot: int, start: int, end: int) -> NDArray[np.int16]:
        """Return a copy of the samples from `start` to `end`, silence where there is nothing."""

    @abstractmethod
    def blocks(self, slot: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int16]:
        """Return a copy, shape (n, BLOCK), of block `number` (position // BLOCK) of each line.

        The blocks are whole, they end at or before `placed`, and not long before: within RING.
        """

    def take_late(self, slot: int) -> int | None:
        """Return the lowest position filled in late since the last call, None if there is none."""
        lowest = int(self.late_from[slot])
        self.late_from[slot] = NOT_LATE
        return None if lowest == NOT_LATE else lowest

    def _put(self, slot: int, row: int, position: int, samples: NDArray[np.int16]) -> None:
        """Write samples to a row of the ring, silence before them if they leave a gap."""
        placed = int(self.placed[slot])
        if position > placed:
            self._ring.clear(row, placed, position)
        elif position < placed:
            self.late_from[slot] = min(int(self.late_from[slot]), position)
        self._ring.put(row, position, samples)
        self.placed[slot] = max(placed, position + samples.size)
