"""`sleep`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...swml.actions import Sleep

if TYPE_CHECKING:
    from ..performance import Performance


async def sleep(performance: Performance, action: Sleep) -> dict[str, Any]:
    """Wait; without a duration until the call ends."""
    performance.let_time_pass()
    if action.seconds is None:
        await performance.call.wait_over()
    await performance.call.unless_over(asyncio.sleep(action.seconds or 0.0))
    return {}
