"""What an application may ask of a call that is up, whichever API it asks by (contract A4)."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ..audio.tones import beep
from ..errors import ConflictError, PeerError
from ..recording.resource import PauseBehavior
from .recording import ActiveRecording, RecordingOrder
from .resource import CallRecord

if TYPE_CHECKING:
    from .call import Call
    from .registry import Registry


class EndReason(StrEnum):
    """Why an application ends a call, as the REST API spells it (contracts A4, D14)."""

    HANGUP = "hangup"
    CANCEL = "cancel"
    BUSY = "busy"
    NO_ANSWER = "noAnswer"
    DECLINE = "decline"
    ERROR = "error"


_REFUSALS: Final = MappingProxyType(
    {EndReason.BUSY: 486, EndReason.DECLINE: 603, EndReason.ERROR: 500}
)
"""What a caller who was not answered yet is told; 480 for the other reasons."""


class NotThere(PeerError):
    """There is no such call, or no such recording runs on it."""

    def __init__(self, what: str) -> None:
        super().__init__(404, f"{what} not found")


class CommandRefused(PeerError):
    """The call is there, but what was asked of it cannot be done as things stand."""

    def __init__(self, reason: str, attribute: str | None = None) -> None:
        """`attribute` names the parameter that would have to be another."""
        super().__init__(422, reason)
        self.attribute = attribute


class Commands:
    """Carries commands out. Each returns the call; raises NotThere, CommandRefused, LocalError."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def record(self, call_id: str, order: RecordingOrder, *, beep_first: bool) -> CallRecord:
        """Begin a recording, or the beep that goes before it; the order has a control id.

        What the call's route says of recordings, and the longest that any may be, is added here.
        """
        call = self._find(call_id)
        if not call.answered or call.media is None:
            raise CommandRefused("the call has not been answered yet", "id")
        if order.control_id is not None and call.recordings.knows(order.control_id):
            taken = f"control_id {order.control_id!r} is in use: its recording runs on this call"
            raise CommandRefused(taken, "control_id")
        longest = call.services.max_recording
        rules = replace(order.rules, max_length=min(order.rules.max_length or longest, longest))
        order = replace(order, rules=rules, policy=call.policy)
        try:
            if beep_first:
                call.record_after(beep(call.media.rate), order)
            else:
                call.record_along(order)
        except ConflictError as error:
            raise CommandRefused(str(error)) from None
        return call.resource

    async def pause(self, call_id: str, control_id: str, behavior: PauseBehavior) -> CallRecord:
        """Record nothing from now on."""
        call = self._find(call_id)
        active = await self._active(call, control_id)
        if not active.pause(behavior):
            raise _refused(active, f"recording {control_id!r} is paused already")
        return call.resource

    async def resume(self, call_id: str, control_id: str) -> CallRecord:
        """Record again."""
        call = self._find(call_id)
        active = await self._active(call, control_id)
        if not active.resume():
            raise _refused(active, f"recording {control_id!r} is not paused")
        return call.resource

    async def stop(self, call_id: str, control_id: str) -> CallRecord:
        """End a recording."""
        call = self._find(call_id)
        active = await self._active(call, control_id)
        if not active.stop():
            raise NotThere("recording")
        return call.resource

    async def end(self, call_id: str, reason: EndReason) -> CallRecord:
        """End a call."""
        call = self._find(call_id)
        call.hang_up(reason.value, status=_REFUSALS.get(reason, 480))
        ended_at = int(call.services.clock.time() * 1e6)
        return replace(call.resource, ended_at=ended_at, end_reason=reason.value)

    def _find(self, call_id: str) -> Call:
        call = self._registry.find(call_id)
        if call is None or call.ended:
            raise NotThere("call")
        return call

    async def _active(self, call: Call, control_id: str) -> ActiveRecording:
        """Return a recording that runs, once the beep before it is over."""
        active = await call.recordings.cue_over(control_id) or call.recordings.get(control_id)
        if active is None:
            raise NotThere("recording")
        return active


def _refused(active: ActiveRecording, why: str) -> PeerError:
    """Return the error for a recording that takes no command, or not this one."""
    return NotThere("recording") if active.over else CommandRefused(why, "control_id")
