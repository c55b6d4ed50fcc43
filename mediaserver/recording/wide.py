"""A track at a higher rate than the line's, of which some was heard at that rate.

A leg that speaks G.722 or Opus has second journals (`journal`). Everything else is of the line:
what the party hears that was not passed on as it came, and all that was G.711. That is brought to
the higher rate by a filter whose result at a position is the same wherever reading begins, and no
sample moves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio.resample import SPAN, Upsampler

SILENT: Final = 32
"""Samples in a row that are zero where nothing was heard; where silence was, the line is silent."""

Reader = Callable[[int, int], NDArray[np.int16]]
"""`read(start, end)`: samples of a journal or what is made of it; silence where there are none."""


def widened(line: Reader, factor: int, start: int, end: int) -> NDArray[np.int16]:
    """Return what lies on a line from `start` to before `end`, both at `factor` times its rate."""
    reach = SPAN // 2
    first = start // factor - reach
    samples = line(first, -(-end // factor) + reach)
    made = Upsampler(factor).feed(samples)
    skip = start - (first - reach) * factor
    return made[skip : skip + end - start]


def at_higher_rate(
    line: Reader, wide: Reader | None, factor: int, start: int, end: int
) -> NDArray[np.int16]:
    """Return one side from `start` to before `end`, in samples at `factor` times the line's rate.

    `wide` reads its journal of that rate, if it has one.
    """
    if wide is None:
        return widened(line, factor, start, end)
    around = wide(start - SILENT, end + SILENT)
    nothing = _silent(around)[SILENT : SILENT + end - start]
    samples = around[SILENT : SILENT + end - start]
    if nothing.any():
        samples = np.where(nothing, widened(line, factor, start, end), samples)
    return samples


def _silent(samples: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Return which samples are among `SILENT` or more that are zero."""
    zero = np.concatenate([[False], samples == 0, [False]])
    edges = np.flatnonzero(zero[1:] != zero[:-1])
    silent = np.zeros(samples.size, np.bool_)
    for begin, stop in edges.reshape(-1, 2).tolist():
        if stop - begin >= SILENT:
            silent[begin:stop] = True
    return silent
