"""Which legs are drained at which tick."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from mediaserver.net.turns import CROWD, RELAXED, Turns

ROUND = 2 * RELAXED


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield sock


def relaxed(turns: Turns, ticks: range) -> Counter[int]:
    """Return how many turns each leg had."""
    return Counter(slot for tick in ticks for slot in turns.at(tick).relaxed.slot.tolist())


def test_of_few_each_has_its_turn_at_every_fifth_tick(sock: socket.socket) -> None:
    turns = Turns()
    for slot in range(CROWD):
        turns.add(slot, sock)
    for start in (0, 3):
        assert relaxed(turns, range(start, start + RELAXED)) == dict.fromkeys(range(CROWD), 1)


def test_in_a_crowd_each_has_its_turn_half_as_often(sock: socket.socket) -> None:
    turns = Turns()
    for slot in range(CROWD + 1):
        turns.add(slot, sock)
    legs = dict.fromkeys(range(CROWD + 1), 1)
    assert relaxed(turns, range(ROUND)) == legs
    assert relaxed(turns, range(7, 7 + ROUND)) == legs


def test_when_the_crowd_is_gone_nobody_waits_longer_than_before(sock: socket.socket) -> None:
    turns = Turns()
    for slot in range(2 * CROWD):
        turns.add(slot, sock)
    relaxed(turns, range(ROUND))
    for slot in range(10, 2 * CROWD):
        turns.remove(slot)
    assert relaxed(turns, range(ROUND)) == dict.fromkeys(range(10), 2)


def test_a_leg_somebody_waits_for_has_every_turn_and_is_due_at_every_fifth(
    sock: socket.socket,
) -> None:
    turns = Turns()
    for slot in range(CROWD + 2):
        turns.add(slot, sock)
    turns.hurry(7, sock)
    due = 0
    for tick in range(ROUND):
        turn = turns.at(tick)
        assert turn.hurried.slot.tolist() == [7]
        assert 7 not in turn.relaxed.slot
        due += int(turn.due[0])
    assert due == 2
    turns.add(7, sock)
    assert relaxed(turns, range(ROUND))[7] == 1
    assert not len(turns.at(0).hurried)
