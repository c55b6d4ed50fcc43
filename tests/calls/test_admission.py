"""Admission: by numbers, by the load, and back again without flapping."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mediaserver.calls.admission import (
    LOOK_EVERY,
    MAX_BUSY,
    RECOVERED,
    RETRY_AFTER,
    RETRY_SPREAD,
    Admission,
)

BOUND = 0.010


@dataclass
class Strain:
    late_p99: float = 0.0
    loop_busy: float = 0.0


class Door:
    """An admission, the load it is told, and a clock that goes on by hand."""

    def __init__(self, calls: int = 1000, calls_per_second: int = 100) -> None:
        self.now = 500.0
        self.load = Strain()
        self.looks = 0
        self.admission = Admission(
            calls=calls, calls_per_second=calls_per_second, max_lateness=BOUND, load=self._tell
        )

    def _tell(self, now: float) -> Strain:
        assert now == self.now
        self.looks += 1
        return self.load

    def knock(self, active: int = 0) -> bool:
        """Return whether a call is let in, and count it."""
        if self.admission.refusal(self.now, active) is not None:
            return False
        self.admission.admitted(self.now)
        return True

    def burst(self, count: int) -> int:
        return sum(self.knock() for _ in range(count))

    def later(self, seconds: float = 2 * LOOK_EVERY) -> None:
        self.now += seconds


@pytest.fixture
def door() -> Door:
    return Door()


def test_calls_beyond_the_number_are_refused(door: Door) -> None:
    assert door.knock(active=999)
    assert not door.knock(active=1000)


def test_a_second_takes_so_many_new_calls_and_the_next_as_many(door: Door) -> None:
    assert door.burst(150) == 100
    door.later(0.9)
    assert door.burst(150) == 0
    door.later(0.2)
    assert door.burst(150) == 100


def test_without_a_look_at_the_load_the_numbers_alone_decide() -> None:
    admission = Admission(calls=2, calls_per_second=10)
    assert admission.refusal(1.0, 1) is None
    assert admission.refusal(1.0, 2) is not None


@pytest.mark.parametrize("load", [Strain(late_p99=BOUND), Strain(loop_busy=MAX_BUSY)])
def test_late_ticks_or_a_busy_loop_keep_new_calls_out(door: Door, load: Strain) -> None:
    assert door.knock()
    door.load = load
    door.later()
    assert not door.knock()
    assert door.admission.overloaded


def test_it_opens_again_only_well_below_the_bound(door: Door) -> None:
    door.load = Strain(late_p99=1.5 * BOUND)
    assert not door.knock()
    for share in (0.99, RECOVERED):
        door.load = Strain(late_p99=share * BOUND)
        door.later()
        assert not door.knock()
    door.load = Strain(late_p99=0.95 * RECOVERED * BOUND)
    door.later()
    assert door.knock()
    # And it does not close where it opened.
    door.load = Strain(late_p99=0.99 * BOUND)
    door.later(1.1)
    assert door.knock()


def test_both_must_have_recovered(door: Door) -> None:
    door.load = Strain(late_p99=2 * BOUND, loop_busy=1.0)
    assert not door.knock()
    door.load = Strain(late_p99=0.0, loop_busy=0.99 * MAX_BUSY)
    door.later()
    assert not door.knock()
    door.load = Strain()
    door.later()
    assert door.knock()


def test_calls_come_in_more_slowly_just_below_the_bound(door: Door) -> None:
    taken = []
    for busy in (0.5, 0.8, 0.95, 0.999):
        door.load = Strain(loop_busy=busy * MAX_BUSY)
        door.later(1.1)
        taken.append(door.burst(200))
    assert taken[0] == 100
    assert taken == sorted(set(taken), reverse=True)
    assert taken[-1] > 0


def test_some_call_is_let_in_however_low_the_pace() -> None:
    door = Door(calls_per_second=1)
    door.load = Strain(loop_busy=0.99 * MAX_BUSY)
    assert door.burst(5) == 1


def test_a_flood_looks_at_the_load_once_in_a_while(door: Door) -> None:
    door.burst(1000)
    assert door.looks == 1


def test_the_refused_are_asked_to_come_back_at_different_times(door: Door) -> None:
    door.burst(100)
    waits = [door.admission.refusal(door.now, 0) for _ in range(60)]
    assert set(waits) == set(range(RETRY_AFTER, RETRY_AFTER + RETRY_SPREAD))


def test_a_disk_without_room_keeps_new_calls_out_until_there_is_some() -> None:
    room = False
    admission = Admission(calls=10, calls_per_second=10, has_room=lambda: room)
    wait = admission.refusal(1.0, 0)
    assert wait is not None
    assert wait >= RETRY_AFTER
    assert not admission.overloaded
    room = True
    assert admission.refusal(1.0, 0) is None
