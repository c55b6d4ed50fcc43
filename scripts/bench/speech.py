"""What the callers say: recorded speech where there is some, else a synthetic voice.

The speech is one long loop of mu-law bytes. Every caller begins somewhere else in it, so that no
two say the same at the same time and a file put in another's place is noticed. G.711 is written
anew here, from the recommendation's formula, so that the server is not judged by its own tables.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 8000
FRAME: Final = 160
"""Samples, and bytes, of a packet of 20 ms."""

PROMPTS: Final = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
LONGEST: Final = 600 * RATE
"""Samples of speech taken: ten minutes."""
PROMPT_KINDS: Final = 8
"""Different prompts there are."""
_LEAST: Final = 30 * RATE
_SYNTHETIC_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Voice:
    """The loop that all callers speak from."""

    codes: NDArray[np.uint8]
    """mu-law bytes, shape (n,)."""
    description: str

    def start(self, stream: int, streams: int) -> int:
        """Return where in the loop a stream begins; no two begin within a packet of another."""
        return (stream * (self.codes.size // streams) + stream % 7) % self.codes.size

    def said(self, start: int, packets: int) -> NDArray[np.int16]:
        """Return the samples of so many packets from `start` on, after G.711."""
        at = (start + np.arange(packets * FRAME)) % self.codes.size
        return DECODE[self.codes[at]]

    def prompt(self, stream: int, packets: int) -> NDArray[np.int16]:
        """Return what is played to a stream: one of `PROMPT_KINDS` prompts, so many packets."""
        kind = stream % PROMPT_KINDS
        return self.said(kind * (self.codes.size // PROMPT_KINDS), packets)


def load_voice() -> Voice:
    """Return recorded speech if Debian's asterisk-core-sounds-en-wav is installed, else ours."""
    pieces: list[NDArray[np.int16]] = []
    for path in sorted(PROMPTS.glob("*.wav")):
        with wave.open(str(path)) as file:
            if file.getparams()[:3] == (1, 2, RATE):
                pieces.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
        if sum(piece.size for piece in pieces) >= LONGEST:
            break
    if sum(piece.size for piece in pieces) >= _LEAST:
        speech = np.concatenate(pieces)[:LONGEST]
        what = f"recorded speech: {len(pieces)} prompts, {speech.size / RATE:.0f} s"
        return Voice(ENCODE[speech.view(np.uint16)], what)
    speech = _synthesise()
    what = "a synthetic voice (asterisk-core-sounds-en-wav, recorded speech, is not installed)"
    return Voice(ENCODE[speech.view(np.uint16)], what)


def _synthesise() -> NDArray[np.int16]:
    """Return syllables: glottal pulses through three formants, with pauses in between."""
    random = np.random.default_rng(711)
    time = np.arange(RATE // 25) / RATE
    parts: list[NDArray[np.float64]] = []
    length = 0
    while length < _SYNTHETIC_SECONDS * RATE:
        count = int(random.uniform(0.12, 0.3) * RATE)
        phase = np.cumsum(np.linspace(random.uniform(100, 160), random.uniform(90, 200), count))
        pulses = np.diff(np.floor(phase / RATE), prepend=0.0)
        response = np.zeros(time.size)
        for low, high, width in ((300, 800, 80), (900, 2200, 110), (2300, 3000, 160)):
            tone = np.sin(2 * np.pi * random.uniform(low, high) * time)
            response += tone * np.exp(-np.pi * width * time)
        spoken = np.convolve(pulses, response)[:count] * np.hanning(count)
        spoken += random.normal(0.0, 0.003, count)
        pause = np.zeros(int(random.choice([0.03, 0.05, 0.3]) * RATE))
        parts += [spoken, pause]
        length += count + pause.size
    joined = np.concatenate(parts)
    loudest = float(np.abs(joined).max())
    return (joined * (9000 / loudest)).astype(np.int16)


def _decode_table() -> NDArray[np.int16]:
    """Return the sample of each mu-law byte (ITU-T G.711, tables 2a and 2b, scaled to 16 bits)."""
    inverted = ~np.arange(256) & 0xFF
    magnitude = ((((inverted & 15) << 3) + 132) << ((inverted >> 4) & 7)) - 132
    return np.where(inverted & 0x80, -magnitude, magnitude).astype(np.int16)


def _encode_table() -> NDArray[np.uint8]:
    """Return the byte whose value is nearest, indexed by the sample viewed as uint16."""
    order = np.argsort(DECODE, kind="stable")
    values = DECODE[order].astype(np.int64)
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)
    nearest = np.searchsorted((values[1:] + values[:-1]) / 2, samples)
    return order[nearest].astype(np.uint8)


DECODE: Final = _decode_table()
ENCODE: Final = _encode_table()
