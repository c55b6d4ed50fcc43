"""What live audio is written as: G.711, G.722, Opus, or linear samples at a rate of one's choice.

A codec is named as in `L16@24000h@40i`: the name, the rate in Hz, the milliseconds of a frame.
Rate and frame may be left out. Linear samples are 16 bits, little-endian, as speech services take
them; everything is mono. Bit for bit, G.711 is what `audio.g711` makes of the samples. A frame of
Opus is one packet; whatever rate it is named with, it holds the speech band that there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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

NAMES: Final = "PCMU, PCMA, G722, OPUS or L16"
"""What there is, for people."""

DYNAMIC: Final = 96
"""The RTP payload type of what has none of its own (RFC 3551 section 6)."""

_NAMED: Final = re.compile(
    r"(?P<name>[A-Za-z0-9]{1,16})(?:@(?P<rate>[0-9]{4,6})[Hh])?(?:@(?P<ms>[0-9]{1,4})[Ii])?"
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is true of all codecs of one name."""

    media_type: str
    """What media streams call it."""
    rates: tuple[int, ...]
    """Hz that it may be named with, the usual one first."""
    clock: int | None = None
    """Hz of its RTP clock; None: it is not sent over RTP."""
    payload_type: int = DYNAMIC
    ptimes: tuple[int, ...] = tuple(FRAMES)
    """Milliseconds that a frame may have."""


_KINDS: Final = {
    "PCMU": _Kind("audio/x-mulaw", (RATE,), RATE, 0),
    "PCMA": _Kind("audio/x-alaw", (RATE,), RATE, 8),
    # The clock of G.722 runs at half its rate (RFC 3551 section 4.5.2).
    "G722": _Kind("audio/g722", (16_000,), RATE, 9, tuple(range(20, 121, 20))),
    "OPUS": _Kind(
        "audio/opus",
        (48_000, 24_000, 16_000, 12_000, 8000),
        48_000,
        ptimes=(10, 20, 40, 60, 80, 100, 120),
    ),
    "L16": _Kind("audio/x-l16", LINEAR_RATES),
}


@dataclass(frozen=True, slots=True)
class LiveCodec:
    """How frames of live audio are written."""

    name: str
    """One of `NAMES`."""
    rate: int = RATE
    """Hz of what is written; of Opus, what its reader was promised at the most."""
    ptime: int = FRAME
    """Milliseconds of a frame."""

    @classmethod
    def parse(cls, text: str, ptime: int = FRAME) -> LiveCodec:
        """Read a name as `L16@16000h@40i`; ValueError with a sentence if it cannot be made.

        `ptime` are the milliseconds where the name says none.
        """
        found = _NAMED.fullmatch(text)
        if found is None:
            raise ValueError(f"the codec is written as {NAMES}, perhaps as in L16@16000h@20i")
        name = found["name"].upper()
        kind = _KINDS.get(name)
        if kind is None:
            raise ValueError(f"live audio is {NAMES}; {name} is not made")
        rate = int(found["rate"] or kind.rates[0])
        if rate not in kind.rates:
            rates = " or ".join(map(str, kind.rates))
            raise ValueError(f"the rate of {name} is {rates}")
        ptime = int(found["ms"] or ptime)
        if ptime not in FRAMES:
            raise ValueError("a frame is 10 to 120 ms long, in steps of 10")
        if ptime not in kind.ptimes:
            *most, last = map(str, kind.ptimes)
            raise ValueError(f"a frame of {name} is {', '.join(most)} or {last} ms long")
        return cls(name, rate, ptime)

    def load(self) -> None:
        """Load what it takes to write and read it: once, and slow enough for another thread.

        The library behind these is 30 MB that few need.
        """
        if self.name == "G722":
            from . import g722  # noqa: F401
        elif self.name == "OPUS":
            from . import opus  # noqa: F401

    @property
    def must_load(self) -> bool:
        """Whether `load` has anything to load."""
        return self.name in {"G722", "OPUS"}

    @property
    def media_type(self) -> str:
        """What media streams call it."""
        return _KINDS[self.name].media_type

    @property
    def clock(self) -> int | None:
        """Hz of its RTP clock; None: it is not sent over RTP."""
        return _KINDS[self.name].clock

    @property
    def payload_type(self) -> int:
        """Its RTP payload type, the static one if it has one (RFC 3551 table 4)."""
        return _KINDS[self.name].payload_type


def frame_of(name: str, ptime: int | None) -> int:
    """Return `ptime` if a frame of a codec may have so many milliseconds, else the usual."""
    kind = _KINDS.get(name.upper())
    return ptime if kind is not None and ptime in kind.ptimes else FRAME


class Encoder:
    """Writes the frames of one track."""

    def __init__(self, codec: LiveCodec) -> None:
        """A codec that needs to be loaded takes a while the first time (`LiveCodec.load`)."""
        self._codec = codec
        if codec.name == "G722":
            from .g722 import G722Encoder

            self._g722 = G722Encoder()
        if codec.name == "OPUS":
            from .opus import OpusEncoder

            self._opus = OpusEncoder(RATE, codec.ptime)
        else:
            self._upsampler = Upsampler(codec.rate // RATE)

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Return samples at `RATE`, shape (n,), as the codec writes them: of Opus, one frame."""
        match self._codec.name:
            case "PCMU":
                return encode_ulaw(samples)
            case "PCMA":
                return encode_alaw(samples)
            case "G722":
                return self._g722.encode(self._upsampler.feed(samples))
            case "OPUS":
                return self._opus.encode(samples)
            case _:
                return self._upsampler.feed(samples).astype("<i2").tobytes()


class Decoder:
    """Reads the pieces of one track; they may be of any length, but one of Opus is a packet."""

    def __init__(self, codec: LiveCodec) -> None:
        self._codec = codec
        self._odd = b""
        if codec.name == "G722":
            from .g722 import G722Decoder

            self._g722 = G722Decoder()
        if codec.name == "OPUS":
            from .opus import OpusDecoder

            self._opus = OpusDecoder(RATE)
        else:
            self._downsampler = Downsampler(codec.rate // RATE)

    def pieces(self, data: bytes, size: int) -> Iterator[bytes]:
        """Cut what is written into pieces of at most `size` octets; a packet is not cut."""
        if self._codec.name == "OPUS":
            yield data
        else:
            yield from (data[at : at + size] for at in range(0, len(data), size))

    def decode(self, data: bytes) -> NDArray[np.int16]:
        """Return what is written as samples at `RATE`, shape (n,); ValueError for no packet."""
        match self._codec.name:
            case "PCMU":
                return decode_ulaw(data)
            case "PCMA":
                return decode_alaw(data)
            case "G722":
                return self._downsampler.feed(self._g722.decode(data))
            case "OPUS":
                return self._opus.decode(data)
            case _:
                whole = self._odd + data
                self._odd = whole[len(whole) & ~1 :]
                samples = np.frombuffer(whole[: len(whole) & ~1], "<i2").astype(np.int16)
                return self._downsampler.feed(samples)
