"""Is there anything on the line beside its noise? Asked where a voice must not be missed.

The voice detector (`audio.vad`) is made not to take noise for a voice. In noise it pays for that
with soft words, and with loud ones where somebody talks without a pause. Here it is the other way
round: a frame of 20 ms is *audible* when its spectrum is unlikely for the noise alone.

- The powers of eleven bands are looked at, through a window of 32 ms that ends with the frame.
- A band's noise is what a tenth of its last three seconds stayed below: between two sounds of a
  voice, or beside them, each band is at its noise soon and often.
- How unlikely a frame is, is the logarithm of the likelihood ratio, summed over the bands that are
  louder than their noise, and the mean of three frames. What a tenth of the three seconds stays
  below is the noise's own: where it is loud and fluctuates (people in the background), more is
  asked for.
- What is far below the loudest of the three seconds is not audible, however quiet the line.

Less than RUN_FRAMES in a row are a click.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .loudness import FRAMES_PER_SECOND

EDGES_HZ: Final = (100, 300, 500, 700, 900, 1200, 1600, 2000, 2500, 3000, 3500, 3900)
"""Between these lie the bands."""
WINDOW: Final = 0.032
"""Seconds of a spectrum."""
FREEDOM: Final = 0.6
"""Independent values in a bin of such a spectrum, halved."""
NOISE_FRAMES: Final = 3 * FRAMES_PER_SECOND
"""How far back the noise is looked for."""
NOISE_SHARE: Final = 0.1
"""Share of the frames, each band's own, that are no louder than its noise ..."""
NOISE_BIAS: Final = 1.5
"""... times this: noise is louder most of the time than a tenth of the time."""
AUDIBLE: Final = 12.0
"""How unlikely a frame has to be; steady noise hardly ever is."""
OWN_SHARE: Final = 0.1
OWN_RATIO: Final = 5.0
"""So many times as unlikely as a tenth of the frames it has to be, too ..."""
NOISY_DB: Final = 25.0
"""... unless the noise is so far below the loudest: who never pauses is not his own noise."""
DEPTH_DB: Final = 25.0
"""How far below the loudest a frame is audible."""
SOFTEST_DBOV: Final = -55.0
"""A softer frame never is."""
RUN_FRAMES: Final = 4
"""Fewer audible frames in a row are a click: a frame spreads over three."""
FIRST_FRAMES: Final = FRAMES_PER_SECOND // 2
"""Before these nothing is known of the noise."""


class Presence:
    """Follows one stream, block by block of `audio.vad.BLOCK` frames."""

    def __init__(self, rate: int = 8000) -> None:
        self._frame = rate // FRAMES_PER_SECOND
        size = round(WINDOW * rate)
        self._size = size
        self._window = np.hanning(size + 2)[1:-1]
        self._begins = np.round(np.array(EDGES_HZ) * WINDOW).astype(np.intp)
        self._widths = FREEDOM * np.diff(self._begins)
        # Of a sample: white noise of that power has it in each frame's bands together.
        self._scale = 2.0 / (size * float(self._window @ self._window))
        self._softest = 32768.0**2 * 10.0 ** (SOFTEST_DBOV / 10.0)
        self._rest = np.zeros(size - self._frame, np.int16)
        self._powers = np.empty((0, len(self._widths)))  # of the last NOISE_FRAMES
        self._before = np.zeros((2, len(self._widths)))  # of the last two
        self._unlikely = np.empty(0)
        self._row = 0

    def listen(self, samples: NDArray[np.int16]) -> list[bool]:
        """Take the next block; return for each of its frames whether it is audible.

        A frame is so when it and the RUN_FRAMES - 1 before it stand out.
        """
        data = np.concatenate((self._rest, samples)).astype(np.float64)
        self._rest = samples[len(samples) - len(self._rest) :]
        views = np.lib.stride_tricks.sliding_window_view(data, self._size)[:: self._frame]
        spectrum = np.fft.rfft(views * self._window)[:, : self._begins[-1]]
        squares = spectrum.real**2 + spectrum.imag**2
        powers = np.add.reduceat(squares, self._begins[:-1], axis=1) * self._scale
        known = self._powers = np.concatenate((self._powers, powers))[-NOISE_FRAMES:]
        near = np.concatenate((self._before, powers))
        self._before = near[-2:]
        place = int(NOISE_SHARE * len(known))
        noise = np.partition(known, place, axis=0)[place] * NOISE_BIAS + 0.25
        over = np.maximum(near / noise, 1.0) - 1.0
        unlikely = _means(((over - np.log1p(over)) * self._widths).sum(axis=1))
        level = _means((over * noise).sum(axis=1))
        self._unlikely = np.concatenate((self._unlikely, unlikely))[-NOISE_FRAMES:]
        if len(known) < FIRST_FRAMES:
            return [False] * len(powers)
        place = int(OWN_SHARE * len(self._unlikely))
        own = float(np.partition(self._unlikely, place)[place])
        loudest = float(known.sum(axis=1).max())
        soft = max(loudest * 10.0 ** (-DEPTH_DB / 10.0), self._softest)
        if float(noise.sum()) < loudest * 10.0 ** (-NOISY_DB / 10.0):
            own = 0.0
        stands = (unlikely > max(AUDIBLE, OWN_RATIO * own)) & (level > soft)
        return [self._follow(one) for one in stands.tolist()]

    def _follow(self, stands: bool) -> bool:
        self._row = self._row + 1 if stands else 0
        return self._row >= RUN_FRAMES


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of each value but the first two and the two before it."""
    means: NDArray[np.float64] = (values[:-2] + values[1:-1] + values[2:]) / 3.0
    return means
