"""Copies of a call's audio that go away while it is spoken: taps, begun and ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...audio.live_codec import frame_of
from ...errors import ConflictError, PeerError
from ..ending import CallOver
from ..tapping import TapOrder
from .refusals import CommandRefused, NotThere, conflicting
from .state import must_be_answered

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTap:
    """Begin a tap."""

    order: TapOrder
    """It has a control id."""
    codec: str | None = None
    """Instead of the order's; None: what is spoken on the call."""
    ptime: int | None = None
    """Milliseconds, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTap:
    """End a tap."""

    control_id: str


async def start_tap(call: Call, command: StartTap) -> None:
    """See `StartTap`; the answer waits for a WebSocket to be connected."""
    session = must_be_answered(call).session
    spoken = session.send_codec.name if session is not None else "PCMU"
    codec = command.codec or spoken
    usual = frame_of(codec, None if session is None else session.ptime)
    order = replace(command.order, codec=codec, ptime=command.ptime or usual)
    try:
        await call.outputs.begin_tap(call, order)
    except ConflictError as error:
        raise conflicting(error) from None
    except PeerError as error:
        raise CommandRefused(f"device cannot be sent to: {error.reason}", "device") from None
    except CallOver:
        raise NotThere("call") from None


async def stop_tap(call: Call, command: StopTap) -> None:
    """See `StopTap`."""
    if not call.outputs.stop_tap(command.control_id):
        raise NotThere("tap")
