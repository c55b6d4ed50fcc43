"""What was sent is laid beside what was heard, where the clocks of the two ends differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.drift import DELAY, RATE, FarEnd, Heard, listen
from farend.journals import FIRST, job_for, tone, wav_samples, write_journal
from mediaserver.recording.journal import NOTES
from mediaserver.recording.render import render
from mediaserver.recording.resource import Direction
from mediaserver.recording.skew import (
    FADE,
    JUMP,
    MAX_SLOPE,
    Alignment,
    align,
    heard_at,
    sent_range,
)
from mediaserver.recording.track import open_track
from mediaserver.rtp.skew import COUNT, LEAD, median_slope, read_leads
from mediaserver.rtp.spans import pack, unpack

HOUR = 3600
APART = 0.02
"""Seconds that the two sides of a recording may be apart."""

Leads = NDArray[np.int64]
Samples = NDArray[np.int16]


def leads_of(lead: Callable[[float], float], seconds: float, since: float = 0.0) -> Leads:
    """Return leads noted every ten seconds; `lead` maps seconds of the line to seconds."""
    at = np.arange(since + 5.0, since + seconds, 10.0)
    values = np.array([lead(float(one)) for one in at])
    return np.stack([at * RATE, np.rint(values * RATE), np.zeros(at.size)], axis=1).astype(int)


def skewed(ppm: float, seconds: float) -> Leads:
    return leads_of(lambda at: at * ppm * 1e-6, seconds)


def nothing(start: int, end: int) -> Samples:
    return np.zeros(end - start, np.int16)


def journal(samples: Samples, first: int = 0) -> Callable[[int, int], Samples]:
    """Return what reads samples that begin at position `first`; silence around them."""

    def read(start: int, end: int) -> Samples:
        out = np.zeros(end - start, np.int16)
        a, b = max(start, first), min(end, first + samples.size)
        if a < b:
            out[a - start : b - start] = samples[a - first : b - first]
        return out

    return read


def lead_in(alignment: Alignment, position: int) -> float:
    """Return by how much a click that was sent is moved on its way to a position near it."""
    click = np.zeros(21, np.int16)
    click[10] = 20_000
    found = alignment.read(journal(click, position - 10), position - 9600, position + 9600)
    return float(np.argmax(np.abs(found)) - 9600)


@pytest.fixture(scope="module")
def hour() -> tuple[list[FarEnd], list[Heard], list[float | None]]:
    ends = [FarEnd(ppm, HOUR, jitter=0.006, loss=0.02) for ppm in (-200.0, 200.0)]
    lines, heard = listen(ends, tick=0.5)
    return ends, heard, [lines.leads.skew(slot) for slot in range(len(ends))]


@pytest.mark.parametrize("slot", [0, 1])
def test_over_an_hour_of_skew_jitter_and_loss_the_sides_stay_in_step(
    slot: int, hour: tuple[list[FarEnd], list[Heard], list[float | None]]
) -> None:
    """Marks sent and heard at the same instants are at the same positions of a recording."""
    ends, heard, skews = hour
    skew, marks = skews[slot], np.array(heard[slot].marks)
    assert skew is not None
    assert abs(skew - ends[slot].ppm) < 3.0
    assert marks.size > 0.95 * HOUR / 10
    alignment = align(read_leads(unpack(heard[slot].notes)), RATE, 0, HOUR * RATE)
    assert alignment.resamples
    apart, apart_before = [], []
    for mark in marks:
        instant = 10 * round((mark / ends[slot].rate - 5) / 10) + 5 + DELAY
        click = np.full(4, -32_000, np.int16)
        sent = journal(click, round(instant * RATE) - 2)
        around = round(float(mark))
        found = alignment.read(sent, around - 400, around + 400)
        apart.append(float(np.argmin(found)) - 400 + around - mark)
        apart_before.append(instant * RATE - mark)
    assert np.abs(apart).max() < 0.005 * RATE < APART * RATE
    assert np.abs(apart_before).max() > 0.6 * RATE


@pytest.mark.parametrize("ppm", [-500.0, -200.0, 30.0, 200.0, 500.0])
def test_a_tone_is_resampled_without_a_step_beyond_its_own(ppm: float) -> None:
    sent = tone(1003.7, 620.0, amplitude=12_000.0)
    alignment = align(skewed(ppm, 620.0), RATE, 0, 600 * RATE)
    assert alignment.resamples
    start = 10 * RATE
    found = alignment.read(journal(sent), start, 300 * RATE)
    # A tone that is played that little faster is that little higher, and as much steeper; and
    # each of the two samples of a step is rounded.
    steepest = np.abs(np.diff(sent.astype(int))).max() * (1 + abs(ppm) * 1e-6)
    assert np.abs(np.diff(found.astype(int))).max() <= steepest + 2
    at = (np.arange(start, 300 * RATE) * (1 - ppm * 1e-6)) / RATE
    ideal = 12_000 * np.sin(2 * np.pi * 1003.7 * at)
    # Noted leads are whole samples, and half of one is a sixteenth of a turn of this tone.
    assert np.corrcoef(found, ideal)[0, 1] > 0.99


def test_what_is_read_around_a_position_makes_no_difference() -> None:
    random = np.random.default_rng(1)
    sent = random.integers(-20_000, 20_000, 40 * RATE).astype(np.int16)
    read = journal(sent, 50 * RATE)
    alignment = align(skewed(150.0, 600.0), RATE, 0, 600 * RATE)
    whole = alignment.read(read, 55 * RATE, 85 * RATE)
    for step in (160, 1237, 80_000):
        parts = [
            alignment.read(read, at, min(at + step, 85 * RATE))
            for at in range(55 * RATE, 85 * RATE, step)
        ]
        assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("lead", [0.0, 0.004, -0.008])
def test_without_skew_what_was_sent_is_taken_bit_for_bit(lead: float) -> None:
    random = np.random.default_rng(1)
    sent = random.integers(-32_768, 32_768, 20 * RATE).astype(np.int16)
    noise = leads_of(lambda at: lead - random.exponential(0.001), 600.0)
    alignment = align(noise, RATE, 0, 600 * RATE)
    assert not alignment.resamples
    assert np.array_equal(alignment.read(journal(sent), 0, sent.size), sent)


def test_a_recording_late_in_a_call_is_shifted_bit_for_bit() -> None:
    random = np.random.default_rng(1)
    sent = random.integers(-32_768, 32_768, 20 * RATE).astype(np.int16)
    start = HOUR * RATE
    alignment = align(skewed(-200.0, HOUR + 30.0), RATE, start, start + 15 * RATE)
    assert not alignment.resamples
    assert abs(alignment.shift + 0.72 * RATE) <= 16
    found = alignment.read(journal(sent, start - alignment.shift), start, start + 15 * RATE)
    assert np.array_equal(found, sent[: 15 * RATE])


@pytest.mark.parametrize(("known_until", "shift"), [(HOUR, 0.36), (1000.0, 0.2)])
def test_one_side_alone_is_never_resampled(known_until: float, shift: float) -> None:
    """It begins where it began, by what was known then: later leads change nothing."""
    start = HOUR // 2 * RATE
    leads = skewed(200.0, known_until)
    alignment = align(leads, RATE, start, HOUR * RATE, resample=False)
    assert not alignment.resamples
    assert abs(alignment.shift - shift * RATE) < 0.02 * RATE
    before = leads[leads[:, 0] <= start]
    assert align(before, RATE, start, HOUR * RATE, resample=False).shift == alignment.shift


def test_without_notes_nothing_is_touched() -> None:
    alignment = align(read_leads(unpack(b"")), RATE, 100, 900_000)
    assert not alignment.resamples
    assert alignment.shift == 0


def test_a_few_bad_leads_do_not_matter() -> None:
    random = np.random.default_rng(5)
    leads = skewed(100.0, 1800.0)
    bad = random.random(len(leads)) < 0.2
    leads[bad, 1] -= random.integers(200, 2000, int(bad.sum()))
    alignment = align(leads, RATE, 0, 1800 * RATE)
    for position in range(100 * RATE, 1700 * RATE, 50 * RATE):
        assert abs(lead_in(alignment, position) - position * 100e-6) < 0.003 * RATE


def test_a_longer_way_through_the_network_is_made_up_for_slowly() -> None:
    step = leads_of(lambda at: 0.0 if at < 900 else -0.05, 1800.0)
    alignment = align(step, RATE, 0, 1800 * RATE)
    seconds = np.arange(700, 1100, 5)
    leads = np.array([lead_in(alignment, int(at) * RATE) for at in seconds])
    assert np.abs(np.diff(leads)).max() <= MAX_SLOPE * 5 * RATE + 2
    assert abs(leads[0]) <= 2
    assert abs(leads[-1] + 0.05 * RATE) <= 2


def test_after_an_outage_the_sides_are_in_step_again_at_once() -> None:
    """The line was shifted by two seconds: what was sent is silent for as long, once."""
    outage = 300 * RATE
    leads = leads_of(lambda at: 0.0 if at < 300 else 2.0, 600.0)
    leads[leads[:, 0] >= outage, 2] = outage
    sent = tone(400.0, 600.0)
    alignment = align(leads, RATE, 0, 600 * RATE)
    assert alignment.resamples
    fade = round(FADE * RATE)
    found = alignment.read(journal(sent), outage - RATE, outage + 4 * RATE)
    before, gap, after = np.split(found, [RATE, 3 * RATE])
    assert np.abs(before[:-fade] - sent[outage - RATE : outage - fade]).max() <= 1
    assert not gap.any()
    assert (
        np.abs(after[fade:] - sent[outage + fade : outage + RATE * 2][: after.size - fade]).max()
        <= 1
    )
    assert np.abs(np.diff(found.astype(int))).max() <= np.abs(np.diff(sent.astype(int))).max() + 1
    assert JUMP < 2.0


def test_what_a_recording_is_made_of_is_known_however_it_is_rendered() -> None:
    leads = skewed(-200.0, HOUR)
    start, end = 1000 * RATE, 1800 * RATE
    asked: list[tuple[int, int]] = []

    def read(first: int, last: int) -> Samples:
        asked.append((first, last))
        return nothing(first, last)

    for both in (True, False):
        align(leads, RATE, start, end, resample=both).read(read, start, end)
    first, last = sent_range(leads, RATE, start, end)
    assert first <= min(a for a, _ in asked)
    assert last >= max(b for _, b in asked)
    assert last - first <= end - start + (800 * 200e-6 + 0.05) * RATE
    assert sent_range(leads[:0], RATE, start, end) == (start, end)
    forever = (1 << 63) - 1
    assert sent_range(leads, RATE, start, forever)[1] >= forever


def test_where_what_was_sent_is_heard_is_known() -> None:
    assert heard_at(read_leads(unpack(b"")), RATE, 1234) == 1234
    position = 3000 * RATE
    assert abs(heard_at(skewed(200.0, HOUR), RATE, position) - position - 0.6 * RATE) < 10


@pytest.mark.parametrize("count", range(1, 12))
def test_any_few_leads_will_do(count: int) -> None:
    random = np.random.default_rng(count)
    leads = np.stack(
        [
            np.cumsum(random.integers(0, 200_000, count)),
            random.integers(-30_000, 30_000, count),
            np.sort(random.integers(0, 900_000, count)),
        ],
        axis=1,
    )
    read = journal(random.integers(-99, 99, 900_000).astype(np.int16))
    for start, end in ((0, 900_000), (400_000, 400_000), (899_999, 900_000)):
        alignment = align(leads, RATE, start, end)
        assert alignment.read(read, start, end).size == end - start


def test_a_slope_needs_two_leads_of_one_count() -> None:
    two = np.array([1.0, 2.0])
    assert median_slope(two, two, two) is None
    assert median_slope(two, two, np.zeros(2)) == 1.0


def note_leads(folder: Path, leads: Leads) -> None:
    notes = [(COUNT, 0, 0)] + [(LEAD, int(at), int(lead)) for at, lead, _ in leads]
    (folder / NOTES).write_bytes(pack(notes))


def stereo(data: Path, count: int) -> Samples:
    rendered = render(job_for(data, count, direction=Direction.BOTH, stereo=True))
    return wav_samples(data / rendered.audio[0].path)


def test_in_a_file_the_voice_is_bit_for_bit_and_what_was_sent_is_in_step(tmp_path: Path) -> None:
    """A click every ten seconds of one clock on either side, at 200 ppm from one another."""
    count = 300 * RATE
    random = np.random.default_rng(2)
    spoken, sent = random.integers(-50, 50, count), np.zeros(count, np.int64)
    for second in range(5, 299, 10):
        spoken[round(second * RATE * (1 + 200e-6))] = 30_000
        sent[second * RATE] = 30_000
    write_journal(tmp_path, spoken.astype(np.int16))
    path = write_journal(tmp_path, sent.astype(np.int16), Direction.LISTEN)
    unaligned = stereo(tmp_path, count)
    leads = skewed(200.0, 300.0)
    leads[:, 0] += FIRST
    note_leads(path.parent, leads)
    left, right = stereo(tmp_path, count).T
    assert np.array_equal(left, spoken)
    assert np.array_equal(unaligned, np.stack([spoken, sent], axis=1))
    for second in range(5, 299, 10):
        at = round(second * RATE * (1 + 200e-6))
        assert abs(int(np.argmax(right[at - 400 : at + 400])) - 400) <= 2


def test_a_file_of_one_side_and_one_that_still_grows_are_bit_for_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    count = 120 * RATE
    sides = {
        side: random.integers(-9000, 9000, count).astype(np.int16)
        for side in (Direction.SPEAK, Direction.LISTEN)
    }
    for side, samples in sides.items():
        path = write_journal(tmp_path, samples, side)
    note_leads(path.parent, skewed(200.0, 120.0))
    for side, samples in sides.items():
        rendered = render(job_for(tmp_path, count, direction=side))
        assert np.array_equal(wav_samples(tmp_path / rendered.audio[0].path)[:, 0], samples)
    job = job_for(tmp_path, count, direction=Direction.BOTH, stereo=True)
    with open_track(job, over=False) as track:
        assert np.array_equal(track.read(0, count), np.stack(list(sides.values()), axis=1))
