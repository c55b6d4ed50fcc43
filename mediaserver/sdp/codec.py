"""Codecs as `a=rtpmap` names them, and the static payload types of RFC 3551 section 6."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MAX_NAME: Final = 64  # characters of an encoding name; the longest registered one has 26
MAX_CLOCK_RATE: Final = 1_000_000  # Hz; the highest registered rate is 192000
MAX_CHANNELS: Final = 255
MAX_PAYLOAD_TYPE: Final = 127  # the payload type field of RTP has 7 bits (RFC 3550 5.1)

_CANONICAL: Final = {
    name.lower(): name for name in ("PCMU", "PCMA", "G722", "CN", "telephone-event", "opus")
}


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoding: its name, RTP clock rate in Hz and channels.

    Names that matter here are spelled one way whatever the peer's case (RFC 4855 section 3), so
    codecs compare with `==`.
    """

    name: str
    clock_rate: int
    channels: int = 1

    @classmethod
    def parse(cls, text: str) -> Codec | None:
        """Read `PCMU/8000` or `L16/44100/2`; None for what is neither."""
        name, _, rest = text.strip().partition("/")
        rate, _, channels = rest.partition("/")
        clock_rate = _number(rate, MAX_CLOCK_RATE)
        # What follows the rate is a channel count for audio, and 1 when absent (RFC 8866 6.6).
        count = _number(channels, MAX_CHANNELS) if channels else 1
        if not name or len(name) > MAX_NAME or not clock_rate or not count:
            return None
        return cls(_CANONICAL.get(name.lower(), name), clock_rate, count)

    @property
    def is_g711(self) -> bool:
        """Whether it is one of the two laws of telephony (ITU-T G.711)."""
        return self.name in {PCMU.name, PCMA.name}

    @property
    def is_event(self) -> bool:
        """Whether it carries DTMF and other named events (RFC 4733), at any clock rate."""
        return self.name == TELEPHONE_EVENT.name

    @property
    def is_comfort_noise(self) -> bool:
        """Whether it describes noise instead of carrying audio (RFC 3389)."""
        return self.name == COMFORT_NOISE.name

    def __str__(self) -> str:
        text = f"{self.name}/{self.clock_rate}"
        return text if self.channels == 1 else f"{text}/{self.channels}"


PCMU: Final = Codec("PCMU", 8000)
PCMA: Final = Codec("PCMA", 8000)
TELEPHONE_EVENT: Final = Codec("telephone-event", 8000)
G722: Final = Codec("G722", 8000)
OPUS: Final = Codec("opus", 48_000, 2)
"""Named so whatever is in it (RFC 7587 section 7)."""
COMFORT_NOISE: Final = Codec("CN", 8000)

STATIC: Final[Mapping[int, Codec]] = MappingProxyType(
    {
        0: PCMU,
        3: Codec("GSM", 8000),
        4: Codec("G723", 8000),
        5: Codec("DVI4", 8000),
        6: Codec("DVI4", 16000),
        7: Codec("LPC", 8000),
        8: PCMA,
        9: G722,  # samples at 16 kHz, but the clock is printed so (RFC 3551 4.5.2)
        10: Codec("L16", 44100, 2),
        11: Codec("L16", 44100),
        12: Codec("QCELP", 8000),
        13: COMFORT_NOISE,
        14: Codec("MPA", 90000),
        15: Codec("G728", 8000),
        16: Codec("DVI4", 11025),
        17: Codec("DVI4", 22050),
        18: Codec("G729", 8000),
    }
)
"""Payload types that mean a codec without `a=rtpmap` (RFC 3551 table 4)."""


def with_events(codecs: Iterable[Codec]) -> tuple[Codec, ...]:
    """Return audio codecs with the telephone events beside them: at the clock of each (RFC 4733
    section 2.1).
    """
    audio = tuple(codecs)
    rates = sorted({codec.clock_rate for codec in audio})
    return (*audio, *(Codec(TELEPHONE_EVENT.name, rate) for rate in rates))


def codec_table(formats: Iterable[str], rtpmaps: Iterable[str]) -> dict[int, Codec]:
    """Map payload types to codecs, in the order of `formats`, those of one m-line.

    `rtpmaps` are values such as `101 telephone-event/8000`. A format without a meaning, and an
    rtpmap that cannot be read, is left out: the rest of the offer still stands. Where the same
    number is mapped twice the first counts.
    """
    named: dict[int, Codec] = {}
    for value in rtpmaps:
        number, _, encoding = value.strip().partition(" ")
        payload_type = _number(number, MAX_PAYLOAD_TYPE)
        codec = Codec.parse(encoding)
        if payload_type is not None and codec is not None:
            named.setdefault(payload_type, codec)
    table: dict[int, Codec] = {}
    for text in formats:
        payload_type = _number(text, MAX_PAYLOAD_TYPE)
        if payload_type is None:
            continue
        codec = named.get(payload_type) or STATIC.get(payload_type)
        if codec is not None:
            table.setdefault(payload_type, codec)
    return table


def _number(text: str, maximum: int) -> int | None:
    """Read a decimal number from 0 to `maximum`; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return None
    value = int(text)
    return value if value <= maximum else None
