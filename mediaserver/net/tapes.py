"""What legs hear and send, on its way to their journals.

While a leg is *kept*, every block of its line (`rtp.ring`) goes to its journal as soon as it is
whole, those of all legs in one step. Three things take the careful way, leg by leg: the piece
before the first whole block, what came late and is written again over the silence that held its
place, and what has waited for `PATIENCE` because packets stopped coming. A killed process loses
what was heard since: less than half a second.

What a leg sends is a run of what it plays, as long as frame follows frame; a run is written when
it is a block long, when it ends, and when somebody wants the journal whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..calls.ports import JournalFile, Journals
from ..rtp.ring import BLOCK, RING
from ..rtp.sender import Frames
from ..rtp.timeline import NOT_LATE, Timelines

PATIENCE: Final = 0.35
"""Seconds after which what is less than a block is written all the same."""

NOTE_EVERY: Final = 1.0
"""Seconds between two times that a leg's spans (`rtp.spans`) are written."""

_NONE: Final = -1


Played = Callable[[int, int, int], NDArray[np.int16]]
"""Returns the samples of what a slot plays now, from one offset to another."""


@dataclass(slots=True)
class _Tape:
    """The journals of one leg."""

    heard: JournalFile
    sent: JournalFile
    first: int
    """Nothing heard before this position is kept."""
    sent_first: int
    """Nothing sent before this one of the clock is."""
    noted_at: float
    """When spans were written last; monotonic seconds."""


class Tapes:
    """The kept legs among `capacity`."""

    def __init__(
        self, lines: Timelines, journals: Journals | None, played: Played, capacity: int
    ) -> None:
        self._lines = lines
        self._journals = journals
        self._played = played
        self._tapes: dict[int, _Tape] = {}
        self._number: NDArray[np.int64] = np.full(capacity, _NONE, np.int64)
        self._sent_number: NDArray[np.int64] = np.full(capacity, _NONE, np.int64)
        self._sent_first: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._kept: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._kept_at: NDArray[np.float64] = np.zeros(capacity, np.float64)
        self._run_position: NDArray[np.int64] = np.full(capacity, _NONE, np.int64)
        self._run_start: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._run_end: NDArray[np.int64] = np.zeros(capacity, np.int64)

    def open(self, slot: int) -> None:
        """Begin a leg of which nothing is kept."""
        self.stop(slot)
        self._kept[slot] = self._sent_first[slot] = 0

    def start(
        self, slot: int, heard: JournalFile, sent: JournalFile, since: int, now: float
    ) -> None:
        """Keep a leg from position `since` on, a moment ago; what it sends, from now on."""
        leads = self._lines.leads
        sent_since = max(int(self._sent_first[slot]), since - int(leads.present[slot]))
        self._tapes[slot] = _Tape(heard, sent, since, sent_since, now)
        self._number[slot], self._sent_number[slot] = heard.number, sent.number
        self._sent_first[slot] = sent_since
        # What came before is nobody's; and nothing is written twice.
        self._kept[slot] = max(since, int(self._kept[slot]))
        self._kept_at[slot] = now
        self._lines.take_late(slot)
        self._lines.spans.keep(slot, since)
        leads.keep(slot)

    def stop(self, slot: int) -> None:
        """Keep a leg no longer; what was not written by `catch_up` is not."""
        self._tapes.pop(slot, None)
        self._lines.spans.release(slot)
        self._lines.leads.release(slot)
        self._number[slot] = self._run_position[slot] = _NONE

    def catch_up(self, slot: int, now: float) -> None:
        """Write all that the leg heard and sent by now."""
        if slot in self._tapes:
            self._write(slot, int(self._lines.placed[slot]), now)
            self._write_run(slot)
            self._note(slot, now, whole=True)

    def turn(self, slots: NDArray[np.int64], now: float) -> None:
        """Write what is due of those of `slots` that are kept."""
        slot = slots[self._number[slots] != _NONE]
        if not slot.size:
            return
        done = self._kept[slot]
        placed = self._lines.placed[slot]
        ahead = placed - done
        late = self._lines.late_from[slot] != NOT_LATE
        even = done % BLOCK == 0
        plain = even & ~late & (ahead >= BLOCK) & (ahead <= RING)
        whole = placed // BLOCK * BLOCK
        overdue = (ahead > 0) & (now - self._kept_at[slot] >= PATIENCE)
        odd = late | overdue | ((whole > done) & (~even | (ahead > RING)))
        if plain.any():
            self._write_blocks(slot[plain], ahead[plain] // BLOCK, now)
        for index in np.flatnonzero(odd & ~plain):
            upto = placed[index] if overdue[index] else max(whole[index], done[index])
            self._write(int(slot[index]), int(upto), now)
        for one in slot[self._lines.leads.due[slot]].tolist():
            self._note(one, now)
        dirty = self._lines.spans.dirty
        if dirty:
            for one in dirty.intersection(slot.tolist()):
                if now - self._tapes[one].noted_at >= NOTE_EVERY:
                    self._note(one, now)

    def sent(self, frames: Frames) -> None:
        """Take note of frames that were sent."""
        kept = self._number[frames.slot] != _NONE
        if not kept.any():
            return
        slot, offset = frames.slot[kept], frames.offset[kept]
        position = self._lines.positions(slot, frames.due[kept])
        expected = self._run_position[slot] + offset - self._run_start[slot]
        goes_on = (
            (self._run_position[slot] != _NONE)
            & (offset == self._run_end[slot])
            & (np.abs(position - expected) <= 1)  # due times are sums of fractions
        )
        for index in np.flatnonzero(~goes_on):
            one = int(slot[index])
            self.end_run(one)
            self._run_position[one] = position[index]
            self._run_start[one] = offset[index]
        self._run_end[slot] = offset + frames.size[kept]
        full = slot[self._run_end[slot] - self._run_start[slot] >= BLOCK]
        if full.size:
            self._write_runs(full)

    def end_run(self, slot: int) -> None:
        """Write what a leg sent of what it plays, before that changes."""
        self._write_run(slot)
        self._run_position[slot] = _NONE

    def _write_blocks(self, slot: NDArray[np.int64], blocks: NDArray[np.int64], now: float) -> None:
        """Write so many whole blocks of each leg."""
        assert self._journals is not None
        self._kept_at[slot] = now
        while slot.size:
            done = self._kept[slot]
            samples = self._lines.blocks(slot, done // BLOCK)
            self._journals.write_many(self._number[slot], done, samples)
            self._kept[slot] = done + BLOCK
            blocks = blocks - 1
            slot, blocks = slot[blocks > 0], blocks[blocks > 0]

    def _write(self, slot: int, upto: int, now: float) -> None:
        """Write a leg up to a position, and again what came late."""
        tape, done = self._tapes[slot], int(self._kept[slot])
        late = self._lines.take_late(slot)
        start = done if late is None else max(tape.first, min(late, done))
        # Further back there is only the silence of a hold, which a hole in the file says as well.
        start = max(start, int(self._lines.placed[slot]) - RING)
        if upto > start:
            tape.heard.write(start, self._lines.read(slot, start, upto))
            self._kept[slot] = max(done, upto)
        self._kept_at[slot] = now

    def _note(self, slot: int, now: float, *, whole: bool = False) -> None:
        """Write what is known of a leg's line beside its audio."""
        tape = self._tapes[slot]
        notes = self._lines.spans.take(slot, whole=whole) + self._lines.leads.take(slot)
        if notes:
            tape.heard.note(notes)
        tape.noted_at = now

    def _write_runs(self, slot: NDArray[np.int64]) -> None:
        """Write runs that are full; those of one block all at once."""
        assert self._journals is not None
        position, start = self._run_position[slot], self._run_start[slot]
        even = (self._run_end[slot] - start == BLOCK) & (position >= self._sent_first[slot])
        for one in slot[~even].tolist():
            self._write_run(one)
        slot, position, start = slot[even], position[even], start[even]
        if not slot.size:
            return
        pairs = zip(slot.tolist(), start.tolist(), strict=True)
        samples = np.stack([self._played(one, at, at + BLOCK) for one, at in pairs])
        self._journals.write_many(self._sent_number[slot], position, samples)
        self._run_position[slot] = position + BLOCK
        self._run_start[slot] = start + BLOCK

    def _write_run(self, slot: int) -> None:
        tape = self._tapes.get(slot)
        position, end = int(self._run_position[slot]), int(self._run_end[slot])
        if tape is None or position == _NONE:
            return
        start = int(self._run_start[slot])
        before = max(0, tape.sent_first - position)
        if start + before < end:
            samples = self._played(slot, start + before, end)
            tape.sent.write(position + before, samples)
        self._run_position[slot] = position + end - start
        self._run_start[slot] = end
