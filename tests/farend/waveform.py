"""What became of sent samples in a recording: where they lie, and which are missing or moved.

The decoders are written from the formulas of ITU-T G.711, so that they agree with the server's
tables only if both are right.
"""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

FRAME = 160
"""Samples of 20 ms at 8 kHz."""

QUIET = 8
"""No louder than the quietest A-law value, which is what silence is in A-law."""


def decode(law: str, payload: bytes) -> Samples:
    """Return the samples of G.711 `payload`; `law` is PCMU or PCMA."""
    octets = np.frombuffer(payload, np.uint8).astype(np.int32)
    octets ^= 0xFF if law == "PCMU" else 0x55
    exponent, mantissa = octets >> 4 & 7, octets & 15
    if law == "PCMU":
        size = (((mantissa << 3) + 132) << exponent) - 132
        negative = octets & 0x80 != 0
    else:
        steep = ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0)
        size = np.where(exponent == 0, (mantissa << 4) + 8, steep)
        negative = octets & 0x80 == 0
    return np.where(negative, -size, size).astype(np.int16)


def read_wav(source: Path | bytes) -> Samples:
    """Return the samples of a 16 bit wav at 8 kHz: shape (n,) if mono, else (n, channels)."""
    with wave.open(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as file:
        assert file.getsampwidth() == 2
        assert file.getframerate() == 8000
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()) if file.getnchannels() > 1 else samples


def decoded(path: Path) -> Samples:
    """Return a file's audio as a player hears it."""
    with av.open(str(path)) as container:
        frames: list[Samples] = []
        resampler = av.AudioResampler("s16p", rate=8000)
        for frame in container.decode(audio=0):
            frames += [_samples(made) for made in resampler.resample(frame)]
        frames += [_samples(made) for made in resampler.resample(None)]
    return np.concatenate(frames, axis=1) if frames else np.zeros((1, 0), np.int16)


def _samples(frame: av.AudioFrame) -> Samples:
    return frame.to_ndarray().astype(np.int16)


@dataclass(frozen=True)
class Placement:
    """Where sent samples lie in a recording."""

    offset: int
    """Where the first of them lies, or would; -1 if none was found."""
    missing: int
    """Samples that are nowhere, or silence instead."""
    shifted: int
    """Samples that are there, but not where the first says."""

    @property
    def exact(self) -> bool:
        """Whether all of them are there, in one piece."""
        return self.offset >= 0 and not self.missing and not self.shifted


def place(sent: Samples, recorded: Samples) -> Placement:
    """Find `sent` in `recorded`, in frames of 20 ms where it is not there in one piece."""
    whole = _find(sent, recorded)
    if whole >= 0:
        return Placement(whole, 0, 0)
    starts = range(0, sent.size, FRAME)
    votes: dict[int, int] = {}
    for start in starts:
        frame = sent[start : start + FRAME]
        if not is_quiet(frame) and (found := _find(frame, recorded)) >= 0:
            votes[found - start] = votes.get(found - start, 0) + 1
    if not votes:
        return Placement(-1, sent.size, 0)
    offset = max(votes, key=lambda key: votes[key])
    missing = shifted = 0
    for start in starts:
        frame = sent[start : start + FRAME]
        at = offset + start
        if at >= 0 and np.array_equal(frame, recorded[at : at + frame.size]):
            continue
        if not is_quiet(frame) and _find(frame, recorded) >= 0:
            shifted += frame.size
        else:
            missing += frame.size
    return Placement(offset, missing, shifted)


def _find(sent: Samples, recorded: Samples) -> int:
    """Return where `sent` begins in `recorded` as one piece, -1 if nowhere."""
    needle, hay = sent.astype("<i2").tobytes(), recorded.astype("<i2").tobytes()
    at = hay.find(needle)
    while at > 0 and at % 2:
        at = hay.find(needle, at + 1)
    return at // 2 if at >= 0 else -1


def is_quiet(samples: Samples) -> bool:
    """Tell whether nothing is louder than silence is in A-law."""
    return not samples.size or int(np.abs(samples.astype(np.int32)).max()) <= QUIET


def around(placement: Placement, sent: Samples, recorded: Samples) -> Samples:
    """Return what was recorded before and after the sent samples."""
    end = placement.offset + sent.size
    return np.concatenate([recorded[: max(placement.offset, 0)], recorded[end:]])


def similarity(sent: Samples, recorded: Samples) -> tuple[int, float]:
    """Return at which lag `recorded` resembles `sent` most, and how much: 1.0 is the same shape."""
    x, y = sent.astype(np.float64), recorded.astype(np.float64)
    size = 1 << (x.size + y.size - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size)), size)
    lag = int(np.argmax(product[: max(1, y.size - x.size + 1)]))
    part = y[lag : lag + x.size]
    norm = float(np.linalg.norm(x[: part.size]) * np.linalg.norm(part))
    return lag, float(x[: part.size] @ part) / norm if norm else 0.0


def level(samples: Samples, frequency: float) -> float:
    """Return how loud one frequency is, in dB below a full-scale sine; -200 for nothing."""
    if not samples.size:
        return -200.0
    turns = np.exp(-2j * np.pi * frequency / 8000 * np.arange(samples.size))
    amplitude = 2 * abs(np.dot(samples.astype(np.float64), turns)) / samples.size / 32768
    return float(20 * np.log10(max(amplitude, 1e-10)))


def sine(frequency: float, seconds: float, amplitude: float = 8000.0) -> Samples:
    """Return a tone."""
    at = np.arange(round(seconds * 8000)) / 8000
    return np.rint(amplitude * np.sin(2 * np.pi * frequency * at)).astype(np.int16)


def dual(low: float, high: float, seconds: float) -> Samples:
    """Return two tones at once, as a DTMF key sounds."""
    return sine(low, seconds, 6000) + sine(high, seconds, 6000)
