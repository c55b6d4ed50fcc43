"""Tones a caller hears: the beep, ringing tone by country, DTMF, silence.

Every function returns int16 samples of one channel. Lengths are seconds, rates are samples per
second, levels are dBov of the tone while it sounds. What a script asks for and cannot have is a
`PeerError` 400 with a sentence for its author.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import PeerError

MAX_TONE_SECONDS: Final = 3600.0
"""Longest tone or silence made as one array: 58 MB at 8000 Hz. A script can ask for any number."""

BEEP_HZ: Final = 1000.0
BEEP_SECONDS: Final = 0.3
BEEP_DBOV: Final = -16.0
RING_DBOV: Final = -19.0
"""About -13 dBm0, within what E.180 asks of tones at the listener's end."""
DTMF_DBOV: Final = -10.0
"""Power of the pair; each of its two tones is 3 dB below (ITU-T Q.23, ETSI ES 201 235-2)."""
RAMP_SECONDS: Final = 0.005
"""Every tone fades in and out over this time: an edge would be heard as a click."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """One country's ringing tone (ITU-T E.180 supplement 2)."""

    tones: tuple[float, ...]
    """Hz; two are sounded together."""
    pattern: tuple[float, ...]
    """Seconds on, off, on, off, ... of one cycle."""
    modulation: float = 0.0
    """Hz by which the amplitude goes up and down, 0 for none ("400 x 25" in the supplement)."""


_TWIN = (0.4, 0.2, 0.4, 2.0)
_CONTINENTAL = Cadence((425.0,), (1.0, 4.0))
_NORTH_AMERICAN = Cadence((440.0, 480.0), (2.0, 4.0))
_BRITISH = Cadence((400.0, 450.0), _TWIN)
_NORDIC = Cadence((425.0,), (1.0, 5.0))

CADENCES: Final[Mapping[str, Cadence]] = MappingProxyType(
    {
        "ae": _BRITISH,
        "ar": Cadence((425.0,), (1.0, 4.5)),
        "at": Cadence((420.0,), (1.0, 5.0)),
        "au": Cadence((413.0, 438.0), _TWIN),
        "be": Cadence((425.0,), (1.0, 3.0)),
        "bg": _CONTINENTAL,
        "br": _CONTINENTAL,
        "ca": _NORTH_AMERICAN,
        "ch": _CONTINENTAL,
        "cl": Cadence((400.0,), (1.0, 3.0)),
        "cn": Cadence((450.0,), (1.0, 4.0)),
        "cz": _CONTINENTAL,
        "de": _CONTINENTAL,
        "dk": _CONTINENTAL,
        "ee": _CONTINENTAL,
        "es": Cadence((425.0,), (1.5, 3.0)),
        "fi": _CONTINENTAL,
        "fr": Cadence((440.0,), (1.5, 3.5)),
        "gb": _BRITISH,
        "gr": _CONTINENTAL,
        "hk": Cadence((440.0, 480.0), (0.4, 0.2, 0.4, 3.0)),
        "hu": Cadence((425.0,), (1.25, 3.75)),
        "id": _CONTINENTAL,
        "ie": _BRITISH,
        "il": Cadence((400.0,), (1.0, 3.0)),
        "in": Cadence((400.0,), _TWIN, modulation=25.0),
        "it": _CONTINENTAL,
        "jp": Cadence((400.0,), (1.0, 2.0), modulation=16.0),
        "kr": Cadence((440.0, 480.0), (1.0, 2.0)),
        "lt": _CONTINENTAL,
        "mx": _CONTINENTAL,
        "my": Cadence((425.0,), _TWIN),
        "nl": _CONTINENTAL,
        "no": _CONTINENTAL,
        "nz": _BRITISH,
        "ph": Cadence((425.0, 480.0), (1.0, 4.0)),
        "pl": _CONTINENTAL,
        "pt": _NORDIC,
        "ru": Cadence((425.0,), (0.8, 3.2)),
        "se": _NORDIC,
        "sg": Cadence((425.0,), _TWIN, modulation=24.0),
        "th": Cadence((400.0,), (1.0, 4.0)),
        "tr": Cadence((450.0,), (2.0, 4.0)),
        "tw": Cadence((440.0, 480.0), (1.0, 2.0)),
        "uk": _BRITISH,  # not an ISO code, but what everybody types
        "us": _NORTH_AMERICAN,
        "ve": _CONTINENTAL,
        "za": Cadence((400.0,), _TWIN, modulation=33.0),
    }
)
"""Ringing tones by lower-case ISO 3166 country code."""

_ROWS = (697.0, 770.0, 852.0, 941.0)
_COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
DTMF_HZ: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {key: (_ROWS[place // 4], _COLUMNS[place % 4]) for place, key in enumerate("123A456B789C*0#D")}
)
"""The two frequencies of each key (ITU-T Q.23)."""


def _count(seconds: float, rate: int) -> int:
    """Return how many samples `seconds` are; PeerError 400 unless it is a length we make."""
    if not 0 <= seconds <= MAX_TONE_SECONDS:  # a NaN fails too
        raise PeerError(400, f"a length of {seconds:g} s is not within 0 to {MAX_TONE_SECONDS:g} s")
    return round(seconds * rate)


def silence(seconds: float, rate: int = 8000) -> NDArray[np.int16]:
    """Return so many seconds of nothing. PeerError 400 beyond `MAX_TONE_SECONDS`."""
    return np.zeros(_count(seconds, rate), np.int16)


def sine(
    frequencies: Sequence[float],
    seconds: float,
    rate: int = 8000,
    level_dbov: float = BEEP_DBOV,
    modulation: float = 0.0,
) -> NDArray[np.int16]:
    """Return one tone, or several together at equal strength, that fades in and out.

    `level_dbov` is the power of the whole before `modulation` (Hz, 0 for none) swings its
    amplitude between nothing and full. PeerError 400 beyond `MAX_TONE_SECONDS`.
    """
    count = _count(seconds, rate)
    time = np.arange(count) / rate
    # Uncorrelated tones add in power, and a sine's power is half its amplitude squared.
    amplitude = 32768.0 * math.sqrt(2.0 / len(frequencies)) * 10.0 ** (level_dbov / 20.0)
    wave = sum((np.sin(2.0 * np.pi * hertz * time) for hertz in frequencies), start=np.zeros(count))
    if modulation:
        wave *= 0.5 - 0.5 * np.cos(2.0 * np.pi * modulation * time)
    ramp = min(round(RAMP_SECONDS * rate), count // 2)
    if ramp:
        edge = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)
        wave[:ramp] *= edge
        wave[-ramp:] *= edge[::-1]
    samples: NDArray[np.int16] = np.clip(np.round(amplitude * wave), -32768, 32767).astype(np.int16)
    return samples


def beep(rate: int = 8000) -> NDArray[np.int16]:
    """Return the beep that tells a caller to speak."""
    return sine((BEEP_HZ,), BEEP_SECONDS, rate, BEEP_DBOV)


def dtmf(
    digit: str, seconds: float, rate: int = 8000, level_dbov: float = DTMF_DBOV
) -> NDArray[np.int16]:
    """Return the tones of a key, one of `0-9 * # A-D`; PeerError 400 for any other."""
    pair = DTMF_HZ.get(digit.upper())
    if pair is None:
        raise PeerError(400, f"{digit[:8]!r} is not a DTMF key: 0-9, *, #, A-D")
    return sine(pair, seconds, rate, level_dbov)


def dial_tones(digits: str, on: float, off: float, rate: int = 8000) -> NDArray[np.int16]:
    """Return what keys sound like, one after the other, each `on` seconds with `off` after it.

    `w` is half a second of silence, `W` a whole one. PeerError 400 for any other character, and
    for more than `MAX_TONE_SECONDS`.
    """
    pauses = {"w": 0.5, "W": 1.0}
    _count(sum(pauses.get(digit, on + off) for digit in digits), rate)
    parts = [np.zeros(0, np.int16)]
    for digit in digits:
        if digit in pauses:
            parts.append(silence(pauses[digit], rate))
        else:
            parts += [dtmf(digit, on, rate), silence(off, rate)]
    return np.concatenate(parts)


def ring(country: str, seconds: float | None = None, rate: int = 8000) -> NDArray[np.int16]:
    """Return a country's ringing tone: one whole cycle, or as many `seconds` as asked for.

    PeerError 400 for a country that is not in `CADENCES` or a length we do not make.
    """
    cadence = CADENCES.get(country.lower())
    if cadence is None:
        raise PeerError(400, f"no ringing tone is known for country {country[:8]!r}")
    parts = [
        sine(cadence.tones, length, rate, RING_DBOV, cadence.modulation)
        if place % 2 == 0
        else silence(length, rate)
        for place, length in enumerate(cadence.pattern)
    ]
    cycle = np.concatenate(parts)
    return cycle if seconds is None else np.resize(cycle, _count(seconds, rate))
