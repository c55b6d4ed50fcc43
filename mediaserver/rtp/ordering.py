"""Packets of one stream in the order of their sequence numbers, for codecs that remember.

A packet that overtook others waits for them: until so many wait (`MOST_WAITING`), or until its
owner says that it waited long enough. What comes later still was given up by then, and is told
apart; a copy is nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .counting import MAX_DROPOUT
from .packet import wrap_distance

MOST_WAITING: Final = 3
"""Packets that wait for one they overtook."""

_REMEMBERED: Final = 64
"""Sequence numbers given up that may still come."""


class Ordered(NamedTuple):
    """A packet whose turn it is."""

    packet: bytes
    arrival: float
    """Monotonic seconds."""
    late: bool
    """Whether those behind it had their turn already."""


class Ordering:
    """The order of one stream."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._waiting: dict[int, Ordered] = {}
        self._missing: dict[int, None] = {}

    def put(self, packet: bytes, arrival: float) -> list[Ordered]:
        """Take a packet; return those whose turn it is now."""
        sequence = int.from_bytes(packet[2:4], "big")
        if self._next is None:
            self._next = sequence
        step = wrap_distance(sequence, self._next, 16)
        if abs(step) > MAX_DROPOUT:  # another count
            before = self._through(MAX_DROPOUT)
            self._missing.clear()
            self._next = sequence + 1 & 0xFFFF
            return [*before, Ordered(packet, arrival, late=False)]
        if step < 0:
            if sequence not in self._missing:
                return []
            del self._missing[sequence]
            return [Ordered(packet, arrival, late=True)]
        if sequence in self._waiting:
            return []
        self._waiting[sequence] = Ordered(packet, arrival, late=False)
        full = len(self._waiting) >= MOST_WAITING
        return self._through(min(self._steps()) if full else 0)

    def rest(self, before: float) -> list[Ordered]:
        """Return what waits and came before that instant, and what its turn brings about."""
        due = [
            step
            for step, sequence in self._steps().items()
            if self._waiting[sequence].arrival <= before
        ]
        return self._through(max(due)) if due else []

    def _steps(self) -> dict[int, int]:
        """Return by how far it is ahead the number of each packet that waits."""
        return {wrap_distance(number, self._next or 0, 16): number for number in self._waiting}

    def _through(self, step: int) -> list[Ordered]:
        """Return what waits up to the number that is so far ahead, and what follows at once."""
        turns: list[Ordered] = []
        for ahead, sequence in sorted(self._steps().items()):
            gap = wrap_distance(sequence, self._next or 0, 16)
            if gap and ahead > step:
                break
            for number in range(max(0, gap - _REMEMBERED), gap):
                self._missing[(self._next or 0) + number & 0xFFFF] = None
            turns.append(self._waiting.pop(sequence))
            self._next = sequence + 1 & 0xFFFF
        while len(self._missing) > _REMEMBERED:
            del self._missing[next(iter(self._missing))]
        return turns
