"""What live audio is written as: G.711, or linear samples at a rate that others ask for.

A codec is named as in `L16@24000h@40i`: the name, the rate in Hz, the milliseconds of a frame.
Rate and frame may be left out. Linear samples are 16 bits, little-endian, as speech services take
them; everything is mono. Bit for bit, G.711 is what `audio.g711` makes of the samples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from .resample import Downsampler, Upsampler

RATE: Final = 8000
"""Hz of the samples that are given and returned."""

FRAME: Final = 20
"""Milliseconds of a frame if nobody says otherwise."""

FRAMES: Final = range(10, 121, 10)
"""Milliseconds that a frame may have."""

LINEAR_RATES: Final = (8000, 16_000, 24_000, 32_000, 48_000)

_NAMED: Final = re.compile(
    r"(?P<name>[A-Za-z0-9]{1,16})(?:@(?P<rate>[0-9]{4,6})h)?(?:@(?P<ms>[0-9]{1,4})i)?"
)

_MEDIA_TYPES: Final = {"PCMU": "audio/x-mulaw", "PCMA": "audio/x-alaw", "L16": "audio/x-l16"}


@dataclass(frozen=True, slots=True)
class LiveCodec:
    """How frames of live audio are written."""

    name: str
    """PCMU, PCMA or L16."""
    rate: int = RATE
    """Hz."""
    ptime: int = FRAME
    """Milliseconds of a frame."""

    @classmethod
    def parse(cls, text: str, ptime: int = FRAME) -> LiveCodec:
        """Read a name as `L16@16000h@40i`; ValueError with a sentence if it cannot be made.

        `ptime` are the milliseconds where the name says none.
        """
        found = _NAMED.fullmatch(text)
        if found is None:
            raise ValueError("the codec is written as PCMU, PCMA or L16@16000h@20i")
        name = found["name"].upper()
        if name not in _MEDIA_TYPES:
            raise ValueError(f"live audio is PCMU, PCMA or L16; {name} is not made")
        rate = int(found["rate"] or RATE)
        if rate not in (LINEAR_RATES if name == "L16" else (RATE,)):
            rates = ", ".join(map(str, LINEAR_RATES))
            raise ValueError(f"the rate of L16 is one of {rates}; G.711 has {RATE}")
        ptime = int(found["ms"] or ptime)
        if ptime not in FRAMES:
            raise ValueError("a frame is 10 to 120 ms long, in steps of 10")
        return cls(name, rate, ptime)

    @property
    def media_type(self) -> str:
        """What media streams call it."""
        return _MEDIA_TYPES[self.name]

    @property
    def payload_type(self) -> int:
        """The static RTP payload type of G.711 (RFC 3551 table 4)."""
        return {"PCMU": 0, "PCMA": 8}[self.name]


class Encoder:
    """Writes the frames of one track."""

    def __init__(self, codec: LiveCodec) -> None:
        self._codec = codec
        self._upsampler = Upsampler(codec.rate // RATE)

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Return samples at `RATE`, shape (n,), as the codec writes them."""
        match self._codec.name:
            case "PCMU":
                return encode_ulaw(samples)
            case "PCMA":
                return encode_alaw(samples)
            case _:
                return self._upsampler.feed(samples).astype("<i2").tobytes()


class Decoder:
    """Reads the pieces of one track; they may be of any length."""

    def __init__(self, codec: LiveCodec) -> None:
        self._codec = codec
        self._downsampler = Downsampler(codec.rate // RATE)
        self._odd = b""

    def decode(self, data: bytes) -> NDArray[np.int16]:
        """Return what is written as samples at `RATE`, shape (n,)."""
        match self._codec.name:
            case "PCMU":
                return decode_ulaw(data)
            case "PCMA":
                return decode_alaw(data)
            case _:
                whole = self._odd + data
                self._odd = whole[len(whole) & ~1 :]
                samples = np.frombuffer(whole[: len(whole) & ~1], "<i2").astype(np.int16)
                return self._downsampler.feed(samples)
