"""Playing and collecting by command: what is carried out, and what is refused as things stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from farend.party import Party, settle
from mediaserver.calls.collecting import CollectOrder
from mediaserver.calls.collection import DigitRules
from mediaserver.calls.commands import HANDLERS, CommandRefused, NotThere
from mediaserver.calls.commands.collecting import StartCollect, StartInputTimers, StopCollect
from mediaserver.calls.commands.playing import (
    ChangeVolume,
    PausePlay,
    ResumePlay,
    StartPlay,
    StopPlay,
)
from mediaserver.calls.playback import PlayOrder
from mediaserver.recording.resource import Direction
from mediaserver.swml.actions import WebAudio

ONE = WebAudio("http://a/1")
PLAY = StartPlay(order=PlayOrder(sources=(ONE,), loop=0, control_id="k"))
COLLECT = StartCollect(order=CollectOrder(control_id="k", rules=DigitRules()))


@pytest.fixture
async def party() -> Party:
    party = Party()
    party.shelf.put(ONE, np.ones(1600, np.int16))
    return party


async def say(party: Party, order: Any) -> None:
    await HANDLERS[type(order)](party.call, order)
    await settle()


async def refused(party: Party, order: Any) -> str | None:
    with pytest.raises(CommandRefused) as fault:
        await say(party, order)
    return fault.value.attribute


async def test_a_play_is_paused_resumed_changed_and_stopped(party: Party) -> None:
    await say(party, PLAY)
    await party.leg.send(160)
    await say(party, PausePlay(control_id="k"))
    assert party.leg.playing is None
    assert await refused(party, PausePlay(control_id="k")) == "control_id"
    await say(party, ResumePlay(control_id="k"))
    assert await refused(party, ResumePlay(control_id="k")) == "control_id"
    await say(party, ChangeVolume(control_id="k", volume=6.0))
    await party.leg.send(160)
    assert party.leg.heard.tolist() == [1] * 160 + [2] * 160
    await say(party, StopPlay(control_id="k"))
    assert party.leg.playing is None
    for order in (StopPlay, PausePlay, ResumePlay):
        with pytest.raises(NotThere):
            await say(party, order(control_id="k"))
    with pytest.raises(NotThere):
        await say(party, ChangeVolume(control_id="k", volume=0.0))


async def test_what_is_in_use_or_cannot_be_heard_is_refused(party: Party) -> None:
    await say(party, PLAY)
    assert await refused(party, PLAY) == "control_id"
    aside = StartPlay(
        order=PlayOrder(sources=(ONE,), direction=Direction.SPEAK, control_id="aside")
    )
    assert await refused(party, aside) == "direction"
    party.answered = False
    assert await refused(party, PLAY) == "id"
    assert await refused(party, COLLECT) == "id"


async def test_a_collect_is_begun_timed_and_stopped_once(party: Party) -> None:
    await say(party, COLLECT)
    assert await refused(party, COLLECT) == "control_id"
    await say(party, StartInputTimers(control_id="k"))
    with pytest.raises(NotThere):
        await say(party, StopCollect(control_id="other"))
    await say(party, StopCollect(control_id="k"))
    for order in (StopCollect, StartInputTimers):
        with pytest.raises(NotThere):
            await say(party, order(control_id="k"))
    await say(party, COLLECT)
    await party.hang_up()
    assert party.collecting is None
