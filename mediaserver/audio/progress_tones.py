"""Is that a tone of the network: ringing, busy, dialling, information, fax?

The voice detector (`audio.vad`) takes them for voices. Their frequencies are known, and they stand
still: so a stretch of 100 ms is such a tone if sinusoids of just these frequencies are nearly all
there is in it, up to somewhat above them. A voice would have to hold its pitch to a hundredth, have
nothing but two of its harmonics, and these where networks have their tones.

Of the stretch, what is quiet before the tone begins and after it ends is left out. A first look at
the spectrum rules nearly every voice out.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .tones import CADENCES

STRETCH: Final = 0.1
"""Seconds that are looked at."""
PIECE: Final = 0.01
"""Seconds of the pieces that are left out before and behind."""
QUIET_SHARE: Final = 0.2
"""Share of the loudest piece's power below which a piece is left out."""
LEAST_PIECES: Final = 4
"""In less than these no frequency is told from another."""
NEAR_HZ: Final = 40.0
"""In the first look a tone reaches so far."""
NEAR_SHARE: Final = 0.7
"""Least share of the power there is in what is near the tones."""
LOWEST_HZ: Final = 94.0
"""Below this is hum, which does not count."""
HIGHEST_HZ: Final = 2300.0
"""Above this no network has a tone."""
OFF: Final = (0.0, 0.003, -0.003, 0.006, -0.006, 0.009, -0.009, 0.012, -0.012)
"""Shares by which a network's frequencies may be off."""
ABOVE: Final = 1.5
"""Times the highest tone, up to where a voice would have more: noise reaches further."""
TONE_SHARE: Final = 0.85
"""Least share of the power up to there that is the tones'."""
VOWEL_HZ: Final = 700.0
VOWEL_SHARE: Final = 0.95
"""The same where an "oo" or an "n" has hardly more than a tone either."""

WINDOWED: Final = 0.04
"""By how much the share of what is near the tones may be less than theirs, for noise that is not
the same all along counts as the window has it. A fifth of the places are left to be fitted."""

_LOW: Final = round(LOWEST_HZ * STRETCH)
_HIGH: Final = round(HIGHEST_HZ * STRETCH)
_TONES: Final[tuple[tuple[float, ...], ...]] = tuple(
    sorted(
        {
            # A modulated tone is three: itself, and one on either side.
            tuple(sorted({*c.tones, *(hz + s * c.modulation for hz in c.tones for s in (-1, 1))}))
            for c in CADENCES.values()
        }
        # Dialling, busy, call waiting, fax (T.30), and what is left of E.180's information tones.
        | {(350.0, 440.0), (350.0, 450.0), (480.0, 620.0), (480.0,), (1100.0,), (2100.0,)}
        | {(hz,) for hz in (913.8, 950.0, 985.2, 1370.6, 1400.0, 1428.5, 1776.7, 1800.0)}
    )
)


def is_progress_tone(samples: NDArray[np.int16], rate: int) -> bool:
    """Tell whether a stretch of STRETCH seconds, or less, ends with a tone of the network."""
    power = _spectrum(samples, rate)
    near = _near() @ power[:_HIGH]
    least = NEAR_SHARE * np.add.reduce(power[_LOW:])
    if near.max() < least or least == 0.0:
        return False
    whole = samples.astype(np.float64)
    wave = _without_quiet(whole, round(PIECE * rate))
    if len(wave) < LEAST_PIECES * round(PIECE * rate):
        return False
    likely = np.argsort(-near)[: np.count_nonzero(near >= least)]
    if len(wave) < len(whole):
        power = _spectrum(wave, rate)
        near = _near() @ power[:_HIGH]
    return _is_one_of(likely.tolist(), wave, rate, power, near)


def _spectrum(samples: NDArray[Any], rate: int) -> NDArray[np.float64]:
    """Return the power at each multiple of 1 / STRETCH Hz."""
    spectrum = np.fft.rfft(samples * _window(len(samples)), round(STRETCH * rate))
    return spectrum.real**2 + spectrum.imag**2


def _without_quiet(wave: NDArray[np.float64], piece: int) -> NDArray[np.float64]:
    """Return a stretch without what is quiet before and behind, in whole pieces.

    The pieces in which it begins and ends are left out too.
    """
    wave = wave[len(wave) % piece :]
    levels = np.square(wave).reshape(-1, piece).sum(axis=1)
    loud = (levels >= QUIET_SHARE * levels.max(initial=0.0)).nonzero()[0].tolist()
    if not loud:
        return wave[:0]
    first = loud[0] + (loud[0] > 0)
    last = loud[-1] - (loud[-1] < len(levels) - 1)
    return wave[first * piece : (last + 1) * piece]


def _is_one_of(
    places: list[int],
    wave: NDArray[np.float64],
    rate: int,
    power: NDArray[np.float64],
    near: NDArray[np.float64],
) -> bool:
    """Tell whether the tones of one of these places in _TONES are nearly all there is.

    `power` is the wave's spectrum, `near` what of it is near the tones of each place.
    """
    scale = float(wave @ wave) / float(power.sum())
    for place in places:
        lines = _TONES[place]
        upto = round((ABOVE * lines[-1] + NEAR_HZ) * STRETCH) + 1
        there = float(power[_LOW:upto].sum())
        share = VOWEL_SHARE if lines[0] < VOWEL_HZ else TONE_SHARE
        if near[place] < (share - WINDOWED) * there:
            continue
        if _power_of(place, wave, rate) >= share * scale * there:
            return True
    return False


@cache
def _window(length: int) -> NDArray[np.float64]:
    return np.hanning(length + 2)[1:-1]


@cache
def _near() -> NDArray[np.float64]:
    """Return a row for each of _TONES, with ones where the spectrum is near it."""
    hertz = np.arange(_HIGH) / STRETCH
    near = [
        np.any([np.abs(hertz - line) <= NEAR_HZ + OFF[-2] * line for line in lines], axis=0)
        for lines in _TONES
    ]
    return np.array(near, np.float64)


@cache
def _sinusoids(place: int, rate: int) -> NDArray[np.float64]:
    """Return what the tones of a place are made of, for each of OFF: cosines, then sines.

    Shape (offs, 2 * lines, samples of STRETCH); 5 MB for all places.
    """
    time = np.arange(round(STRETCH * rate)) / rate
    hertz = np.multiply.outer(1.0 + np.array(OFF), np.array(_TONES[place]))
    turns = 2.0 * np.pi * np.multiply.outer(hertz, time)
    return np.concatenate((np.cos(turns), np.sin(turns)), axis=1)


@cache
def _inverse(place: int, rate: int, length: int) -> NDArray[np.float64]:
    """Return the inverse of the sinusoids' products with each other over so many samples."""
    waves = _sinusoids(place, rate)[:, :, :length]
    return np.linalg.inv(waves @ waves.transpose(0, 2, 1)).astype(np.float64)


def _power_of(place: int, wave: NDArray[np.float64], rate: int) -> float:
    """Return how much of a stretch's power sinusoids of a place's tones can be, summed."""
    parts = _sinusoids(place, rate)[:, :, : len(wave)] @ wave
    fitted = (_inverse(place, rate, len(wave)) @ parts[:, :, None])[:, :, 0]
    return float((parts * fitted).sum(axis=1).max())
