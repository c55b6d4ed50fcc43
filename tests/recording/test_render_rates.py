"""Other sample rates: the same sound at the same place, of the exact length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farend.journals import RATE, job_for, played, stretches, tone, wav_samples, write_journal
from mediaserver.recording import encoding
from mediaserver.recording.encoding import Resampling
from mediaserver.recording.render import render
from mediaserver.recording.rendering import Target
from mediaserver.recording.resource import Direction, Format

RATES = (8000, 16000, 48000)


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("line", RATES)
def test_a_tone_is_where_it_was_on_each_side(
    tmp_path: Path, line: int, rate: int, form: Format
) -> None:
    seconds = 23.4567
    left, right = (np.zeros(round(seconds * line), np.int16) for _ in range(2))
    left[5 * line : 9 * line] = tone(440, 4, line)
    right[12 * line : 20 * line] = tone(1300, 8, line)
    write_journal(tmp_path, left, rate=line)
    write_journal(tmp_path, right, Direction.LISTEN, rate=line)
    job = job_for(
        tmp_path, len(left), form,
        rate=line, sample_rate=rate, direction=Direction.BOTH, stereo=True,
    )  # fmt: skip
    rendered = render(job)
    assert rendered.samples == len(left)
    assert rendered.audio[0].sample_rate == rate
    heard, played_rate = played(tmp_path / rendered.audio[0].path)
    assert played_rate == rate
    if form is Format.WAV:
        assert abs(heard.shape[1] - len(left) * rate / line) <= 1
    slack = 0.02 if form is Format.WAV else 0.06
    ((begin, end),) = stretches(heard[0], rate, 440)
    assert (begin, end) == pytest.approx((5, 9), abs=slack)
    ((begin, end),) = stretches(heard[1], rate, 1300)
    assert (begin, end) == pytest.approx((12, 20), abs=slack)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("stereo", [False, True])
def test_mp3_has_the_same_bits_a_channel_at_every_rate(
    tmp_path: Path, rate: int, stereo: bool
) -> None:
    write_journal(tmp_path, tone(440, 30))
    job = job_for(tmp_path, 30 * RATE, Format.MP3, sample_rate=rate, stereo=stereo)
    audio = render(job).audio[0]
    kbits = 8 * audio.size_bytes / 30 / 1000 / audio.channels
    assert kbits == pytest.approx(32, abs=1)


def test_files_of_several_rates_are_made_together(tmp_path: Path) -> None:
    write_journal(tmp_path, tone(440, 12))
    targets = tuple(
        Target(format=form, rendition=number, sample_rate=rate)
        for number, (form, rate) in enumerate(
            [(Format.WAV, None), (Format.WAV, 16000), (Format.MP3, 16000), (Format.WAV, 48000)]
        )
    )
    rendered = render(job_for(tmp_path, 12 * RATE, targets=targets))
    assert [audio.sample_rate for audio in rendered.audio] == [8000, 16000, 16000, 48000]
    plain, double = (rendered.audio[number] for number in (0, 1))
    assert np.array_equal(wav_samples(tmp_path / plain.path)[:, 0], tone(440, 12))
    assert len(wav_samples(tmp_path / double.path, 16000)) == 12 * 16000


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("rate", "to"), [(a, b) for a in RATES for b in RATES])
def test_chunks_are_resampled_as_if_they_were_one(rate: int, to: int, channels: int) -> None:
    rng = np.random.default_rng(2)
    for count in (0, 1, 5, 999, 3 * rate + 1):
        samples = rng.integers(-9000, 9000, (count, channels)).astype(np.int16)
        whole = Resampling(rate, to, channels, count)
        expected = np.concatenate([whole.take(samples), whole.rest()])
        assert abs(len(expected) - count * to / rate) <= 0.5
        cut = Resampling(rate, to, channels, count)
        parts = [cut.take(samples[at : at + 777]) for at in range(0, count, 777)]
        assert np.array_equal(np.concatenate([*parts, cut.rest()]), expected)


def test_a_wav_is_rf64_by_its_length_at_its_own_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_journal(tmp_path, tone(440, 5))
    monkeypatch.setattr(encoding, "RF64_FROM", 2 * 5 * 16000)
    for rate, name in ((8000, b"RIFF"), (16000, b"RF64")):
        job = job_for(tmp_path, 5 * RATE, sample_rate=rate)
        assert (tmp_path / render(job).audio[0].path).read_bytes()[:4] == name
    heard, _ = played(tmp_path / render(job).audio[0].path)
    assert heard.shape[1] == 5 * 16000


@pytest.mark.parametrize("form", list(Format))
def test_a_recording_without_a_sample_at_another_rate(tmp_path: Path, form: Format) -> None:
    write_journal(tmp_path, tone(440, 1))
    rendered = render(job_for(tmp_path, 0, form, sample_rate=48000))
    assert rendered.silent
    assert (tmp_path / rendered.audio[0].path).stat().st_size
