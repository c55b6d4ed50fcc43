"""What goes through a codec has more than a line holds: that goes to journals of its own.

It lies there at the same instants as on the line: twice the position, where the rate is twice the
line's. What was G.711 is on the line alone, and where these journals are silent the line says what
was heard, or sent (`recording.wide`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..calls.ports import JournalFile, OpenWide
from ..recording.resource import Direction
from ..rtp.codecs import WIDE_RATE, Samples
from ..rtp.ring import BLOCK, RING
from .track import PATIENCE


@dataclass(slots=True)
class _Tape:
    """The journal of one leg, and the run of samples that waits to be written."""

    open: OpenWide
    first: int
    """Nothing before this position is kept."""
    file: JournalFile | None = None
    """None: there was nothing to write yet."""
    run: list[Samples] = field(default_factory=list)
    begin: int = 0
    end: int = 0
    reach: int = 0
    """Beyond this there is nothing."""
    written_at: float = 0.0


class WideTapes:
    """One side of the legs that are kept and speak more than the line holds."""

    def __init__(self, side: Direction, rate: int) -> None:
        """`rate` is that of the lines, in Hz."""
        self._side = side
        self._factor = WIDE_RATE // rate
        self._tapes: dict[int, _Tape] = {}

    def start(self, slot: int, open: OpenWide, since: int, now: float, *, expected: bool) -> None:
        """Keep a leg from position `since` of its line on.

        The journal is made with the first that there is; at once, if such is `expected`.
        """
        self._tapes[slot] = _Tape(open, since * self._factor, written_at=now)
        if expected:
            self._tapes[slot].file = open(self._side, WIDE_RATE)

    def keeps(self, slot: int) -> bool:
        """Tell whether a leg is kept here."""
        return slot in self._tapes

    def stop(self, slot: int) -> None:
        """Keep a leg no longer; what was not written by `catch_up` is not."""
        self._tapes.pop(slot, None)

    def put(self, slot: int, position: int, samples: Samples) -> None:
        """Take what lies from `position` of the leg's line on."""
        tape = self._tapes.get(slot)
        if tape is None:
            return
        position *= self._factor
        samples = samples[max(0, tape.first - position) :]
        position = max(position, tape.first)
        if not samples.size:
            return
        if tape.run and position != tape.end:
            self._write(tape)
        if not tape.run:
            tape.begin = position
        tape.run.append(samples)
        tape.end = position + samples.size
        tape.reach = max(tape.reach, tape.end)

    def clear(self, slot: int, position: int, size: int = RING) -> None:
        """Say nothing about so many samples of the line from `position` on: it has something else
        there, be it in place of what lies here.
        """
        tape = self._tapes.get(slot)
        if tape is None:
            return
        taken = tape.reach // self._factor - position
        if taken > 0:
            self.put(slot, position, np.zeros(min(size, taken) * self._factor, np.int16))

    def turn(self, slots: set[int], now: float) -> None:
        """Write what is due of those of `slots` that are kept."""
        for slot in slots.intersection(self._tapes):
            tape = self._tapes[slot]
            if tape.run and (
                tape.end - tape.begin >= BLOCK * self._factor or now - tape.written_at >= PATIENCE
            ):
                self._write(tape)
                tape.written_at = now

    def catch_up(self, slot: int) -> None:
        """Write all that there is."""
        tape = self._tapes.get(slot)
        if tape is not None:
            self._write(tape)

    def __len__(self) -> int:
        return len(self._tapes)

    def _write(self, tape: _Tape) -> None:
        if not tape.run:
            return
        if tape.file is None:
            tape.file = tape.open(self._side, WIDE_RATE)
        tape.file.write(tape.begin, np.concatenate(tape.run))
        tape.run.clear()
