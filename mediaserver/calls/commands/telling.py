"""Events of an application's own, told to whoever follows a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class TellEvent:
    """Tell those who are told of the call's states, if anybody is, of an event."""

    event: Mapping[str, Any]


async def tell_event(call: Call, command: TellEvent) -> None:
    """See `TellEvent`."""
    call.watchers.tell("calling.user_event", {"event": dict(command.event)})
