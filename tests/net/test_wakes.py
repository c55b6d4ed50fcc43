"""Listeners that wake together are told a few at a tick, and none is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from mediaserver.audio.g711 import ULAW_DECODE
from mediaserver.net.wakes import FEW, NEVER, SHARE, Wakes
from mediaserver.rtp.timeline import Kind, Timelines

LEGS = 800
EVERY = np.arange(LEGS)
NOBODY = EVERY[:0]


class Ears:
    """Listeners who wait for a position, and for the next when they were told."""

    def __init__(self, *, step: int = NEVER) -> None:
        self.lines = Timelines(LEGS, {Kind.ULAW: ULAW_DECODE})
        self.wakes = Wakes(self.lines, LEGS, self.tell)
        self.told: list[int] = []
        self.step = step

    def tell(self, slot: int) -> None:
        self.told.append(slot)
        self.wakes.at[slot] = self.step if self.step == NEVER else self.wakes.at[slot] + self.step

    def turn(self, slots: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
        before = len(self.told)
        self.wakes.turn(slots)
        return self.told[before:]


@pytest.fixture
def ears() -> Ears:
    return Ears()


def test_a_listener_is_told_when_its_line_is_where_it_waits(ears: Ears) -> None:
    ears.wakes.at[7] = 800
    ears.lines.decided[7] = 799
    assert ears.turn(EVERY) == []
    ears.lines.decided[7] = 800
    assert ears.turn(EVERY) == [7]
    assert ears.turn(EVERY) == []


def test_only_those_whose_turn_it_is_are_looked_at(ears: Ears) -> None:
    ears.wakes.at[[3, 4]] = 0
    assert ears.turn(np.array([4])) == [4]


def test_of_many_some_are_told_at_a_tick_and_soon_all_are(ears: Ears) -> None:
    ears.wakes.at[:] = 0
    told = [len(ears.turn(EVERY))]
    while told[-1]:
        told.append(len(ears.turn(NOBODY)))
    assert told[0] == LEGS // SHARE
    assert max(told) == LEGS // SHARE
    assert len(told) <= 50  # a second
    assert sorted(ears.told) == EVERY.tolist()


def test_a_few_are_told_at_once(ears: Ears) -> None:
    ears.wakes.at[:FEW] = 0
    assert len(ears.turn(EVERY)) == FEW


def test_who_has_waited_longest_is_told_first() -> None:
    ears = Ears(step=0)  # there is always something for everybody
    ears.wakes.at[:] = 0
    while len(ears.told) < LEGS:
        ears.turn(EVERY)
    assert sorted(ears.told[:LEGS]) == EVERY.tolist()


def test_nobody_is_told_of_a_leg_that_is_closed(ears: Ears) -> None:
    ears.wakes.at[: 2 * FEW] = 0
    first = ears.turn(EVERY)
    left = sorted(set(range(2 * FEW)) - set(first))
    ears.wakes.forget(left[0])
    assert sorted(ears.turn(NOBODY)) == left[1:]


def test_a_listener_may_close_the_leg_whose_turn_is_next(ears: Ears) -> None:
    closing = Wakes(ears.lines, LEGS, lambda slot: closing.forget(1 - slot))
    closing.at[:2] = 0
    closing.turn(EVERY)
    assert closing.at[0] != closing.at[1]


def test_what_goes_away_is_told_of_at_once(ears: Ears) -> None:
    ears.wakes.at[:] = 0
    ears.turn(EVERY)
    ears.wakes.tell_all(EVERY)
    assert set(ears.told) == set(EVERY.tolist())
    assert ears.turn(NOBODY) == []
