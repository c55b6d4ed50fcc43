"""What is a tone that a network or a key makes, and no voice?

Ringing, busy and dial tones, keys and faxes are one or two frequencies that stand still; voice
detectors take them for voices. Through a window of 64 ms, a frame in which two narrow lines hold
nearly all the power, and are where they were in the frame before, is *standing*. A vowel's lines
move with its pitch: of recorded speech a twentieth at most stands for 80 ms, and hardly
anything for longer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .loudness import FRAMES_PER_SECOND

WINDOW: Final = 0.064
"""Seconds of a spectrum; it ends with its frame."""
LINE_HZ: Final = 47.0
"""What lies so close to the middle of a line is part of it."""
LINES_SHARE: Final = 0.9
"""Least share of the power that is in the lines: noise 10 dB below them leaves that."""
STEP_HZ: Final = 16.0
"""Most that a line moves from frame to frame."""
LOWEST_HZ: Final = 340.0
"""Where all lines lie below this it may be the fundamental of a voice."""
HUM_HZ: Final = 94.0
"""Below this nothing is looked at."""

STANDING_FRAMES: Final = 4
"""So many such frames in a row are no voice."""
ONSET_FRAMES: Final = 2
"""Frames before the first of them, in which the tone began."""
DELAY: Final = STANDING_FRAMES - 1 + ONSET_FRAMES
"""Frames after which no frame becomes a part of a tone."""


class SignalTones:
    """Follows one stream, frame by frame of 20 ms."""

    def __init__(self, rate: int = 8000) -> None:
        size = round(WINDOW * rate)
        self._size = size
        self._frame = rate // FRAMES_PER_SECOND
        self._window = np.hanning(size + 1)[:size]
        width = rate / size
        self._reach = round(LINE_HZ / width)
        self._step = int(STEP_HZ / width + 0.5)
        self._low = int(np.ceil(HUM_HZ / width))
        self._voice = LOWEST_HZ / width
        self._rest = np.zeros(size - self._frame, np.int16)
        self._lines = (0, 0)  # of the frame before, lower and higher
        self._strongest = 0

    def listen(self, samples: NDArray[np.int16]) -> list[bool]:
        """Take the next whole frames; return for each whether it is standing."""
        data = np.concatenate((self._rest, samples))
        self._rest = data[len(data) - len(self._rest) :]
        frames = np.lib.stride_tricks.sliding_window_view(data, self._size)[:: self._frame]
        power = np.abs(np.fft.rfft(frames * self._window)) ** 2
        power[:, : self._low] = 0.0
        bins = np.arange(power.shape[1])
        total = power.sum(axis=1) + 1e-9
        first = power.argmax(axis=1)
        near = np.abs(bins - first[:, None]) <= self._reach
        one = np.where(near, power, 0.0).sum(axis=1) / total
        power[near] = 0.0
        second = power.argmax(axis=1)
        near = np.abs(bins - second[:, None]) <= self._reach
        both = one + np.where(near, power, 0.0).sum(axis=1) / total
        return [
            self._stands(*look)
            for look in zip(
                first.tolist(), second.tolist(), one.tolist(), both.tolist(), strict=True
            )
        ]

    def _stands(self, first: int, second: int, one: float, both: float) -> bool:
        lines = min(first, second), max(first, second)
        if one > LINES_SHARE:
            still = abs(first - self._strongest) <= self._step and first >= self._voice
        else:
            still = all(
                abs(line - before) <= self._step
                for line, before in zip(lines, self._lines, strict=True)
            )
            still = still and lines[0] >= self._voice
        self._lines, self._strongest = lines, first
        return still and both > LINES_SHARE
