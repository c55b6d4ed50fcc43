"""Tones of networks are told from voices; ringing does not hold a recording open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.waveform import read_wav
from mediaserver.audio.progress_tones import is_progress_tone
from mediaserver.audio.tones import dtmf, ring, silence, sine
from mediaserver.recording.recorder import Recorder, Stop, StopRules
from mediaserver.recording.states import StopReason

Samples = NDArray[np.int16]

RATE = 8000
STRETCH = 800


@pytest.mark.parametrize(
    "hertz",
    [(440, 480), (480, 620), (350, 440), (400, 450), (425,), (1100,), (2100,), (950,)],
)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_two_known_frequencies_and_nothing_else_are_a_tone(
    hertz: tuple[float, ...], rate: int
) -> None:
    for off in (1.0, 1.005, 0.99):
        samples = sine([off * hz for hz in hertz], 0.3, rate)
        assert is_progress_tone(samples[rate // 10 : rate // 5], rate)


def test_so_is_one_that_has_just_begun() -> None:
    tone = sine([440, 480], 0.3)[:480]
    assert is_progress_tone(np.concatenate([silence(0.04), tone]), RATE)


def test_noise_20_db_below_it_changes_nothing() -> None:
    tone = sine([440, 480], 0.3)[800:1600].astype(np.float64)
    noise = np.random.default_rng(1).normal(0, tone.std() / 10, len(tone))
    assert is_progress_tone((tone + noise).astype(np.int16), RATE)


@pytest.mark.parametrize(
    "samples",
    [
        silence(0.1),
        np.zeros(0, np.int16),
        sine([520], 0.1),
        sine([300], 0.1),
        sine([220, 440], 0.1),
        sine([440, 880], 0.1),
        sine([425], 0.02),
        dtmf("5", 0.1),
    ],
    ids=["silence", "nothing", "other", "low", "octave below", "octave", "click", "key"],
)
def test_anything_else_is_none(samples: Samples) -> None:
    assert not is_progress_tone(samples, RATE)


def test_a_voice_whose_pitch_moves_is_none() -> None:
    time = np.arange(STRETCH) / RATE
    glide = 8000 * np.sin(2 * np.pi * (430 * time + 150 * time**2))
    assert not is_progress_tone(glide.astype(np.int16), RATE)


@pytest.mark.interop("speech")
def test_of_recorded_voices_hardly_anything_is_a_tone(speech_files: tuple[Path, ...]) -> None:
    tones = looks = 0
    for path in speech_files[::12]:
        samples = read_wav(path)
        for at in range(0, len(samples) - STRETCH, STRETCH):
            looks += 1
            tones += is_progress_tone(samples[at : at + STRETCH], RATE)
    assert tones <= 0.005 * looks


def _voice(seconds: float) -> Samples:
    """Return a buzz with the swell of syllables."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * n * time) / n for n in range(1, 20))
    return np.asarray(8000 * buzz * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time)), np.int16)


def _stop(line: Samples, rules: StopRules, piece: int = 0) -> Stop | None:
    recorder = Recorder(rules, 0)
    for at in range(0, len(line), piece or len(line)):
        end = min(at + (piece or len(line)), len(line))
        stop = recorder.advance(end, end, lambda a, b: line[a:b])
        if stop is not None:
            return stop
    return None


@pytest.mark.parametrize("country", ["us", "gb", "de", "hk"])
@pytest.mark.parametrize("timeout", [3.0, 5.0])
def test_ringing_after_a_voice_does_not_hold_a_recording_open(country: str, timeout: float) -> None:
    line = np.concatenate([silence(0.5), _voice(2.0), silence(0.5), ring(country, 30.0)])
    rules = StopRules(initial_timeout=4.0, end_silence_timeout=timeout)
    stop = _stop(line, rules)
    assert stop is not None
    assert stop.reason is StopReason.END_SILENCE
    assert stop.position <= round((2.5 + timeout + 1.5) * RATE)
    assert [_stop(line, rules, piece) for piece in (160, 1111, 8000)] == [stop] * 3


def test_ringing_alone_is_no_speech() -> None:
    stop = _stop(ring("us", 12.0), StopRules(initial_timeout=4.0, end_silence_timeout=5.0))
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, 4 * RATE)
