"""Peaks: audiowaveform's file, byte by byte as its format says."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from farend.journals import FIRST, RATE, Samples, job_for, tone, write_journal
from mediaserver.recording.peaks import header, pairs
from mediaserver.recording.render import render
from mediaserver.recording.rendering import RenderJob
from mediaserver.recording.resource import Direction, Format, Pause, PauseBehavior, peaks_path


def read(data: Path, job: RenderJob) -> tuple[tuple[int, ...], NDArray8]:
    content = (data / peaks_path(job.recording_id)).read_bytes()
    fields = struct.unpack("<iIiiIi", content[:24])
    values = np.frombuffer(content[24:], np.int8)
    return fields, values.reshape(fields[4], fields[5], 2)


NDArray8 = np.ndarray[tuple[int, ...], np.dtype[np.int8]]


@pytest.mark.parametrize("line", [8000, 16000, 48000])
@pytest.mark.parametrize("stereo", [False, True])
def test_a_pair_is_the_lowest_and_the_highest_sample_of_20_ms(
    tmp_path: Path, line: int, stereo: bool
) -> None:
    rng = np.random.default_rng(5)
    count = 23 * line + 7
    speak, listen = (rng.integers(-32768, 32768, count).astype(np.int16) for _ in range(2))
    write_journal(tmp_path, speak, rate=line)
    write_journal(tmp_path, listen, Direction.LISTEN, rate=line)
    direction = Direction.BOTH if stereo else Direction.SPEAK
    job = job_for(tmp_path, count, rate=line, direction=direction, stereo=stereo, peaks=True)
    render(job)
    fields, values = read(tmp_path, job)
    span = line // 50
    channels = 2 if stereo else 1
    assert fields == (2, 1, line, span, 23 * 50 + 1, channels)
    for number, samples in enumerate((speak, listen)[:channels]):
        for at in (0, 1, 499, 500, 501, 23 * 50):
            part = samples[at * span : (at + 1) * span]
            # Rounded towards zero, as their own program does.
            expected = [int(part.min() / 256), int(part.max() / 256)]
            assert values[at, number].tolist() == expected


def test_peaks_are_of_what_is_in_the_files(tmp_path: Path) -> None:
    """Trimmed, without what is skipped, and of the line's rate whatever that of the files."""
    quiet: Samples = np.zeros(3 * RATE, np.int16)
    voice = np.concatenate([quiet, tone(440, 4, amplitude=20000), quiet])
    write_journal(tmp_path, voice)
    skip = Pause(start=FIRST + 4 * RATE, end=FIRST + 6 * RATE, behavior=PauseBehavior.SKIP)
    job = job_for(
        tmp_path, len(voice), Format.MP3, pauses=(skip,), trim=True, peaks=True, sample_rate=16000
    )
    rendered = render(job)
    fields, values = read(tmp_path, job)
    assert fields[2:5] == (RATE, 160, -(-rendered.samples // 160))
    loud = np.flatnonzero(values[:, 0, 1] > 60)
    assert (loud[0], loud[-1]) == pytest.approx((5, 104), abs=1)


def test_peaks_are_made_of_silence_and_of_nothing_too(tmp_path: Path) -> None:
    write_journal(tmp_path, np.zeros(RATE, np.int16))
    for count in (RATE, 0):
        job = job_for(tmp_path, count, Format.MP3, Format.WAV, peaks=True)
        render(job)
        fields, values = read(tmp_path, job)
        assert fields[4] == count // 160
        assert not values.any()


def test_peaks_are_not_made_unasked(tmp_path: Path) -> None:
    write_journal(tmp_path, tone(440, 1))
    job = job_for(tmp_path, RATE)
    render(job)
    assert not (tmp_path / peaks_path(job.recording_id)).exists()


def test_stretches_of_whole_pairs_make_the_same_peaks(tmp_path: Path) -> None:
    samples = tone(440, 3.017).reshape(-1, 1)
    cut = [pairs(samples[at : at + 800], RATE) for at in range(0, len(samples), 800)]
    assert np.array_equal(np.concatenate(cut), pairs(samples, RATE))
    assert len(header(RATE, 1, len(samples))) == 24
