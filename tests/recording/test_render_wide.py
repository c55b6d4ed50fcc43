"""Calls in G.722 and Opus: files hold what was said beyond 4 kHz, in step with the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farend.journals import (
    FIRST,
    RATE,
    job_for,
    played,
    stretches,
    tone,
    wav_samples,
    write_journal,
)
from mediaserver.audio.resample import SPAN
from mediaserver.recording.journal import journal_name
from mediaserver.recording.render import render
from mediaserver.recording.rendering import Target
from mediaserver.recording.resource import Direction, Format, Pause, PauseBehavior
from mediaserver.recording.track import open_track
from mediaserver.recording.wide import SILENT, Reader, at_higher_rate, widened
from mediaserver.rtp.skew import LEAD
from mediaserver.rtp.spans import pack

WIDE = 16_000


def both(data: Path, hz: float, seconds: float, side: Direction = Direction.SPEAK) -> None:
    """Write a side of which its line heard 500 Hz, and its wide journal `hz` as well."""
    write_journal(data, tone(500, seconds), side)
    whole = tone(500, seconds, WIDE) // 2 + tone(hz, seconds, WIDE) // 2
    write_journal(data, whole, side, wide=True)


def level(samples: np.ndarray, hz: float, rate: int) -> float:
    """Return how strong a tone is, as the amplitude of its samples."""
    at = np.arange(len(samples)) / rate
    return float(2 * abs(np.mean(samples * np.exp(-2j * np.pi * hz * at))))


def test_a_line_is_brought_to_the_higher_rate_without_moving() -> None:
    line = tone(700, 2.0)

    def read(start: int, end: int) -> np.ndarray:
        around = np.zeros(end - start, np.int16)
        first, last = max(start, 0), min(end, line.size)
        around[first - start : last - start] = line[first:last]
        return around

    made = widened(read, 2, 0, 2 * line.size)
    inner = slice(2 * SPAN, -2 * SPAN)
    assert np.abs(made[inner].astype(int) - tone(700, 2.0, WIDE)[inner]).max() <= 2
    # Wherever reading begins and ends, on an odd sample too, it is the same.
    for start, end in ((0, 1), (1, 2), (777, 8001), (12_345, 31_999)):
        assert np.array_equal(widened(read, 2, start, end), made[start:end])


def test_where_nothing_wide_was_heard_the_line_says_what_was() -> None:
    line, wide = tone(500, 1.0), tone(500, 1.0, WIDE)
    wide[4000:9000] = 0
    whole = at_higher_rate(_reader(line), _reader(wide), 2, 1000, 15_000)
    expected = wide[1000:15_000].copy()
    expected[3000:8000] = tone(500, 1.0, WIDE)[4000:9000]
    assert np.abs(whole.astype(int) - expected).max() <= 2
    pieces = [
        at_higher_rate(_reader(line), _reader(wide), 2, at, min(at + 777, 15_000))
        for at in range(1000, 15_000, 777)
    ]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_a_few_zeros_are_no_silence() -> None:
    wide = tone(500, 0.5, WIDE)
    wide[3000 : 3000 + SILENT - 1] = 0
    loud = np.full(4000, 9999, np.int16)
    assert np.array_equal(
        at_higher_rate(_reader(loud), _reader(wide), 2, 100, 7000), wide[100:7000]
    )


def _reader(samples: np.ndarray) -> Reader:
    def read(start: int, end: int) -> np.ndarray:
        assert 0 <= start <= end <= samples.size
        return samples[start:end]

    return read


@pytest.mark.parametrize("form", list(Format))
def test_a_file_has_what_was_said_beyond_the_line(tmp_path: Path, form: Format) -> None:
    both(tmp_path, 6000, 3)
    rendered = render(job_for(tmp_path, 3 * RATE, form))
    (audio,) = rendered.audio
    assert audio.sample_rate == WIDE
    assert audio.duration_us == 3_000_000
    assert rendered.samples == 3 * RATE
    heard, rate = played(tmp_path / audio.path)
    assert rate == WIDE
    middle = heard[0][WIDE : 2 * WIDE] * 32768
    for hz in (500, 6000):
        assert level(middle, hz, WIDE) == pytest.approx(4500, rel=0.1)


def test_a_file_that_is_to_have_8_khz_is_made_of_the_line_alone(tmp_path: Path) -> None:
    both(tmp_path, 6000, 2)
    (audio,) = render(job_for(tmp_path, 2 * RATE, sample_rate=RATE)).audio
    assert np.array_equal(wav_samples(tmp_path / audio.path)[:, 0], tone(500, 2))


def test_several_rates_at_once(tmp_path: Path) -> None:
    both(tmp_path, 6000, 2)
    targets = tuple(
        Target(format=Format.WAV, rendition=number, sample_rate=rate)
        for number, rate in enumerate((None, 8000, 48_000))
    )
    rendered = render(job_for(tmp_path, 2 * RATE, targets=targets))
    assert [audio.sample_rate for audio in rendered.audio] == [WIDE, 8000, 48_000]
    narrow, full = (wav_samples(tmp_path / rendered.audio[n].path, rate)[:, 0]
                    for n, rate in ((1, 8000), (2, 48_000)))  # fmt: skip
    assert level(narrow[800:8800], 2000, 8000) < 50  # 6 kHz folds to no other tone
    assert level(full[4800:52_800], 6000, 48_000) == pytest.approx(4500, rel=0.1)


def test_stereo_has_both_sides_in_step_whatever_each_spoke(tmp_path: Path) -> None:
    silent, loud = np.zeros(2 * RATE, np.int16), tone(500, 1)
    write_journal(tmp_path, np.concatenate([silent, loud, silent]))
    write_journal(tmp_path, np.concatenate([silent, loud, silent]), Direction.LISTEN)
    high = np.concatenate([np.zeros(2 * WIDE, np.int16), tone(500, 1, WIDE)])
    write_journal(tmp_path, high, wide=True)
    job = job_for(tmp_path, 5 * RATE, direction=Direction.BOTH, stereo=True)
    (audio,) = render(job).audio
    samples = wav_samples(tmp_path / audio.path, WIDE)
    assert len(samples) == 5 * WIDE
    difference = samples[:, 0].astype(int) - samples[:, 1]
    inner = slice(2 * WIDE + 64, 3 * WIDE - 64)
    assert np.abs(difference[inner]).max() <= 3
    for channel in samples.T:
        ((begin, end),) = stretches(channel / 32768.0, WIDE, 500)
        assert (begin, end) == pytest.approx((2, 3), abs=0.02)


def test_what_was_passed_on_as_it_came_is_heard_so(tmp_path: Path) -> None:
    both(tmp_path, 6000, 2)
    both(tmp_path, 7000, 2, Direction.LISTEN)
    for direction in (Direction.BOTH, Direction.LISTEN):
        (audio,) = render(job_for(tmp_path, 2 * RATE, direction=direction)).audio
        samples = wav_samples(tmp_path / audio.path, WIDE)[WIDE // 2 : -WIDE // 2, 0]
        assert level(samples, 7000, WIDE) == pytest.approx(4500, rel=0.1)
        has_spoken = level(samples, 6000, WIDE) > 4000
        assert has_spoken == (direction is Direction.BOTH)


def test_clocks_that_have_parted_are_brought_in_step_at_the_higher_rate(tmp_path: Path) -> None:
    """What was sent lies a quarter second earlier on the clock than it is heard on the line."""
    voice = tone(500, 1)
    write_journal(tmp_path, np.concatenate([np.zeros(4000 + 2000, np.int16), voice]))
    write_journal(tmp_path, np.concatenate([np.zeros(4000, np.int16), voice]), Direction.LISTEN)
    high = np.concatenate([np.zeros(2 * 4000, np.int16), tone(500, 1, WIDE)])
    write_journal(tmp_path, high, Direction.LISTEN, wide=True)
    leads = [(LEAD, at, 2000) for at in range(0, 800_000, 80_000)]
    (tmp_path / "journals/leg/spans").write_bytes(pack(leads))
    job = job_for(tmp_path, 2 * RATE, direction=Direction.BOTH, stereo=True)
    samples = wav_samples(tmp_path / render(job).audio[0].path, WIDE)
    difference = samples[:, 0].astype(int) - samples[:, 1]
    inner = slice(2 * 6000 + 64, 2 * 14_000 - 64)
    assert np.abs(difference[inner]).max() <= 3


@pytest.mark.parametrize("behavior", list(PauseBehavior))
def test_pauses_are_where_they_were(tmp_path: Path, behavior: PauseBehavior) -> None:
    both(tmp_path, 6000, 4)
    pause = Pause(start=FIRST + RATE, end=FIRST + 2 * RATE, behavior=behavior)
    job = job_for(tmp_path, 4 * RATE, pauses=(pause,))
    rendered = render(job)
    samples = wav_samples(tmp_path / rendered.audio[0].path, WIDE)[:, 0]
    skips = behavior is PauseBehavior.SKIP
    assert samples.size == (3 if skips else 4) * WIDE
    assert rendered.samples == (3 if skips else 4) * RATE
    paused = samples[WIDE + 200 : 2 * WIDE - 200]
    assert (level(paused, 6000, WIDE) > 4000) == skips
    narrow = render(job_for(tmp_path, 4 * RATE, pauses=(pause,), sample_rate=8000))
    assert narrow.samples == rendered.samples


def test_silence_is_trimmed_at_the_same_instants(tmp_path: Path) -> None:
    line = np.concatenate([np.zeros(2 * RATE, np.int16), tone(500, 1), np.zeros(RATE, np.int16)])
    write_journal(tmp_path, line)
    high = np.zeros(4 * WIDE, np.int16)
    high[2 * WIDE : 3 * WIDE] = tone(6000, 1, WIDE)
    write_journal(tmp_path, high, wide=True)
    rendered = render(job_for(tmp_path, 4 * RATE, trim=True))
    assert rendered.audio[0].trimmed
    assert rendered.samples / RATE == pytest.approx(1.3, abs=0.04)


@pytest.mark.parametrize("damage", [b"", b"not a journal"])
def test_a_damaged_wide_journal_costs_the_overtones_and_no_more(
    tmp_path: Path, damage: bytes
) -> None:
    write_journal(tmp_path, tone(500, 2))
    path = tmp_path / "journals/leg" / journal_name(Direction.SPEAK, wide=True)
    path.write_bytes(damage)
    (audio,) = render(job_for(tmp_path, 2 * RATE)).audio
    assert audio.sample_rate == RATE
    assert np.array_equal(wav_samples(tmp_path / audio.path)[:, 0], tone(500, 2))


def test_a_wide_journal_that_cannot_be_opened_costs_the_overtones_and_no_more(
    tmp_path: Path,
) -> None:
    write_journal(tmp_path, tone(500, 2))
    path = tmp_path / "journals/leg" / journal_name(Direction.SPEAK, wide=True)
    path.mkdir()
    assert render(job_for(tmp_path, 2 * RATE)).audio[0].sample_rate == RATE


def test_what_a_killed_server_had_not_written_is_of_the_line(tmp_path: Path) -> None:
    write_journal(tmp_path, tone(500, 2))
    write_journal(tmp_path, tone(500, 1, WIDE), wide=True)
    with open_track(job_for(tmp_path, 2 * RATE)) as track:
        samples = track.read(0, track.length)[:, 0]
    inner = slice(64, -64)  # where the tone is cut off, a filter rings
    assert np.abs(samples[inner].astype(int) - tone(500, 2, WIDE)[inner]).max() <= 2
