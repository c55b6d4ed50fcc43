"""`join_conference`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...swml.actions import JoinConference
from ...swml.errors import Code, ScriptError

if TYPE_CHECKING:
    from ..performance import Performance


async def join_conference(performance: Performance, action: JoinConference) -> dict[str, Any]:
    """Be a member of a conference until that is over."""
    if action.stream is not None:
        message = "join_conference.stream is not carried out by this server"
        raise ScriptError(Code.METHOD_EXECUTE_FAILED, "", message)
    await performance.pick_up()
    performance.let_time_pass()
    call = performance.call
    return await call.services.conferences.join(call, action)
