"""Real speech: its end is found, clicks, noise and tones are not taken for it.

Where speech ends, and how loud it is beside the noise, is told by `farend.active_level`.
"""

from __future__ import annotations

import wave
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.active_level import active_power, spoken
from farend.noises import NOISES
from mediaserver.audio.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from mediaserver.audio.tones import sine
from mediaserver.recording.recorder import Recorder, Stop, StopRules
from mediaserver.recording.states import StopReason

RATE = 8000
LEAD = RATE
TAIL = 3 * RATE
SILENCE = 1.5
TOLERANCE = 0.1201


@cache
def _speech(path: Path) -> NDArray[np.float64]:
    """Return a clean file's speech, from its first to its last audible sound."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    return spoken(samples)


@cache
def _power(path: Path) -> float:
    """Return the active power of a file's speech."""
    return active_power(_speech(path))


@cache
def _loud(path: Path) -> NDArray[np.float64]:
    """Return a file's speech at an active level of 1."""
    loud: NDArray[np.float64] = _speech(path) / np.sqrt(_power(path))
    return loud


def _prompts(files: tuple[Path, ...], begin: int = 0) -> list[Path]:
    """Return every sixth prompt; some of the package's files are silence by their folder's name."""
    return [path for path in files if path.parent.name != "silence"][begin::6]


@cache
def _crowd(files: tuple[Path, ...]) -> tuple[NDArray[np.float64], ...]:
    """Return the voices that a crowd is made of: other prompts than those that are listened to."""
    return tuple(_loud(path) for path in _prompts(files, begin=3))


def _placed(
    speech: NDArray[np.float64],
    noise: str,
    snr: float,
    rng: np.random.Generator,
    files: tuple[Path, ...] = (),
) -> NDArray[np.int16]:
    """Return speech after a second of the line and before three: digital silence or noise."""
    sound = None
    if noise:
        sound = NOISES[noise](LEAD + len(speech) + TAIL, rng, _crowd(files))
    return _mixed(speech, active_power(speech) if noise else 0.0, sound, snr)


def _mixed(
    speech: NDArray[np.float64], power: float, sound: NDArray[np.float64] | None, snr: float
) -> NDArray[np.int16]:
    line = np.concatenate([np.zeros(LEAD), speech, np.zeros(TAIL)])
    if sound is not None:
        line += sound * np.sqrt(power / 10 ** (snr / 10) / (sound**2).mean())
    return np.clip(np.round(line), -32768, 32767).astype(np.int16)


@lru_cache(1)
def _sounds(
    files: tuple[Path, ...], noise: str, crowd: tuple[Path, ...]
) -> list[NDArray[np.float64]]:
    """Return the noise beside each prompt: the same at every level, and long in the making."""
    rng = np.random.default_rng(7)
    return [
        NOISES[noise](LEAD + len(_speech(path)) + TAIL, rng, _crowd(crowd))
        for path in _prompts(files)
    ]


def _stop(rules: StopRules, line: NDArray[np.int16], rate: int = RATE) -> Stop | None:
    return Recorder(rules, 0, rate).advance(len(line), len(line), lambda a, b: line[a:b])


def _errors(
    files: tuple[Path, ...],
    noise: str = "",
    snr: float = 0.0,
    gain_db: float = 0.0,
    law: str = "",
    crowd: tuple[Path, ...] = (),
) -> NDArray[np.float64]:
    """Return for each file how late the end of speech was found, in seconds; inf if never."""
    prompts = _prompts(files)
    sounds = _sounds(files, noise, crowd or files) if noise else [None] * len(prompts)
    errors = []
    for path, sound in zip(prompts, sounds, strict=True):
        speech = _speech(path) * 10 ** (gain_db / 20)
        line = _mixed(speech, _power(path) * 10 ** (gain_db / 10), sound, snr)
        if law == "ulaw":
            line = decode_ulaw(encode_ulaw(line))
        elif law == "alaw":
            line = decode_alaw(encode_alaw(line))
        stop = _stop(StopRules(initial_timeout=8.0, end_silence_timeout=SILENCE), line)
        if stop is None:
            errors.append(np.inf)  # the noise itself was heard until the end of the line
            continue
        assert stop.reason is StopReason.END_SILENCE, path
        errors.append(stop.position / RATE - SILENCE - (LEAD + len(speech)) / RATE)
    return np.array(errors)


def by_noise(*cases: tuple[str, float, float]) -> list[tuple[str, float, float]]:
    """Return what is heard in one noise together: each is made once."""
    return sorted(cases, key=lambda case: case[0])


pytestmark = pytest.mark.interop("speech")


@pytest.mark.parametrize(
    ("gain_db", "law", "within"),
    [(0.0, "", 0.99), (0.0, "ulaw", 0.99), (0.0, "alaw", 0.99), (-10.0, "alaw", 0.95)],
)
def test_the_end_of_speech_is_found_within_120_ms(
    speech_files: tuple[Path, ...], gain_db: float, law: str, within: float
) -> None:
    errors = _errors(speech_files, gain_db=gain_db, law=law)
    assert np.mean(np.abs(errors) <= TOLERANCE) >= within
    assert abs(np.median(errors)) <= 0.040
    assert np.abs(errors).max() <= 0.3


@pytest.mark.parametrize(
    ("noise", "snr", "within"),
    by_noise(
        *((noise, snr, 0.96) for noise in NOISES if noise != "street" for snr in (30.0, 20.0)),
        *((noise, 15.0, 0.96) for noise in ("white", "pink", "car", "hum")),
        ("babble", 15.0, 0.91),
        ("white", 10.0, 0.92),
        ("pink", 10.0, 0.92),
        ("car", 10.0, 0.93),
        ("hum", 10.0, 0.96),
        ("babble", 10.0, 0.83),
        # One car in twenty is taken for a voice.
        *(("street", snr, 0.91) for snr in (30.0, 20.0)),
        ("street", 15.0, 0.85),
        ("street", 10.0, 0.83),
    ),
)
def test_the_end_of_speech_is_found_within_120_ms_in_noise(
    speech_files: tuple[Path, ...], noise: str, snr: float, within: float
) -> None:
    errors = _errors(speech_files, noise, snr, law="ulaw")
    assert np.mean(np.abs(errors) <= TOLERANCE) >= within
    assert abs(np.median(errors)) <= 0.08
    if noise != "street":
        assert np.abs(errors).max() <= 0.4


@pytest.mark.interop("italian")
@pytest.mark.parametrize(
    ("noise", "snr", "within"),
    by_noise(
        ("", 0.0, 0.98),
        *((noise, 20.0, 0.96) for noise in NOISES if noise != "street"),
        ("white", 10.0, 0.91),
        ("pink", 10.0, 0.93),
        *((noise, 10.0, 0.96) for noise in ("car", "hum")),
        ("babble", 10.0, 0.87),
        ("street", 20.0, 0.86),
        ("street", 10.0, 0.79),
    ),
)
def test_the_end_of_speech_is_found_within_120_ms_whoever_speaks(
    speech_files: tuple[Path, ...],
    italian_speech_files: tuple[Path, ...],
    noise: str,
    snr: float,
    within: float,
) -> None:
    """Where one voice dies away for a quarter of a second, another ends at once."""
    errors = _errors(italian_speech_files, noise, snr, law="alaw", crowd=speech_files)
    assert np.mean(np.abs(errors) <= TOLERANCE) >= within
    assert abs(np.median(errors)) <= 0.090


@pytest.mark.parametrize("snr", [None, 20.0])
def test_a_caller_who_is_as_loud_all_the_time_is_not_cut_off(
    speech_files: tuple[Path, ...], snr: float | None
) -> None:
    """A compressor leaves hardly a pause: what is loud most of the time is no noise for that."""
    parts = [_levelled(_speech(path)) for path in _prompts(speech_files)[:30]]
    rng = np.random.default_rng(5)
    line = _placed(np.concatenate(parts), "" if snr is None else "white", snr or 0.0, rng)
    stop = _stop(StopRules(initial_timeout=4.0, end_silence_timeout=1.5), line)
    assert stop is not None
    assert abs(stop.position / RATE - SILENCE - (len(line) - TAIL) / RATE) <= 0.3


def _levelled(speech: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return speech compressed by 2 to 1, every 10 ms by itself, with pauses of 80 ms at most."""
    blocks = speech.reshape(-1, 80)
    power = (blocks**2).mean(axis=1)
    heard = power > power.max() * 10**-3.0
    kept = [n for n in range(len(blocks)) if heard[max(0, n - 8) : n + 1].any()]
    gain = np.where(heard, (3000 / np.sqrt(power + 1.0)) ** 0.5, 1.0)
    levelled: NDArray[np.float64] = (blocks * gain[:, None])[kept].reshape(-1)
    return levelled


@pytest.mark.parametrize("noise", NOISES)
def test_noise_does_not_hold_a_recording_open(speech_files: tuple[Path, ...], noise: str) -> None:
    """Whatever its level, also when it was loud from the start: the default timeouts pass."""
    rng = np.random.default_rng(9)
    sound = NOISES[noise](40 * RATE, rng, _crowd(speech_files))
    for dbov in (-20, -30, -40, -50):
        level = 32768 * 10 ** (dbov / 20) / np.sqrt((sound**2).mean())
        line = np.clip(sound * level, -32768, 32767).astype(np.int16)
        stop = _stop(StopRules(initial_timeout=4.0, end_silence_timeout=5.0), line)
        assert stop is not None
        assert stop.position <= 12 * RATE


@pytest.mark.parametrize(
    ("noise", "snr"),
    # A car that passes, ten times as loud as the mean, hides him altogether.
    [("", 0.0), *((noise, 10.0) for noise in NOISES if noise != "street"), ("street", 20.0)],
)
def test_a_caller_who_goes_on_speaking_is_not_cut_off(
    speech_files: tuple[Path, ...], noise: str, snr: float
) -> None:
    """Two minutes of sentences half a second apart, with a timeout of a second and a half."""
    parts = []
    for path in _prompts(speech_files)[:45]:
        parts += [_speech(path), np.zeros(RATE // 2)]
    rng = np.random.default_rng(5)
    line = _placed(np.concatenate(parts), noise, snr, rng, speech_files)
    stop = _stop(StopRules(initial_timeout=4.0, end_silence_timeout=1.5), line)
    assert stop is not None
    assert stop.position >= len(line) - TAIL


BUSY: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "busy, Europe": ((425.0,), (0.5, 0.5)),
    "busy, United Kingdom": ((400.0,), (0.375, 0.375)),
    "busy, North America": ((480.0, 620.0), (0.5, 0.5)),
    "reorder, North America": ((480.0, 620.0), (0.25, 0.25)),
    "congestion, Europe": ((425.0,), (0.2, 0.2)),
    "ringing, Europe": ((425.0,), (1.0, 4.0)),
    "ringing, United Kingdom": ((400.0, 450.0), (0.4, 0.2, 0.4, 2.0)),
}
"""Tones of a line at which nobody speaks: Hz, and seconds on, off, ..."""


@pytest.mark.parametrize("tone", BUSY)
def test_a_tone_that_comes_and_goes_does_not_hold_a_recording_open(
    speech_files: tuple[Path, ...], tone: str
) -> None:
    """The caller has hung up, and somewhere a switch plays him a busy tone for a minute."""
    hertz, pattern = BUSY[tone]
    cycle = [
        sine(hertz, seconds, RATE, -16 if n % 2 == 0 else -150) for n, seconds in enumerate(pattern)
    ]
    cadence = np.tile(np.concatenate(cycle), round(60 / sum(pattern))).astype(np.float64)
    speech = _speech(speech_files[3])
    rng = np.random.default_rng(8)
    for gain_db, hiss_dbov in ((0, -96), (-10, -60), (-18, -50)):
        line = np.concatenate([np.zeros(LEAD), speech, cadence * 10 ** (gain_db / 20)])
        line += rng.normal(0, 32768 * 10 ** (hiss_dbov / 20), len(line))
        heard = decode_alaw(encode_alaw(np.clip(np.round(line), -32768, 32767).astype(np.int16)))
        stop = _stop(StopRules(initial_timeout=4.0, end_silence_timeout=5.0), heard)
        assert stop is not None
        assert stop.reason is StopReason.END_SILENCE
        assert stop.position <= LEAD + len(speech) + 12 * RATE


@pytest.mark.parametrize("noise", ["white", "hum"])
def test_noise_with_lost_packets_does_not_hold_a_recording_open(noise: str) -> None:
    """One packet in ten is silence; that must not make the rest stand out."""
    rng = np.random.default_rng(12)
    sound = NOISES[noise](40 * RATE, rng, ())
    sound *= 32768 * 10 ** (-35 / 20) / np.sqrt((sound**2).mean())
    packets = sound.reshape(-1, 160)
    packets[rng.random(len(packets)) < 0.1] = 0.0
    line = decode_ulaw(encode_ulaw(sound.astype(np.int16)))
    stop = _stop(StopRules(initial_timeout=4.0, end_silence_timeout=5.0), line)
    assert stop is not None
    assert stop.position <= 12 * RATE


def test_noise_before_the_caller_speaks_is_no_speech(speech_files: tuple[Path, ...]) -> None:
    speech = _speech(speech_files[0])
    rng = np.random.default_rng(3)
    for snr in (10.0, 20.0, 40.0):
        line = _placed(speech, "white", snr, rng)[:LEAD]
        stop = _stop(StopRules(initial_timeout=0.9), line)
        assert stop == Stop(StopReason.INITIAL_TIMEOUT, 7200)


def test_a_caller_who_speaks_at_once_is_heard(speech_files: tuple[Path, ...]) -> None:
    for path in _prompts(speech_files):
        line = np.concatenate([_speech(path), np.zeros(5 * RATE)]).astype(np.int16)
        stop = _stop(StopRules(initial_timeout=4.0, end_silence_timeout=1.0), line)
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
        line = np.concatenate([samples, np.zeros(48_000, np.int16)])
        stop = _stop(StopRules(end_silence_timeout=2.0), line, 16_000)
        heard += stop is not None and stop.reason is StopReason.END_SILENCE
    assert heard == len(wideband_speech_files)
