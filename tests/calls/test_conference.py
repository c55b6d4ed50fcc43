"""Who is in a conference, when it begins and ends, and what is told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import pytest
import structlog
from numpy.typing import NDArray

from farend.tape import StillClock, TapeLeg
from mediaserver.audio.hold_music import hold_music
from mediaserver.calls.call import Call
from mediaserver.calls.clips import Clip
from mediaserver.calls.conferences import Conferences
from mediaserver.calls.ending import CallOver, Ending
from mediaserver.calls.floor import Floor
from mediaserver.calls.ports import MediaLeg
from mediaserver.errors import PeerError
from mediaserver.recording.announcement import Announcement, Envelope, Kind
from mediaserver.swml.actions import JoinConference, WebAudio

T = TypeVar("T")

ORDER = JoinConference(
    name="team",
    muted=False,
    beep="false",
    start_on_enter=True,
    end_on_exit=False,
    wait_url=None,
    max_participants=100_000,
    record="do-not-record",
    trim="do-not-trim",
    region=None,
    coach=None,
    status_callback="http://app/status",
    status_callback_method="POST",
    status_callback_event=frozenset(),
    recording_status_callback=None,
    recording_status_callback_method="POST",
    recording_status_callback_event=frozenset(),
    stream=None,
)


class Mix:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.members: dict[MediaLeg, bool] = {}
        """Whether each is muted."""
        self.coached: dict[MediaLeg, MediaLeg | None] = {}
        self.played: list[int] = []
        self.closed = False
        self.on_hold: Any = None

    def add(self, leg: MediaLeg, *, muted: bool = False) -> None:
        self.members[leg] = muted

    def remove(self, leg: MediaLeg) -> None:
        self.members.pop(leg, None)

    def coach(self, leg: MediaLeg, other: MediaLeg | None) -> None:
        self.coached[leg] = other

    def play(self, samples: NDArray[np.int16]) -> None:
        self.played.append(int(np.argmax(np.abs(np.fft.rfft(samples)))) * 8000 // samples.size)

    def close(self) -> None:
        self.closed = True


class Leg(TapeLeg):
    """Plays for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.playing: NDArray[np.int16] | None = None

    async def play(self, samples: NDArray[np.int16]) -> int:
        self.playing = samples
        try:
            await asyncio.sleep(3600)
        finally:
            self.playing = None
        return int(samples.size)


class World:
    """Everything conferences need, as the services of a call."""

    def __init__(self) -> None:
        self.conferences = Conferences()
        self.mixes: list[Mix] = []
        self.events: list[dict[str, Any]] = []
        self.sequence: list[int] = []
        self.clock = StillClock()
        self.media = self.outbox = self.documents = self.clips = self
        self.pages: dict[str, NDArray[np.int16]] = {}
        self.work: set[asyncio.Future[Any]] = set()

    def open_mix(self) -> Mix:
        self.mixes.append(Mix())
        return self.mixes[-1]

    async def add(self, announcements: Sequence[Announcement]) -> None:
        for announcement in announcements:
            self.events.append(json.loads(announcement.body))
            self.sequence.append(announcement.sequence)

    async def load(self, source: str | WebAudio, *_: object) -> Clip:
        if isinstance(source, WebAudio) and source.url in self.pages:
            samples = self.pages[source.url]
            return Clip(samples, samples.size)
        raise PeerError(404, "there is nothing")

    @property
    def told(self) -> list[str]:
        return [event["params"]["status"] for event in self.events]


class Party:
    """A call, as far as a conference looks at it."""

    def __init__(self, world: World, name: str, project: str = "p") -> None:
        self.id = name
        self.services = world
        self.media: Leg | None = Leg()
        self.floor = Floor()
        self.envelope = Envelope(
            project_id=project, space_id="s", node_id="n", session_id=f"{name}-session"
        )
        self.log = structlog.get_logger()
        self.description: dict[str, Any] = {}
        self.allow = None
        self._over = Ending()
        self.stay: asyncio.Task[dict[str, Any]] | None = None

    @property
    def ended(self) -> bool:
        return self._over.done()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self.services.work.add(task)
        return task

    async def unless_over(self, step: Awaitable[T]) -> T:
        return await self._over.unless_over(step)

    async def wait_over(self) -> None:
        await self._over.wait()

    async def join(self, **changes: Any) -> None:
        """Join, and let everything happen that happens then."""
        order = replace(ORDER, **changes)
        self.stay = asyncio.ensure_future(self.services.conferences.join(cast(Call, self), order))
        self.services.work.add(self.stay)
        await settle()

    async def hang_up(self) -> None:
        self._over.come("hangup")
        await settle()

    async def leave(self) -> bool:
        left = self.services.conferences.leave(cast(Call, self))
        await settle()
        return left

    @property
    def result(self) -> str:
        assert self.stay is not None
        variables = self.stay.result()
        assert variables["return_value"] == variables["join_conference_result"]
        return str(variables["return_value"])


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await settle()
    for task in world.work:
        task.cancel()
    await asyncio.gather(*world.work, return_exceptions=True)


def test_hold_music_is_soft_and_ends_in_silence() -> None:
    music = hold_music()
    assert 500 < np.abs(music.astype(np.int32)).max() < 8000
    assert not music[-8000:].any()


async def test_members_of_one_name_are_mixed_until_they_leave(world: World) -> None:
    anna, bert, other = Party(world, "anna"), Party(world, "bert"), Party(world, "other")
    await anna.join()
    await bert.join()
    await other.join(name="another")
    team, another = world.mixes
    assert set(team.members) == {anna.media, bert.media}
    assert set(another.members) == {other.media}
    assert await anna.leave()
    assert anna.result == "completed"
    assert set(team.members) == {bert.media}
    await bert.hang_up()
    assert isinstance(bert.stay and bert.stay.exception(), CallOver)
    assert team.closed
    assert not another.closed
    assert len(world.conferences) == 1
    assert not await anna.leave()


async def test_who_asks_for_a_get_is_told_in_the_query(world: World) -> None:
    told: list[Announcement] = []

    async def add(announcements: Sequence[Announcement]) -> None:
        told.extend(announcements)

    world.add = add  # type: ignore[method-assign]
    await Party(world, "anna").join(status_callback_method="GET")
    await settle()
    assert {one.kind for one in told} == {Kind.QUERY}
    assert all("&status=" in one.url and not one.body for one in told)


async def test_a_name_belongs_to_a_project(world: World) -> None:
    await Party(world, "anna").join()
    await Party(world, "bert", project="q").join()
    assert len(world.mixes) == 2
    assert [len(mix.members) for mix in world.mixes] == [1, 1]


async def test_everything_is_told_in_order(world: World) -> None:
    anna, bert = Party(world, "anna"), Party(world, "bert")
    await anna.join(region="eu")
    await bert.join(muted=True, status_callback="http://elsewhere")
    world.mixes[0].on_hold(anna.media, True)
    world.mixes[0].on_hold(anna.media, False)
    await bert.hang_up()
    await anna.leave()
    await settle()
    assert world.told == [
        "participant-join", "conference-start", "participant-join", "participant-mute",
        "participant-hold", "participant-unhold", "participant-leave", "participant-leave",
        "conference-end",
    ]  # fmt: skip
    assert world.sequence == list(range(1, 10))
    event = world.events[2]
    assert event["event_type"] == "calling.conference"
    assert event["event_channel"] == "swml:anna-session"
    conference_id = event["params"]["conference_id"]
    assert event["params"] == {
        "call_id": "bert", "node_id": "n", "name": "team", "conference_id": conference_id,
        "status": "participant-join", "size": 2, "region": "eu", "muted": True, "hold": False,
        "start_on_join": True, "end_on_leave": False, "coaching": False,
    }  # fmt: skip
    assert world.events[3]["params"] == event["params"] | {"status": "participant-mute"}
    assert world.events[4]["params"]["hold"]
    last = world.events[-1]["params"]
    assert last["reason_ended"] == "last-participant-left"
    assert (last["call_id_ending_conf"], last["size"]) == ("anna", 0)
    assert {event["params"]["conference_id"] for event in world.events} == {conference_id}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"start", "end"}, ["conference-start", "conference-end"]),
        ({"join"}, ["participant-join"]),
        ({"leave"}, ["participant-leave"]),
        ({"mute"}, ["participant-mute"]),
    ],
)
async def test_only_what_was_asked_for_is_told(
    world: World, asked: set[str], told: list[str]
) -> None:
    anna = Party(world, "anna")
    await anna.join(muted=True, status_callback_event=frozenset(asked))
    await anna.leave()
    assert world.told == told


async def test_until_somebody_starts_it_members_hear_music_and_not_each_other(
    world: World,
) -> None:
    anna, bert, chief = (Party(world, name) for name in ("anna", "bert", "chief"))
    await anna.join(start_on_enter=False)
    await bert.join(start_on_enter=False)
    assert world.mixes[0].members == {}
    for one in (anna, bert):
        assert one.media is not None
        assert one.media.playing is hold_music(8000)
    await chief.join()
    assert set(world.mixes[0].members) == {anna.media, bert.media, chief.media}
    assert anna.media is not None
    assert anna.media.playing is None
    assert world.told == ["participant-join"] * 3 + ["conference-start"]
    late = Party(world, "late")
    await late.join(start_on_enter=False)
    assert late.media in world.mixes[0].members


async def test_who_waits_may_go(world: World) -> None:
    anna, bert = Party(world, "anna"), Party(world, "bert")
    await anna.join(start_on_enter=False)
    await bert.join(start_on_enter=False)
    await anna.hang_up()
    await bert.leave()
    assert bert.result == "completed"
    assert bert.media is not None
    assert bert.media.playing is None
    assert world.told[-1] == "conference-end"
    assert "conference-start" not in world.told


async def test_audio_at_wait_url_is_played_and_what_is_not_there_is_hold_music(
    world: World,
) -> None:
    tune = np.ones(16_000, np.int16)
    world.pages = {"http://app/tune.wav": tune, "http://app/short.wav": tune[:100]}
    for url, played in (
        ("http://app/tune.wav", tune),
        ("http://app/short.wav", hold_music(8000)),
        ("http://app/nothing", hold_music(8000)),
    ):
        party = Party(world, url)
        await party.join(name=url, start_on_enter=False, wait_url=url)
        assert party.media is not None
        assert party.media.playing is played


async def test_whoever_ends_it_on_exit_ends_it_for_all(world: World) -> None:
    anna, chief = Party(world, "anna"), Party(world, "chief")
    waiting = Party(world, "waiting")
    await anna.join()
    await chief.join(end_on_exit=True)
    await waiting.join()
    await chief.hang_up()
    assert anna.result == waiting.result == "completed"
    assert world.mixes[0].closed
    assert world.told[-4:] == ["participant-leave"] * 3 + ["conference-end"]
    last = world.events[-1]["params"]
    assert last["reason_ended"] == "participant-with-end-conference-on-exit-left"
    assert last["call_id_ending_conf"] == "chief"
    await anna.join()
    assert len(world.mixes) == 2, "the next one is another conference"


@pytest.mark.parametrize(
    ("beep", "heard"),
    [("true", [1000, 500]), ("onEnter", [1000]), ("onExit", [500]), ("false", [])],
)
async def test_a_tone_tells_who_comes_and_who_goes(
    world: World, beep: str, heard: list[int]
) -> None:
    anna, bert = Party(world, "anna"), Party(world, "bert")
    await anna.join()
    await bert.join(beep=beep)
    await bert.leave()
    assert [round(hertz, -2) for hertz in world.mixes[0].played] == heard


async def test_a_coach_is_heard_by_one_and_needs_one(world: World) -> None:
    agent, customer, coach = (Party(world, name) for name in ("agent", "customer", "coach"))
    await coach.join(coach="agent")
    assert coach.result == "failed"
    await agent.join(start_on_enter=False)
    await coach.join(coach="agent")
    assert coach.result == "failed", "it is not in progress"
    await customer.join()
    await coach.join(coach="nobody")
    assert coach.result == "failed"
    await coach.join(coach="agent")
    assert world.mixes[0].coached == {coach.media: agent.media}
    assert world.events[-1]["params"]["coaching"]


async def test_a_conference_that_is_full_takes_nobody(world: World) -> None:
    await Party(world, "anna").join(max_participants=2)
    await Party(world, "bert").join()
    late = Party(world, "late")
    await late.join()
    assert late.result == "failed"
    await late.join(name="x" * 257)
    assert late.result == "failed"
    await late.join(name="other")
    await Party(world, "picky").join(name="other", max_participants=2)
    picky = Party(world, "picky too")
    await picky.join(name="other", max_participants=2)
    assert picky.result == "failed"


async def test_a_call_is_in_one_conference(world: World) -> None:
    anna = Party(world, "anna")
    await anna.join()
    first = anna.stay
    await anna.join(name="another")
    assert anna.result == "failed"
    assert first is not None
    assert not first.done()
    assert len(world.conferences) == 1


async def test_a_call_that_is_over_is_no_member(world: World) -> None:
    anna = Party(world, "anna")
    await anna.hang_up()
    await anna.join()
    assert isinstance(anna.stay and anna.stay.exception(), CallOver)
    assert not len(world.conferences)


async def test_another_document_ends_the_stay(world: World) -> None:
    anna, bert = Party(world, "anna"), Party(world, "bert")
    await anna.join(start_on_enter=False)
    await bert.join()
    for one in (anna, bert):
        assert one.stay is not None
        one.stay.cancel()
    await settle()
    assert not len(world.conferences)
    assert world.mixes[0].closed
