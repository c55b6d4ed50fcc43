"""The speech detector: its curve, its cost, and what it makes of recorded speech."""

from __future__ import annotations

import subprocess
import sys
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.tones import sine
from mediaserver.audio.vad import BLOCK, WARM_UP, SpeechDetector, VadSetting, vad_setting

DEFAULT = 44.0


def _frames(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    return samples[: len(samples) // 160 * 160].reshape(-1, 160)


def _heard(
    frames: NDArray[np.int16], sensitivity: float = DEFAULT, size: int = 10_000
) -> NDArray[np.bool_]:
    """Return for each frame whether it is heard, listening to `size` new frames at a time."""
    rate = 50 * frames.shape[1]
    detector = SpeechDetector(vad_setting(sensitivity), rate)
    heard = np.zeros(len(frames), np.bool_)
    while (begin := detector.frames) < len(frames):
        stretch = detector.listen(frames[begin - detector.lead : begin + size].reshape(-1))
        for frame in range(begin, detector.frames):
            heard[frame] = stretch.last(frame, frame + 1) == frame
    return heard


def _noise(seconds: float, dbov: float, seed: int = 1) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 32768 * 10 ** (dbov / 20), round(8000 * seconds))


def _speech(files: tuple[Path, ...], count: int = 30) -> NDArray[np.int16]:
    """Return prompts with half a second between them, about a minute and a half."""
    parts = []
    for path in files[:: max(1, len(files) // count)]:
        with wave.open(str(path)) as file:
            parts.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
        parts.append(np.zeros(4000, np.int16))
    return np.concatenate(parts).astype(np.int16)


def test_the_curve_never_goes_back() -> None:
    settings = [vad_setting(tenth / 10) for tenth in range(1001)]
    for less, more in pairwise(settings):
        assert more.mode <= less.mode
        assert more.floor_dbov < less.floor_dbov
        assert more.margin_db < less.margin_db


def test_the_curve_holds_the_values_of_its_table() -> None:
    table = {
        0: (3, -40.0, 6.0),
        25: (2, -47.5, 5.0),
        44: (2, -53.2, 4.24),
        50: (1, -55.0, 4.0),
        75: (0, -62.5, 3.0),
        100: (0, -70.0, 2.0),
    }
    for sensitivity, (mode, floor, margin) in table.items():
        setting = vad_setting(sensitivity)
        assert setting.mode == mode
        assert setting.floor_dbov == pytest.approx(floor)
        assert setting.margin_db == pytest.approx(margin)
    assert vad_setting(-5) == vad_setting(0)
    assert vad_setting(200) == vad_setting(100)


@pytest.mark.interop("speech")
@pytest.mark.parametrize("snr", [None, 20.0, 10.0])
def test_what_is_speech_stays_speech_at_a_higher_sensitivity(
    speech_files: tuple[Path, ...], snr: float | None
) -> None:
    samples = _speech(speech_files)
    if snr is not None:
        samples = np.clip(samples + _noise(len(samples) / 8000, -19 - snr), -32768, 32767).astype(
            np.int16
        )
    frames = _frames(samples)
    answers = [_heard(frames, sensitivity) for sensitivity in (0, 15, 30, 44, 60, 80, 100)]
    for less, more in pairwise(answers):
        # webrtcvad adapts to the frames it is shown, so a few frames may differ.
        assert np.count_nonzero(less & ~more) <= 0.01 * len(frames)
    share = [float(answer.mean()) for answer in answers]
    assert share == sorted(share)
    assert share[0] < share[-1]


@pytest.mark.interop("speech")
def test_the_cut_into_stretches_changes_nothing(speech_files: tuple[Path, ...]) -> None:
    frames = _frames(_speech(speech_files, 5))
    whole = _heard(frames)
    assert whole.mean() > 0.3
    for size in (1, 7, 83):
        assert np.array_equal(_heard(frames, size=size), whole)


@pytest.mark.interop("speech")
def test_what_was_asked_before_changes_nothing(speech_files: tuple[Path, ...]) -> None:
    """Verdicts do not depend on which other frames were judged, nor in what order."""
    frames = _frames(_speech(speech_files, 5))[:600]
    heard = np.flatnonzero(_heard(frames)).tolist()
    stretch = SpeechDetector(vad_setting(DEFAULT)).listen(frames.reshape(-1))
    rng = np.random.default_rng(2)
    for _ in range(200):
        begin, end = sorted(rng.integers(0, 601, 2).tolist())
        inside = [frame for frame in heard if begin <= frame < end]
        assert stretch.last(begin, end) == (inside[-1] if inside else None)
        assert stretch.first(begin, end) == (inside[0] if inside else None)


@pytest.mark.parametrize("dbov", [-15, -25, -35, -45, -60])
def test_steady_noise_is_not_speech_whatever_its_level(dbov: float) -> None:
    frames = _frames(np.clip(_noise(20, dbov), -32768, 32767).astype(np.int16))
    assert _heard(frames).mean() < 0.01


def test_a_held_tone_and_an_idle_line_are_not_speech() -> None:
    tone = _frames(sine((425.0,), 10, 8000, -15))
    assert _heard(tone).mean() < 0.02
    idle = np.full((500, 160), 8, np.int16)  # A-law has no zero
    assert not _heard(idle, 100).any()
    assert not _heard(np.zeros((500, 160), np.int16), 100).any()


def test_webrtcvad_is_asked_about_loud_frames_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Counting:
        def __init__(self, mode: int) -> None:
            assert mode == 2

        def is_speech(self, data: memoryview, rate: int, length: int) -> bool:
            asked.append((len(data), rate, length))
            return True

    monkeypatch.setattr("mediaserver.audio.vad.webrtcvad.Vad", Counting)
    samples = np.zeros(100 * 160, np.int16)
    samples[40 * 160 : 43 * 160] = 3000
    samples[60 * 160 : 62 * 160] = 3000  # too short to be heard, whatever it is
    stretch = SpeechDetector(VadSetting(2, -50.0)).listen(samples)
    assert asked == []
    assert stretch.last(0, 100) == 42
    assert asked == [(320, 8000, 160)] * 3


def test_in_speech_the_last_frame_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Counting:
        def __init__(self, mode: int) -> None:
            pass

        def is_speech(self, data: memoryview, rate: int, length: int) -> bool:
            asked.append(length)
            return True

    monkeypatch.setattr("mediaserver.audio.vad.webrtcvad.Vad", Counting)
    samples = np.zeros(200 * 160, np.int16)
    samples[100 * 160 :] = 3000
    detector = SpeechDetector(VadSetting(2, -50.0))
    detector.listen(samples[: 100 * 160])
    stretch = detector.listen(samples[(100 - detector.lead) * 160 :])
    assert stretch.last(100, 200) == 199
    assert len(asked) == BLOCK + WARM_UP


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 48000])
def test_every_rate_of_webrtcvad_is_taken(rate: int) -> None:
    rng = np.random.default_rng(4)
    burst = rng.normal(0, 6000, rate // 5).clip(-32768, 32767).astype(np.int16)
    samples = np.concatenate([np.zeros(rate, np.int16), burst, np.zeros(rate // 5, np.int16)])
    stretch = SpeechDetector(vad_setting(DEFAULT), rate).listen(samples)
    assert stretch.last(0, 70) in range(52, 60)
    assert SpeechDetector(vad_setting(DEFAULT), rate).listen(samples[:0]).last(0, 1) is None


def test_the_import_warns_of_nothing() -> None:
    """complaints 18: a voice detector must not depend on what setuptools still brings along."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import sys, mediaserver.audio.vad;"
         "assert 'pkg_resources' not in sys.modules"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
