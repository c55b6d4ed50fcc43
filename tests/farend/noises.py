"""Noises behind somebody who speaks, at 8 kHz and of any level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .active_level import RATE, Wave

Noise = Callable[[int, np.random.Generator, Sequence[Wave]], NDArray[np.float64]]
"""Makes so many samples; the voices are for those that are made of them."""


def white(count: int, rng: np.random.Generator, _: Sequence[Wave] = ()) -> Wave:
    """Return a hiss."""
    return rng.normal(0, 1, count)


def falling(db_per_octave: float, corner: float) -> Noise:
    """Return noise that is softer the higher it is, from `corner` (Hz) on."""

    def make(count: int, rng: np.random.Generator, _: Sequence[Wave]) -> Wave:
        frequency = np.fft.rfftfreq(count, 1 / RATE)
        slope = np.maximum(frequency, corner) ** -(db_per_octave / 6.02)
        return np.fft.irfft(np.fft.rfft(white(count, rng)) * slope * (frequency >= 30), count)

    return make


def hum(count: int, rng: np.random.Generator, _: Sequence[Wave] = ()) -> Wave:
    """Return the hum of the mains with the harmonics of a bad ground, and a little hiss."""
    turns = np.arange(count) * 50.07 / RATE
    sound = np.zeros(count)
    for harmonic, level in ((1, 0.5), (2, 1.0), (3, 0.6), (4, 0.4), (6, 0.3), (10, 0.1)):
        sound += level * np.sin(2 * np.pi * (harmonic * turns + rng.uniform()))
    return sound + 0.01 * white(count, rng)


def babble(count: int, rng: np.random.Generator, voices: Sequence[Wave]) -> Wave:
    """Return eight people who talk at once, each with a voice, and at a pace, of his own.

    `voices` is speech at an active level of 1.
    """
    crowd = np.zeros(count)
    for _ in range(8):
        talk, pitch = [np.zeros(0)], rng.uniform(0.75, 1.2)
        while sum(map(len, talk)) < count + RATE:
            speech = voices[int(rng.integers(len(voices)))]
            talk.append(
                np.interp(np.arange(0, len(speech) - 1, pitch), np.arange(len(speech)), speech)
            )
        crowd += np.concatenate(talk)[rng.integers(RATE) :][:count]
    return crowd


def street(count: int, rng: np.random.Generator, voices: Sequence[Wave] = ()) -> Wave:
    """Return cars: some far away, and every three seconds one that passes within one or two."""
    far = falling(4.5, 120)(count, rng, voices)
    near = falling(3.01, 200)(count, rng, voices)
    seconds = np.arange(count) / RATE
    gain = np.zeros(count)
    for _ in range(int(rng.poisson(count / RATE / 3)) + 1):
        level = rng.uniform(0.5, 1.5)
        at, width = rng.uniform(0, seconds[-1]), rng.uniform(0.5, 1.2)
        gain += level * np.exp(-0.5 * ((seconds - at) / width) ** 2)
    sound: Wave = far / far.std() + gain * near / near.std()
    return sound


NOISES: dict[str, Noise] = {
    "white": white,
    "pink": falling(3.01, 60),
    "car": falling(6.02, 100),
    "hum": hum,
    "babble": babble,
    "street": street,
}
