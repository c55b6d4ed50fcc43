"""Conferences: calls that all hear each other (contract A8 `join_conference`).

A conference is there as long as it has members. Until one comes that starts it, they wait and do
not hear each other. What is true of all of it (its recording, its stream, who is told of it) is
what the first member that says anything about it says; later ones are not asked.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from ..audio.tones import beep, sine
from ..errors import LocalError
from ..recording.resource import Span
from .announcer import Announcer
from .conference_recording import ConferenceRecording
from .conference_stream import ConferenceStream
from .ending import CallOver
from .ports import MediaLeg
from .waiting import wait_for_start

if TYPE_CHECKING:
    from ..swml.actions import JoinConference
    from .call import Call

MAX_MEMBERS: Final = 1000
"""Members of one conference, whatever `max_participants` says: what a tick of 20 ms bears."""

MAX_NAME: Final = 256
"""Letters in the name of a conference."""

EXIT_HZ: Final = 500.0
"""The tone that tells that somebody has left is an octave lower than the beep."""

EVENTS: Final = {
    "conference-start": "start",
    "conference-end": "end",
    "participant-join": "join",
    "participant-leave": "leave",
    "participant-mute": "mute",
    "participant-hold": "hold",
    "participant-unhold": "hold",
}
"""What is told of a conference, and what `status_callback_event` calls it."""

LAST_LEFT: Final = "last-participant-left"
ENDED_BY_EXIT: Final = "participant-with-end-conference-on-exit-left"

log = structlog.get_logger(__name__)


class NotJoined(Exception):
    """A call may not become a member; says why."""


@dataclass(eq=False, slots=True)
class Member:
    """A call in a conference."""

    call: Call
    order: JoinConference
    leg: MediaLeg
    held: bool
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the conference has started."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the stay is over."""

    @property
    def facts(self) -> dict[str, Any]:
        """What is told of it in participant events."""
        return {
            "muted": self.order.muted,
            "hold": self.held,
            "start_on_join": self.order.start_on_enter,
            "end_on_leave": self.order.end_on_exit,
            "coaching": self.order.coach is not None,
        }


class Conference:
    """One conference, from its first member to its last."""

    def __init__(self, opener: Call, order: JoinConference) -> None:
        self.id = str(uuid.uuid4())
        self.name = order.name
        self.project_id = opener.envelope.project_id
        self.members: dict[str, Member] = {}
        """By the ids of their calls, in the order they came."""
        self.started = False
        self.ended = False
        self.recording: ConferenceRecording | None = None
        self.stream: ConferenceStream | None = None
        self._opener = opener
        self._host = opener
        self._order = order
        self._mix = opener.services.media.open_mix()
        self._mix.on_hold = self._on_hold
        self._listener: tuple[Announcer, JoinConference] | None = None
        self._recorder = self._announcer(opener)

    def enter(self, call: Call, order: JoinConference) -> Member:
        """Make a call a member; NotJoined when it cannot be one."""
        self._check(order)
        assert call.media is not None
        agreed = call.media.session
        held = agreed is not None and agreed.held
        member = Member(call, order, call.media, held)
        self.members[call.id] = member
        self._host = call
        if self._listener is None and order.status_callback:
            self._listener = self._announcer(call), order
        if self.stream is None and order.stream is not None:
            self.stream = ConferenceStream(call, order.stream, self._mix)
        self._tell("participant-join", member, member.facts)
        if order.muted:
            self._tell("participant-mute", member, member.facts)
        if self.started:
            self._mix_in(member)
        elif order.start_on_enter:
            self._start(member)
        if self.started and order.beep in {"true", "onEnter"}:
            self._mix.play(beep(member.leg.rate))
        return member

    def leave(self, member: Member) -> None:
        """End a member's stay, unless it is over; the conference may end with it."""
        if self.members.get(member.call.id) is not member:
            return
        self._host = member.call
        self._let_go(member)
        if member.order.end_on_exit:
            for other in list(self.members.values()):
                self._let_go(other)
            self._end(member, ENDED_BY_EXIT)
        elif not self.members:
            self._end(member, LAST_LEFT)
        elif member.order.beep in {"true", "onExit"}:
            self._mix.play(sine((EXIT_HZ,), 0.3, member.leg.rate))

    def _check(self, order: JoinConference) -> None:
        most = min(self._order.max_participants, order.max_participants, MAX_MEMBERS)
        if len(self.members) >= most:
            raise NotJoined(f"max_participants: {self.name!r} has {len(self.members)} members")
        if order.coach is not None and not (self.started and order.coach in self.members):
            raise NotJoined(f"coach: the call {order.coach!r} is not talking in {self.name!r}")

    def _start(self, starter: Member) -> None:
        self.started = True
        if self._order.record == "record-from-start":
            self._record()
        for member in self.members.values():
            self._mix_in(member)
        self._tell("conference-start", starter)

    def _mix_in(self, member: Member) -> None:
        self._mix.add(member.leg, muted=member.order.muted)
        coached = self.members.get(member.order.coach or "")
        if coached is not None:
            self._mix.coach(member.leg, coached.leg)
        member.begun.set()

    def _record(self) -> None:
        try:
            self.recording = ConferenceRecording(
                self._opener, self._order, self._mix.line(), self._tell_recording
            )
        except LocalError as error:
            log.error("conference not recorded", conference_id=self.id, error=str(error))

    def _let_go(self, member: Member) -> None:
        del self.members[member.call.id]
        self._mix.remove(member.leg)
        member.left.set()
        self._tell("participant-leave", member, member.facts)

    def _end(self, last: Member, reason: str) -> None:
        self.ended = True
        self._mix.close()
        if self.stream is not None:
            self.stream.end()
            last.call.spawn(self.stream.finished())
        ended: dict[str, Any] = {"reason_ended": reason, "call_id_ending_conf": last.call.id}
        if self.recording is not None:
            ended |= self.recording.end()
            last.call.spawn(self.recording.finished())
        self._tell("conference-end", last, ended)

    def _on_hold(self, leg: MediaLeg, held: bool) -> None:
        for member in self.members.values():
            if member.leg is leg:
                member.held = held
                self._tell(
                    "participant-hold" if held else "participant-unhold", member, member.facts
                )

    def _tell(self, status: str, member: Member, facts: dict[str, Any] | None = None) -> None:
        """Tell whoever wanted to know of it."""
        if self._listener is None:
            return
        announcer, order = self._listener
        wanted = order.status_callback_event
        if order.status_callback and (not wanted or EVENTS[status] in wanted):
            params = self._params(status, member.call) | (facts or {})
            announcer.say(
                "calling.conference",
                params,
                order.status_callback,
                self.id,
                order.status_callback_method,
            )

    def _tell_recording(self, event: str, status: str, facts: dict[str, Any]) -> None:
        """Tell of the conference's recording; `event` is as `recording_status_callback_event`."""
        order = self._order
        wanted = order.recording_status_callback_event
        if order.recording_status_callback and (not wanted or event in wanted):
            params = self._params(status, self._opener) | facts
            self._recorder.say(
                "calling.conference",
                params,
                order.recording_status_callback,
                f"{self.id}-record",
                order.recording_status_callback_method,
            )

    def _params(self, status: str, call: Call) -> dict[str, Any]:
        params: dict[str, Any] = {
            "call_id": call.id,
            "name": self.name,
            "conference_id": self.id,
            "status": status,
            "size": len(self.members),
        }
        if self._order.region is not None:
            params["region"] = self._order.region
        return params

    def _announcer(self, call: Call) -> Announcer:
        services = call.services
        return Announcer(services.outbox, call.envelope, call.id, services.clock, self._spawn)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what is said to its end, with a call that is still there or has just gone."""
        host = next(iter(self.members.values()), None)
        return (self._host if host is None else host.call).spawn(work)


class Conferences:
    """All conferences of the server, by project and name."""

    def __init__(self) -> None:
        self._conferences: dict[tuple[str, str], Conference] = {}
        self._recorded: set[Conference] = set()
        """Those that are over, but for their recordings."""
        self._stays: dict[str, tuple[Conference, Member]] = {}

    def __len__(self) -> int:
        return len(self._conferences)

    async def join(self, call: Call, order: JoinConference) -> dict[str, Any]:
        """Let an answered call be a member until it leaves; return the variables.

        CallOver when the call ends meanwhile, or before.
        """
        try:
            conference, member = self._enter(call, order)
        except (NotJoined, LocalError) as error:
            call.log.warning("conference not joined", error=str(error))
            return _result("failed")
        try:
            await self._stay(member)
        finally:
            self._leave(conference, member)
        return _result("completed")

    def leave(self, call: Call) -> bool:
        """End a call's stay; False if it is in no conference. Its `join` returns then."""
        stay = self._stays.get(call.id)
        if stay is not None:
            self._leave(*stay)
        return stay is not None

    def recording(self, call: Call, id: str) -> ConferenceRecording | None:
        """Return what is recorded of the conference that a call is in, by either of its ids."""
        stay = self._stays.get(call.id)
        recording = None if stay is None else stay[0].recording
        return recording if recording is not None and recording.is_called(id) else None

    def stop_stream(self, call: Call, control_id: str) -> bool:
        """End the stream of the conference that a call is in; False if there is none so called."""
        stay = self._stays.get(call.id)
        stream = None if stay is None else stay[0].stream
        return stream is not None and stream.stop(control_id)

    def journals_in_use(self) -> dict[str, list[Span]]:
        """Return the journals of recorded conferences, as `Registry.journals_in_use` does."""
        found: dict[str, list[Span]] = {}
        for conference in (*self._conferences.values(), *self._recorded):
            if conference.recording is not None:
                found[conference.recording.folder] = conference.recording.unsettled
        return found

    def _enter(self, call: Call, order: JoinConference) -> tuple[Conference, Member]:
        if call.ended:
            raise CallOver
        if not 0 < len(order.name) <= MAX_NAME:
            raise NotJoined(f"name: a conference has one of 1 to {MAX_NAME} letters")
        if call.id in self._stays:
            raise NotJoined("the call is in a conference")
        key = call.envelope.project_id, order.name
        conference = self._conferences.get(key)
        if conference is None:
            if order.coach is not None:
                raise NotJoined(f"coach: there is no conference {order.name!r}")
            conference = self._conferences[key] = Conference(call, order)
        member = conference.enter(call, order)
        self._stays[call.id] = conference, member
        return conference, member

    async def _stay(self, member: Member) -> None:
        call = member.call
        if not member.begun.is_set():
            playing = asyncio.ensure_future(wait_for_start(call, member.order.wait_url))
            begins = (
                asyncio.ensure_future(member.begun.wait()),
                asyncio.ensure_future(member.left.wait()),
            )
            try:
                await call.unless_over(_first(playing, *begins))
            finally:
                for task in (playing, *begins):
                    task.cancel()
                fault, *_ = await asyncio.gather(playing, *begins, return_exceptions=True)
            if isinstance(fault, Exception):
                call.log.error("hold music failed", exc_info=fault)
        await call.unless_over(member.left.wait())

    def _leave(self, conference: Conference, member: Member) -> None:
        conference.leave(member)
        if self._stays.get(member.call.id) == (conference, member):
            del self._stays[member.call.id]
        if not conference.ended:
            return
        key = conference.project_id, conference.name
        if self._conferences.get(key) is conference:
            del self._conferences[key]
            if conference.recording is not None:
                self._recorded.add(conference)
                conference.recording.when_finished(lambda: self._recorded.discard(conference))


async def _first(*tasks: asyncio.Future[Any]) -> None:
    """Wait until one of `tasks` is over."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def _result(result: str) -> dict[str, Any]:
    return {"join_conference_result": result, "return_value": result}
