"""`play`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...swml.actions import Play
from ..playback import PlayOrder

if TYPE_CHECKING:
    from ..performance import Performance


async def play(performance: Performance, action: Play) -> dict[str, Any]:
    """Play to the caller; before the call is answered, if that is wanted and can be.

    What cannot be played is told, and the script goes on.
    """
    if action.auto_answer or not performance.call.ring_early():
        await performance.pick_up()
    performance.let_time_pass()
    sources = performance.spoken(action)
    order = PlayOrder(sources=sources, volume=action.volume, status_url=action.status_url)
    await performance.call.playbacks.play(order)
    return {}
