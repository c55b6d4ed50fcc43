"""Single tones on a line, and which of them are a fax.

The line is looked at every 10 ms through a window of 25 ms. A look is *pure* when nearly all it
sees lies around one frequency: a share of the power, and nothing else nearly as strong. Pure looks
that follow each other at one frequency are a tone; a gap of 40 ms in it, as a lost packet or a
reversal of its phase leaves, does not end it. How steady its level was is kept: two tones close to
each other, as many ringing tones are, are one line in the spectrum but go up and down.

`ToneTracker` finds the tones, whatever they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

LOOKS_PER_SECOND: Final = 100
WINDOW: Final = 0.025
"""Seconds of a look."""

LOWEST_HZ: Final = 340.0
"""Below lies the fundamental of voices, which may be nearly alone in an "oo" or an "m"."""
HIGHEST_HZ: Final = 2700.0
LOBE_HZ: Final = 96.0
"""What lies so close to a frequency is part of its line in the spectrum."""
PURE_SHARE: Final = 0.6
"""Least share of the power that is the tone's: noise 2 dB below it leaves that."""
PURE_DB: Final = 12.0
"""How far anything else is below the tone, at least. A key's weaker tone is less than 9 dB."""
QUIETEST_DBOV: Final = -45.0
"""A softer tone is none."""
STEP_SHARE: Final = 0.015
STEP_HZ: Final = 9.0
"""How far a look may be from the frequency of its tone: the greater of these."""
GAP_LOOKS: Final = 4
"""Looks at something else that do not end a tone."""
LEAST_LOOKS: Final = 5
"""A shorter tone is of no interest to anybody."""
MOST_LEVELS: Final = 400
"""Looks of a tone whose levels are kept: beyond, it is as steady as it was."""

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
    dbov: float
    swing_db: float
    """From its softest to its loudest look, but for those where it begins, ends or is broken."""
    spread_hz: float
    """Standard deviation of its frequency."""

    def seconds(self, rate: int) -> float:
        """Return how long it lasted, or lasts by now."""
        return (self.end - self.begin) / rate


def fax_tone(tone: Tone, wanted: FaxTone, rate: int = 8000, *, ended: bool = True) -> bool:
    """Tell whether a tone is that of a fax; CED is known before it has `ended`."""
    seconds = tone.seconds(rate)
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
        self._rate = rate
        self._hop = rate // LOOKS_PER_SECOND
        size = round(WINDOW * rate)
        self._size = size
        self._window = np.hanning(size + 1)[:size]
        self._fft = 1 << size.bit_length()
        self._bin = rate / self._fft
        self._lobe = round(LOBE_HZ / self._bin)
        # Below the telephone's range lies hum, which is nobody's tone and spoils every share.
        self._low = round(250.0 / self._bin)
        self._band = slice(int(LOWEST_HZ / self._bin), int(HIGHEST_HZ / self._bin) + 2)
        # A full sine, of -3 dBov, has a line of half this power.
        self._reference = 2.0 * (32768.0 * self._window.sum() / 2.0) ** 2
        self._quietest = self._reference * 10.0 ** (QUIETEST_DBOV / 10.0)
        self._rest = np.zeros(size - self._hop, np.int16)
        self._looks = 0
        self._run: _Run | None = None

    @property
    def current(self) -> Tone | None:
        """The tone that is heard now, or was GAP_LOOKS ago."""
        run = self._run
        return run.tone(self) if run is not None and run.looks >= LEAST_LOOKS else None

    def listen(self, samples: NDArray[np.int16]) -> list[Tone]:
        """Take the next whole looks (10 ms each); return the tones that have ended."""
        data = np.concatenate((self._rest, samples))
        self._rest = data[len(data) - len(self._rest) :]
        frames = np.lib.stride_tricks.sliding_window_view(data, self._size)[:: self._hop]
        power = np.abs(np.fft.rfft(frames * self._window, self._fft)) ** 2
        hertz, peak, share, beside = self._measure(power)
        audible = peak >= self._quietest
        pure = audible & (share >= PURE_SHARE) & (beside * 10.0 ** (PURE_DB / 10.0) <= peak)
        ended: list[Tone] = []
        if self._run is None and not pure.any():
            self._looks += len(pure)
            return ended
        for is_pure, frequency, level in zip(
            pure.tolist(), hertz.tolist(), peak.tolist(), strict=True
        ):
            self._take(is_pure, frequency, level, ended)
            self._looks += 1
        return ended

    def _measure(self, power: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Return of each look: frequency and power of the line, its share, what is strongest
        beside it."""
        rows = np.arange(len(power))
        band = power[:, self._band]
        top = band.argmax(axis=1) + self._band.start
        logs = [np.log(power[rows, top + step] + 1e-9) for step in (-1, 0, 1)]
        # The lobe of a Hann window is nearly a parabola on this scale.
        curve = np.minimum(logs[0] - 2.0 * logs[1] + logs[2], -1e-3)
        shift = np.clip(0.5 * (logs[0] - logs[2]) / curve, -0.5, 0.5)
        hertz = (top + shift) * self._bin
        peak = np.exp(logs[1] - 0.25 * (logs[0] - logs[2]) * shift)
        total = power[:, self._low :].sum(axis=1) + 1e-9
        columns = np.arange(power.shape[1])
        line = np.abs(columns - top[:, None]) <= self._lobe
        one = np.where(line, power, 0.0).sum(axis=1)
        beside = np.where(line, 0.0, power)[:, self._low :].max(axis=1)
        return hertz, peak, one / total, beside

    def _take(self, pure: bool, hertz: float, level: float, ended: list[Tone]) -> None:
        run = self._run
        if run is not None:
            if pure and abs(hertz - run.hertz) <= max(STEP_HZ, STEP_SHARE * run.hertz):
                run.add(self._looks, hertz, level)
                return
            if not pure and self._looks - run.last <= GAP_LOOKS:
                return
            if run.looks >= LEAST_LOOKS:
                ended.append(run.tone(self))
            self._run = None
        if pure:
            self._run = _Run(self._looks, hertz, level)

    def position(self, look: int) -> int:
        """Return where the middle of a look's window is."""
        return (look + 1) * self._hop - self._size // 2

    def dbov(self, level: float) -> float:
        """Return the level of a tone whose line has this power."""
        return 10.0 * log10(level / self._reference)


class _Run:
    """Looks at one tone."""

    def __init__(self, look: int, hertz: float, level: float) -> None:
        self.first = self.last = look
        self.looks = 1
        self.hertz = hertz
        self._hertz = [hertz]
        self._levels = [(look, level)]

    def add(self, look: int, hertz: float, level: float) -> None:
        self.last = look
        self.looks += 1
        if len(self._levels) < MOST_LEVELS:
            self._hertz.append(hertz)
            self._levels.append((look, level))
            self.hertz += (hertz - self.hertz) / min(self.looks, 20)

    def tone(self, tracker: ToneTracker) -> Tone:
        """Return it as far as it was heard."""
        looked = {look for look, _ in self._levels}
        inner = [
            level
            for look, level in self._levels
            if {look - 2, look - 1, look + 1, look + 2} <= looked
        ]
        levels = inner or [level for _, level in self._levels]
        hertz = np.array(self._hertz[2:-2] or self._hertz)
        half = tracker.position(1) - tracker.position(0)
        return Tone(
            begin=tracker.position(self.first) - half // 2,
            end=tracker.position(self.last) + half // 2,
            hertz=float(np.median(hertz)),
            dbov=tracker.dbov(float(np.median(levels))),
            swing_db=10.0 * log10(max(levels) / min(levels)),
            spread_hz=float(hertz.std()),
        )
