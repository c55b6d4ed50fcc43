"""Recordings beside whatever else a call does: begun, paused, resumed, stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ...audio.tones import beep
from ...errors import ConflictError, PeerError
from ...recording.resource import PauseBehavior
from ..conference_recording import ConferenceRecording
from ..floor import play_briefly
from ..recording import ActiveRecording
from ..recording_order import RecordingOrder
from .refusals import CommandRefused, NotThere
from .state import must_be_answered

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecording:
    """Begin a recording, or the beep that goes before it."""

    order: RecordingOrder
    """It has a control id."""
    beep_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRecording:
    """Record nothing from now on."""

    control_id: str
    behavior: PauseBehavior


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRecording:
    """Record again."""

    control_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecording:
    """End a recording."""

    control_id: str


async def start_recording(call: Call, command: StartRecording) -> None:
    """See `StartRecording`.

    What the call's route says of recordings, and the longest that any may be, is added here.
    """
    media = must_be_answered(call)
    order = command.order
    if order.control_id is not None and call.recordings.knows(order.control_id):
        taken = f"control_id {order.control_id!r} is in use: its recording runs on this call"
        raise CommandRefused(taken, "control_id")
    longest = call.services.max_recording
    rules = replace(order.rules, max_length=min(order.rules.max_length or longest, longest))
    order = replace(order, rules=rules, policy=call.policy)
    try:
        if command.beep_first:
            tone = partial(play_briefly, call, beep(media.rate))
            call.recordings.record_after(tone, order)
        else:
            call.recordings.record_along(order)
    except ConflictError as error:
        raise CommandRefused(str(error)) from None


async def pause_recording(call: Call, command: PauseRecording) -> None:
    """See `PauseRecording`."""
    active = await _active(call, command.control_id)
    if not active.pause(command.behavior):
        raise _refused(active, f"recording {command.control_id!r} is paused already")


async def resume_recording(call: Call, command: ResumeRecording) -> None:
    """See `ResumeRecording`."""
    active = await _active(call, command.control_id)
    if not active.resume():
        raise _refused(active, f"recording {command.control_id!r} is not paused")


async def stop_recording(call: Call, command: StopRecording) -> None:
    """See `StopRecording`."""
    active = await _active(call, command.control_id)
    if not active.stop():
        raise NotThere("recording")


async def _active(call: Call, control_id: str) -> ActiveRecording | ConferenceRecording:
    """Return a recording that runs, once the beep before it is over.

    That of the conference the call is in is known by its own id, too: it was not told another.
    """
    active = await call.recordings.cue_over(control_id) or call.recordings.get(control_id)
    if active is not None:
        return active
    conference = call.services.conferences.recording(call, control_id)
    if conference is None:
        raise NotThere("recording")
    return conference


def _refused(active: ActiveRecording | ConferenceRecording, why: str) -> PeerError:
    """Return the error for a recording that takes no command, or not this one."""
    return NotThere("recording") if active.over else CommandRefused(why, "control_id")
