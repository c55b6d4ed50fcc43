"""What a stream's server says is played in order, within bounds, and marks come back in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.calls import playout as module
from mediaserver.calls.playout import MAX_MARKS, Playout


class Leg:
    """Plays as soon as a test lets it."""

    def __init__(self) -> None:
        self.rate = 8000
        self.session = None
        self.played: list[NDArray[np.int16] | str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.began = asyncio.Event()
        self.stopped = 0

    async def play(self, samples: NDArray[np.int16]) -> int:
        self.played.append(samples)
        self.began.set()
        await self.gate.wait()
        return int(samples.size)

    def stop_playing(self) -> None:
        self.stopped += 1
        self.gate.set()

    @property
    def audio(self) -> NDArray[np.int16]:
        return np.concatenate([piece for piece in self.played if not isinstance(piece, str)])


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_WAIT", 0.0)


@pytest.fixture
async def leg() -> Leg:
    return Leg()


@pytest.fixture
async def playouts(leg: Leg) -> AsyncIterator[Any]:
    tasks = []

    def make(*, live: bool = False, run: bool = True) -> Playout:
        playout = Playout(cast(Any, leg), leg.played.append, live=live)
        if run:
            tasks.append(asyncio.create_task(playout.run()))
        return playout

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def ramp(count: int, first: int = 1) -> NDArray[np.int16]:
    return np.arange(first, first + count).astype(np.int16)


async def test_pieces_of_any_length_are_played_without_a_gap(leg: Leg, playouts: Any) -> None:
    playout = playouts()
    for at in range(0, 1600, 100):
        playout.add(ramp(100, 1 + at))
        await settle()
    assert np.array_equal(leg.audio[leg.audio != 0], ramp(1600))
    for piece in leg.played:
        assert len(piece) % 160 == 0


async def test_what_comes_while_something_plays_waits_for_its_turn(leg: Leg, playouts: Any) -> None:
    playout = playouts()
    leg.gate.clear()
    playout.add(ramp(160))
    await leg.began.wait()
    for at in range(160, 560, 40):
        playout.add(ramp(40, 1 + at))
    leg.gate.set()
    await settle()
    assert [len(piece) for piece in leg.played] == [160, 320, 160]
    assert np.array_equal(leg.audio[:560], ramp(560))
    assert not leg.audio[560:].any()


async def test_a_mark_comes_when_all_before_it_was_played(leg: Leg, playouts: Any) -> None:
    playout = playouts()
    leg.gate.clear()
    playout.add(ramp(160))
    playout.mark("one")
    playout.add(ramp(160))
    playout.mark("two")
    playout.mark("three")
    await leg.began.wait()
    await settle()
    assert len(leg.played) == 1
    leg.gate.set()
    await settle()
    assert [piece if isinstance(piece, str) else "audio" for piece in leg.played] == [
        "audio", "one", "audio", "two", "three",
    ]  # fmt: skip


async def test_a_mark_after_silence_comes_at_once(leg: Leg, playouts: Any) -> None:
    playouts().mark("now")
    assert leg.played == ["now"]


async def test_clear_stops_what_plays_and_gives_its_marks_back(leg: Leg, playouts: Any) -> None:
    playout = playouts()
    leg.gate.clear()
    playout.add(ramp(160))
    playout.mark("one")
    await leg.began.wait()
    playout.add(ramp(800))
    playout.clear()
    assert leg.stopped == 1
    assert leg.played[1:] == ["one"]
    await settle()
    assert len(leg.played) == 2
    playout.add(ramp(160, 500))
    await settle()
    assert np.array_equal(leg.played[-1], ramp(160, 500))


async def test_buffered_audio_has_a_bound_beyond_which_no_more_is_taken(
    leg: Leg, playouts: Any
) -> None:
    playout = playouts(run=False)
    for _ in range(130):
        playout.add(ramp(8000))
    assert playout.dropped == 10 * 8000


async def test_live_audio_gives_up_the_oldest(leg: Leg, playouts: Any) -> None:
    playout = playouts(live=True, run=False)
    playout.add(ramp(6000))
    playout.mark("gone by")
    playout.add(ramp(6000, 10_001))
    assert playout.dropped == 4000
    running = asyncio.create_task(playout.run())
    await settle()
    running.cancel()
    assert leg.audio[0] == 4001
    assert np.array_equal(leg.audio[-6080:-80], ramp(6000, 10_001))


async def test_marks_do_not_heap_up(leg: Leg, playouts: Any) -> None:
    playout = playouts(run=False)
    playout.add(ramp(160))
    for number in range(MAX_MARKS + 5):
        playout.mark(str(number))
    assert len(leg.played) == 5
