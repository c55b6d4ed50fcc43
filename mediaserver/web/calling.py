"""`POST /api/calling/calls`: commands to calls that are up, and the errors they have (contract A4).

A command is looked at as a whole before any of it is done: what is wrong with it is said at once,
for every parameter, in the one answer.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final, Protocol

from aiohttp import web

from mediaserver.calls.commands import CommandRefused
from mediaserver.calls.commands.dialling import DialCall
from mediaserver.calls.resource import CallRecord

from .body import read_object
from .calls import call_view
from .commands.fault import Fault, Faulty, Unprocessable
from .commands.request import read_command
from .errors import ApiError

ERROR_CODES: Final = "https://signalwire.com/docs/apis/error-codes"
"""What the contract names beside every fault."""


class CallControl(Protocol):
    """Whoever carries commands out. Each returns the call; raises `PeerError`, `LocalError`."""

    async def dial(self, order: DialCall) -> CallRecord:
        """Place a call."""

    async def carry_out(self, call_id: str, order: Any) -> CallRecord:
        """Do to a call what an order of `mediaserver.calls.commands` says."""


class CallingRoutes:
    """The handlers. Keys are checked before they run."""

    def __init__(self, calls: CallControl) -> None:
        self._calls = calls

    async def command(self, request: web.Request) -> web.Response:
        """Carry out the command in the body."""
        try:
            call_id, order = read_command(await read_object(request))
        except Faulty as error:
            raise Unprocessable(error.faults) from None
        try:
            if call_id is None:
                call = await self._calls.dial(order)
            else:
                call = await self._calls.carry_out(call_id, order)
        except CommandRefused as error:
            raise Unprocessable((Fault(error.reason, error.attribute),)) from None
        return web.json_response(call_view(call), headers={"Cache-Control": "no-store"})


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
