"""Real speech: its end is found, clicks and noise are not taken for it."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from mediaserver.recording.recorder import Recorder, Stop, StopRules
from mediaserver.recording.states import StopReason

RATE = 8000
LEAD = RATE
TAIL = 3 * RATE
SILENCE = 1.5
TOLERANCE = round(0.120 * RATE)


def _trimmed(path: Path) -> NDArray[np.float64]:
    """Return a clean file's speech: from its first to its last 10 ms within 35 dB of its loudest.

    That is the truth measured against; speech that is softer still belongs to no word.
    """
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    blocks = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    power = (blocks**2).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10**-3.5)
    return samples[80 * loud[0] : 80 * (loud[-1] + 1)]


def _prompts(files: tuple[Path, ...]) -> list[Path]:
    """Return every sixth prompt; some of the package's files are silence by their folder's name."""
    return [path for path in files if path.parent.name != "silence"][::6]


def _placed(
    speech: NDArray[np.float64], snr: float | None, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Return speech after a second of the line and before three: digital silence or hiss."""
    line = np.concatenate([np.zeros(LEAD), speech, np.zeros(TAIL)])
    if snr is not None:
        power = (speech**2).mean() / 10 ** (snr / 10)
        line += rng.normal(0, np.sqrt(power), len(line))
    return np.clip(np.round(line), -32768, 32767).astype(np.int16)


def _errors(
    files: tuple[Path, ...], snr: float | None, gain_db: float = 0.0, law: str = ""
) -> NDArray[np.float64]:
    """Return for each file how late the end of speech was found, in seconds."""
    rng = np.random.default_rng(7)
    errors = []
    for path in _prompts(files):
        speech = _trimmed(path) * 10 ** (gain_db / 20)
        line = _placed(speech, snr, rng)
        if law == "ulaw":
            line = decode_ulaw(encode_ulaw(line))
        elif law == "alaw":
            line = decode_alaw(encode_alaw(line))
        recorder = Recorder(StopRules(initial_timeout=8.0, end_silence_timeout=SILENCE), 0, RATE)
        stop = recorder.audio(line, 0)
        assert stop is not None, path
        assert stop.reason is StopReason.END_SILENCE, path
        errors.append(stop.position / RATE - SILENCE - (LEAD + len(speech)) / RATE)
    return np.array(errors)


pytestmark = pytest.mark.interop("speech")


@pytest.mark.parametrize(
    ("snr", "gain_db", "law", "within"),
    [
        (None, 0.0, "", 0.95),
        (None, 0.0, "ulaw", 0.95),
        (None, 0.0, "alaw", 0.95),
        (None, -10.0, "alaw", 0.85),
        (30.0, 0.0, "ulaw", 0.90),
        (20.0, 0.0, "ulaw", 0.75),
    ],
)
def test_the_end_of_speech_is_found_within_120_ms(
    speech_files: tuple[Path, ...], snr: float | None, gain_db: float, law: str, within: float
) -> None:
    errors = _errors(speech_files, snr, gain_db, law)
    assert np.mean(np.abs(errors) <= 0.120) >= within
    assert abs(np.median(errors)) <= 0.080
    assert np.abs(errors).max() <= 0.5


def test_at_10_db_over_noise_the_end_is_early_by_the_words_soft_end(
    speech_files: tuple[Path, ...],
) -> None:
    """What is softer than the noise cannot be told from it: early, never late, never missed."""
    errors = _errors(speech_files, 10.0, law="ulaw")
    assert -0.25 <= np.median(errors) <= 0
    assert errors.max() <= 0.120
    assert errors.min() >= -0.6


def test_noise_before_the_caller_speaks_is_no_speech(speech_files: tuple[Path, ...]) -> None:
    speech = _trimmed(speech_files[0])
    rng = np.random.default_rng(3)
    for snr in (10.0, 20.0, 40.0):
        line = _placed(speech, snr, rng)[:LEAD]
        recorder = Recorder(StopRules(initial_timeout=0.9), 0, RATE)
        assert recorder.audio(line, 0) == Stop(StopReason.INITIAL_TIMEOUT, 7200)


def test_a_caller_who_speaks_at_once_is_heard(speech_files: tuple[Path, ...]) -> None:
    for path in _prompts(speech_files):
        recorder = Recorder(StopRules(initial_timeout=4.0, end_silence_timeout=1.0), 0, RATE)
        line = np.concatenate([_trimmed(path), np.zeros(5 * RATE)]).astype(np.int16)
        stop = recorder.audio(line, 0)
        assert stop is not None
        assert stop.reason is StopReason.END_SILENCE, path


@pytest.mark.interop("pocketsphinx")
def test_speech_of_other_voices_and_microphones_is_heard(
    wideband_speech_files: tuple[Path, ...],
) -> None:
    heard = 0
    for path in wideband_speech_files:
        with wave.open(str(path)) as file:
            assert file.getframerate() == 16000
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        recorder = Recorder(StopRules(end_silence_timeout=2.0), 0, 16000)
        recorder.audio(np.concatenate([samples, np.zeros(48_000, np.int16)]), 0)
        stop = recorder.clock(len(samples) + 48_000)
        heard += stop is not None and stop.reason is StopReason.END_SILENCE
    assert heard == len(wideband_speech_files)
