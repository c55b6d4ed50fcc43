"""Tones, checked by their spectrum and their cadence."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.tones import (
    CADENCES,
    DTMF_HZ,
    beep,
    dial_tones,
    dtmf,
    ring,
    silence,
    sine,
)
from mediaserver.errors import PeerError

RATE = 8000


def _strongest(samples: NDArray[np.int16], count: int) -> list[float]:
    """Return the `count` strongest frequencies, in Hz, ascending."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * RATE))
    found = []
    for _ in range(count):
        peak = int(spectrum.argmax())
        found.append(peak / 8)
        spectrum[max(0, peak - 160) : peak + 160] = 0  # 20 Hz on each side
    return sorted(found)


def _dbov(samples: NDArray[np.int16]) -> float:
    return 10 * math.log10(float(np.mean((samples / 32768.0) ** 2)))


def _on_off(samples: NDArray[np.int16], rate: int) -> list[float]:
    """Return the lengths in seconds of sound and silence in turn."""
    step = rate // 50  # 20 ms: every length of the table is a multiple, or nearly
    loud = np.abs(samples[: len(samples) // step * step].reshape(-1, step)).max(axis=1) > 100
    edges = np.flatnonzero(np.diff(loud.astype(int))) + 1
    return [len(run) / 50 for run in np.split(loud, edges)]


def test_the_beep_is_1000_hz_and_has_no_edges() -> None:
    samples = beep(RATE)
    assert 0.25 <= len(samples) / RATE <= 0.5
    assert _strongest(samples, 1) == [pytest.approx(1000, abs=1)]
    assert abs(int(samples[0])) < 100
    assert abs(int(samples[-1])) < 100


@pytest.mark.parametrize("country", sorted(CADENCES))
def test_a_ring_has_the_cadence_and_the_tones_of_its_country(country: str) -> None:
    cadence = CADENCES[country]
    cycle = ring(country, None, RATE)
    assert len(cycle) == round(sum(cadence.pattern) * RATE)
    assert _on_off(cycle, RATE) == pytest.approx(cadence.pattern, abs=0.0401)
    first = cycle[: round(cadence.pattern[0] * RATE)]
    found = _strongest(first, len(cadence.tones))
    assert found == pytest.approx(sorted(cadence.tones), abs=2)


def test_a_ring_of_some_seconds_repeats_its_cycle_and_ends_to_the_sample() -> None:
    cycle = ring("US", None, RATE)
    long = ring("us", 14.5, RATE)
    assert len(long) == 116_000
    assert np.array_equal(long[: len(cycle)], cycle)
    assert np.array_equal(long[len(cycle) : 2 * len(cycle)], cycle)
    assert len(ring("de", 0.25, RATE)) == 2000
    assert len(ring("de", 0, RATE)) == 0


@pytest.mark.parametrize("key", "0123456789*#ABCDabcd")
def test_a_key_has_its_two_tones_at_the_level_asked_for(key: str) -> None:
    samples = dtmf(key, 0.1, RATE, -12.0)
    assert len(samples) == 800
    assert _strongest(samples, 2) == pytest.approx(sorted(DTMF_HZ[key.upper()]), abs=3)
    assert _dbov(samples[100:-100]) == pytest.approx(-12, abs=0.3)


def test_what_we_cannot_make_is_refused_with_a_sentence() -> None:
    calls: list[Callable[[], NDArray[np.int16]]] = [
        lambda: ring("zz"),
        lambda: ring("us", -1),
        lambda: silence(float("nan")),
        lambda: silence(1e12),
        lambda: dtmf("x", 0.1),
        lambda: dtmf("", 0.1),
    ]
    for call in calls:
        with pytest.raises(PeerError) as caught:
            call()
        assert caught.value.status == 400


def test_silence_and_overload() -> None:
    assert silence(1.5, 16000).tolist() == [0] * 24000
    assert sine((440.0,), 0.1, RATE, 20.0).max() == 32767
    assert len(sine((440.0,), 0.0005, RATE)) == 4


def test_keys_one_after_the_other_sound_with_silence_and_waits_between() -> None:
    samples = dial_tones("5w9W", 0.1, 0.06, RATE)
    assert _on_off(samples, RATE) == [0.1, 0.56, 0.1, 1.06]
    assert np.array_equal(samples[:800], dtmf("5", 0.1, RATE))
    assert not dial_tones("", 0.1, 0.06, RATE).size


@pytest.mark.parametrize("digits", ["5x", "W" * 4000])
def test_what_is_no_key_or_waits_for_ever_is_refused(digits: str) -> None:
    with pytest.raises(PeerError):
        dial_tones(digits, 0.1, 0.06, RATE)
