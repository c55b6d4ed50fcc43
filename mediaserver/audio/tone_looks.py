"""Which one or two frequencies hold nearly all of the power, every 10 ms?

The line is looked at through a window of 25 ms. A look is *pure* when nearly all it sees lies
around one frequency or two: a share of the power, and nothing else nearly as strong.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
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
TWIST_DB: Final = 6.0
"""Most by which one of two tones is louder than the other."""
QUIETEST_DBOV: Final = -45.0
"""A softer tone is none."""


@dataclass(slots=True)
class Look:
    """One look. `lines` are the frequencies, lowest first, if it is pure, else there are none."""

    lines: tuple[float, ...]
    level: float
    """Power of the lines."""
    power: NDArray[np.float64]
    """The spectrum."""


class Looks:
    """Takes looks at one stream; however it is cut into pieces, they are the same."""

    def __init__(self, rate: int) -> None:
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
        self.reference = 2.0 * (32768.0 * self._window.sum() / 2.0) ** 2
        """A full sine, of -3 dBov, has a line of half this power."""
        self._quietest = self.reference * 10.0 ** (QUIETEST_DBOV / 10.0)
        self._rest = np.zeros(size - self._hop, np.int16)

    def take(self, samples: NDArray[np.int16]) -> list[Look]:
        """Take the next whole looks (10 ms each)."""
        data = np.concatenate((self._rest, samples))
        self._rest = data[len(data) - len(self._rest) :]
        frames = np.lib.stride_tricks.sliding_window_view(data, self._size)[:: self._hop]
        power = np.abs(np.fft.rfft(frames * self._window, self._fft)) ** 2
        total = power[:, self._low :].sum(axis=1) + 1e-9
        one, peak, share, rest = self._strongest(power, power)
        two, other, more, rest = self._strongest(power, rest)
        beside = rest[:, self._low :].max(axis=1) * 10.0 ** (PURE_DB / 10.0)
        # Of one line the second strongest is all there is beside it.
        left = np.maximum(other * 10.0 ** (PURE_DB / 10.0), beside)
        audible = peak >= self._quietest
        single = audible & (share >= PURE_SHARE * total) & (left <= peak)
        double = audible & (share + more >= PURE_SHARE * total) & (beside <= other)
        double &= other * 10.0 ** (TWIST_DB / 10.0) >= peak
        looks = []
        for place, row in enumerate(power):
            if single[place]:
                hertz, level = self.line(row, int(one[place]))
                looks.append(Look((hertz,), level, row))
            elif double[place]:
                lines = [self.line(row, int(top[place])) for top in (one, two)]
                low, high = sorted(hertz for hertz, _ in lines)
                looks.append(Look((low, high), lines[0][1] + lines[1][1], row))
            else:
                looks.append(Look((), 0.0, row))
        return looks

    def _strongest(
        self, power: NDArray[np.float64], left: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the strongest of what is left of each look: its bin, its power, that of its line
        and what is left without it."""
        rows = np.arange(len(power))
        top = left[:, self._band].argmax(axis=1) + self._band.start
        near = np.abs(np.arange(power.shape[1]) - top[:, None]) <= self._lobe
        line = np.where(near, left, 0.0)
        return top, left[rows, top], line.sum(axis=1), left - line

    def line(self, power: NDArray[np.float64], top: int) -> tuple[float, float]:
        """Return frequency and power of the line whose middle is closest to a bin."""
        below, middle, above = (log(value + 1e-9) for value in power[top - 1 : top + 2].tolist())
        # The lobe of a Hann window is nearly a parabola on this scale.
        curve = min(below - 2.0 * middle + above, -1e-3)
        shift = min(max(0.5 * (below - above) / curve, -0.5), 0.5)
        return (top + shift) * self._bin, exp(middle - 0.25 * (below - above) * shift)

    def level(self, look: Look, lines: tuple[float, ...], step: float) -> float:
        """Return the power that is in lines no further than a share of `step` from these; 0 if one
        of them is not there."""
        level = 0.0
        for hertz in lines:
            near = round(hertz / self._bin)
            top = near - 1 + int(look.power[near - 1 : near + 2].argmax())
            found, power = self.line(look.power, top)
            if abs(found - hertz) > step * hertz:
                return 0.0
            level += power
        return level

    def position(self, look: int) -> int:
        """Return where the middle of a look's window is."""
        return (look + 1) * self._hop - self._size // 2
