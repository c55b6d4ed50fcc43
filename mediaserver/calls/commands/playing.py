"""Playing beside whatever else a call does: begun, paused, resumed, made louder, stopped."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ConflictError
from ...recording.resource import Direction
from ..ending import CallOver
from ..playback import Playback, PlayOrder
from .refusals import CommandRefused, NotThere
from .state import must_be_answered

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPlay:
    """Begin to play; what was played until then, and is not paused, is over."""

    order: PlayOrder
    """It has a control id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PausePlay:
    """Play nothing from now on, and keep the place."""

    control_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePlay:
    """Play on from there."""

    control_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeVolume:
    """Play louder or softer."""

    control_id: str
    volume: float
    """Gain in dB, of what is played and not of what it was before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPlay:
    """End a play."""

    control_id: str


async def start_play(call: Call, command: StartPlay) -> None:
    """See `StartPlay`. Whether there is anything to play is told by its callbacks."""
    must_be_answered(call)
    if command.order.direction is Direction.SPEAK and call.bridge is None:
        lonely = "direction must be 'listen' or 'both': the call is not joined to another one"
        raise CommandRefused(lonely, "direction")
    try:
        playback = call.playbacks.begin(command.order)
    except ConflictError as error:
        raise CommandRefused(str(error), "control_id") from None
    call.spawn(_see_through(playback))


async def pause_play(call: Call, command: PausePlay) -> None:
    """See `PausePlay`."""
    if not _running(call, command.control_id).pause():
        raise CommandRefused(f"control_id {command.control_id!r} is paused already", "control_id")


async def resume_play(call: Call, command: ResumePlay) -> None:
    """See `ResumePlay`."""
    if not _running(call, command.control_id).resume():
        raise CommandRefused(f"control_id {command.control_id!r} is not paused", "control_id")


async def change_volume(call: Call, command: ChangeVolume) -> None:
    """See `ChangeVolume`."""
    _running(call, command.control_id).change_volume(command.volume)


async def stop_play(call: Call, command: StopPlay) -> None:
    """See `StopPlay`."""
    _running(call, command.control_id).stop()


def _running(call: Call, control_id: str) -> Playback:
    playback = call.playbacks.get(control_id)
    if playback is None:
        raise NotThere("play")
    return playback


async def _see_through(playback: Playback) -> None:
    with suppress(CallOver):
        await playback.run()
