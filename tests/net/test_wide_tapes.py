"""What goes through a codec reaches its own journals, at the instants it has on the line."""

from __future__ import annotations

import numpy as np
import pytest

from farend.tape import Desk, Paper
from farend.waveform import Samples
from mediaserver.net.track import PATIENCE
from mediaserver.net.wide_tapes import WideTapes
from mediaserver.recording.resource import Direction
from mediaserver.rtp.ring import BLOCK

SLOT = 5


class Studio:
    """One leg, its wide tape and its journal."""

    def __init__(self, since: int = 0, *, expected: bool = False) -> None:
        self.desk = Desk()
        self.tapes = WideTapes(Direction.SPEAK, 8000)
        self.now = 50.0
        self.tapes.start(SLOT, self.open, since, self.now, expected=expected)

    def open(self, side: Direction, rate: int) -> Paper:
        assert rate == 16_000
        return self.desk.create("leg", side, rate=rate, first=0, wall_us=0, wide=True)

    def put(self, packet: int) -> Samples:
        """Let packet number `packet` of 20 ms be heard where it belongs."""
        samples = np.full(320, packet + 1, np.int16)
        self.tapes.put(SLOT, 160 * packet, samples)
        return samples

    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.tapes.turn({SLOT, 6}, self.now)

    @property
    def paper(self) -> Paper:
        return self.desk.wide[Direction.SPEAK]


def test_runs_are_written_as_soon_as_they_are_a_block_long() -> None:
    studio = Studio()
    heard = np.concatenate([studio.put(packet) for packet in range(2 * BLOCK // 320)])
    studio.turn(0.02)
    assert studio.paper.writes == [(0, 2 * BLOCK)]
    assert np.array_equal(studio.paper.samples[: heard.size], heard)


def test_what_is_less_is_written_after_a_while() -> None:
    studio = Studio()
    studio.put(0)
    studio.turn(PATIENCE / 2)
    assert not studio.desk.wide
    studio.turn(PATIENCE)
    assert studio.paper.writes == [(0, 320)]
    studio.turn(PATIENCE)
    assert studio.paper.writes == [(0, 320)]


def test_a_gap_stays_and_what_comes_late_finds_its_place() -> None:
    studio = Studio()
    for packet in (0, 1, 4, 5, 2):
        studio.put(packet)
    studio.tapes.catch_up(SLOT)
    assert studio.paper.writes == [(0, 640), (1280, 640), (640, 320)]
    assert studio.paper.samples[:1920:320].tolist() == [1, 2, 3, 0, 5, 6]


@pytest.mark.parametrize("since", [400, 399, 320, 1])
def test_nothing_of_before_is_kept(since: int) -> None:
    studio = Studio(since)
    for packet in range(4):
        studio.put(packet)
    studio.tapes.catch_up(SLOT)
    assert studio.paper.writes == [(2 * since, 1280 - 2 * since)]


def test_a_journal_that_is_expected_is_there_at_once_and_others_with_their_first_sample() -> None:
    assert Direction.SPEAK in Studio(expected=True).desk.wide
    studio = Studio()
    studio.tapes.catch_up(SLOT)
    studio.turn(1.0)
    assert not studio.desk.wide


def test_where_the_line_has_something_else_the_journal_says_nothing() -> None:
    studio = Studio()
    for packet in range(4):
        studio.put(packet)
    studio.tapes.clear(SLOT, 200, 160)  # a packet of G.711 in place of parts of two
    studio.tapes.clear(SLOT, 600)  # a prompt begins: all that goes beyond
    studio.tapes.clear(SLOT, 640, 160)  # where nothing is there is nothing to be done
    studio.tapes.catch_up(SLOT)
    assert not studio.paper.samples[400:720].any()
    assert not studio.paper.samples[1200:1280].any()
    assert studio.paper.samples[[399, 720, 1199]].tolist() == [2, 3, 4]
    assert max(at + size for at, size in studio.paper.writes) == 1280
    studio.tapes.put(SLOT, 640, np.full(320, 9, np.int16))
    studio.tapes.catch_up(SLOT)
    assert studio.paper.samples[1280:1600].tolist() == [9] * 320


def test_a_leg_that_is_not_kept_costs_nothing() -> None:
    studio = Studio()
    studio.tapes.stop(SLOT)
    studio.put(0)
    studio.tapes.clear(SLOT, 0)
    studio.tapes.catch_up(SLOT)
    studio.turn(1.0)
    assert not studio.tapes
    assert not studio.tapes.keeps(SLOT)
    assert not studio.desk.wide
