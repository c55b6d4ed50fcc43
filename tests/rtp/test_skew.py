"""Lines of far ends whose clocks are not ours, over simulated hours (complaint 2)."""

from __future__ import annotations

import numpy as np
import pytest

from farend.drift import RATE, CountingTimelines, FarEnd, Heard, listen
from mediaserver.rtp.skew import COUNT, LEAD, NOTES, POINTS, Leads, read_leads
from mediaserver.rtp.spans import unpack
from mediaserver.rtp.timeline import GRACE, STALL

HOUR = 3600.0
SKEWS = [-200.0, 0.0, 200.0]


@pytest.fixture(scope="module")
def four_hours() -> tuple[CountingTimelines, list[Heard]]:
    return listen([FarEnd(ppm, 4 * HOUR, jitter=0.003) for ppm in SKEWS], tick=1.0)


@pytest.mark.parametrize("slot", range(len(SKEWS)))
def test_skew_is_measured_through_jitter(
    slot: int, four_hours: tuple[CountingTimelines, list[Heard]]
) -> None:
    skew = four_hours[0].leads.skew(slot)
    assert skew is not None
    assert abs(skew - SKEWS[slot]) < 1.0


@pytest.mark.parametrize("slot", range(len(SKEWS)))
def test_four_hours_of_skew_are_heard_without_a_splice(
    slot: int, four_hours: tuple[CountingTimelines, list[Heard]]
) -> None:
    lines, heard = four_hours
    assert heard[slot].silent == 0
    # Between two marks lie as many samples as the far end sent.
    steps = np.diff(heard[slot].marks)
    assert np.abs(steps - 10 * RATE * (1 + SKEWS[slot] * 1e-6)).max() < 5
    assert len(heard[slot].marks) == 4 * HOUR / 10
    lead = int(lines.placed[slot]) - 4 * HOUR * RATE
    assert abs(lead - 4 * HOUR * RATE * SKEWS[slot] * 1e-6) < 0.1 * RATE


def test_a_line_that_runs_away_from_the_clock_stays_on_the_quick_way(
    four_hours: tuple[CountingTimelines, list[Heard]],
) -> None:
    # The first batch of each leg, and nothing after it.
    assert four_hours[0].one_by_one <= 50 * len(SKEWS)


@pytest.mark.parametrize("slot", range(len(SKEWS)))
def test_time_goes_on_at_the_same_pace_when_a_far_end_stops(
    slot: int, four_hours: tuple[CountingTimelines, list[Heard]]
) -> None:
    """However far its line is from the clock: a timeout is not early, nor late, by that."""
    lines, _ = four_hours
    placed = int(lines.placed[slot])
    stopped = float(lines.origin(slot)) + 4 * HOUR
    lines.advance(stopped + 5.0, [slot])
    since = (int(lines.decided[slot]) - placed) / RATE
    assert abs(since - (5.0 - STALL)) < 0.06
    assert abs(lines.present(slot, stopped + 5.0) - placed - 5 * RATE) < 0.06 * RATE
    assert int(lines.final[slot]) <= lines.present(slot, stopped + 5.0) - GRACE * RATE + 1


def test_a_lead_is_that_of_the_packet_that_waited_least() -> None:
    leads = Leads(1, RATE)
    leads.open(0)
    leads.keep(0)
    random = np.random.default_rng(3)
    for position in range(0, 70 * RATE, RATE // 10):
        wait = int(random.exponential(400))
        leads.measure(np.array([0]), np.array([position]), np.array([position - 80 + wait]))
    assert np.abs(read_leads(unpack(leads.take(0)))[:, 1] - 80).max() <= 40
    assert abs(int(leads.present[0]) - 80) <= 40


def test_a_skew_is_not_stated_before_it_can_be_known() -> None:
    leads = Leads(1, RATE)
    leads.open(0)
    assert leads.skew(0) is None
    for seconds in range(55):
        here = np.array([seconds * RATE])
        leads.measure(np.array([0]), here, here - seconds)
    assert leads.skew(0) is None


def test_a_shift_between_two_counts_is_no_skew() -> None:
    leads = Leads(1, RATE)
    leads.open(0)
    clock = 0
    for shift in (0, 3 * RATE, 4 * RATE):
        leads.count_from(0, clock + shift)
        for _ in range(100):
            clock += RATE
            leads.measure(np.array([0]), np.array([clock + shift]), np.array([clock]))
    assert leads.skew(0) == 0.0


def test_notes_are_due_a_few_at_a_time_and_say_where_a_count_begins() -> None:
    leads = Leads(2, RATE)
    for slot in (0, 1):
        leads.open(slot)
    leads.keep(1)
    leads.count_from(1, 500)
    both = np.array([0, 1])
    seconds = 0
    while not leads.due.any():
        seconds += 1
        here = np.array([seconds * RATE] * 2)
        leads.measure(both, here, here - 7)
    assert leads.due.tolist() == [False, True]
    notes = unpack(leads.take(1))
    assert notes[0].tolist() == [COUNT, 500, 0]
    assert notes[1:, 0].tolist() == [LEAD] * NOTES
    assert read_leads(notes)[:, 1:].tolist() == [[7, 500]] * NOTES
    assert not leads.due.any()
    assert leads.take(0) == leads.take(1) == b""


def test_whoever_keeps_a_leg_late_learns_what_was_before() -> None:
    leads = Leads(1, RATE)
    leads.open(0)
    for seconds in range(3000):
        here = np.array([seconds * RATE])
        leads.measure(np.array([0]), here, here - seconds)
    leads.keep(0)
    known = read_leads(unpack(leads.take(0)))
    assert 20 <= len(known) <= POINTS
    assert known[0, 0] < 60 * RATE
    assert known[-1, 0] > 2900 * RATE


def test_a_call_of_days_is_remembered_in_bounds_and_its_skew_with_it() -> None:
    leads = Leads(1, RATE)
    leads.open(0)
    for seconds in range(0, 200_000, 5):
        here = np.array([seconds * RATE])
        leads.measure(np.array([0]), here, here - round(seconds * RATE * 50e-6))
    skew = leads.skew(0)
    assert skew is not None
    assert abs(skew - 50) < 0.5


def test_streams_that_begin_anew_with_every_packet_note_nothing() -> None:
    leads = Leads(1, RATE)
    leads.open(0)
    leads.keep(0)
    for number in range(5000):
        leads.count_from(0, number * 160)
        leads.measure(np.array([0]), np.array([number * 160]), np.array([number * 160]))
    assert leads.take(0) == b""


def test_a_slot_given_away_knows_nothing_of_the_leg_before() -> None:
    leads = Leads(1, RATE)
    leads.open(0)
    leads.keep(0)
    for seconds in range(200):
        here = np.array([seconds * RATE])
        leads.measure(np.array([0]), here, here - seconds)
    leads.open(0)
    assert leads.skew(0) is None
    assert int(leads.present[0]) == 0
    assert leads.take(0) == b""
    assert not leads.due.any()
