"""One conference: calls that all hear each other (contract A8 `join_conference`).

It is there as long as it has members. Until one comes that starts it, they wait and do not hear
each other. What is true of all of it (its recording, its stream, who is told of it) is
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
from .conference_recording import ConferenceRecording
from .conference_stream import ConferenceStream
from .conference_watchers import ConferenceWatchers
from .ports import MediaLeg

if TYPE_CHECKING:
    from ..swml.actions import JoinConference
    from .call import Call

MAX_MEMBERS: Final = 1000
"""Members of one conference, whatever `max_participants` says: what a tick of 20 ms bears."""

EXIT_HZ: Final = 500.0
"""The tone that tells that somebody has left is an octave lower than the beep."""

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
        self._watchers = ConferenceWatchers(
            self.id, opener, order, self.members.__len__, self._spawn
        )

    def enter(self, call: Call, order: JoinConference) -> Member:
        """Make a call a member; NotJoined when it cannot be one."""
        self._check(order)
        assert call.media is not None
        agreed = call.media.session
        held = agreed is not None and agreed.held
        member = Member(call, order, call.media, held)
        self.members[call.id] = member
        self._host = call
        self._watchers.add(call, order)
        if self.stream is None and order.stream is not None:
            self.stream = ConferenceStream(call, order.stream, self._mix)
        self._tell("participant-join", member)
        if order.muted:
            self._tell("participant-mute", member)
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
        self._watchers.tell("conference-start", starter.call, {})

    def _mix_in(self, member: Member) -> None:
        self._mix.add(member.leg, muted=member.order.muted)
        coached = self.members.get(member.order.coach or "")
        if coached is not None:
            self._mix.coach(member.leg, coached.leg)
        member.begun.set()

    def _record(self) -> None:
        try:
            self.recording = ConferenceRecording(
                self._opener, self._order, self._mix.line(), self._watchers.tell_recording
            )
        except LocalError as error:
            log.error("conference not recorded", conference_id=self.id, error=str(error))

    def _let_go(self, member: Member) -> None:
        del self.members[member.call.id]
        self._mix.remove(member.leg)
        member.left.set()
        self._tell("participant-leave", member)

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
        self._watchers.tell("conference-end", last.call, ended)

    def _on_hold(self, leg: MediaLeg, held: bool) -> None:
        for member in self.members.values():
            if member.leg is leg:
                member.held = held
                self._tell("participant-hold" if held else "participant-unhold", member)

    def _tell(self, status: str, member: Member) -> None:
        """Tell what became of a participant."""
        self._watchers.tell(status, member.call, member.facts)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what is said to its end, with a call that is still there or has just gone."""
        host = next(iter(self.members.values()), None)
        return (self._host if host is None else host.call).spawn(work)
