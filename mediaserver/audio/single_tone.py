"""Single tones on a line, or two together, and which of them are a fax.

Pure looks (`audio.tone_looks`) that follow each other at the same frequencies are a tone; a gap of
40 ms in it, as a lost packet or a reversal of its phase leaves, does not end it. Once it is known
as one, its own frequencies alone tell how long it lasts, before and behind: there it is to be as
strong as it was, whatever else is heard. How steady its level was is kept: two tones close to
each other, as many ringing tones are, are one line in the spectrum but go up and down.

`ToneTracker` finds the tones, whatever they are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from math import log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .tone_looks import Look, Looks

STEP_SHARE: Final = 0.015
STEP_HZ: Final = 9.0
"""How far a look may be from the frequency of its tone: the greater of these."""
GAP_LOOKS: Final = 4
"""Looks at something else that do not end a tone."""
LEAST_LOOKS: Final = 5
"""A shorter tone is of no interest to anybody."""
HOLD_DB: Final = 4.0
"""How far from its level a tone is where something else is louder."""
BACK_LOOKS: Final = 20
"""Looks before it was known as a tone, in which it may have begun."""
MOST_LEVELS: Final = 400
"""Looks of a tone whose levels are kept: beyond, it is as steady as it was."""
SWING_SHARE: Final = 0.05
"""Share of its looks that may be softer, or louder, than it swings."""

CED_HZ: Final = (2070.0, 2130.0)
"""The answering fax: 2100 Hz ± 15, for 2.6 to 4 s (ITU-T T.30 section 4.1.2) ..."""
CED_SECONDS: Final = 0.5
"""... of which so much tells it from a beep. With the phase reversals of V.8 it is the same."""
CED_SWING_DB: Final = 6.0
"""Its level goes up and down 15 times a second where it is ANSam (V.8 section 3.3)."""
CNG_HZ: Final = (1060.0, 1140.0)
"""The calling fax: 1100 Hz ± 38 for 0.5 s ± 15 %, then 3 s of silence (T.30 section 4.1.1)."""
CNG_SECONDS: Final = (0.4, 0.6)
CNG_SWING_DB: Final = 3.0


class FaxTone(StrEnum):
    """Which fax is heard."""

    CED = "CED"
    """The called one."""
    CNG = "CNG"
    """The calling one."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A tone, ended or still heard. Positions are samples from the start of the stream."""

    begin: int
    end: int
    hertz: float
    """Of two together the lower one."""
    dbov: float
    swing_db: float
    """From its softest to its loudest look, but for those where it begins, ends or is broken."""
    spread_hz: float
    """Standard deviation of its frequency."""
    above: float | None = None
    """Of two together the higher one."""
    pure: float = 1.0
    """Share of its time for which it was nearly all that was heard."""

    def seconds(self, rate: int) -> float:
        """Return how long it lasted, or lasts by now."""
        return (self.end - self.begin) / rate


def fax_tone(tone: Tone, wanted: FaxTone, rate: int = 8000, *, ended: bool = True) -> bool:
    """Tell whether a tone is that of a fax; CED is known before it has `ended`."""
    seconds = tone.seconds(rate)
    if tone.above is not None:
        return False
    if wanted is FaxTone.CED:
        return (
            CED_HZ[0] <= tone.hertz <= CED_HZ[1]
            and seconds >= CED_SECONDS
            and tone.swing_db <= CED_SWING_DB
        )
    return (
        ended
        and CNG_HZ[0] <= tone.hertz <= CNG_HZ[1]
        and CNG_SECONDS[0] <= seconds <= CNG_SECONDS[1]
        and tone.swing_db <= CNG_SWING_DB
    )


class ToneTracker:
    """Follows one stream; however it is cut into pieces, the same tones are found."""

    def __init__(self, rate: int = 8000) -> None:
        self._look = Looks(rate)
        self._looks = 0
        self._run: _Run | None = None
        self._past: deque[Look] = deque(maxlen=BACK_LOOKS + LEAST_LOOKS + GAP_LOOKS)

    @property
    def current(self) -> Tone | None:
        """The tone that is heard now, or was GAP_LOOKS ago."""
        run = self._run
        return self._tone(run) if run is not None and run.looks >= LEAST_LOOKS else None

    def listen(self, samples: NDArray[np.int16]) -> list[Tone]:
        """Take the next whole looks (10 ms each); return the tones that have ended."""
        ended: list[Tone] = []
        for look in self._look.take(samples):
            self._take(look, ended)
            self._past.append(look)
            self._looks += 1
        return ended

    def _take(self, look: Look, ended: list[Tone]) -> None:
        run = self._run
        if run is not None:
            if run.takes(look.lines):
                run.add(self._looks, look.lines, look.level)
                if run.looks == LEAST_LOOKS:
                    self._look_back(run)
                return
            if run.looks >= LEAST_LOOKS and self._holds(run, look):
                run.last = self._looks
                return
            if self._looks - run.last <= GAP_LOOKS and not look.lines:
                return
            if run.looks >= LEAST_LOOKS:
                ended.append(self._tone(run))
            self._run = None
        if look.lines:
            self._run = _Run(self._looks, look.lines, look.level)

    def _holds(self, run: _Run, look: Look) -> bool:
        """Whether a look that is not pure has a tone in it as strong as it was."""
        level = self._look.level(look, run.lines, STEP_SHARE)
        bound: float = 10.0 ** (HOLD_DB / 10.0)
        return run.level / bound <= level <= run.level * bound

    def _look_back(self, run: _Run) -> None:
        """Move the beginning of what is known as a tone now to where it began."""
        past, missed = list(self._past), 0
        for back in range(1, BACK_LOOKS + 1):
            place = len(past) - (self._looks - run.first) - back
            if place < 0 or missed >= GAP_LOOKS:
                break
            if self._holds(run, past[place]):
                run.first -= missed + 1
                missed = 0
            else:
                missed += 1

    def _tone(self, run: _Run) -> Tone:
        """Return a tone as far as it was heard."""
        position = self._look.position
        looked = {look for look, _ in run.levels}
        inner = [
            level
            for look, level in run.levels
            if {look - 2, look - 1, look + 1, look + 2} <= looked
        ]
        levels = sorted(inner or [level for _, level in run.levels])
        aside = int(SWING_SHARE * len(levels))
        lines = np.array(run.found[2:-2] or run.found)
        half = position(1) - position(0)
        middle = np.median(lines, axis=0)
        return Tone(
            begin=position(run.first) - half // 2,
            end=position(run.last) + half // 2,
            hertz=float(middle[0]),
            dbov=10.0 * log10(float(np.median(levels)) / self._look.reference),
            swing_db=10.0 * log10(levels[-1 - aside] / levels[aside]),
            spread_hz=float(lines.std(axis=0).max()),
            above=float(middle[1]) if len(middle) > 1 else None,
            pure=run.looks / (run.last + 1 - run.first),
        )


class _Run:
    """Looks at one tone."""

    def __init__(self, look: int, lines: tuple[float, ...], level: float) -> None:
        self.first = self.last = look
        self.looks = 1
        """Of them, the pure ones."""
        self.lines = lines
        self.level = level
        self.found = [lines]
        self.levels = [(look, level)]

    def takes(self, lines: tuple[float, ...]) -> bool:
        """Tell whether a pure look is one at this tone."""
        return len(lines) == len(self.lines) and all(
            abs(new - hertz) <= max(STEP_HZ, STEP_SHARE * hertz)
            for new, hertz in zip(lines, self.lines, strict=True)
        )

    def add(self, look: int, lines: tuple[float, ...], level: float) -> None:
        self.last = look
        self.looks += 1
        if len(self.levels) < MOST_LEVELS:
            self.found.append(lines)
            self.levels.append((look, level))
            part = 1.0 / min(self.looks, 20)
            self.level += (level - self.level) * part
            self.lines = tuple(
                hertz + (new - hertz) * part for hertz, new in zip(self.lines, lines, strict=True)
            )
