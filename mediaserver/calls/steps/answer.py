"""`answer`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...swml.actions import Answer

if TYPE_CHECKING:
    from ..performance import Performance


async def answer(performance: Performance, action: Answer) -> dict[str, Any]:
    """Answer the call; it is ended after `max_duration`."""
    await performance.pick_up(action.codecs)
    if performance.deadline is None:
        performance.deadline = asyncio.get_running_loop().call_later(
            action.max_duration, performance.call.hang_up, "max_duration"
        )
    return {}
