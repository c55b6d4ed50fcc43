"""Keys heard in the audio (ITU-T Q.24): what counts, what does not, and that voices do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.waveform import read_wav
from mediaserver.audio.dtmf_tones import InbandDtmf
from mediaserver.audio.g711 import decode_ulaw, encode_ulaw
from mediaserver.audio.tones import CADENCES, DTMF_HZ, ring, silence, sine

Samples = NDArray[np.int16]
KEYS = tuple(DTMF_HZ)


def tone(
    key: str,
    seconds: float,
    *,
    level: float = -13.0,
    twist: float = 0.0,
    off: tuple[float, float] = (0.0, 0.0),
    rate: int = 8000,
) -> NDArray[np.float64]:
    """Return a key whose higher tone is `twist` dB above the lower; `level` is dBov of each."""
    time = np.arange(round(seconds * rate)) / rate
    low, high = (hertz * (1 + share) for hertz, share in zip(DTMF_HZ[key], off, strict=True))
    size = 32768 * 10 ** ((level + 3) / 20)
    lean = 10 ** (twist / 40)
    wave: NDArray[np.float64] = size * (
        np.sin(2 * np.pi * low * time) / lean + np.sin(2 * np.pi * high * time + 1) * lean
    )
    return wave


def keypad(
    seconds: float,
    *,
    pause: float = 0.05,
    snr: float | None = None,
    level: float = -13.0,
    twist: float = 0.0,
    off: tuple[float, float] = (0.0, 0.0),
    rate: int = 8000,
) -> tuple[Samples, list[int]]:
    """Return every key once, as G.711 leaves it, and where each begins."""
    rng = np.random.default_rng(1)
    parts = [np.zeros(rate // 10)]
    begins = []
    for key in KEYS:
        parts.append(np.zeros(rng.integers(64)))  # no window may know where a key begins
        begins.append(sum(map(len, parts)))
        parts.append(tone(key, seconds, level=level, twist=twist, off=off, rate=rate))
        parts.append(np.zeros(round(pause * rate)))
    samples = np.concatenate([*parts, np.zeros(rate // 10)])
    if snr is not None:
        samples += rng.normal(0, 32768 * 10 ** ((level + 3 - snr) / 20), len(samples))
    return decode_ulaw(encode_ulaw(np.clip(samples, -32768, 32767).astype(np.int16))), begins


def keys(samples: Samples, *, piece: int = 800, rate: int = 8000) -> list[tuple[str, int]]:
    """Return the keys of a line that is fed piece by piece."""
    detector = InbandDtmf(rate)
    found = []
    for at in range(0, len(samples), piece):
        found += detector.feed(samples[at : at + piece], at)
    return found


def pressed(samples: Samples, rate: int = 8000) -> tuple[str, ...]:
    return tuple(key for key, _ in keys(samples, rate=rate))


@pytest.mark.parametrize("seconds", [0.04, 0.05, 0.2, 1.0])
def test_every_key_counts_once_where_it_begins(seconds: float) -> None:
    samples, begins = keypad(seconds)
    found = keys(samples)
    assert tuple(key for key, _ in found) == KEYS
    for (_, position), begin in zip(found, begins, strict=True):
        assert position == pytest.approx(begin, abs=80)


def test_a_tone_of_20_ms_is_no_key() -> None:
    assert pressed(keypad(0.02)[0]) == ()


def test_the_same_key_twice_is_two_keys_and_a_break_of_10_ms_makes_none() -> None:
    five = tone("5", 0.05).astype(np.int16)
    assert pressed(np.concatenate([five, silence(0.04), five, silence(0.1)])) == ("5", "5")
    assert pressed(np.concatenate([five, silence(0.01), five, silence(0.1)])) == ("5",)


@pytest.mark.parametrize("twist", [-8.0, -4.0, 4.0, 8.0])
def test_one_tone_may_be_louder(twist: float) -> None:
    assert pressed(keypad(0.05, twist=twist)[0]) == KEYS


@pytest.mark.parametrize("twist", [-12.0, 12.0])
def test_but_not_by_much(twist: float) -> None:
    assert pressed(keypad(0.05, twist=twist)[0]) == ()


@pytest.mark.parametrize("share", [0.015, -0.015])
def test_frequencies_may_be_off_by_one_and_a_half_percent(share: float) -> None:
    assert pressed(keypad(0.05, off=(share, share))[0]) == KEYS
    assert pressed(keypad(0.05, off=(share, -share))[0]) == KEYS


@pytest.mark.parametrize("off", [(0.035, 0.0), (0.0, 0.035), (-0.035, 0.0), (0.0, -0.035)])
def test_but_not_by_three_and_a_half(off: tuple[float, float]) -> None:
    assert pressed(keypad(0.2, off=off)[0]) == ()


@pytest.mark.parametrize("level", [-9.0, -20.0, -30.0, -38.0])
def test_loud_and_soft_keys_count(level: float) -> None:
    assert pressed(keypad(0.05, level=level)[0]) == KEYS


@pytest.mark.parametrize("snr", [20.0, 15.0, 10.0])
def test_keys_are_heard_in_noise(snr: float) -> None:
    assert pressed(keypad(0.05, snr=snr)[0]) == KEYS


def test_at_16_khz_it_is_the_same() -> None:
    assert pressed(keypad(0.05, rate=16000)[0], rate=16000) == KEYS


def test_however_the_line_is_cut_the_same_keys_are_found() -> None:
    samples, _ = keypad(0.06, snr=15)
    whole = keys(samples, piece=len(samples))
    assert keys(samples, piece=1) == whole
    assert keys(samples, piece=333) == whole


def test_after_a_gap_it_begins_anew() -> None:
    detector = InbandDtmf(8000)
    half = tone("7", 0.02).astype(np.int16)
    assert detector.feed(half, 0) == []
    assert detector.feed(half, 8000) == []
    assert [key for key, _ in detector.feed(tone("7", 0.06).astype(np.int16), 16000)] == ["7"]


def test_tones_of_networks_are_no_keys() -> None:
    parts = [ring(country) for country in sorted(CADENCES)]
    parts += [sine(pair, 1.0) for pair in ((350, 440), (480, 620), (1100,), (2100,), (697, 770))]
    assert pressed(np.concatenate(parts)) == ()


@pytest.mark.interop("speech", "italian")
def test_in_ten_minutes_of_speech_there_is_no_key(
    speech_files: tuple[Path, ...], italian_speech_files: tuple[Path, ...]
) -> None:
    files = (*speech_files[::2], *italian_speech_files[::2])
    samples = np.concatenate([read_wav(path) for path in files])
    assert len(samples) > 10 * 60 * 8000
    assert keys(samples, piece=8000) == []
