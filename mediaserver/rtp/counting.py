"""How many packets of a leg's stream came, and how many never did (RFC 3550 A.1 and A.3)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .packet import wrap_distance

MAX_DROPOUT: Final = 3000
"""Sequence numbers a stream may skip and still be the same count (RFC 3550 appendix A.1)."""


class Counts:
    """The counts of all legs, in parallel arrays with one entry a leg."""

    def __init__(self, capacity: int) -> None:
        self.top: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Highest sequence number heard, with the times it wrapped in the bits above 16."""
        self.base: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Sequence number of the first packet of the present count."""
        self.received: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Packets of the present count, copies included (RFC 3550 section 6.4.1)."""
        self.packets: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Packets of all counts, whatever became of them."""
        self.late: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Packets that came after their place was out of reach."""
        self.jitter: NDArray[np.float64] = np.zeros(capacity, np.float64)
        """Interarrival jitter in seconds (RFC 3550 section 6.4.1), sampled once a batch."""
        self.skipped: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Sequence numbers passed over for which no gap in the audio was found yet."""
        self._lost_before: NDArray[np.int64] = np.zeros(capacity, np.int64)

    def open(self, slot: int) -> None:
        """Begin a leg that has heard nothing."""
        for array in (
            self.top, self.base, self.received, self.packets, self.late, self.skipped,
            self._lost_before,
        ):  # fmt: skip
            array[slot] = 0
        self.jitter[slot] = 0.0

    def go_on(self, slot: NDArray[np.int64], packets: NDArray[np.int64]) -> None:
        """Count so many packets of each leg that came one after the other, as they should."""
        self.received[slot] += packets
        self.top[slot] += packets

    def take(self, slot: int, sequence: int) -> int | None:
        """Count a packet; return how far ahead of the newest it is, None if the count restarted."""
        step = wrap_distance(sequence, int(self.top[slot]) & 0xFFFF, 16)
        if abs(step) > MAX_DROPOUT:
            self.begin(slot, sequence)
            return None
        self.received[slot] += 1
        if step > 0:
            self.top[slot] += step
            self.skipped[slot] += step - 1
        elif step < 0 and self.skipped[slot]:
            self.skipped[slot] -= 1
        return step

    def begin(self, slot: int, sequence: int) -> None:
        """Begin to count sequence numbers at `sequence`; remember what the old count lost."""
        self._lost_before[slot] += self._missing(slot)
        self.base[slot] = self.top[slot] = sequence
        self.received[slot] = 1
        self.skipped[slot] = 0

    def is_newest(self, slot: int, sequence: int) -> bool:
        """Tell whether no later packet was heard than the one with this number."""
        return sequence == int(self.top[slot]) & 0xFFFF

    def lost(self, slot: int) -> int:
        """Return how many packets of the leg never came (copies make up for losses, RFC 3550)."""
        return int(self._lost_before[slot]) + self._missing(slot)

    def _missing(self, slot: int) -> int:
        received = int(self.received[slot])
        if not received:
            return 0
        return max(0, int(self.top[slot]) - int(self.base[slot]) + 1 - received)
