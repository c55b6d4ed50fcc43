"""The pulse: late ticks and busy time are told of the window asked for, and of nothing older."""

from __future__ import annotations

import pytest

from mediaserver.net.pulse import KEPT, Pulse, Reading

TICK = 0.02


class Ticking:
    """A pulse whose ticks come by hand, with a CPU clock that runs at `share`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.used = 50.0
        self.pulse = Pulse(lambda: self.used)

    def tick(
        self, count: int, *, late: float = 0.0, spent: float = 0.0, share: float = 0.0
    ) -> None:
        for _ in range(count):
            self.now += TICK
            self.used += share * TICK
            self.pulse.note(late, spent, self.now)


@pytest.fixture
def ticking() -> Ticking:
    return Ticking()


def test_without_a_tick_there_is_nothing_to_tell(ticking: Ticking) -> None:
    assert ticking.pulse.read(ticking.now) == Reading()


def test_a_single_tick_has_its_lateness_and_no_share_yet(ticking: Ticking) -> None:
    ticking.tick(1, late=0.003, spent=0.01)

    assert ticking.pulse.read(ticking.now) == Reading(0.003, 0.003, 0.0, 0.0)


def test_half_of_the_ticks_were_no_later_than_the_median(ticking: Ticking) -> None:
    for late in range(1, 100):
        ticking.tick(1, late=late / 1000)

    assert ticking.pulse.read(ticking.now).late_p50 == pytest.approx(0.050)


def test_one_late_tick_is_no_trend_and_two_are(ticking: Ticking) -> None:
    ticking.tick(40, late=0.001)
    ticking.tick(1, late=0.5)
    assert ticking.pulse.read(ticking.now).late_p99 == pytest.approx(0.001)

    ticking.tick(1, late=0.4)

    assert ticking.pulse.read(ticking.now).late_p99 == pytest.approx(0.4)


def test_of_many_ticks_one_in_a_hundred_is_left_out(ticking: Ticking) -> None:
    ticking.tick(395, late=0.001)
    ticking.tick(4, late=0.5)
    assert ticking.pulse.read(ticking.now).late_p99 == pytest.approx(0.5)

    ticking.tick(20, late=0.001)

    assert ticking.pulse.read(ticking.now).late_p99 == pytest.approx(0.001)


def test_what_was_before_the_window_is_forgotten(ticking: Ticking) -> None:
    ticking.tick(100, late=0.5, spent=TICK, share=1.0)
    ticking.tick(60, late=0.001)

    reading = ticking.pulse.read(ticking.now, window=1.0)

    assert reading == Reading(0.001, 0.001, 0.0, 0.0)
    assert ticking.pulse.read(ticking.now + 60.0) == Reading()


def test_the_share_of_ticks_and_of_the_whole_loop_are_told_apart(ticking: Ticking) -> None:
    ticking.tick(200, spent=TICK / 4, share=0.75)

    reading = ticking.pulse.read(ticking.now)

    assert reading.busy == pytest.approx(0.25)
    assert reading.loop_busy == pytest.approx(0.75)


def test_it_goes_round_without_losing_the_order(ticking: Ticking) -> None:
    ticking.tick(KEPT + KEPT // 2, late=0.001, spent=TICK / 2, share=0.5)

    reading = ticking.pulse.read(ticking.now)

    assert reading.busy == pytest.approx(0.5)
    assert reading.loop_busy == pytest.approx(0.5)


def test_a_pause_without_ticks_counts_as_idle(ticking: Ticking) -> None:
    ticking.tick(50, spent=TICK, share=1.0)
    ticking.now += 4.0
    ticking.tick(50, spent=TICK, share=1.0)

    reading = ticking.pulse.read(ticking.now)

    assert reading.busy == pytest.approx(99 / 299)
    assert reading.loop_busy == pytest.approx(99 / 299)
