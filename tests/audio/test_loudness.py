"""What stands out from a line's noise, and how a voice fades into it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.loudness import FADE_FRAMES, HIDDEN_LONGEST, NOISE_FRAMES, Loudness

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
    assert parts.fade(310, 75) == whole.fade(310, 75)


def _voice(db_per_second: float, frames: int = 150) -> NDArray[np.float64]:
    """Return what is as loud as its peak for a second and then dies away."""
    fall = np.maximum(np.arange(frames * FRAME) / 8000 - 1.0, 0.0) * db_per_second
    return _hiss(frames, -15, 2) * 10 ** (-fall / 20)


def test_a_voice_that_dies_away_in_noise_is_followed_further_the_louder_the_noise() -> None:
    """It falls by 100 dB a second and is over when it has fallen by 32."""
    fades = []
    for noise in (-90.0, -45.0, -40.0, -35.0, -30.0):
        line = _samples(_voice(100.0) + _hiss(150, noise, 7))
        loudness, _ = _loudness(line)
        last = 50  # as if nothing of the fall had been heard
        fades.append(loudness.fade(last, 75))
        assert abs(fades[-1] - 16) <= 6
    for end in (50, 55, 58):
        assert abs(end + loudness.fade(end, 75) - 50 - fades[-1]) <= 1


def test_on_a_quiet_line_a_voice_ends_where_it_was_last_loud() -> None:
    loudness, loud = _loudness(_samples(np.zeros(50 * FRAME), _voice(1000.0)))
    assert loud[-1] in range(99, 104)
    assert loudness.fade(loud[-1] + 1, 75) <= 1


def test_a_hiss_at_the_end_of_a_word_is_noticed_in_what_rumbles() -> None:
    """Its power is a tenth of the rumble's, its place in the spectrum is another."""
    rumble = np.zeros(300 * FRAME)
    for n, phase in enumerate((0.1, 1.7, 2.9)):
        rumble += 1200 * np.sin(2 * np.pi * (90 + 31 * n) * np.arange(len(rumble)) / 8000 + phase)
    hiss = np.diff(_hiss(20, -40.0), prepend=0.0)
    for ending, least, most in ((hiss, 19, 33), (0 * hiss, 0, 13)):
        line = rumble.copy()
        line[100 * FRAME : 150 * FRAME] += _hiss(50, -15)
        line[150 * FRAME : 170 * FRAME] += ending
        assert 5 * (ending**2).mean() < (rumble**2).mean()
        loudness, loud = _loudness(_samples(line))
        assert loud[-1] == 149
        assert least <= loudness.fade(150, 75) <= most


def test_steady_noise_after_a_voice_is_no_fading_voice() -> None:
    line = _samples(_hiss(100, -40), _hiss(50, -15), _hiss(100, -40, 5))
    loudness, loud = _loudness(line)
    assert loud[-1] == 149
    assert loudness.fade(150, 75) <= HIDDEN_LONGEST + 1


def test_the_fade_depends_on_what_lies_ahead_as_far_as_it_was_told_and_no_further() -> None:
    line = _samples(_hiss(100, -40), _voice(60.0), _hiss(200, -40, 5))
    known = [Loudness(-55.0, 4.0, FRAME) for _ in range(3)]
    for loudness, frames in zip(known, (225, 226, 300), strict=True):
        loudness.measure(line[: frames * FRAME])
    assert len({loudness.fade(150, 75) for loudness in known}) == 1
    assert known[0].fade(150, 10_000) == known[0].fade(150, FADE_FRAMES)


def test_what_was_not_received_is_silence() -> None:
    line = _samples(_hiss(100, -40), _hiss(50, -15), np.zeros(100 * FRAME))
    short, _ = _loudness(line[: 150 * FRAME])
    long, _ = _loudness(line)
    assert short.fade(150, 75) == long.fade(150, 75)


def test_too_little_ahead_tells_nothing() -> None:
    loudness, _ = _loudness(_samples(_hiss(100, -40), _voice(60.0)))
    assert loudness.fade(150, 14) == 0.0
    assert loudness.fade(150, 0) == 0.0


def test_a_higher_margin_and_a_higher_floor_find_less() -> None:
    line = _samples(_hiss(200, -45), *(_hiss(10, -55 + 2 * n, n) for n in range(20)))
    for less, more in pairwise([6.0, 5.0, 4.0, 3.0]):
        assert set(_loudness(line, less)[1]) <= set(_loudness(line, more)[1])
