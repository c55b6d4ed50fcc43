"""Collecting the keys that are pressed, beside whatever else a call does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ConflictError
from ..collecting import Collecting, CollectOrder
from .refusals import CommandRefused, NotThere
from .state import must_be_answered

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCollect:
    """Begin to collect; one is made on a call at a time."""

    order: CollectOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInputTimers:
    """Let the time for the first key run."""

    control_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCollect:
    """Collect no more."""

    control_id: str


async def start_collect(call: Call, command: StartCollect) -> None:
    """See `StartCollect`."""
    must_be_answered(call)
    try:
        collecting = Collecting(call, command.order)
    except ConflictError as error:
        raise CommandRefused(str(error), "control_id") from None
    call.spawn(collecting.run())


async def start_input_timers(call: Call, command: StartInputTimers) -> None:
    """See `StartInputTimers`."""
    _running(call, command.control_id).start_timers()


async def stop_collect(call: Call, command: StopCollect) -> None:
    """See `StopCollect`."""
    _running(call, command.control_id).stop()


def _running(call: Call, control_id: str) -> Collecting:
    collecting = call.collecting
    if collecting is None or collecting.order.control_id != control_id:
        raise NotThere("collect")
    return collecting
