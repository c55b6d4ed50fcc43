"""A far end that speaks G.722 or Opus: what it says as packets, and what it hears in packets."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mediaserver.audio.g722 import G722Decoder, G722Encoder
from mediaserver.audio.opus import OpusDecoder, OpusEncoder
from mediaserver.rtp.packet import build_packet, wrap_distance

from .talker import Timed
from .waveform import Samples, similarity

CLOCKS = {"G722": 8000, "opus": 48_000}
NUMBERS = {"G722": 9, "opus": 111}


def resampled(samples: Samples, factor: float) -> Samples:
    """Return samples at another rate, all at once."""
    size = round(samples.size * factor)
    spectrum = np.fft.rfft(samples.astype(float))
    other = np.zeros(size // 2 + 1, complex)
    shared = min(spectrum.size, other.size)
    other[:shared] = spectrum[:shared]
    made = np.fft.irfft(other, size) * factor
    whole: Samples = np.clip(np.rint(made), -32768, 32767).astype(np.int16)
    return whole


def bright(seconds: float) -> Samples:
    """Return a sweep up to 7 kHz again and again, at 16 kHz: half of it is beyond a telephone."""
    at = np.arange(round(seconds * 16_000)) / 16_000
    within = at % 0.5
    loud = np.clip(np.minimum(within, 0.4 - within) / 0.02, 0, 1)
    made: Samples = np.rint(
        6000 * loud * np.sin(2 * np.pi * (300 * within + 8375 * within**2))
    ).astype(np.int16)
    return made


def brightness(samples: Samples) -> float:
    """Return the share of the power of samples at 16 kHz that lies beyond 4.2 kHz."""
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    return float(power[round(power.size * 4200 / 8000) :].sum() / power.sum())


def in_telephone_band(path: Path) -> Samples:
    """Return what 8 kHz have of a mono wav of 16 kHz, which it must be."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return resampled(np.frombuffer(file.readframes(file.getnframes()), "<i2"), 0.5)


def steps_apart(narrow: Samples, wide: Samples) -> int:
    """Return by how many samples at 8 kHz what lies at 16 kHz is behind; it must be the same.

    Up to 3.5 kHz: beyond, a telephone's filter takes away what is below 4 kHz.
    """
    lag, alike = similarity(_telephone(narrow, 8000)[800:-800], _telephone(wide, 16_000))
    assert alike > 0.99, alike
    return lag - 800


def _telephone(samples: Samples, rate: int) -> Samples:
    spectrum = np.fft.rfft(samples.astype(float))
    spectrum[round(spectrum.size * 7000 / rate) :] = 0
    made: Samples = np.rint(np.fft.irfft(spectrum, samples.size)).astype(np.int16)
    return resampled(made, 8000 / rate)


def coded(name: str, samples: Samples, ptime: int = 20, rate: int = 8000) -> list[bytes]:
    """Return the payloads of samples at 8 or 16 kHz, a whole number of packets."""
    if name == "G722":
        octets = G722Encoder(160).encode(resampled(samples, 16_000 / rate))
        step = 8 * ptime
        return [octets[start : start + step] for start in range(0, len(octets), step)]
    encoder = OpusEncoder(rate, ptime)
    return [encoder.encode(frame) for frame in samples.reshape(-1, encoder.frame)]


def understood(name: str, packets: Iterable[bytes], *, clock: int | None = None) -> Samples:
    """Return what RTP packets say at 8 kHz, in order, each where its timestamp puts it."""
    ordered = sorted(packets, key=lambda p: wrap_distance(_field(p, 2, 4), _first(packets), 16))
    decoder = G722Decoder() if name == "G722" else OpusDecoder(8000)
    heard = np.zeros(0, np.int16)
    ticks = (clock or CLOCKS[name]) // 8000
    for packet in ordered:
        samples = decoder.decode(packet[12:])
        if name == "G722":
            samples = resampled(samples, 0.5)
        start = wrap_distance(_field(packet, 4, 8), _field(ordered[0], 4, 8), 32) // ticks
        heard = np.concatenate([heard[:start], np.zeros(max(0, start - heard.size), np.int16)])
        heard = np.concatenate([heard, samples])
    return heard


def _first(packets: Iterable[bytes]) -> int:
    return _field(next(iter(packets)), 2, 4)


def _field(packet: bytes, start: int, end: int) -> int:
    return int.from_bytes(packet[start:end], "big")


@dataclass
class WideTalker:
    """Makes the packets of one stream."""

    name: str
    kind: int = 0
    ssrc: int = 0x4321
    sequence: int = 65_530
    timestamp: int = 0xFFFF_F000
    at: float = 0.0
    rate: int = 8000
    """Hz of what it says: 8 or 16 kHz."""
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kind = self.kind or NUMBERS[self.name]

    @property
    def clock(self) -> int:
        """Hz of its timestamps."""
        return CLOCKS[self.name]

    def say(self, samples: Samples, ptime: int = 20) -> list[Timed]:
        """Return samples as packets that leave in even steps."""
        return self.send(coded(self.name, samples, ptime, self.rate), ptime)

    def send(self, payloads: Sequence[bytes], ptime: float = 20, kind: int = -1) -> list[Timed]:
        """Return payloads as packets that leave in even steps."""
        packets = []
        for payload in payloads:
            packets.append(Timed(self.at, self._packet(payload, self.kind if kind < 0 else kind)))
            self.pause(ptime / 1000)
        return packets

    def press(self, payloads: Sequence[bytes], kind: int, lasting: float = 0.16) -> list[Timed]:
        """Return event packets, which all carry the timestamp of their beginning."""
        packets = [
            Timed(self.at + number * 0.02, self._packet(payload, kind))
            for number, payload in enumerate(payloads)
        ]
        self.pause(lasting)
        return packets

    def pause(self, seconds: float) -> None:
        """Say nothing; the timestamps go on with time."""
        self.at += seconds
        self.timestamp = (self.timestamp + round(seconds * self.clock)) & 0xFFFF_FFFF

    def _packet(self, payload: bytes, kind: int) -> bytes:
        packet = build_packet(kind, self.sequence, self.timestamp, self.ssrc, payload)
        self.sequence = (self.sequence + 1) & 0xFFFF
        return packet
