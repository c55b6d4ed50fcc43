"""`connect`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...swml.actions import Connect
from .. import connecting

if TYPE_CHECKING:
    from ..performance import Performance


async def connect(performance: Performance, action: Connect) -> dict[str, Any]:
    """Call others until one answers, and stay joined with that one until it goes."""
    if not action.answer_on_bridge:
        await performance.pick_up()
    performance.let_time_pass()
    action = replace(action, ringback=performance.sources(action.ringback))
    return await connecting.connect(performance.call, action)
