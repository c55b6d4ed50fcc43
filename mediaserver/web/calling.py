"""`POST /api/calling/calls`: commands to calls that are up, and the errors they have (contract A4).

A command is looked at as a whole before any of it is done: what is wrong with it is said at once,
for every parameter, in the one answer.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final, Protocol

from aiohttp import web

from mediaserver.calls.commands import CommandRefused, EndReason
from mediaserver.calls.recording import RecordingOrder
from mediaserver.calls.resource import CallRecord
from mediaserver.recording.resource import PauseBehavior

from .body import read_object
from .command import Command, End, Fault, Faulty, Pause, Record, Resume, Stop, read_command
from .errors import ApiError
from .views import timestamp

ERROR_CODES: Final = "https://signalwire.com/docs/apis/error-codes"
"""What the contract names beside every fault."""


class CallControl(Protocol):
    """Whoever carries commands out. Each returns the call; raises `PeerError`, `LocalError`."""

    async def record(self, call_id: str, order: RecordingOrder, *, beep_first: bool) -> CallRecord:
        """Begin a recording, or the beep before it."""

    async def pause(self, call_id: str, control_id: str, behavior: PauseBehavior) -> CallRecord:
        """Pause a recording."""

    async def resume(self, call_id: str, control_id: str) -> CallRecord:
        """Go on with a recording."""

    async def stop(self, call_id: str, control_id: str) -> CallRecord:
        """End a recording."""

    async def end(self, call_id: str, reason: EndReason) -> CallRecord:
        """End a call."""


class Unprocessable(ApiError):
    """A command with faults in it, 422."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(422, "; ".join(fault.message for fault in faults))
        self.faults = faults


class CallingRoutes:
    """The handlers. Keys are checked before they run."""

    def __init__(self, calls: CallControl) -> None:
        self._calls = calls

    async def command(self, request: web.Request) -> web.Response:
        """Carry out the command in the body."""
        try:
            call_id, command = read_command(await read_object(request))
        except Faulty as error:
            raise Unprocessable(error.faults) from None
        try:
            call = await self._carry_out(call_id, command)
        except CommandRefused as error:
            raise Unprocessable((Fault(error.reason, error.attribute),)) from None
        return web.json_response(call_view(call), headers={"Cache-Control": "no-store"})

    async def _carry_out(self, call_id: str, command: Command) -> CallRecord:
        match command:
            case Record():
                beep = command.record.audio.beep
                return await self._calls.record(call_id, command.order(), beep_first=beep)
            case Pause():
                behavior = PauseBehavior(command.behavior)
                return await self._calls.pause(call_id, command.control_id, behavior)
            case Resume():
                return await self._calls.resume(call_id, command.control_id)
            case Stop():
                return await self._calls.stop(call_id, command.control_id)
            case End():
                return await self._calls.end(call_id, EndReason(command.reason))


def call_view(call: CallRecord) -> dict[str, Any]:
    """Return the JSON object of a call. Nothing is charged; what is not known is null."""
    lasted = None
    if call.ended_at is not None and call.answered_at is not None:
        lasted = max(0, call.ended_at - call.answered_at) // 1000
    return {
        "id": call.id,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "source": "realtime_api",
        "url": None,
        "charge": 0,
        "created_at": timestamp(call.created_at),
        "charge_details": [],
        "status": _status(call),
        "duration": None if lasted is None else lasted // 1000,
        "duration_ms": lasted,
        "billing_ms": None,
        "type": "relay_sip_call",
        "parent_id": None,
    }


def _status(call: CallRecord) -> str:
    if call.ended_at is not None:
        return "ended"
    return "created" if call.answered_at is None else "answered"


def calling_error(error: ApiError) -> bytes:
    """Be the `Shape` of this API: the name of the status, or a list of faults with 422."""
    if not isinstance(error, Unprocessable):
        return json.dumps({"error": HTTPStatus(error.status).phrase}).encode()
    faults = [
        {
            "type": "validation_error",
            "code": fault.code,
            "message": fault.message,
            "attribute": fault.attribute,
            "url": ERROR_CODES,
        }
        for fault in error.faults
    ]
    return json.dumps({"errors": faults}).encode()
