"""Finding out who is at the far end, or which key it presses, beside whatever else a call does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ConflictError
from ..detection import DetectOrder, begin, find
from .refusals import CommandRefused, NotThere
from .state import must_be_answered

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDetection:
    """Begin a detection."""

    order: DetectOrder
    """It has a control id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDetection:
    """End a detection."""

    control_id: str


async def start_detection(call: Call, command: StartDetection) -> None:
    """See `StartDetection`."""
    must_be_answered(call)
    try:
        begin(call, command.order)
    except ConflictError as error:
        raise CommandRefused(str(error), "control_id") from None


async def stop_detection(call: Call, command: StopDetection) -> None:
    """See `StopDetection`."""
    detection = find(call, command.control_id)
    if detection is None or not detection.stop():
        raise NotThere("detection")
