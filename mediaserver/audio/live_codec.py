"""What live audio is written as: G.711, G.722, or linear samples at a rate that others ask for.

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

_MEDIA_TYPES: Final = {
    "PCMU": "audio/x-mulaw",
    "PCMA": "audio/x-alaw",
    "G722": "audio/g722",
    "L16": "audio/x-l16",
}
_RATES: Final = {"PCMU": (RATE,), "PCMA": (RATE,), "G722": (16_000,), "L16": LINEAR_RATES}


@dataclass(frozen=True, slots=True)
class LiveCodec:
    """How frames of live audio are written."""

    name: str
    """PCMU, PCMA, G722 or L16."""
    rate: int = RATE
    """Hz of what is written."""
    ptime: int = FRAME
    """Milliseconds of a frame."""

    @classmethod
    def parse(cls, text: str, ptime: int = FRAME) -> LiveCodec:
        """Read a name as `L16@16000h@40i`; ValueError with a sentence if it cannot be made.

        `ptime` are the milliseconds where the name says none.
        """
        found = _NAMED.fullmatch(text)
        if found is None:
            raise ValueError("the codec is written as PCMU, PCMA, G722 or L16@16000h@20i")
        name = found["name"].upper()
        if name not in _MEDIA_TYPES:
            raise ValueError(f"live audio is PCMU, PCMA, G722 or L16; {name} is not made")
        rate = int(found["rate"] or _RATES[name][0])
        if rate not in _RATES[name]:
            rates = " or ".join(map(str, _RATES[name]))
            raise ValueError(f"the rate of {name} is {rates}")
        ptime = int(found["ms"] or ptime)
        if ptime not in FRAMES:
            raise ValueError("a frame is 10 to 120 ms long, in steps of 10")
        if name == "G722" and ptime % FRAME:
            raise ValueError(f"a frame of G722 is {FRAME} to 120 ms long, in steps of {FRAME}")
        return cls(name, rate, ptime)

    def load(self) -> None:
        """Load what it takes to write and read it: once, and slow enough for another thread."""
        if self.name == "G722":
            from . import g722  # noqa: F401 - the library behind it is 20 MB that few need

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
        if codec.name == "G722":
            from .g722 import G722Encoder

            self._g722 = G722Encoder()

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Return samples at `RATE`, shape (n,), as the codec writes them."""
        match self._codec.name:
            case "PCMU":
                return encode_ulaw(samples)
            case "PCMA":
                return encode_alaw(samples)
            case "G722":
                return self._g722.encode(self._upsampler.feed(samples))
            case _:
                return self._upsampler.feed(samples).astype("<i2").tobytes()


class Decoder:
    """Reads the pieces of one track; they may be of any length."""

    def __init__(self, codec: LiveCodec) -> None:
        self._codec = codec
        self._downsampler = Downsampler(codec.rate // RATE)
        self._odd = b""
        if codec.name == "G722":
            from .g722 import G722Decoder

            self._g722 = G722Decoder()

    def decode(self, data: bytes) -> NDArray[np.int16]:
        """Return what is written as samples at `RATE`, shape (n,)."""
        match self._codec.name:
            case "PCMU":
                return decode_ulaw(data)
            case "PCMA":
                return decode_alaw(data)
            case "G722":
                return self._downsampler.feed(self._g722.decode(data))
            case _:
                whole = self._odd + data
                self._odd = whole[len(whole) & ~1 :]
                samples = np.frombuffer(whole[: len(whole) & ~1], "<i2").astype(np.int16)
                return self._downsampler.feed(samples)
