"""How loud does somebody speak, and until when? What a listener would mark, by ITU-T P.56.

The active speech level (method B) is the power of speech without its pauses. What lies more than
25 dB below it is no audible part of a word any more, be it an echo in the room or the rest of a
breath; it is some 35 dB below the loudest 10 ms, and well above the noise of a good recording. A
truth by level needs that: a recording whose own noise is within 10 dB of the mark has none.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 8000

TIME_CONSTANT: Final = 0.03
HANGOVER: Final = 0.2
MARGIN_DB: Final = 15.9
"""P.56: the smoothing of the envelope, what a pause is, and how far the threshold lies below."""

AUDIBLE_DB: Final = 25.0
"""Below the active level: where a word ends."""
LEAST_SOUND: Final = 4
"""Blocks of 10 ms; what is shorter and by itself is a click."""
LONGEST_STOP: Final = 20
"""Blocks of silence that a stop or a double consonant has at most."""

Wave = NDArray[np.float64]


def active_power(wave: Wave) -> float:
    """Return the mean square of speech while somebody speaks (ITU-T P.56, method B)."""
    decay = np.exp(-1.0 / (RATE * TIME_CONSTANT))
    reach = np.arange(round(0.4 * RATE))
    response = (1.0 - decay) ** 2 * (reach + 1) * decay**reach  # two smoothings, one by one
    size = 1 << (len(wave) + len(reach)).bit_length()  # a length that transforms fast
    envelope = np.fft.irfft(np.fft.rfft(np.abs(wave), size) * np.fft.rfft(response, size), size)
    energy, hangover = float(wave @ wave), round(HANGOVER * RATE)
    levels = []
    for power in np.arange(30.0, -2.0, -1.0):
        above = np.flatnonzero(envelope[: len(wave)] >= 2.0 ** (power / 2))
        if above.size:
            active = np.minimum(np.diff(above, append=len(wave)), hangover).sum()
            level = 10.0 * np.log10(energy / active)
            levels.append((level, level - 10.0 * np.log10(2.0**power)))
    for (louder, nearer), (softer, farther) in pairwise(levels):
        if nearer < MARGIN_DB <= farther:
            part = (MARGIN_DB - nearer) / (farther - nearer)
            return float(10.0 ** ((louder + part * (softer - louder)) / 10.0))
    raise AssertionError("no speech")


def spoken(wave: Wave) -> Wave:
    """Return the part from the first to the last audible sound: the truth of where speech ends."""
    blocks = wave[: len(wave) // 80 * 80].reshape(-1, 80)
    audible = (blocks**2).mean(axis=1) > active_power(wave) * 10.0 ** (-AUDIBLE_DB / 10.0)
    edges = np.flatnonzero(np.diff(audible.astype(np.int8), prepend=0, append=0))
    sounds = edges.reshape(-1, 2).tolist()
    long = [n for n, (begin, end) in enumerate(sounds) if end - begin >= LEAST_SOUND]
    first, last = long[0], long[-1]
    while first > 0 and sounds[first][0] - sounds[first - 1][1] <= LONGEST_STOP:
        first -= 1
    while last + 1 < len(sounds) and sounds[last + 1][0] - sounds[last][1] <= LONGEST_STOP:
        last += 1
    return wave[80 * sounds[first][0] : 80 * sounds[last][1]]
