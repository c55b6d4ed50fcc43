"""The header of a wav whose samples are sent after it, without a file to go back in.

A length that is known is written down; beyond 4 GiB, where RIFF has no words for it, as RF64 does
(EBU Tech 3306). One that is not known yet is 0xFFFFFFFF, by which players take all that comes.
"""

from __future__ import annotations

import struct
from typing import Final

WIDTH: Final = 2
"""Bytes of a sample."""
UNKNOWN: Final = 0xFFFF_FFFF
RF64_FROM: Final = UNKNOWN - 4096
"""Bytes of audio from which a wav is RF64; a little less than RIFF could say."""

_FORMAT: Final = struct.Struct("<4sIHHIIHH")
_PLAIN: Final = 36
"""Bytes of a plain header that RIFF's own size counts."""
_LONG: Final = 72
"""The same of RF64's."""


def wav_header(rate: int, channels: int, samples: int | None) -> bytes:
    """Return the header of 16-bit PCM with so many samples a channel; None: not known yet."""
    block = WIDTH * channels
    form = _FORMAT.pack(b"fmt ", 16, 1, channels, rate, rate * block, block, 8 * WIDTH)
    if samples is None:
        return _riff(b"RIFF", UNKNOWN) + form + _data(UNKNOWN)
    size = samples * block
    if size < RF64_FROM:
        return _riff(b"RIFF", size + _PLAIN) + form + _data(size)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, size + _LONG, size, samples, 0)
    return _riff(b"RF64", UNKNOWN) + sizes + form + _data(UNKNOWN)


def _riff(name: bytes, size: int) -> bytes:
    return struct.pack("<4sI4s", name, size, b"WAVE")


def _data(size: int) -> bytes:
    return struct.pack("<4sI", b"data", size)
