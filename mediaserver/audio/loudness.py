"""How loud is the line, frame by frame, and what of it stands out from the line's noise?

Loudness is the power of frames of 20 ms. A frame is *loud* above the higher of

- a fixed level (`floor_dbov`), which decides on a quiet line, and
- the noise plus a margin. The noise is the level that a fifth of the last three seconds stayed
  below: steady noise, hum, a held tone are background whatever their level, and speech, which
  pauses several times in three seconds, is not. Who speaks without a pause is not his own noise
  either: it is no more than 4 dB over what a twentieth stayed below. What fluctuates (a car, a room
  full of people) needs more of a margin than hiss does: how much is read off the quieter third of
  those frames.

Tones that come and go, as when the line is busy, leave pauses for the noise to be read in. But
they always come back to the same level, which no voice does: where the loudest fifth of the three
seconds is of one level, that level is background, until it was missing for six seconds.

The noise is read once a second, so that it costs next to nothing; within the first second the
quietest frame so far stands for it.
"""

from __future__ import annotations

from math import log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

FRAMES_PER_SECOND: Final = 50

NOISE_FRAMES: Final = 3 * FRAMES_PER_SECOND
"""How far back the noise is looked for."""
NOISE_EVERY: Final = FRAMES_PER_SECOND
"""Frames for which a noise level is used."""
NOISE_SHARE: Final = 0.2
"""Share of the frames that are no louder than the noise."""
SPREAD_SHARES: Final = (0.05, 0.3)
"""Shares of the frames between whose levels the noise spreads."""
SILENCE_POWER: Final = 64.0
"""Power of a sample where nothing was received: idle A-law is no louder."""
SPREAD_MARGIN: Final = 2.0
"""Margin for each dB of spread, in dB."""
SPREAD_LIMIT_DB: Final = 4.0
"""Most margin for spread: speech without a pause spreads as well, and must still stand out."""

STEP_LIMIT_DB: Final = 4.0
"""Most by which the noise is above the lower share of SPREAD_SHARES."""
STEADY_SHARES: Final = (0.8, 0.95)
"""Shares of the frames between whose levels a tone that comes and goes spreads ..."""
STEADY_RATIO: Final = 10.0**0.15
"""... by less than this, 1.5 dB."""
OFF_DB: Final = 8.0
"""How far below it the level is in its pauses at least."""
EDGE_SHARE: Final = 0.25
"""Most frames between, where it begins and ends, for each at its level: compressed speech keeps to
one level as well, but not to two."""
STEADY_READS: Final = 6
"""Readings of the noise for which such a tone is remembered."""
PEAK_FRAMES: Final = 75
"""Frames up to a last heard one among which the voice's loudest is looked for."""

_FULL_POWER = 32768.0**2


class Loudness:
    """Measures one stream; frames in order, cut anywhere: the answers are the same."""

    def __init__(self, floor_dbov: float, margin_db: float, frame: int) -> None:
        self.frames = 0
        """Number of frames measured."""
        self._frame = frame
        # Powers are kept as sums of squares: a double holds them exactly, so no cut changes them.
        self._floor: float = frame * _FULL_POWER * 10.0 ** (floor_dbov / 10.0)
        self._margin_db = margin_db
        self._threshold = self._floor
        self._quietest = np.inf
        self._power = np.empty(0)  # of the last frames measured
        self._steady = 0.0  # power of tones that come and go
        self._forget = 0  # readings of the noise until that is forgotten

    def measure(self, samples: NDArray[np.int16]) -> list[int]:
        """Take the next whole frames; return the numbers of the loud ones, counted from 0."""
        rows = samples.astype(np.float64).reshape(-1, self._frame)
        power = np.matmul(rows[:, None, :], rows[:, :, None])[:, 0, 0]
        first = self.frames
        self.frames += len(rows)
        self._power = np.concatenate((self._power[-NOISE_FRAMES:], power))
        loud: list[int] = ((power > self._thresholds(first)).nonzero()[0] + first).tolist()
        return loud

    @property
    def floor(self) -> float:
        """Power of a frame that is never loud, as a sum of squares."""
        return self._floor

    def loudest(self, end: int) -> float:
        """Return the power of the loudest of the PEAK_FRAMES before `end`, as a sum of squares.

        `end` lies no further back than what was measured last and PEAK_FRAMES before that.
        """
        at = len(self._power) - self.frames + end
        return float(self._power[max(0, at - PEAK_FRAMES) : at].max())

    def _thresholds(self, first: int) -> NDArray[np.float64]:
        """Return what the frames from `first` on, the last ones measured, must be louder than."""
        power = self._power
        before = len(power) - self.frames  # frame n is power[before + n]
        thresholds = np.empty(self.frames - first)
        at = first
        while at < self.frames:
            end = min(at - at % NOISE_EVERY + NOISE_EVERY, self.frames)
            here = slice(at - first, end - first)
            if at < NOISE_EVERY:
                thresholds[here] = self._over_quietest(power[before + at : before + end])
            else:
                if at % NOISE_EVERY == 0:
                    now = before + at
                    self._read_noise(power[max(0, now - NOISE_FRAMES) : now])
                thresholds[here] = self._threshold
            at = end
        return thresholds

    def _over_quietest(self, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the thresholds of the stream's first frames: over the quietest up to each."""
        quietest = np.minimum(np.minimum.accumulate(power), self._quietest)
        self._quietest = float(quietest[-1])
        over = 10.0 ** ((self._margin_db + SPREAD_LIMIT_DB) / 10.0)
        thresholds: NDArray[np.float64] = np.maximum(quietest * over, self._floor)
        return thresholds

    def _read_noise(self, power: NDArray[np.float64]) -> None:
        """Set the threshold by the frames of the last seconds."""
        levels = power.copy()
        levels.sort()
        # A lost packet leaves silence, which tells nothing of the noise unless there is much of it.
        silent = int(levels.searchsorted(self._frame * SILENCE_POWER))
        if silent < NOISE_SHARE * len(levels):
            levels = levels[silent:]
        count, at = len(levels), levels.item
        low, high = at(int(SPREAD_SHARES[0] * count)), at(int(SPREAD_SHARES[1] * count))
        most, top = at(int(STEADY_SHARES[0] * count)), at(int(STEADY_SHARES[1] * count))
        noise = at(int(NOISE_SHARE * count))
        noise = min(noise, low * 10.0 ** (STEP_LIMIT_DB / 10.0))
        spread = SPREAD_MARGIN * 10.0 * log10((high + 1.0) / (low + 1.0))
        margin = self._margin_db + min(spread, SPREAD_LIMIT_DB)
        self._threshold = max(self._floor, noise * 10.0 ** (margin / 10.0))
        self._forget -= 1
        if self._threshold < top < most * STEADY_RATIO and _on_and_off(levels, top):
            if top < self._steady * STEADY_RATIO and self._steady < top * STEADY_RATIO:
                self._forget = STEADY_READS
            self._steady = top
        if self._forget > 0:
            over = self._steady * 10.0 ** (self._margin_db / 10.0)
            self._threshold = max(self._threshold, over)


def _on_and_off(levels: NDArray[np.float64], top: float) -> bool:
    """Whether nearly all sorted levels are close to the top one or far below it."""
    bounds = (top * 10.0 ** (-OFF_DB / 10.0), top / STEADY_RATIO)
    far, close = levels.searchsorted(bounds).tolist()
    return bool(close - far <= EDGE_SHARE * (len(levels) - close))
