"""From lines to journals: what was heard, or passed on, goes to disk a block at a time.

Every block of a line (`rtp.ring`) goes to its journal as soon as it is whole, those of all legs in
one step. Three things take the careful way, leg by leg: the piece before the first whole block,
what came late and is written again over the silence that held its place, and what has waited for
`PATIENCE` because packets stopped coming. A killed process loses what came since: less than half
a second.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..calls.ports import JournalFile, Journals
from ..rtp.lines import NOT_LATE, Lines
from ..rtp.ring import BLOCK, RING

PATIENCE: Final = 0.35
"""Seconds after which what is less than a block is written all the same."""

_NONE: Final = -1


class Track:
    """The journals that the lines of some of `capacity` legs go to."""

    def __init__(self, lines: Lines, journals: Journals | None, capacity: int) -> None:
        self._lines = lines
        self._journals = journals
        self._files: dict[int, tuple[JournalFile, int]] = {}
        self.number: NDArray[np.int64] = np.full(capacity, _NONE, np.int64)
        """Of each leg's journal; negative: it has none."""
        self.kept: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Position up to which each line was written."""
        self._kept_at: NDArray[np.float64] = np.zeros(capacity, np.float64)

    def start(self, slot: int, file: JournalFile, first: int, kept: int, now: float) -> None:
        """Write the line of a leg from `kept` on; what comes late, not before `first` either."""
        self._files[slot] = file, first
        self.number[slot] = file.number
        self.kept[slot] = kept
        self._kept_at[slot] = now

    def stop(self, slot: int) -> None:
        """Write no more of a leg."""
        self._files.pop(slot, None)
        self.number[slot] = _NONE

    def keeps(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of each of `slots` whether its line is written."""
        keeps: NDArray[np.bool_] = self.number[slots] != _NONE
        return keeps

    def kept_at(self, slot: int) -> float:
        """Return when a leg's line was written last."""
        return float(self._kept_at[slot])

    def catch_up(self, slot: int, now: float) -> None:
        """Write all of a leg's line."""
        self._write(slot, int(self._lines.placed[slot]), now)

    def turn(self, slot: NDArray[np.int64], now: float) -> None:
        """Write what is due of the lines of some legs, all of which have a journal."""
        done = self.kept[slot]
        placed = self._lines.placed[slot]
        ahead = placed - done
        late = self._lines.late_from[slot] != NOT_LATE
        even = done % BLOCK == 0
        plain = even & ~late & (ahead >= BLOCK) & (ahead <= RING)
        overdue = (ahead > 0) & (now - self._kept_at[slot] >= PATIENCE)
        odd = late | overdue | ((placed // BLOCK * BLOCK > done) & (~even | (ahead > RING)))
        if plain.any():
            self._write_blocks(slot[plain], ahead[plain] // BLOCK, now)
        for index in np.flatnonzero(odd & ~plain):
            whole = max(int(placed[index]) // BLOCK * BLOCK, int(done[index]))
            self._write(int(slot[index]), int(placed[index]) if overdue[index] else whole, now)

    def _write_blocks(self, slot: NDArray[np.int64], blocks: NDArray[np.int64], now: float) -> None:
        """Write so many whole blocks of each leg."""
        assert self._journals is not None
        self._kept_at[slot] = now
        while slot.size:
            done = self.kept[slot]
            samples = self._lines.blocks(slot, done // BLOCK)
            self._journals.write_many(self.number[slot], done, samples)
            self.kept[slot] = done + BLOCK
            blocks = blocks - 1
            slot, blocks = slot[blocks > 0], blocks[blocks > 0]

    def _write(self, slot: int, upto: int, now: float) -> None:
        """Write a leg up to a position, and again what came late."""
        (file, first), done = self._files[slot], int(self.kept[slot])
        late = self._lines.take_late(slot)
        start = done if late is None else max(first, min(late, done))
        # Further back there is only the silence of a hold, which a hole in the file says as well.
        start = max(start, int(self._lines.placed[slot]) - RING)
        if upto > start:
            file.write(start, self._lines.read(slot, start, upto))
            self.kept[slot] = max(done, upto)
        self._kept_at[slot] = now
