"""What a stream's server says is played in order, within bounds, and marks come back in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.calls import playout as module
from mediaserver.calls.floor import Floor, Rank, Turn
from mediaserver.calls.playout import MAX_MARKS, Playout


class Leg:
    """Plays as soon as a test lets it; what is stopped has sent one packet."""

    def __init__(self) -> None:
        self.rate = 8000
        self.session = None
        self.played: list[NDArray[np.int16] | str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.began = asyncio.Event()
        self.stopped = 0
        self._stop = asyncio.Event()

    async def play(self, samples: NDArray[np.int16]) -> int:
        self.played.append(samples)
        self.began.set()
        stop = self._stop = asyncio.Event()
        waits = [asyncio.ensure_future(event.wait()) for event in (self.gate, stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return 160 if stop.is_set() else int(samples.size)

    def stop_playing(self) -> None:
        self.stopped += 1
        self._stop.set()

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
def call(leg: Leg) -> Any:
    return cast(Any, SimpleNamespace(media=leg, floor=Floor()))


@pytest.fixture
async def playouts(leg: Leg, call: Any) -> AsyncIterator[Any]:
    tasks = []

    def make(*, live: bool = False, run: bool = True) -> Playout:
        playout = Playout(Turn(call, Rank.WAITS), leg.played.append, live=live)
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
    leg.gate.set()
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


async def test_a_play_is_heard_at_once_and_the_stream_goes_on_afterwards(
    leg: Leg, call: Any, playouts: Any
) -> None:
    playout = playouts()
    leg.gate.clear()
    playout.add(ramp(480))
    playout.mark("said")
    await leg.began.wait()
    play = Turn(call)
    playing = asyncio.create_task(play.play(ramp(320, 5001)))
    await settle()
    assert leg.stopped == 1
    playout.add(ramp(160, 481))  # waits with the rest, of which a packet is out
    leg.gate.set()
    assert await playing == 320
    await settle()
    assert len(leg.played) == 2, "the turn is not over with what it has played"
    play.leave()
    await settle()
    assert [piece if isinstance(piece, str) else len(piece) for piece in leg.played] == [
        480, 320, 320, "said", 160,
    ]  # fmt: skip
    heard = [leg.played[0][:160], leg.played[2], leg.played[4]]
    assert np.array_equal(np.concatenate(cast(Any, heard)), ramp(640))


async def test_what_a_stream_says_during_a_play_waits_for_its_end(
    leg: Leg, call: Any, playouts: Any
) -> None:
    play = Turn(call)
    leg.gate.clear()
    playing = asyncio.create_task(play.play(ramp(160)))
    await settle()
    live, other = playouts(live=True), playouts()
    live.add(ramp(8000, 1))
    live.add(ramp(4000, 8001))
    other.add(ramp(160, 20_001))
    await settle()
    assert len(leg.played) == 1
    leg.gate.set()
    await playing
    play.leave()
    await settle()
    assert live.dropped == 4000
    assert np.array_equal(leg.played[1], ramp(8000, 4001))
    assert np.array_equal(leg.played[2], ramp(160, 20_001)), "the next that waited"


async def test_hold_music_gives_way_to_a_stream_and_goes_on(
    leg: Leg, call: Any, playouts: Any
) -> None:
    music = Turn(call, Rank.GIVES_WAY)
    leg.gate.clear()
    playing = asyncio.create_task(music.play(ramp(320)))
    await settle()
    playouts().add(ramp(160, 9001))
    await settle()
    leg.gate.set()
    assert await playing == 160
    assert not music.lost
    assert await music.play(ramp(160, 161)) == 160
    assert [piece[0] for piece in leg.played] == [1, 9001, 161]


async def test_what_plays_for_ever_makes_room_for_a_stream_and_goes_on(
    leg: Leg, call: Any, playouts: Any
) -> None:
    endless = Turn(call, Rank.FOR_EVER)
    leg.gate.clear()
    playing = asyncio.create_task(endless.play(ramp(320)))
    await settle()
    playout = playouts()
    playout.add(ramp(160, 9001))
    await settle()
    assert await playing == 160
    again = asyncio.create_task(endless.play(ramp(160, 161)))
    await settle()
    leg.gate.set()
    assert await again == 160
    assert [piece[0] for piece in leg.played] == [1, 9001, 161]


async def test_what_is_to_play_for_ever_waits_for_a_stream_and_not_for_a_play(
    leg: Leg, call: Any, playouts: Any
) -> None:
    before, endless, after = Turn(call), Turn(call, Rank.FOR_EVER), Turn(call)
    leg.gate.clear()
    tasks = [asyncio.create_task(before.play(ramp(320)))]
    await settle()
    playouts().add(ramp(160, 9001))
    await settle()
    tasks.append(asyncio.create_task(endless.play(ramp(160, 2001))))
    await settle()
    assert before.lost
    assert [piece[0] for piece in leg.played] == [1, 9001]
    leg.gate.set()
    await settle()
    assert [piece[0] for piece in leg.played] == [1, 9001, 2001]
    tasks.append(asyncio.create_task(after.play(ramp(160, 3001))))
    await settle()
    assert endless.lost
    assert [await task for task in tasks] == [160, 160, 160]


async def test_what_is_brief_ends_nothing_that_plays_for_ever(leg: Leg, call: Any) -> None:
    endless, beep = Turn(call, Rank.FOR_EVER), Turn(call, brief=True)
    leg.gate.clear()
    playing = asyncio.create_task(endless.play(ramp(320)))
    await settle()
    beeping = asyncio.create_task(beep.play(ramp(160, 7001)))
    await settle()
    leg.gate.set()
    await beeping
    beep.leave()
    assert await playing == 160
    assert not endless.lost
    assert await endless.play(ramp(160, 161)) == 160


async def test_clear_gives_up_what_was_interrupted(leg: Leg, call: Any, playouts: Any) -> None:
    playout = playouts()
    leg.gate.clear()
    playout.add(ramp(480))
    await leg.began.wait()
    play = Turn(call)
    playing = asyncio.create_task(play.play(ramp(160, 5001)))
    await settle()
    playout.clear()
    leg.gate.set()
    await playing
    play.leave()
    await settle()
    assert len(leg.played) == 2
