"""What stands out from a line's noise, when a voice must not be missed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.presence import Presence
from mediaserver.audio.tones import silence

Samples = NDArray[np.int16]

BLOCK = 640


def listen(samples: Samples) -> NDArray[np.bool_]:
    presence = Presence()
    blocks = range(0, len(samples) // BLOCK * BLOCK, BLOCK)
    return np.array([one for at in blocks for one in presence.listen(samples[at : at + BLOCK])])


def hiss(seconds: float, dbov: float) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(0, 32768 * 10 ** (dbov / 20), round(8000 * seconds))


def buzz(seconds: float, dbov: float) -> NDArray[np.float64]:
    time = np.arange(round(seconds * 8000)) / 8000
    wave = np.asarray(sum(np.sin(2 * np.pi * 150 * n * time) / n for n in range(1, 12)))
    scaled: NDArray[np.float64] = wave * 32768 * 10 ** (dbov / 20) / np.sqrt((wave**2).mean())
    return scaled


@pytest.mark.parametrize("dbov", [-20.0, -40.0, -60.0])
def test_noise_alone_is_not_audible(dbov: float) -> None:
    assert not listen(hiss(20.0, dbov).astype(np.int16)).any()


def test_nothing_is_not_audible() -> None:
    assert not listen(silence(5.0)).any()


@pytest.mark.parametrize("snr", [5.0, 10.0, 30.0])
def test_a_sound_is_audible_where_it_is(snr: float) -> None:
    line = hiss(4.0, -30.0 - snr)
    line[16000:20000] += buzz(0.5, -30.0)
    frames = np.flatnonzero(listen(line.astype(np.int16)))
    assert 100 <= frames[0] <= 105
    assert 123 <= frames[-1] <= 127


def test_a_click_is_not_audible() -> None:
    line = hiss(4.0, -50.0)
    line[16000:16080] += 8000
    assert not listen(line.astype(np.int16)).any()


def test_what_is_far_below_the_loudest_is_not_audible() -> None:
    line = np.concatenate([silence(1.0), buzz(1.0, -15.0), silence(0.5), buzz(0.5, -45.0)])
    assert not listen(line.astype(np.int16))[120:].any()
