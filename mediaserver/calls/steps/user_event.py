"""`user_event` (contract A8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...swml.actions import UserEvent

if TYPE_CHECKING:
    from ..performance import Performance


async def user_event(performance: Performance, action: UserEvent) -> dict[str, Any]:
    """Tell those who are told of the call, and of faults in the script; there may be nobody."""
    told = {"event": dict(action.event)}
    performance.call.watchers.tell("calling.user_event", told, also=performance.status_url)
    return {}
