"""A voice of our own making, for where no recorded one is at hand: the demo speaks with it.

A train of glottal pulses goes through three resonators, the formants of a vowel; consonants are
short breaks of noise. It says nothing, but a voice detector takes it for speech, as it should:
it has the pitch, the formants and the rhythm of one.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_FORMANTS: Final = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
}
"""Hz, of an adult's vowels."""

_BANDWIDTHS: Final = (60.0, 90.0, 120.0)
_SYLLABLE: Final = 0.18
_BREAK: Final = 0.06


def babble(text: str, rate: int = 8000, pitch: float = 120.0) -> NDArray[np.int16]:
    """Return the vowels of `text` spoken one after the other, a pause for each space.

    `pitch` is in Hz; each syllable falls a little, as voices do.
    """
    parts: list[NDArray[np.float64]] = []
    hiss = np.random.default_rng(1)
    for letter in text.lower():
        if letter in _FORMANTS:
            parts.append(_vowel(_FORMANTS[letter], rate, pitch * (1 - 0.02 * (len(parts) % 7))))
        elif letter == " ":
            parts.append(np.zeros(int(0.15 * rate)))
        elif letter.isalpha():
            parts.append(0.02 * hiss.standard_normal(int(_BREAK * rate)))
    if not parts:
        return np.zeros(0, np.int16)
    wave = np.concatenate(parts)
    spoken: NDArray[np.int16] = (wave / np.abs(wave).max() * 12_000).astype(np.int16)
    return spoken


def _vowel(formants: tuple[float, float, float], rate: int, pitch: float) -> NDArray[np.float64]:
    count = int(_SYLLABLE * rate)
    glide = pitch * (1 - 0.1 * np.arange(count) / count)
    phase = np.cumsum(glide / rate)
    pulses = (np.diff(np.floor(phase), prepend=0.0) > 0).astype(np.float64)
    wave = pulses
    for frequency, bandwidth in zip(formants, _BANDWIDTHS, strict=True):
        wave = _resonate(wave, frequency, bandwidth, rate)
    edge = int(0.02 * rate)
    fade = np.ones(count)
    fade[:edge] = np.linspace(0, 1, edge)
    fade[-edge:] = np.linspace(1, 0, edge)
    return wave / (np.abs(wave).max() or 1.0) * fade


def _resonate(
    wave: NDArray[np.float64], frequency: float, bandwidth: float, rate: int
) -> NDArray[np.float64]:
    """Pass a wave through a resonator, by its impulse response of 40 ms."""
    time = np.arange(int(0.04 * rate)) / rate
    decay = np.exp(-math.pi * bandwidth * time)
    response = decay * np.sin(2 * math.pi * frequency * time)
    return np.convolve(wave, response)[: wave.size]
