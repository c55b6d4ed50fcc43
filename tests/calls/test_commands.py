"""What an application may ask of a call, and what it may not, as things stand on the call."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import Desk, StillClock, TapeLeg
from mediaserver.calls.commands import CommandRefused, Commands, NotThere
from mediaserver.calls.commands.bridging import DisconnectCall
from mediaserver.calls.commands.dialling import DialCall
from mediaserver.calls.commands.ending import EndCall, EndReason
from mediaserver.calls.commands.recording import (
    PauseRecording,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mediaserver.calls.commands.referring import ReferCall
from mediaserver.calls.commands.updating import FinalStatus, TransferCall, UpdateCall
from mediaserver.calls.conferences import Conferences
from mediaserver.calls.dialing import Trunk
from mediaserver.calls.document_source import DocumentSource
from mediaserver.calls.exchange import DialOrder
from mediaserver.calls.inbound import InboundCall
from mediaserver.calls.recording_order import RecordingOrder, RecordingPolicy
from mediaserver.calls.recordings import MAX_RECORDINGS
from mediaserver.calls.referring import ReferOrder
from mediaserver.calls.registry import Registry
from mediaserver.calls.resource import CallRecord
from mediaserver.calls.services import Identity
from mediaserver.calls.source import Source as Source_
from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Envelope
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction, Format, PauseBehavior, Recording, Source
from mediaserver.recording.states import State, StopReason
from mediaserver.sdp.codec import PCMA, PCMU
from mediaserver.sdp.crypto import Encryption
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import ReferAnswered, ReferProgressed
from mediaserver.sip.message import Request, parse_message
from mediaserver.sip.uri import SipUri

INVITE = (
    b"INVITE sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\r\n"
    b"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    b"Contact: <sip:a@127.0.0.1:5070>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
LONGEST = 3600.0
POLICY = RecordingPolicy(ready_uri="http://app/ready", retention=60.0)


class PlayingLeg(TapeLeg):
    """A leg whose playing ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.played: list[NDArray[np.int16]] = []
        self.over = asyncio.Event()

    async def play(self, samples: NDArray[np.int16]) -> int:
        self.played.append(samples)
        await self.over.wait()
        return int(samples.size)


class Book:
    """Keeps the states recordings went through."""

    def __init__(self) -> None:
        self.states: list[Recording] = []

    async def begin(self, recording: Recording, envelope: Envelope) -> Recording:
        self.states.append(recording)
        return recording

    change = begin


class Scene:
    """One answered call, without SIP and without files, and whoever commands it."""

    def __init__(self) -> None:
        self.leg = PlayingLeg()
        self.book = Book()
        self.said: list[tuple[str, int]] = []
        clock = StillClock()
        services: Any = SimpleNamespace(
            clock=clock,
            identity=Identity(project_id="p", space_id="s", node_id="n"),
            max_recording=LONGEST,
            outbox=None,
            journals=Desk(),
            conferences=Conferences(),
            studio=SimpleNamespace(
                ledger=self.book,
                clock=clock,
                renderer=SimpleNamespace(start=lambda: None),
                running={},
                complete=self._complete,
            ),
            signalling=SimpleNamespace(
                hang_up=lambda session: self.said.append(("BYE", 0)),
                reject=lambda session, status, warning=None: self.said.append(("reject", status)),
            ),
        )
        request = parse_message(INVITE)
        assert isinstance(request, Request)
        self.call = InboundCall(
            services,
            cast(Any, None),
            cast(Any, None),
            request,
            Source_(DocumentSource(url="x.json")),
            POLICY,
        )
        self.call.leg.open(self.leg)
        self.call.answered = True
        self.calls = {self.call.id: self.call}
        self.commands = Commands(cast(Registry, SimpleNamespace(find=self.calls.get)), services)

    async def _complete(self, recording: Recording, envelope: Envelope) -> Recording:
        return await self.book.change(recording, envelope)

    async def record(self, control_id: str = "k", *, beep: bool = False, **rules: float) -> None:
        await self.say(StartRecording(order=order(control_id, **rules), beep_first=beep))

    async def pause(self, behavior: PauseBehavior = PauseBehavior.SKIP) -> None:
        await self.say(PauseRecording(control_id="k", behavior=behavior))

    async def resume(self) -> None:
        await self.say(ResumeRecording(control_id="k"))

    async def stop(self, control_id: str = "k") -> None:
        await self.say(StopRecording(control_id=control_id))

    async def say(self, order: Any) -> CallRecord:
        return await self.commands.carry_out(self.call.id, order)

    @property
    def states(self) -> list[State]:
        return [recording.state for recording in self.book.states]


def order(control_id: str, **rules: float) -> RecordingOrder:
    return RecordingOrder(
        rules=StopRules(**rules),  # type: ignore[arg-type]
        format=Format.WAV,
        direction=Direction.SPEAK,
        stereo=False,
        status_url=None,
        source=Source.CALL_RECORDING,
        control_id=control_id,
    )


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def refused(work: Any) -> tuple[str | None, str]:
    with pytest.raises(CommandRefused) as raised:
        await work
    assert raised.value.status == 422
    return raised.value.attribute, raised.value.reason


async def not_there(work: Any) -> str:
    with pytest.raises(NotThere) as raised:
        await work
    assert raised.value.status == 404
    return raised.value.reason


async def test_a_recording_goes_through_all_that_may_be_asked_of_it(scene: Scene) -> None:
    await scene.record()
    await turns()
    scene.leg.hear(8000)
    await scene.pause(PauseBehavior.SILENCE)
    scene.leg.hear(16_000)
    await scene.resume()
    scene.leg.hear(24_000)
    await scene.stop()
    await turns()
    assert scene.states == [State.RECORDING, State.PAUSED, State.RECORDING, State.RENDERING]
    last = scene.book.states[-1]
    assert (last.control_id, last.stop_reason, last.span.end) == ("k", StopReason.COMMAND, 24_000)
    assert [(pause.start, pause.end) for pause in last.pauses] == [(8000, 16_000)]


@pytest.mark.parametrize(("asked", "seconds"), [(0.0, LONGEST), (2 * LONGEST, LONGEST), (1.0, 1.0)])
async def test_it_is_bound_by_what_the_server_and_the_route_say(
    scene: Scene, asked: float, seconds: float
) -> None:
    await scene.record(max_length=asked)
    active = scene.call.recordings.running["k"]
    assert active._take.wake == seconds * 8000
    assert active.recording.ready_uri == POLICY.ready_uri
    assert active.recording.expires_at is not None


async def test_the_answer_tells_of_the_call(scene: Scene) -> None:
    call = await scene.say(StartRecording(order=order("k")))
    assert (call.id, call.from_, call.to) == (
        scene.call.id, "sip:a@127.0.0.1", "sip:x@127.0.0.1",
    )  # fmt: skip
    assert call.ended_at is None


async def test_a_call_that_is_unknown_or_over_is_not_there(scene: Scene) -> None:
    assert (
        await not_there(scene.commands.carry_out("other", StopRecording(control_id="k")))
        == "call not found"
    )
    await scene.record()
    scene.call.over("bye")
    for work in (scene.record("j"), scene.pause(), scene.resume(), scene.stop()):
        assert await not_there(work) == "call not found"
    ending = scene.say(EndCall())
    assert await not_there(ending) == "call not found"


async def test_a_recording_that_is_unknown_or_over_is_not_there(scene: Scene) -> None:
    for work in (scene.pause(), scene.resume(), scene.stop()):
        assert await not_there(work) == "recording not found"
    await scene.record()
    await scene.stop()
    for work in (scene.pause(), scene.resume(), scene.stop()):  # at once, and later
        assert await not_there(work) == "recording not found"
    await turns()
    assert await not_there(scene.stop()) == "recording not found"


async def test_a_call_is_not_recorded_before_it_is_answered(scene: Scene) -> None:
    scene.call.answered = False
    attribute, reason = await refused(scene.record())
    assert (attribute, reason) == ("id", "the call has not been answered yet")


async def test_a_control_id_names_one_recording_at_a_time(scene: Scene) -> None:
    await scene.record()
    assert (await refused(scene.record()))[0] == "control_id"
    await scene.record("other")
    await scene.stop()
    await turns()
    await scene.record()
    assert set(scene.call.recordings.running) == {"k", "other"}


async def test_only_so_many_recordings_run_on_a_call(scene: Scene) -> None:
    for number in range(MAX_RECORDINGS - 1):
        await scene.record(f"k{number}")
    await scene.record("beeping", beep=True)
    attribute, reason = await refused(scene.record("one more"))
    assert attribute is None
    assert str(MAX_RECORDINGS) in reason
    assert (await refused(scene.record("one more", beep=True)))[0] is None
    scene.leg.over.set()
    await turns()
    assert len(scene.call.recordings.running) == MAX_RECORDINGS


async def test_a_second_pause_and_a_resume_without_one_are_refused(scene: Scene) -> None:
    await scene.record()
    assert "not paused" in (await refused(scene.resume()))[1]
    await scene.pause()
    attribute, reason = await refused(scene.pause())
    assert attribute == "control_id"
    assert "paused already" in reason


async def test_a_rule_that_ended_it_before_the_pause_wins(scene: Scene) -> None:
    await scene.record(max_length=1.0)
    await turns()
    scene.leg.clock = scene.leg.placed = scene.leg.final = scene.leg.decided = 9000
    assert await not_there(scene.pause()) == "recording not found"
    await turns()
    assert scene.book.states[-1].stop_reason is StopReason.MAX_LENGTH


async def test_a_journal_that_cannot_be_made_is_our_fault(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise LocalError("no space left")

    monkeypatch.setattr(scene.call.capture, "start", full)
    with pytest.raises(LocalError, match="no space left"):
        await scene.record()
    assert not scene.call.recordings.running
    await scene.record(beep=True)
    scene.leg.over.set()
    assert await not_there(scene.stop()) == "recording not found"
    assert not scene.call.recordings.cued


# The beep.


async def test_it_begins_when_the_beep_is_over_and_its_id_is_taken_from_the_beep_on(
    scene: Scene,
) -> None:
    await scene.record(beep=True)
    await turns()
    assert len(scene.leg.played) == 1
    assert scene.states == []
    assert (await refused(scene.record()))[0] == "control_id"
    scene.leg.clock = 2400
    scene.leg.over.set()
    await turns()
    assert scene.states == [State.RECORDING]
    assert scene.book.states[0].span.start == 2400


async def test_commands_wait_for_the_end_of_the_beep(scene: Scene) -> None:
    await scene.record(beep=True)
    pausing = asyncio.create_task(scene.pause())
    await turns()
    stopping = asyncio.create_task(scene.stop())
    await turns()
    assert not pausing.done()
    scene.leg.over.set()
    await asyncio.gather(pausing, stopping)
    await turns()
    assert scene.states == [State.RECORDING, State.PAUSED, State.RENDERING]


async def test_an_impatient_application_does_not_cut_the_beep_short(scene: Scene) -> None:
    await scene.record(beep=True)
    stopping = asyncio.create_task(scene.stop())
    await turns()
    stopping.cancel()
    await turns()
    scene.leg.over.set()
    await turns()
    assert scene.states == [State.RECORDING]


async def test_a_call_that_ends_during_the_beep_was_not_recorded(scene: Scene) -> None:
    await scene.record(beep=True)
    stopping = asyncio.create_task(scene.stop())
    await turns()
    scene.call.over("bye")
    assert await not_there(stopping) == "recording not found"
    assert scene.states == []
    assert not scene.call.recordings.cued


# The end of the call.


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (EndReason.HANGUP, 480),
        (EndReason.CANCEL, 480),
        (EndReason.BUSY, 486),
        (EndReason.NO_ANSWER, 480),
        (EndReason.DECLINE, 603),
        (EndReason.ERROR, 500),
    ],
)
async def test_a_caller_who_was_not_answered_hears_the_reason(
    scene: Scene, reason: EndReason, status: int
) -> None:
    scene.call.answered = False
    call = await scene.say(EndCall(reason=reason))
    assert scene.said == [("reject", status)]
    assert (call.end_reason, call.ended_at is not None) == (reason.value, True)


async def test_a_call_that_is_up_ends_with_its_recordings(scene: Scene) -> None:
    await scene.record()
    await scene.say(EndCall(reason=EndReason.BUSY))
    assert scene.said == [("BYE", 0)]
    await turns()
    assert scene.book.states[-1].stop_reason is StopReason.HANGUP


# What is not about recordings.


def dialled(**changes: Any) -> DialCall:
    fields: dict[str, Any] = {
        "to": "sip:bob@example.com",
        "from_": "+4930",
        "source": Source_(DocumentSource(url="http://app/")),
        "timeout": 5.0,
    }
    return DialCall(**fields | changes)


class Switchboard:
    """Notes what is to be placed."""

    def __init__(self) -> None:
        self.placed: list[DialOrder] = []

    def place(self, order: DialOrder, script: Any) -> Any:
        self.placed.append(order)
        return SimpleNamespace(resource="placed")


async def test_a_number_is_called_through_its_trunk_with_the_credentials_given() -> None:
    board = Switchboard()
    own = Credentials("trunk", "secret")
    trunk = Trunk(uri=SipUri.parse("sip:carrier.example.com:5070"), credentials=own)
    services: Any = SimpleNamespace(
        trunk_for=lambda number: trunk, codecs=(PCMU, PCMA), encryption=Encryption.REQUIRED
    )
    commands = Commands(cast(Any, board), services)
    placed: Any = await commands.dial(dialled(to="+49 40 1"))
    assert placed == "placed"
    given = Credentials("u", "p")
    await commands.dial(dialled(to="+49 40 1", credentials=given, codecs=("G722", "PCMA")))
    first, second = board.placed
    assert str(first.target) == "sip:+49401@carrier.example.com:5070"
    assert str(first.from_) == "sip:+4930@carrier.example.com"
    assert (first.api, first.to, first.credentials) == (True, "+49 40 1", own)
    assert (second.credentials, second.codecs) == (given, ("PCMA",))
    assert second.encryption is Encryption.REQUIRED


async def test_what_cannot_be_called_or_spoken_is_refused_by_the_name_of_its_parameter() -> None:
    services: Any = SimpleNamespace(
        trunk_for=lambda number: None, codecs=(PCMU, PCMA), encryption=Encryption.OFF
    )
    commands = Commands(cast(Any, Switchboard()), services)
    attribute, why = await refused(commands.dial(dialled(to="+4940")))
    assert (attribute, "trunk" in why) == ("to", True)
    attribute, why = await refused(commands.dial(dialled(codecs=("OPUS",))))
    assert (attribute, "OPUS" in why) == ("codecs", True)


async def test_commands_for_calls_that_are_up_name_the_id_of_one_that_is_not_answered(
    scene: Scene,
) -> None:
    scene.call.answered = False
    source = Source_(DocumentSource(url="http://app/"))
    for order in (
        UpdateCall(source=source),
        UpdateCall(status=FinalStatus.COMPLETED),
        TransferCall(source=source),
        DisconnectCall(),
        ReferCall(order=ReferOrder(to="sip:a@b")),
    ):
        attribute, why = await refused(scene.say(order))
        assert attribute == "id"
        assert why
    assert not scene.call.ended
    await scene.say(UpdateCall(status=FinalStatus.CANCELED, source=source))
    assert scene.said == [("reject", 480)]


async def test_an_answered_call_is_completed_and_not_cancelled(scene: Scene) -> None:
    attribute, _ = await refused(scene.say(UpdateCall(status=FinalStatus.CANCELED)))
    assert attribute == "id"
    call = await scene.say(UpdateCall(status=FinalStatus.COMPLETED))
    assert scene.said == [("BYE", 0)]
    assert call.end_reason == "hangup"


async def test_two_that_are_not_joined_cannot_be_parted(scene: Scene) -> None:
    assert (await refused(scene.say(DisconnectCall())))[0] == "id"


# REFER.


class Referring:
    """A call whose far end is sent elsewhere."""

    def __init__(self, scene: Scene) -> None:
        self.call = scene.call
        self.call.session = cast(Any, "session")
        self.sent: list[tuple[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        signalling: Any = self.call.services.signalling
        signalling.refer = lambda session, to, credentials: self.sent.append((to, credentials))
        self.call.announcer = cast(Any, self)

    def say(self, event: str, params: dict[str, Any], url: str, stream: str) -> None:
        if event == "calling.call.refer":
            assert url == "http://app/refer"
            self.told.append(params)

    def hear(self, *events: tuple[type[Any], Any]) -> None:
        for kind, fields in events:
            self.call.referred(kind(cast(Any, "session"), 0.0, *fields))


ORDER = ReferOrder(to="sip:a@b", status_url="http://app/refer")


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (
            [(ReferAnswered, (202,)), (ReferProgressed, (180, False)),
             (ReferProgressed, (200, True))],
            [("inProgress", "202", None), ("success", "202", "200")],
        ),
        # Some tell the outcome before they have answered.
        ([(ReferProgressed, (486, True)), (ReferAnswered, (202,))], [("busy", None, "486")]),
        ([(ReferAnswered, (405,))], [("error", "405", None)]),
        (
            [(ReferAnswered, (202,)), (ReferProgressed, (480, True))],
            [("inProgress", "202", None), ("noAnswer", "202", "480")],
        ),
        (
            [(ReferAnswered, (202,)), (ReferProgressed, (503, True))],
            [("inProgress", "202", None), ("error", "202", "503")],
        ),
    ],
)  # fmt: skip
async def test_what_becomes_of_a_refer_is_told(
    scene: Scene, events: list[Any], told: list[tuple[str, str | None, str | None]]
) -> None:
    far_end = Referring(scene)
    await scene.say(ReferCall(order=ORDER))
    assert far_end.sent == [("<sip:a@b>", None)]
    assert (await refused(scene.say(ReferCall(order=ORDER))))[0] == "id"
    await turns()
    far_end.hear(*events)
    await turns()
    assert [
        (t["state"], t.get("sip_refer_response_code"), t.get("sip_notify_response_code"))
        for t in far_end.told
    ] == told
    assert {t["sip_refer_to"] for t in far_end.told} == {"sip:a@b"}
    assert scene.call.referral is None


async def test_a_call_that_ends_before_the_outcome_is_known_ends_the_refer(scene: Scene) -> None:
    far_end = Referring(scene)
    await scene.say(ReferCall(order=ORDER))
    await turns()
    far_end.hear((ReferAnswered, (202,)))
    scene.call.over("remote_bye")
    await turns()
    assert [t["state"] for t in far_end.told] == ["inProgress", "cancel"]


async def test_a_refer_that_cannot_be_sent_leaves_the_call_as_it_was(scene: Scene) -> None:
    Referring(scene)

    def fail(*_: Any, **__: Any) -> None:
        raise LocalError("a REFER needs an established session")

    signalling: Any = scene.call.services.signalling
    signalling.refer = fail
    attribute, why = await refused(scene.say(ReferCall(order=ORDER)))
    assert (attribute, "established" in why) == ("id", True)
    assert scene.call.referral is None
