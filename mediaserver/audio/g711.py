"""G.711 by table lookup: mu-law and A-law to 16-bit linear samples and back.

The tables follow the arithmetic of ITU-T G.191 (the ITU's reference code for G.711), in which a
negative sample is folded by its ones' complement. Every byte decodes to the exact ITU value
scaled to 16 bits, every sample encodes to the interval of G.711 tables 1 and 2 that it lies in.
The encode tables are indexed by the sample viewed as uint16, so that both directions are one
`take` over a whole batch: about 0.1 us for 20 ms of audio when many packets are decoded at once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_ULAW_BIAS = 33  # added to 14-bit magnitudes so that each segment begins at a power of two
_ULAW_MAX = 0x1FFF  # 14-bit magnitudes with the bias saturate here


def _build_ulaw_decode() -> NDArray[np.int16]:
    code = ~np.arange(256) & 0xFF  # mu-law is sent inverted
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = ((mantissa << 3) + 4 * _ULAW_BIAS << exponent) - 4 * _ULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _build_alaw_decode() -> NDArray[np.int16]:
    code = np.arange(256) ^ 0x55  # A-law is sent with its even bits inverted
    exponent, mantissa = (code >> 4) & 7, code & 15
    # Segment 0 is linear like segment 1 but without the leading one.
    magnitude = np.where(
        exponent == 0, (mantissa << 4) + 8, (mantissa << 4) + 0x108 << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _all_samples() -> NDArray[np.int64]:
    """Return the value of each sample in the order of its uint16 view."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)


def _segment(magnitude: NDArray[np.int64], least: int) -> NDArray[np.int64]:
    """Return how often `magnitude` can be halved and still be at least `least`."""
    segment = np.zeros_like(magnitude)
    for power in range(1, 8):
        segment += magnitude >= least << power
    return segment


def _build_ulaw_encode() -> NDArray[np.uint8]:
    samples = _all_samples()
    folded = np.where(samples < 0, ~samples, samples) >> 2
    magnitude = np.minimum(folded + _ULAW_BIAS, _ULAW_MAX)
    exponent = _segment(magnitude, 32)
    code = (exponent << 4) | ((magnitude >> exponent + 1) & 15)
    table: NDArray[np.uint8] = (~np.where(samples < 0, code | 0x80, code)).astype(np.uint8)
    return table


def _build_alaw_encode() -> NDArray[np.uint8]:
    samples = _all_samples()
    magnitude = np.where(samples < 0, ~samples, samples) >> 4
    exponent = _segment(magnitude, 8)
    code = (exponent << 4) | ((magnitude >> np.maximum(exponent - 1, 0)) & 15)
    return (np.where(samples < 0, code, code | 0x80) ^ 0x55).astype(np.uint8)


def _frozen_i16(table: NDArray[np.int16]) -> NDArray[np.int16]:
    table.flags.writeable = False
    return table


def _frozen_u8(table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    table.flags.writeable = False
    return table


ULAW_DECODE: Final = _frozen_i16(_build_ulaw_decode())
"""int16 samples, shape (256,), indexed by the byte."""

ALAW_DECODE: Final = _frozen_i16(_build_alaw_decode())
"""int16 samples, shape (256,), indexed by the byte."""

ULAW_ENCODE: Final = _frozen_u8(_build_ulaw_encode())
"""uint8 codes, shape (65536,), indexed by the sample viewed as uint16."""

ALAW_ENCODE: Final = _frozen_u8(_build_alaw_encode())
"""uint8 codes, shape (65536,), indexed by the sample viewed as uint16."""

ULAW_TO_ALAW: Final = _frozen_u8(ALAW_ENCODE.take(ULAW_DECODE.view(np.uint16)))
"""uint8 A-law codes, shape (256,), indexed by the mu-law code."""

ALAW_TO_ULAW: Final = _frozen_u8(ULAW_ENCODE.take(ALAW_DECODE.view(np.uint16)))
"""uint8 mu-law codes, shape (256,), indexed by the A-law code."""


def _codes(data: bytes | bytearray | memoryview | NDArray[np.uint8]) -> NDArray[np.uint8]:
    if isinstance(data, np.ndarray):
        return data
    return np.frombuffer(data, dtype=np.uint8)


def decode_ulaw(data: bytes | bytearray | memoryview | NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the samples of mu-law bytes; an array keeps its shape."""
    return ULAW_DECODE.take(_codes(data))


def decode_alaw(data: bytes | bytearray | memoryview | NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the samples of A-law bytes; an array keeps its shape."""
    return ALAW_DECODE.take(_codes(data))


def encode_ulaw(samples: NDArray[np.int16]) -> bytes:
    """Return one mu-law byte for each sample."""
    return ULAW_ENCODE.take(samples.view(np.uint16)).tobytes()


def encode_alaw(samples: NDArray[np.int16]) -> bytes:
    """Return one A-law byte for each sample."""
    return ALAW_ENCODE.take(samples.view(np.uint16)).tobytes()
