"""How loud is the line, frame by frame, and what of it stands out from the line's noise?

Loudness is the power of frames of 20 ms. A frame is *loud* above the higher of

- a fixed level (`floor_dbov`), which decides on a quiet line, and
- the noise plus a margin. The noise is the level that a fifth of the last three seconds stayed
  below: steady noise, hum, a held tone are background whatever their level, and speech, which
  pauses several times in three seconds, is not. What fluctuates (a car, a room full of people)
  needs more of a margin than hiss does: how much is read off the quieter third of those frames.

The noise is read once a second, so that it costs next to nothing; within the first second the
quietest frame so far stands for it.

Where a word ends in noise its last sounds are softer than that. `fade` tells how much longer it
went on than its last loud frame, from what came after: first as long as it is louder than the line
is once all is quiet, then as long as a voice usually takes to die away below that. It looks at
power, and at the power of the differences between neighbouring samples: there what hisses, as the
end of "yes" does, stands out from what rumbles and hums. The later end of the two counts.
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
SPREAD_MARGIN: Final = 2.0
"""Margin for each dB of spread, in dB."""
SPREAD_LIMIT_DB: Final = 4.0
"""Most margin for spread: speech without a pause spreads as well, and must still stand out."""

FADE_FRAMES: Final = 75
"""Most frames after a last loud one that `fade` looks at."""
FADE_LEAST: Final = 15
"""Fewer do not tell noise from voice."""
FADE_LONGEST: Final = 45
"""Most frames by which a fading voice is louder than the noise."""
FADE_GAP: Final = 11
"""Frames no louder than noise that may lie within a word: a stop and what follows it softly."""
FADE_MARGIN_DB: Final = 3.0
"""Noise is no louder than its mean by this or, if it fluctuates, ..."""
FADE_DEVIATIONS: Final = 3.0
"""... by so many standard deviations."""
PEAK_FRAMES: Final = 75
"""Frames up to a last loud one among which the voice's loudest is looked for."""
VOICE_RANGES_DB: Final = (32.0, 24.0)
"""A voice that dies away in noise is over when it is so far below its loudest, by power and by
that of the differences."""
VOICE_DEPTHS_DB: Final = (40.0, 24.0)
"""What is so far below its loudest is no voice, however quiet the line."""
FADE_PER_DB: Final = 0.5
"""Frames a voice takes to fall by a decibel, where that is hidden by noise."""
HIDDEN_LONGEST: Final = 12.5
"""Most frames by which it is taken to go on below the noise."""

_FULL_POWER = 32768.0**2


class Loudness:
    """Measures one stream; frames in order, cut anywhere: the answers are the same."""

    def __init__(self, floor_dbov: float, margin_db: float, frame: int) -> None:
        self.frames = 0
        """Number of frames measured."""
        self._frame = frame
        # Powers are kept as sums of squares: a double holds them exactly, so no cut changes them.
        self._floor = frame * _FULL_POWER * 10.0 ** (floor_dbov / 10.0)
        self._floor_db = 10.0 * log10(self._floor)
        self._margin_db = margin_db
        self._threshold = self._floor
        self._quietest = np.inf
        self._levels = np.empty((2, 0))  # of the last frames measured: power, and of differences

    def measure(self, samples: NDArray[np.int16]) -> list[int]:
        """Take the next whole frames; return the numbers of the loud ones, counted from 0."""
        rows = samples.astype(np.float64).reshape(-1, self._frame)
        levels = np.empty((2, len(rows)))
        power, differences = levels
        np.matmul(rows[:, None, :], rows[:, :, None], power[:, None, None])
        # Sums of (a - b)^2, had from those of a^2 and of a * b.
        np.matmul(rows[:, None, 1:], rows[:, :-1, None], differences[:, None, None])
        np.subtract(power, differences, differences)
        first = self.frames
        self.frames += len(rows)
        self._levels = np.concatenate((self._levels[:, -NOISE_FRAMES:], levels), axis=1)
        loud: list[int] = ((power > self._thresholds(first)).nonzero()[0] + first).tolist()
        return loud

    def fade(self, end: int, ahead: int) -> float:
        """Return how many frames longer a voice went on whose last loud frame is `end` - 1.

        The answer depends on the `ahead` frames from `end` on (at most FADE_FRAMES of them) and
        on those before; what was not measured yet is taken for silence.
        """
        ahead = min(ahead, FADE_FRAMES)
        if ahead < FADE_LEAST:
            return 0.0
        at = self._levels.shape[1] - self.frames + end
        fades = []
        measures = zip(self._levels, VOICE_RANGES_DB, VOICE_DEPTHS_DB, strict=True)
        for levels, range_db, depth_db in measures:
            voice, after = levels[max(0, at - PEAK_FRAMES) : at], levels[at - 1 : at + ahead]
            fades.append(_fade(voice, after, ahead, range_db, depth_db, self._floor_db))
        return max(fades)

    def _thresholds(self, first: int) -> NDArray[np.float64]:
        """Return what the frames from `first` on, the last ones measured, must be louder than."""
        power = self._levels[0]
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
        levels, count = power.copy(), len(power)
        levels.sort()
        noise = levels.item(int(NOISE_SHARE * count))
        low, high = (levels.item(int(share * count)) for share in SPREAD_SHARES)
        spread = SPREAD_MARGIN * 10.0 * log10((high + 1.0) / (low + 1.0))
        margin = self._margin_db + min(spread, SPREAD_LIMIT_DB)
        self._threshold = max(self._floor, noise * 10.0 ** (margin / 10.0))


def _fade(
    voice: NDArray[np.float64],
    after: NDArray[np.float64],
    ahead: int,
    range_db: float,
    depth_db: float,
    floor_db: float,
) -> float:
    """Return the frames by which a voice outlasts its last loud one, the first of `after`."""
    if len(after) <= ahead:
        after = np.concatenate((after, np.zeros(ahead + 1 - len(after))))
    # One unit, a sample of 1 in a frame, keeps digital silence on the scale.
    quiet = after[-(ahead // 3) :] + 1.0
    over = max(FADE_MARGIN_DB, FADE_DEVIATIONS * 10.0 * float(np.log10(quiet).std()))
    noise_db = max(10.0 * log10(quiet.mean()) + over, floor_db)
    loudest_db = 10.0 * log10(voice.max() + 1.0)
    threshold_db = max(noise_db, loudest_db - depth_db)
    smooth = after[:-2] + after[1:-1] + after[2:]  # of each frame and its neighbours
    limit = min(FADE_LONGEST, ahead - ahead // 3)
    seen = _last_before_gap(smooth[:limit] > 3.0 * 10.0 ** (threshold_db / 10.0))
    hidden = FADE_PER_DB * (range_db - (loudest_db - threshold_db))
    return seen + min(max(hidden, 0.0), HIDDEN_LONGEST)


def _last_before_gap(over: NDArray[np.bool_]) -> int:
    """Return the end of the last True that no gap beyond FADE_GAP divides from the start."""
    end = 0
    for at in np.flatnonzero(over).tolist():
        if at - end > FADE_GAP:
            break
        end = at + 1
    return end
