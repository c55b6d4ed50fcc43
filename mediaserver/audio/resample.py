"""Audio from one sampling rate to a multiple of it and back, a piece at a time.

A windowed-sinc low-pass is worked out once for each factor. Both ways keep what they need of the
piece before, so that pieces of any length give the same as the whole at once. The delay is
`SPAN` / 2 samples of the lower rate in either direction: 2 ms at 8 kHz.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SPAN: Final = 32
"""Samples of the lower rate that one sample of the result is made of."""

_PASSED: Final = 0.92
"""Share of the lower rate's band that is let through."""

_KAISER: Final = 7.0


@cache
def _low_pass(factor: int) -> NDArray[np.float64]:
    """Return the taps of the filter at the higher rate; their sum is 1."""
    size = SPAN * factor
    at = np.arange(size) - size // 2
    taps = np.sinc(at * _PASSED / factor) * np.kaiser(size + 1, _KAISER)[:size]
    taps /= taps.sum()
    taps.flags.writeable = False
    return taps


def _clipped(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


class Upsampler:
    """To `factor` times the rate; 1 changes nothing."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        # Column p makes the samples p after each given one; its newest sample comes last.
        taps = _low_pass(factor).reshape(SPAN, factor)[::-1] * factor
        self._phases: NDArray[np.float64] = np.ascontiguousarray(taps)
        self._before: NDArray[np.float64] = np.zeros(SPAN - 1)

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return `factor` samples for each of `samples`, shape (n,)."""
        if self._factor == 1:
            return samples
        whole = np.concatenate([self._before, samples])
        self._before = whole[whole.size - SPAN + 1 :]
        return _clipped((sliding_window_view(whole, SPAN) @ self._phases).ravel())


class Downsampler:
    """To the rate divided by `factor`; 1 changes nothing."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._taps: NDArray[np.float64] = _low_pass(factor)[::-1].copy()
        self._before: NDArray[np.float64] = np.zeros(self._taps.size - 1)

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return one sample for each `factor` of those given so far, shape (n,)."""
        if self._factor == 1:
            return samples
        whole = np.concatenate([self._before, samples])
        windows = sliding_window_view(whole, self._taps.size) if samples.size else whole[:0, None]
        made = windows[:: self._factor]
        # The next piece begins with the first window that was not used.
        self._before = whole[made.shape[0] * self._factor :]
        if not made.shape[0]:
            return np.zeros(0, np.int16)
        return _clipped(made @ self._taps)
