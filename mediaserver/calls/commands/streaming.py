"""A call's audio in messages over a WebSocket: streams, begun and ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...errors import ConflictError, PeerError
from ..ending import CallOver
from ..streaming import StreamOrder
from .refusals import CommandRefused, NotThere, conflicting
from .state import must_be_answered

if TYPE_CHECKING:
    from ..call import Call

_NAMED: Final = ("authorization_bearer_token", "codec", "custom_parameters")
"""Parameters that a refusal begins with when it is about them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartStream:
    """Begin a stream."""

    order: StreamOrder
    """It has a control id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStream:
    """End a stream of the call, or that of the conference it is in."""

    control_id: str


async def start_stream(call: Call, command: StartStream) -> None:
    """See `StartStream`; the answer waits for the WebSocket to be connected."""
    must_be_answered(call)
    try:
        await call.outputs.begin_stream(call, command.order)
    except ConflictError as error:
        raise conflicting(error) from None
    except PeerError as error:
        name, _, _ = error.reason.partition(":")
        if name in _NAMED:
            raise CommandRefused(error.reason, name) from None
        raise CommandRefused(f"url cannot be connected to: {error.reason}", "url") from None
    except CallOver:
        raise NotThere("call") from None


async def stop_stream(call: Call, command: StopStream) -> None:
    """See `StopStream`."""
    if call.outputs.stop_stream(command.control_id):
        return
    if not call.services.conferences.stop_stream(call, command.control_id):
        raise NotThere("stream")
