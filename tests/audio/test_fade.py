"""How a voice fades into a line's noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.fade import FADE_LEAD, FADE_LEAST, fade

FRAME = 160
LOUDEST = FRAME * 32768.0**2 * 10**-1.5
FLOOR = FRAME * 32768.0**2 * 10**-5.5
HIDDEN = 8
"""Most frames for which a voice is taken to go on below a noise 20 dB softer."""


def _hiss(frames: int, dbov: float, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 32768 * 10 ** (dbov / 20), frames * FRAME)


def _buzz(frames: int, dbov: float) -> NDArray[np.float64]:
    """Return a vowel, of a kind: harmonics of 125 Hz, the softer the higher."""
    time = np.arange(frames * FRAME) / 8000
    buzz = sum((np.sin(250 * np.pi * n * time + n) / n for n in range(1, 25)), start=0 * time)
    loud: NDArray[np.float64] = buzz * 32768 * 10 ** (dbov / 20) / np.sqrt((buzz**2).mean())
    return loud


def _fade(wave: NDArray[np.float64], floor: float = FLOOR) -> float:
    samples = np.clip(np.round(wave), -32768, 32767).astype(np.int16)
    return fade(samples, FRAME, LOUDEST, floor)


def _line(noise: NDArray[np.float64], *sounds: tuple[int, NDArray[np.float64]]) -> float:
    """Return the fade of a loud voice before, and sounds from a frame on, in noise."""
    line = noise.copy()
    for at, sound in ((-FADE_LEAD, _buzz(FADE_LEAD, -15)), *sounds):
        begin = (FADE_LEAD + at) * FRAME
        line[begin : begin + len(sound)] += sound
    return _fade(line)


NOISE = _hiss(77, -35)


def _dying(db_per_frame: float, frames: int = 60) -> NDArray[np.float64]:
    return _buzz(frames, -15) * 10 ** (-np.arange(frames * FRAME) / FRAME * db_per_frame / 20)


def test_a_voice_that_dies_away_is_followed_to_its_end_however_loud_the_noise() -> None:
    """At 2 dB a frame it is over after some 17, 34 dB below its loudest."""
    for dbov in (-90, -60, -50, -40, -35, -30):
        assert _line(_hiss(77, dbov, 5), (0, _dying(2.0))) == pytest.approx(17, abs=6)


def test_a_sound_is_found_where_it_differs_from_the_noise() -> None:
    """A sibilant in a rumble, and a hum in hiss, each at a tenth of the noise's power."""
    time = np.arange(77 * FRAME) / 8000
    rumble = sum((np.sin(2 * np.pi * f * time + f) for f in (130.0, 161.0, 192.0)), start=0 * time)
    rumble *= 32768 * 10 ** (-35 / 20) / np.sqrt((rumble**2).mean())
    sibilant = np.diff(_hiss(12, -48), prepend=0.0)
    assert _line(rumble + _hiss(77, -75), (0, sibilant)) == pytest.approx(13, abs=5)
    hum = np.sin(2 * np.pi * 250 * time[: 12 * FRAME]) * 32768 * 10 ** (-45 / 20) * 2**0.5
    assert _line(NOISE, (0, hum)) == pytest.approx(12, abs=8)


def test_on_a_quiet_line_a_voice_ends_where_it_was_last_loud() -> None:
    assert _line(np.zeros(77 * FRAME)) <= 1
    assert _line(_hiss(77, -75)) <= 1
    # What is softer than the floor, or far below the voice, is none.
    assert _line(np.zeros(77 * FRAME), (0, _buzz(20, -57))) <= 1
    assert _line(np.zeros(77 * FRAME), (0, _buzz(20, -52))) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_steady_noise_after_a_voice_is_no_fading_voice(seed: int) -> None:
    assert _line(_hiss(77, -35, seed)) <= HIDDEN


def test_noise_that_goes_up_and_down_is_seldom_a_fading_voice() -> None:
    fades = []
    for seed in range(30):
        swell = 10 ** (np.random.default_rng(seed).normal(0, 2, 77) / 20)
        fades.append(_line(_hiss(77, -35, seed) * np.repeat(swell, FRAME)))
    assert np.median(fades) <= HIDDEN
    assert np.quantile(fades, 0.8) <= HIDDEN + 10


@pytest.mark.parametrize("pause", [4, 12, 20, 26])
def test_a_pause_may_lie_before_the_end(pause: int) -> None:
    """A stop, a double consonant, or a short last word that was not heard as speech."""
    assert _line(NOISE, (pause, _buzz(6, -25))) == pytest.approx(pause + 9, abs=5)


@pytest.mark.parametrize("pause", [18, 22, 30])
def test_a_click_after_a_pause_is_no_voice(pause: int) -> None:
    click = np.zeros(FRAME)
    click[60:100] = 12_000.0
    assert _line(NOISE, (pause, click)) <= HIDDEN


@pytest.mark.parametrize("seed", range(5))
def test_a_car_that_passes_after_a_voice_is_no_fading_voice(seed: int) -> None:
    """Noise that is loudest, by 9.5 dB, when the voice ends, and takes two seconds to go."""
    swell = 1.0 + 2.0 * np.exp(-0.5 * (np.arange(77 * FRAME) / FRAME / 30) ** 2)
    assert _line(_hiss(77, -42, seed) * swell) <= HIDDEN


def test_the_floor_moves_the_end_one_way() -> None:
    line = np.concatenate([_buzz(FADE_LEAD, -15), _dying(1.0), np.zeros(15 * FRAME)])
    fades = [_fade(line, FRAME * 32768.0**2 * 10 ** (db / 10)) for db in (-30, -36, -42, -70)]
    assert fades == sorted(fades)
    assert fades[0] < fades[2]


def test_too_little_ahead_tells_nothing() -> None:
    assert _fade(_buzz(FADE_LEAD + FADE_LEAST - 1, -15)) == 0.0
    assert _fade(_buzz(FADE_LEAD, -15)) == 0.0


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_every_rate_finds_the_same_end(rate: int) -> None:
    frame, time = rate // 50, np.arange(77 * rate // 50) / rate
    voice = sum((np.sin(250 * np.pi * n * time) / n for n in range(1, 25)), start=0 * time)
    fall = 10 ** (-np.maximum(time - 0.04, 0) * 50 * 2.0 / 20)
    noise = np.random.default_rng(3).normal(0, 60 * (rate / 8000) ** 0.5, len(time))
    samples = np.round(5000 * voice * fall + noise).astype(np.int16)
    loudest = float((samples[:frame].astype(float) ** 2).sum())
    assert 15 <= fade(samples, frame, loudest, 0.0) <= 22  # 30 dB below its loudest, and 44
