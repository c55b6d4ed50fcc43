"""Silence at the ends is left out; what is sound is never cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farend.journals import (
    FIRST,
    RATE,
    Samples,
    job_for,
    played,
    stretches,
    tone,
    wav_samples,
    write_journal,
)
from mediaserver.recording.render import render
from mediaserver.recording.rendering import Rendered
from mediaserver.recording.resource import Direction, Format, Pause, PauseBehavior

_RNG = np.random.default_rng(8)


def hiss(seconds: float, dbov: float) -> Samples:
    power = 32768 * 10 ** (dbov / 20)
    return np.rint(_RNG.standard_normal(round(seconds * RATE)) * power).astype(np.int16)


def quiet(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


def trimmed(data: Path, voice: Samples, *formats: Format, **changes: Any) -> Rendered:
    write_journal(data, voice)
    return render(job_for(data, len(voice), *formats, trim=True, **changes))


def check(rendered: Rendered, begin: float, end: float) -> None:
    """Check that what is left is that of the line, 0.1 s before and 0.2 s after the sound."""
    seconds = rendered.samples / RATE
    assert seconds == pytest.approx(end + 0.2 - (begin - 0.1), abs=0.04)
    audio = rendered.audio[0]
    assert audio.trimmed
    assert audio.duration_us == rendered.samples * 1_000_000 // RATE
    assert not rendered.silent


@pytest.mark.parametrize("noise", [None, -70.0, -50.0, -40.0, -32.0])
def test_a_voice_is_kept_with_a_little_before_and_after(
    tmp_path: Path, noise: float | None
) -> None:
    voice = np.concatenate([quiet(3.011), tone(440, 2), quiet(1), tone(440, 1), quiet(14)])
    if noise is not None:
        voice += hiss(len(voice) / RATE, noise)
        voice[: RATE // 2] = 0  # nothing came yet
        voice[5 * RATE : 5 * RATE + 800] = 0  # packets were lost
    rendered = trimmed(tmp_path, voice)
    check(rendered, 3.011, 7.011)
    heard = wav_samples(tmp_path / rendered.audio[0].path)[:, 0]
    begin = round(2.9 * RATE)
    left = voice[begin : begin + rendered.samples + 400]
    at = next(n for n in range(200) if np.array_equal(left[n : n + len(heard)], heard))
    assert at <= 160


@pytest.mark.parametrize("form", list(Format))
def test_the_tone_is_where_it_should_be_in_every_format(tmp_path: Path, form: Format) -> None:
    voice = np.concatenate([quiet(5), tone(440, 2), quiet(5)])
    rendered = trimmed(tmp_path, voice, form)
    heard, rate = played(tmp_path / rendered.audio[0].path)
    ((begin, end),) = stretches(heard[0], rate, 440)
    assert (begin, end) == pytest.approx((0.1, 2.1), abs=0.02 if form is Format.WAV else 0.06)


@pytest.mark.parametrize(
    "voice",
    [
        tone(440, 6),
        np.concatenate([tone(440, 6), quiet(0.15)]),
        hiss(6, -35),
        hiss(6, -56),
        np.concatenate([tone(440, 1), quiet(20), tone(440, 1)]),
    ],
    ids=["tone", "tone to the end", "noise", "soft noise", "tones at both ends"],
)
def test_what_cannot_be_told_from_sound_is_kept(tmp_path: Path, voice: Samples) -> None:
    assert trimmed(tmp_path, voice).samples == len(voice)


def test_soft_speech_beside_loud_is_no_silence(tmp_path: Path) -> None:
    """A word 25 dB below the loudest one, on a quiet line."""
    soft = tone(440, 1, amplitude=500)
    voice = np.concatenate([quiet(2), soft, quiet(2), tone(440, 3), quiet(1), soft, quiet(3)])
    check(trimmed(tmp_path, voice), 2, 10)


def test_a_short_word_in_a_long_silence_is_found_in_noise(tmp_path: Path) -> None:
    voice = np.concatenate([quiet(90), tone(440, 0.5), quiet(60)])
    check(trimmed(tmp_path, voice + hiss(len(voice) / RATE, -45)), 90, 90.5)


def test_a_click_at_the_end_is_no_sound(tmp_path: Path) -> None:
    voice = np.concatenate([quiet(2), tone(440, 2), quiet(4)])
    voice[7 * RATE : 7 * RATE + 20] = 20000
    check(trimmed(tmp_path, voice), 2, 4)


def test_a_click_is_sound_where_there_is_nothing_else(tmp_path: Path) -> None:
    voice = quiet(8)
    voice[3 * RATE] = 20000
    check(trimmed(tmp_path, voice), 3, 3.02)


@pytest.mark.parametrize("dbov", [None, -66.0])
def test_where_all_is_silent_it_is_said_and_the_file_is_whole(
    tmp_path: Path, dbov: float | None
) -> None:
    """The second has samples that are not silent alone, but no frame that is."""
    voice = quiet(12) if dbov is None else hiss(12, dbov)
    rendered = trimmed(tmp_path, voice, Format.MP3, Format.WAV)
    assert rendered.silent
    assert rendered.samples == len(voice)
    (audio,) = rendered.audio
    assert (audio.format, audio.trimmed) == (Format.MP3, False)


def test_a_voice_on_either_side_counts(tmp_path: Path) -> None:
    write_journal(tmp_path, np.concatenate([quiet(4), tone(440, 1), quiet(5)]))
    write_journal(tmp_path, np.concatenate([quiet(7), tone(900, 1), quiet(2)]), Direction.LISTEN)
    for stereo in (False, True):
        job = job_for(tmp_path, 10 * RATE, trim=True, direction=Direction.BOTH, stereo=stereo)
        check(render(job), 4, 8)


def test_pauses_are_left_out_before_silence_is_looked_for(tmp_path: Path) -> None:
    voice = np.concatenate([quiet(2), tone(440, 1), quiet(3), tone(900, 2), quiet(2)])
    pauses = (
        Pause(start=FIRST + 4 * RATE, end=FIRST + 5 * RATE, behavior=PauseBehavior.SKIP),
        Pause(start=FIRST + 7 * RATE, end=FIRST + 9 * RATE, behavior=PauseBehavior.SILENCE),
    )
    rendered = trimmed(tmp_path, voice, pauses=pauses)
    check(rendered, 2, 6)  # the second tone from 5 on, and of it one second


def test_a_recording_that_ends_within_a_frame(tmp_path: Path) -> None:
    voice = np.concatenate([quiet(1), tone(440, 1.0071)])
    assert trimmed(tmp_path, voice).samples == len(voice) - round(0.9 * RATE)
