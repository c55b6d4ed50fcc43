"""Audio from one sampling rate to a multiple of it and back, a piece at a time.

A windowed-sinc low-pass is worked out once for each factor. Both ways keep what they need of the
piece before, so that pieces of any length give the same as the whole at once. The delay is
`SPAN` / 2 samples of the lower rate in either direction: 2 ms at 8 kHz.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
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
        # Column j is what the j-th of the groups of `factor` samples adds to a result.
        taps = _low_pass(factor)[::-1].reshape(SPAN, factor)
        self._groups: NDArray[np.float64] = np.ascontiguousarray(taps.T)
        self._before: NDArray[np.float64] = np.zeros(SPAN * factor - 1)

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return one sample for each `factor` of those given so far, shape (n,)."""
        factor = self._factor
        if factor == 1:
            return samples
        whole = np.concatenate([self._before, samples])
        groups = whole.size // factor
        made = max(0, groups - SPAN + 1)
        # The next piece begins with the first group that a result has not begun with.
        self._before = whole[made * factor :]
        if not made:
            return np.zeros(0, np.int16)
        parts = whole[: groups * factor].reshape(groups, factor) @ self._groups
        # Result k is made of part j of group k + j, for every j: a diagonal.
        down, across = parts.strides
        diagonals = as_strided(parts, (made, SPAN), (down, down + across), writeable=False)
        return _clipped(diagonals.sum(axis=1))
