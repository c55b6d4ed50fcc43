"""What stands out from a line's noise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.loudness import NOISE_FRAMES, Loudness

FRAME = 160


def _hiss(frames: int, dbov: float, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 32768 * 10 ** (dbov / 20), frames * FRAME)


def _samples(*parts: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)


def _loudness(samples: NDArray[np.int16], margin_db: float = 4.0) -> tuple[Loudness, list[int]]:
    loudness = Loudness(-55.0, margin_db, FRAME)
    return loudness, loudness.measure(samples)


def test_on_a_quiet_line_a_fixed_level_decides() -> None:
    line = _samples(_hiss(100, -60), _hiss(10, -50), _hiss(100, -60))
    assert _loudness(line)[1] == list(range(100, 110))


def test_on_a_noisy_line_the_noise_decides() -> None:
    line = _samples(_hiss(150, -30), _hiss(10, -27), _hiss(100, -30), _hiss(10, -20), _hiss(9, -30))
    assert _loudness(line)[1] == list(range(260, 270))
    assert set(_loudness(line, margin_db=1.0)[1]) > set(range(150, 160))


def test_noise_that_begins_is_background_before_long() -> None:
    loud = _loudness(_samples(_hiss(200, -70), _hiss(400, -30)))[1]
    assert loud[0] == 200
    assert loud[-1] < 200 + NOISE_FRAMES + 50


def test_fluctuating_noise_needs_more_of_a_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A room full of people goes up and down by 2 dB from one frame to the next."""
    swell = np.repeat(10 ** (np.random.default_rng(3).normal(0, 2, 400) / 20), FRAME)
    line = _samples(_hiss(400, -30) * swell)
    loud = [frame for frame in _loudness(line)[1] if frame >= 50]
    assert len(loud) <= 4
    monkeypatch.setattr("mediaserver.audio.loudness.SPREAD_LIMIT_DB", 0.0)
    assert len(_loudness(line)[1]) > 10 * (len(loud) + 1)
    steady = _samples(_hiss(400, -30), _hiss(1, -24.5))
    assert _loudness(steady)[1] == [400]


@pytest.mark.parametrize("size", [1, 3, 49, 50, 51, 400])
def test_the_cut_changes_nothing(size: int) -> None:
    line = _samples(_hiss(120, -50), _hiss(60, -25), _hiss(140, -45), _hiss(80, -35))
    whole, all_loud = _loudness(line)
    parts, loud = Loudness(-55.0, 4.0, FRAME), []
    for at in range(0, len(line), size * FRAME):
        loud += parts.measure(line[at : at + size * FRAME])
    assert loud == all_loud
    assert parts.frames == whole.frames == 400
    assert parts.loudest(390) == whole.loudest(390) > 0


def test_who_speaks_without_a_pause_is_not_his_own_noise() -> None:
    """All but a tenth of the time somebody is about as loud; the noise is told by the rest."""
    rng = np.random.default_rng(4)
    levels = np.where(np.arange(800) % 20 < 18, rng.uniform(-26, -18, 800), -60.0)
    line = _samples(_hiss(800, 0) * np.repeat(10 ** (levels / 20), FRAME))
    loud = set(_loudness(line)[1])
    assert len([n for n in range(100, 800) if n in loud]) >= 0.85 * 700


def test_lost_packets_do_not_make_the_noise_seem_softer() -> None:
    packets = _hiss(600, -35).reshape(-1, FRAME)
    packets[::9] = 0.0
    loud = _loudness(_samples(packets.reshape(-1)))[1]
    assert len([n for n in loud if n >= 50]) <= 6


def _tone(frames: int, dbov: float = -20.0) -> NDArray[np.float64]:
    wave: NDArray[np.float64] = np.sin(np.arange(frames * FRAME) * 0.33)
    return wave * (32768 * 10 ** (dbov / 20) * 2**0.5)


@pytest.mark.parametrize(("on", "off"), [(25, 25), (12, 12), (19, 19), (50, 200)])
def test_a_tone_that_comes_and_goes_is_background_before_long(on: int, off: int) -> None:
    cycle = [part for _ in range(2000 // (on + off)) for part in (_tone(on), np.zeros(off * FRAME))]
    loud = _loudness(_samples(np.zeros(50 * FRAME), *cycle))[1]
    assert 50 <= loud[0] <= 51
    assert loud[-1] < 50 + 2 * (on + off) + 250


def test_a_voice_over_a_tone_that_comes_and_goes_is_loud() -> None:
    cycle = [part for _ in range(20) for part in (_tone(25), np.zeros(25 * FRAME))]
    line = np.concatenate(cycle)
    line[510 * FRAME : 520 * FRAME] += _hiss(10, -12)
    assert set(_loudness(_samples(line))[1]) >= set(range(510, 520))


def test_a_tone_that_stays_away_is_forgotten() -> None:
    cycle = [part for _ in range(8) for part in (_tone(25), np.zeros(25 * FRAME))]
    line = _samples(*cycle, np.zeros(600 * FRAME), _hiss(10, -30))
    assert set(_loudness(line)[1]) >= set(range(1000, 1010))


def test_what_keeps_to_one_level_without_pauses_between_is_no_such_tone() -> None:
    """Compressed speech: a third of it at one level, the rest anywhere below."""
    rng = np.random.default_rng(6)
    levels = np.where(rng.random(800) < 0.3, -20.0, rng.uniform(-50, -20, 800))
    line = _samples(_hiss(800, 0) * np.repeat(10 ** (levels / 20), FRAME) * 0.1)
    loud = [n for n in _loudness(line)[1] if n >= 200]
    assert len(loud) >= 250


def test_a_higher_margin_and_a_higher_floor_find_less() -> None:
    line = _samples(_hiss(200, -45), *(_hiss(10, -55 + 2 * n, n) for n in range(20)))
    for less, more in pairwise([6.0, 5.0, 4.0, 3.0]):
        assert set(_loudness(line, less)[1]) <= set(_loudness(line, more)[1])
