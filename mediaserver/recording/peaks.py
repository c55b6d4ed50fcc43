"""Peaks: how far a recording's waveform goes, for whoever draws it without decoding the audio.

The file is what audiowaveform calls its binary format, version 2, with 8 bits; peaks.js reads it.
All numbers are little-endian:

======  ========  =========================================================
offset  type      is
======  ========  =========================================================
0       int32     version: 2
4       uint32    flags: 1, the values have 8 bits
8       int32     sample rate of the audio, Hz
12      int32     samples a pair stands for: 20 ms
16      uint32    number of pairs of each channel
20      int32     number of channels
24      int8 ...  for each 20 ms, for each channel: lowest and highest sample
======  ========  =========================================================

A value is a 256th of the sample, rounded towards zero. The last pair may stand for less.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

PAIRS_PER_SECOND: Final = 50

HEADER: Final = struct.Struct("<iIiiIi")
VERSION: Final = 2
EIGHT_BITS: Final = 1


def header(rate: int, channels: int, samples: int) -> bytes:
    """Return what goes before the pairs of so many samples a channel."""
    span = rate // PAIRS_PER_SECOND
    return HEADER.pack(VERSION, EIGHT_BITS, rate, span, -(-samples // span), channels)


def pairs(samples: NDArray[np.int16], rate: int) -> NDArray[np.int8]:
    """Return the pairs of a stretch, shape (n, channels, 2); of the samples' shape (m, channels).

    Stretches before the last one must hold whole pairs: a multiple of 20 ms.
    """
    span = rate // PAIRS_PER_SECOND
    begins = np.arange(0, len(samples), span)
    if not len(begins):
        return np.empty((0, samples.shape[1], 2), np.int8)
    ends = np.stack(
        [np.minimum.reduceat(samples, begins), np.maximum.reduceat(samples, begins)], axis=2
    )
    values: NDArray[np.int8] = np.trunc(ends / 256.0).astype(np.int8)
    return values
