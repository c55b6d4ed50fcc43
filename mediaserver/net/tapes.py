"""What legs hear and send, on its way to their journals.

While a leg is *kept*, what it hears goes to its journal (`net.track`), and so does what is passed
on to it from another leg (`rtp.sent`). What a leg sends itself is a run of what it plays, as long
as frame follows frame; a run is written when it is a block long, when it ends, and when somebody
wants the journal whole. Both lie on the leg's clock, one beside the other: they are never heard at
a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..calls.ports import JournalFile, Journals, OpenWide
from ..recording.resource import Direction
from ..rtp.codecs import Heard, Samples
from ..rtp.packet import HEADER, PacketBatch
from ..rtp.relay import Relayed
from ..rtp.ring import BLOCK
from ..rtp.sender import Frames, Senders
from ..rtp.sent import NOTHING, SentLines
from ..rtp.timeline import NOT_PLACED, Timelines
from .track import Track
from .wide_tapes import WideTapes

NOTE_EVERY: Final = 1.0
"""Seconds between two times that a leg's spans (`rtp.spans`) are written."""

QUIET: Final = 260
"""Largest sample of what is a pause: 42 dB below the loudest."""

_NONE: Final = -1

_SIDES: Final = (Direction.SPEAK, Direction.LISTEN)


Played = Callable[[int, int, int], NDArray[np.int16]]
"""Returns the samples of what a slot plays now, from one offset to another."""


@dataclass(slots=True)
class _Tape:
    """The journals of one leg."""

    heard: JournalFile
    sent: JournalFile
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
        self._wide = {side: WideTapes(side, lines.rate) for side in _SIDES}
        """What of it a line has no room for."""
        self._heard = Track(lines, journals, capacity)
        self._relayed = SentLines(capacity, lines.laws, self._renew)
        self._passed = Track(self._relayed, journals, capacity)
        self._law: NDArray[np.uint8] = np.zeros(capacity, np.uint8)
        self._sent_first: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._run_position: NDArray[np.int64] = np.full(capacity, _NONE, np.int64)
        self._run_start: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._run_end: NDArray[np.int64] = np.zeros(capacity, np.int64)

    def open(self, slot: int) -> None:
        """Begin a leg of which nothing is kept."""
        self.stop(slot)
        self._heard.kept[slot] = self._sent_first[slot] = 0

    def start(
        self, slot: int, heard: JournalFile, sent: JournalFile, since: int, now: float
    ) -> None:
        """Keep a leg from position `since` on, a moment ago; what it sends, from now on."""
        leads = self._lines.leads
        sent_since = max(int(self._sent_first[slot]), since - int(leads.present[slot]))
        self._tapes[slot] = _Tape(heard, sent, sent_since, now)
        self._sent_first[slot] = sent_since
        # What came before is nobody's; and nothing is written twice.
        self._heard.start(slot, heard, since, max(since, int(self._heard.kept[slot])), now)
        self._passed.start(slot, sent, sent_since, sent_since, now)
        self._lines.take_late(slot)
        self._lines.spans.keep(slot, since)
        leads.keep(slot)

    def stop(self, slot: int) -> None:
        """Keep a leg no longer; what was not written by `catch_up` is not."""
        self._tapes.pop(slot, None)
        for wide in self._wide.values():
            wide.stop(slot)
        self._lines.spans.release(slot)
        self._lines.leads.release(slot)
        self._heard.stop(slot)
        self._passed.stop(slot)
        self._relayed.forget(slot)
        self._run_position[slot] = _NONE

    def speak(self, slot: int, law: int) -> None:
        """Take note of the law (`rtp.timeline.Kind`) of what a leg sends from now on."""
        if law != self._law[slot]:
            self.end_run(slot)
            self._law[slot] = law

    def catch_up(self, slot: int, now: float) -> None:
        """Write all that the leg heard and sent by now."""
        if slot in self._tapes:
            self._heard.catch_up(slot, now)
            for wide in self._wide.values():
                wide.catch_up(slot)
            if self._relayed.placed[slot] != NOTHING:
                self._passed.catch_up(slot, now)
            self._write_run(slot)
            self._note(slot, now, whole=True)

    def turn(self, slots: NDArray[np.int64], now: float) -> None:
        """Write what is due of those of `slots` that are kept."""
        slot = slots[self._heard.keeps(slots)]
        if not slot.size:
            return
        self._heard.turn(slot, now)
        if self._wide[Direction.SPEAK]:
            for wide in self._wide.values():
                wide.turn(set(slot.tolist()), now)
        passed = slot[self._relayed.placed[slot] != NOTHING]
        if passed.size:
            self._passed.turn(passed, now)
        for one in slot[self._lines.leads.due[slot]].tolist():
            self._note(one, now)
        dirty = self._lines.spans.dirty
        if dirty:
            for one in dirty.intersection(slot.tolist()):
                if now - self._tapes[one].noted_at >= NOTE_EVERY:
                    self._note(one, now)

    def widen(self, slot: int, open: OpenWide, since: int, now: float, *, expected: bool) -> None:
        """Keep of a leg, from position `since` on, what its line has no room for, as well.

        Unless that is done already. Such audio is `expected` where the far end speaks a codec.
        """
        tape = self._tapes.get(slot)
        if tape is None or self._wide[Direction.SPEAK].keeps(slot):
            return
        self._wide[Direction.SPEAK].start(slot, open, since, now, expected=expected)
        sent_since = max(tape.sent_first, since - int(self._lines.leads.present[slot]))
        self._wide[Direction.LISTEN].start(slot, open, sent_since, now, expected=False)

    def heard_wide(
        self, slots: NDArray[np.int64], positions: NDArray[np.int64], heard: Sequence[Heard]
    ) -> None:
        """Take note of what transcoded legs say: where on the lines of `slots` it was placed."""
        tapes = self._wide[Direction.SPEAK]
        if not tapes:
            return
        for index, one in enumerate(heard):
            slot, position = int(slots[index]), int(positions[index])
            if position == NOT_PLACED:
                continue
            if one.wide is not None:
                tapes.put(slot, position, one.wide)
            else:
                tapes.clear(slot, position, len(one.packet) - HEADER)

    def passed_on(
        self,
        batch: PacketBatch,
        relayed: Relayed,
        senders: Senders,
        wide: Sequence[Samples | None] = (),
    ) -> None:
        """Take note of packets that were passed on; of each leg those of one source alone.

        `wide` has what each says at `WIDE_RATE`, if it was passed on as it came; empty: none was.
        """
        if not self._tapes:
            return
        kept = relayed.audio & self._heard.keeps(relayed.slot)
        if not kept.all():
            if not kept.any():
                return
            relayed = relayed.take(kept)
            wide = [one for one, wanted in zip(wide, kept.tolist(), strict=False) if wanted]
        slot = relayed.slot
        position = relayed.position + self._lines.positions(slot, senders.origins(slot))
        if self._wide[Direction.LISTEN]:
            for one, at, samples in zip(slot.tolist(), position.tolist(), wide, strict=False):
                if samples is not None:
                    self._wide[Direction.LISTEN].put(one, at, samples)
        self._relayed.place(
            batch, slot, relayed.row, relayed.size - HEADER, position, self._law[slot],
            relayed.begins,
        )  # fmt: skip

    def pausing(self, slot: int, samples: int) -> bool:
        """Tell whether the last so many samples passed on to a leg are silence, or are not kept."""
        placed = int(self._relayed.placed[slot])
        if slot not in self._tapes or placed == NOTHING:
            return True
        if placed - samples < self._relayed.first[slot]:
            return False
        recent = self._relayed.read(slot, placed - samples, placed).astype(np.int32)
        return int(np.abs(recent).max()) <= QUIET

    def sent(self, frames: Frames) -> None:
        """Take note of frames that were sent."""
        kept = self._heard.keeps(frames.slot)
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
            self._wide[Direction.LISTEN].clear(one, int(position[index]))
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

    def _renew(self, slot: int, position: int) -> None:
        """Write the stretch of what was passed on to a leg that is over, for another begins."""
        if self._relayed.placed[slot] != NOTHING:
            self._passed.catch_up(slot, self._passed.kept_at(slot))
        self._passed.kept[slot] = max(position, int(self._sent_first[slot]))

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
        self._journals.write_many(self._passed.number[slot], position, samples)
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
