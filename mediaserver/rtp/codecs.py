"""What a leg's audio is made of where it is no G.711, and where that is decoded and encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

WIDE_RATE: Final = 16_000
"""Hz at which what is heard through a codec is kept beside the line: all that G.722 has, and of
Opus what a voice has."""

Samples = NDArray[np.int16]


class Format(NamedTuple):
    """What a payload type that is audio means."""

    name: str
    """As SDP names it."""
    clock_rate: int
    coded: bool
    """Whether it goes through a codec; G.711 stays as it is."""


class Decoder(Protocol):
    """Reads what the far end says."""

    @property
    def delay(self) -> int:
        """Samples of the line by which what is returned is behind what was said."""

    def decode(self, payload: bytes) -> tuple[Samples, Samples]:
        """Return what a packet says at the line's rate, and the same at `WIDE_RATE`.

        ValueError if it is no packet.
        """

    def lose(self, packets: int) -> None:
        """Take note that so many packets were lost before the next."""


class Coded(NamedTuple):
    """What a codec makes of a stretch of audio."""

    name: str
    """The codec, as SDP names it."""
    payload: bytes
    size: int
    """Samples of the line that it is of."""


class Heard(NamedTuple):
    """A packet of the far end, as the line hears it."""

    packet: bytes
    """Header and payload. The payload of audio is linear samples, int16 of this machine, unless it
    was G.711."""
    arrival: float
    """Monotonic seconds."""
    wide: Samples | None = None
    """The same samples at `WIDE_RATE`; None where it is no audio, or G.711."""
    coded: Coded | None = None
    """What they were made of; None as above."""


class Encoder(Protocol):
    """Writes what is said to the far end."""

    def encode(self, payload: bytes, *, begins: bool) -> list[tuple[bytes, int]]:
        """Return packets for one of PCMU, and how many samples each holds.

        `begins` says that it does not go on where the one before ended.
        """


class Codecs(Protocol):
    """Where codecs come from. Until they are `loaded` there are none."""

    @property
    def loaded(self) -> bool:
        """Whether they are there."""

    def begin(self) -> None:
        """Begin to load them."""

    def decoder(self, name: str) -> Decoder:
        """Return a decoder that has heard nothing."""

    def encoder(self, name: str, ptime: int) -> Encoder:
        """Return an encoder of packets of so many milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was negotiated of a leg's audio."""

    heard: Mapping[int, Format]
    """By payload type; what is neither audio nor an event keeps the clock of the audio."""
    events: Mapping[int, int]
    """Payload types of telephone events that may be heard, and what their durations count by."""
    send: int
    """Payload type of what is sent as audio."""
    sent: Format
    sent_events: Mapping[int, int]
    ptime: int
    """Milliseconds of a packet that is sent."""
