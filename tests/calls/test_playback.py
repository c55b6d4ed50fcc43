"""Playing on a call: what is heard, to the sample, whatever is done to it meanwhile."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.party import Party, settle
from mediaserver.calls.clips import Clips, amplify
from mediaserver.calls.ending import CallOver
from mediaserver.calls.floor import Rank, Turn, play_briefly, play_on
from mediaserver.calls.playback import MAX_PLAYBACKS, Playback, PlayOrder
from mediaserver.errors import ConflictError, PeerError
from mediaserver.recording.resource import Direction
from mediaserver.swml.actions import FileAudio, Ringing, Silence, Speech, WebAudio

ONE, TWO, NONE = WebAudio("http://a/1"), WebAudio("http://a/2"), WebAudio("http://a/0")
URL = "http://app/status"
TASKS: WeakKeyDictionary[Playback, asyncio.Task[bool | None]] = WeakKeyDictionary()
"""What sees each play through."""


def ramp(size: int, first: int = 1) -> NDArray[np.int16]:
    return np.arange(first, first + size, dtype=np.int16)


@pytest.fixture
async def party() -> Party:
    party = Party()
    party.shelf.put(ONE, ramp(1600))
    party.shelf.put(TWO, ramp(800, 5000))
    return party


def begin(party: Party, *sources: Any, **order: Any) -> Playback:
    """Play; every play has a control id and tells its states."""
    order = {"control_id": "k", "status_url": URL} | order
    playback = party.playbacks.begin(PlayOrder(sources=sources or (ONE,), **order))

    async def run() -> bool | None:
        with suppress(CallOver):
            return await playback.run()
        return None

    TASKS[playback] = party.spawn(run())
    return playback


def task_of(playback: Playback) -> asyncio.Task[bool | None]:
    return TASKS[playback]


def states(party: Party, control_id: str = "k") -> list[str]:
    told = [event["params"] for event in party.said]
    return [params["state"] for params in told if params["control_id"] == control_id]


async def test_sources_are_heard_one_after_the_other_as_often_as_was_asked(party: Party) -> None:
    playback = begin(party, ONE, TWO, loop=2)
    await party.leg.send(100_000)
    once = np.concatenate([ramp(1600), ramp(800, 5000)])
    assert np.array_equal(party.leg.heard, np.concatenate([once, once]))
    assert task_of(playback).result() is True
    assert states(party) == ["playing", "finished"]
    assert party.said[0]["event_type"] == "calling.call.play"
    assert set(party.said[0]["params"]) == {"call_id", "node_id", "control_id", "state"}
    assert party.shelf.asked == [ONE, TWO]  # kept for the second round
    assert party.playbacks.get("k") is None


async def test_a_source_is_loaded_while_the_one_before_is_heard(party: Party) -> None:
    begin(party, ONE, TWO, NONE)
    await party.leg.send(160)
    assert party.shelf.asked == [ONE, TWO]
    await party.leg.send(100_000)
    assert party.shelf.asked == [ONE, TWO, NONE]
    assert states(party) == ["playing", "finished"]


async def test_a_pause_keeps_the_place_to_the_sample(party: Party) -> None:
    playback = begin(party, ONE, TWO)
    await party.leg.send(480)
    assert playback.pause()
    assert not playback.pause()
    await party.leg.send(5000)
    assert party.leg.heard.size == 480
    assert playback.resume()
    assert not playback.resume()
    await party.leg.send(5000)
    assert np.array_equal(party.leg.heard, np.concatenate([ramp(1600), ramp(800, 5000)]))
    assert states(party) == ["playing", "paused", "playing", "finished"]


async def test_a_pause_and_its_end_at_once_leave_nothing_out(party: Party) -> None:
    playback = begin(party)
    await party.leg.send(320)
    playback.pause()
    playback.resume()
    await party.leg.send(5000)
    assert np.array_equal(party.leg.heard, ramp(1600))


async def test_the_volume_changes_for_what_is_left(party: Party) -> None:
    playback = begin(party)
    await party.leg.send(320)
    playback.change_volume(6.0)
    await party.leg.send(320)
    playback.change_volume(-40.0)
    await party.leg.send(5000)
    heard = [ramp(320), amplify(ramp(320, 321), 6.0), amplify(ramp(960, 641), -40.0)]
    assert np.array_equal(party.leg.heard, np.concatenate(heard))
    assert states(party) == ["playing", "finished"]


async def test_a_volume_is_heard_from_the_beginning_and_through_long_clips(party: Party) -> None:
    long = np.tile(ramp(8000), 15)
    party.shelf.put(TWO, long)
    begin(party, TWO, volume=-6.0)
    await party.leg.send(long.size)
    assert np.array_equal(party.leg.heard, amplify(long, -6.0))


def test_what_is_too_loud_is_cut_off_and_never_wraps() -> None:
    samples = np.array([-32768, -20000, -1, 0, 1, 20000, 32767], np.int16)
    assert amplify(samples, 40.0).tolist() == [-32768, -32768, -100, 0, 100, 32767, 32767]
    assert amplify(samples, -40.0).tolist() == [-328, -200, 0, 0, 0, 200, 328]
    assert amplify(samples, 0.0) is samples


async def test_what_is_stopped_is_over_at_once(party: Party) -> None:
    playback = begin(party, loop=0)
    await party.leg.send(2000)
    playback.stop()
    assert party.playbacks.get("k") is None
    await party.leg.send(5000)
    assert party.leg.heard.size == 2000
    assert states(party) == ["playing", "finished"]


async def test_what_is_stopped_in_a_pause_is_over_too(party: Party) -> None:
    playback = begin(party)
    await party.leg.send(160)
    playback.pause()
    playback.stop()
    await settle()
    assert task_of(playback).done()
    assert states(party) == ["playing", "paused", "finished"]


async def test_the_play_that_comes_later_ends_the_one_before(party: Party) -> None:
    first = begin(party, loop=0)
    await party.leg.send(160)
    begin(party, TWO, control_id="second")
    await party.leg.send(5000)
    assert np.array_equal(party.leg.heard, np.concatenate([ramp(160), ramp(800, 5000)]))
    assert task_of(first).result() is True
    assert states(party) == ["playing", "finished"]
    assert states(party, "second") == ["playing", "finished"]


async def test_one_that_is_paused_outlives_others_and_takes_its_turn_again(party: Party) -> None:
    first = begin(party)
    await party.leg.send(160)
    first.pause()
    second = begin(party, TWO, control_id="second")
    await party.leg.send(160)
    first.resume()
    await party.leg.send(5000)
    parts = [ramp(160), ramp(160, 5000), ramp(1440, 161)]
    assert np.array_equal(party.leg.heard, np.concatenate(parts))
    assert task_of(second).done()


async def test_who_gives_way_goes_on_where_he_was(party: Party) -> None:
    begin(party, gives_way=True)
    await party.leg.send(160)
    begin(party, TWO, control_id="second")
    await party.leg.send(800)
    await party.leg.send(5000)
    parts = [ramp(160), ramp(800, 5000), ramp(1440, 161)]
    assert np.array_equal(party.leg.heard, np.concatenate(parts))


async def test_who_gives_way_waits_for_what_is_played_already(party: Party) -> None:
    begin(party, TWO)
    await party.leg.send(160)
    begin(party, control_id="second", gives_way=True)
    await party.leg.send(640)
    assert np.array_equal(party.leg.heard, ramp(800, 5000))
    await party.leg.send(5000)
    assert np.array_equal(party.leg.heard[800:], ramp(1600))


async def test_who_gives_way_can_be_stopped_and_paused_while_he_waits(party: Party) -> None:
    begin(party, TWO)
    await party.leg.send(160)
    waiting = begin(party, control_id="second", gives_way=True)
    await settle()
    waiting.pause()
    await party.leg.send(5000)
    assert party.leg.heard.size == 800
    waiting.stop()
    await settle()
    assert task_of(waiting).done()


@pytest.mark.parametrize(
    ("order", "rank"),
    [
        (PlayOrder(sources=(ONE,)), Rank.INTERRUPTS),
        (PlayOrder(sources=(Ringing("us"),)), Rank.INTERRUPTS),
        (PlayOrder(sources=(ONE,), loop=0), Rank.FOR_EVER),
        (PlayOrder(sources=(ONE, Ringing("us", math.inf))), Rank.FOR_EVER),
        (PlayOrder(sources=(ONE,), loop=0, gives_way=True), Rank.GIVES_WAY),
    ],
)
def test_a_play_that_has_no_end_is_known_beforehand(order: PlayOrder, rank: Rank) -> None:
    assert order.rank is rank


async def test_a_play_without_an_end_goes_on_where_a_stream_interrupted_it(party: Party) -> None:
    begin(party, ONE, loop=0)
    await party.leg.send(1760)
    stream = Turn(cast(Any, party), Rank.WAITS)
    speaking = party.spawn(stream.play(ramp(320, 9001)))
    await party.leg.send(320)
    assert await speaking == 320
    stream.leave()
    await party.leg.send(1440)
    parts = [ramp(1600), ramp(160), ramp(320, 9001), ramp(1440, 161)]
    assert np.array_equal(party.leg.heard, np.concatenate(parts))
    begin(party, TWO, control_id="second")
    await party.leg.send(100_000)
    assert np.array_equal(party.leg.heard[-800:], ramp(800, 5000))
    assert states(party) == ["playing", "finished"]


async def test_a_beep_ends_no_play(party: Party) -> None:
    begin(party)
    await party.leg.send(160)
    beeping = party.spawn(play_briefly(party.call, ramp(80, 9000)))
    await party.leg.send(80)
    assert beeping.done()
    await party.leg.send(5000)
    parts = [ramp(160), ramp(80, 9000), ramp(1440, 161)]
    assert np.array_equal(party.leg.heard, np.concatenate(parts))


async def test_music_plays_on_between_plays_until_the_call_ends(party: Party) -> None:
    music = party.spawn(play_on(party.call, ramp(320, 7000)))
    await party.leg.send(480)
    begin(party, TWO)
    await party.leg.send(960)
    # Afterwards it begins anew.
    parts = [ramp(320, 7000), ramp(160, 7000), ramp(800, 5000), ramp(160, 7000)]
    assert np.array_equal(party.leg.heard, np.concatenate(parts))
    await party.hang_up()
    assert isinstance(music.exception(), CallOver)


async def test_what_plays_without_a_turn_ends_a_play(party: Party) -> None:
    playback = begin(party, loop=0)
    await party.leg.send(160)
    digits = party.spawn(party.leg.play(ramp(80, 9000)))
    await party.leg.send(80)
    assert digits.result() == 80
    assert task_of(playback).done()
    assert states(party) == ["playing", "finished"]


async def test_nothing_to_play_is_told_with_its_reason(party: Party) -> None:
    playback = begin(party, NONE, loop=0)
    await settle()
    assert task_of(playback).result() is False
    assert states(party) == ["error"]
    assert party.said[0]["params"]["error"] == "there is nothing"


async def test_what_cannot_be_played_is_left_out_and_not_asked_for_again(party: Party) -> None:
    begin(party, NONE, TWO, loop=3)
    await party.leg.send(5000)
    assert party.leg.heard.size == 2400
    assert party.shelf.asked.count(NONE) == 1
    assert states(party) == ["playing", "finished"]


async def test_nothing_at_all_is_not_played_for_ever(party: Party) -> None:
    party.shelf.put(ONE, ramp(0))
    playback = begin(party, loop=0)
    await settle()
    assert task_of(playback).result() is True
    assert states(party) == ["finished"]


async def test_the_end_of_the_call_ends_it(party: Party) -> None:
    playback = begin(party, loop=0)
    await party.leg.send(160)
    await party.hang_up()
    assert task_of(playback).done()
    assert states(party) == ["playing", "finished"]


async def test_a_script_that_is_given_up_ends_it(party: Party) -> None:
    playback = begin(party, loop=0)
    await party.leg.send(160)
    task_of(playback).cancel()
    await settle()
    assert party.leg.playing is None
    assert states(party) == ["playing", "finished"]


@pytest.fixture
async def peer(party: Party) -> Party:
    """Whom the party is joined to."""
    peer = Party("call-2")
    party.bridge = peer.bridge = SimpleNamespace(
        other=lambda call: peer if call is party else party
    )
    return peer


@pytest.mark.parametrize(
    ("direction", "mine", "theirs"),
    [(Direction.LISTEN, 1600, 0), (Direction.SPEAK, 0, 1600), (Direction.BOTH, 1600, 1600)],
)
async def test_a_direction_says_who_hears_it(
    party: Party, peer: Party, direction: Direction, mine: int, theirs: int
) -> None:
    begin(party, direction=direction)
    await party.leg.send(5000)
    await peer.leg.send(5000)
    assert (party.leg.heard.size, peer.leg.heard.size) == (mine, theirs)
    assert states(party) == ["playing", "finished"]
    assert party.shelf.asked == [ONE]


async def test_both_keep_their_own_place(party: Party, peer: Party) -> None:
    playback = begin(party, direction=Direction.BOTH)
    await party.leg.send(160)
    await peer.leg.send(320)
    playback.pause()
    playback.resume()
    await party.leg.send(5000)
    await peer.leg.send(5000)
    assert np.array_equal(party.leg.heard, ramp(1600))
    assert np.array_equal(peer.leg.heard, ramp(1600))


async def test_one_of_both_who_hears_something_else_costs_the_other_nothing(
    party: Party, peer: Party
) -> None:
    begin(party, direction=Direction.BOTH)
    await party.leg.send(160)
    await peer.leg.send(160)
    peer.shelf.put(TWO, ramp(800, 5000))
    begin(peer, TWO)
    await peer.leg.send(5000)
    await party.leg.send(5000)
    assert np.array_equal(party.leg.heard, ramp(1600))
    assert np.array_equal(peer.leg.heard, np.concatenate([ramp(160), ramp(800, 5000)]))


async def test_whoever_is_parted_hears_no_more_of_it(party: Party, peer: Party) -> None:
    playback = begin(party, direction=Direction.SPEAK, loop=0)
    await peer.leg.send(160)
    party.playbacks.part(peer.call)
    await settle()
    assert peer.leg.playing is None
    assert task_of(playback).done()
    assert states(party) == ["playing", "finished"]


async def test_a_peer_that_hangs_up_ends_what_was_played_to_it(party: Party, peer: Party) -> None:
    playback = begin(party, direction=Direction.SPEAK, loop=0)
    await peer.leg.send(160)
    await peer.hang_up()
    assert task_of(playback).done()


async def test_a_control_id_is_for_one_play_at_a_time(party: Party) -> None:
    begin(party, loop=0)
    with pytest.raises(ConflictError, match="control_id"):
        begin(party)


async def test_paused_plays_do_not_pile_up(party: Party) -> None:
    for number in range(MAX_PLAYBACKS):
        begin(party, control_id=f"k{number}").pause()
    with pytest.raises(ConflictError, match="stop one first"):
        begin(party)
    own = party.spawn(party.playbacks.play(PlayOrder(sources=(TWO,))))  # of a script
    await party.leg.send(5000)
    assert own.done()


# What clips are made of.


async def test_a_long_silence_is_made_of_what_all_share(party: Party) -> None:
    clips = Clips(cast(Any, None), lambda _: None)
    hour = await clips.load(Silence(3600.0), 8000)
    assert hour.length == 3600 * 8000
    assert hour.samples.size < 200_000
    assert hour.samples is (await clips.load(Silence(0.5), 8000)).samples
    party.shelf.clips[ONE] = await clips.load(Silence(13.0), 8000)
    begin(party)
    await party.leg.send(1_000_000)
    assert party.leg.heard.size == 13 * 8000
    assert not party.leg.heard.any()


async def test_a_ringing_tone_lasts_a_cycle_or_as_long_as_it_is_asked_for() -> None:
    clips = Clips(cast(Any, None), lambda _: None)
    cycle = await clips.load(Ringing("us"), 8000)
    assert (cycle.samples.size, cycle.length) == (48_000, 48_000)
    longer = await clips.load(Ringing("us", 7.5), 8000)
    assert (longer.samples is cycle.samples, longer.length) == (True, 60_000)
    endless = await clips.load(Ringing("us", math.inf), 8000)
    assert endless.length == math.inf
    with pytest.raises(PeerError, match="no ringing tone"):
        await clips.load(Ringing("xx"), 8000)


async def test_speech_needs_an_engine_and_a_file_has_to_be_there() -> None:
    clips = Clips(cast(Any, None), lambda _: None)
    with pytest.raises(PeerError, match="no speech engine is configured"):
        await clips.load(Speech("hello"), 8000)
    with pytest.raises(PeerError, match="cannot play"):
        await clips.load(FileAudio("/nowhere/a.wav"), 8000)


async def test_tones_ring_until_they_are_stopped(party: Party) -> None:
    party.shelf.put(ONE, ramp(160), math.inf)
    playback = begin(party)
    await party.leg.send(1600)
    assert np.array_equal(party.leg.heard, np.tile(ramp(160), 10))
    playback.stop()
    async with asyncio.timeout(1):
        await task_of(playback)
