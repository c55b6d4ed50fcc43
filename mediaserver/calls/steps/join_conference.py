"""`join_conference`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...swml.actions import JoinConference

if TYPE_CHECKING:
    from ..performance import Performance


async def join_conference(performance: Performance, action: JoinConference) -> dict[str, Any]:
    """Be a member of a conference until that is over."""
    await performance.pick_up()
    performance.let_time_pass()
    call = performance.call
    return await call.services.conferences.join(call, action)
