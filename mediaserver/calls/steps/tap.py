"""`tap`, `stop_tap` (contract A8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...recording.resource import Direction
from ...swml.actions import StopTap, Tap
from ..tapping import TapOrder, parse_rtp

if TYPE_CHECKING:
    from ..performance import Performance


async def tap(performance: Performance, action: Tap) -> dict[str, Any]:
    """Send a copy of the call's audio away, beside the script."""
    await performance.pick_up()
    if parse_rtp(action.uri) is None:  # a WebSocket has to be connected first
        performance.let_time_pass()
    call = performance.call
    order = TapOrder(
        uri=action.uri,
        control_id=action.control_id,
        direction=Direction(action.direction),
        codec=action.codec,
        ptime=action.ptime,
        status_url=action.status_url,
    )
    return await call.outputs.start_tap(call, order)


async def stop_tap(performance: Performance, action: StopTap) -> dict[str, Any]:
    """Stop the tap named, or else the one that was begun last."""
    stopped = performance.call.outputs.stop_tap(action.control_id)
    return {"stop_tap_result": "success" if stopped else "failed"}
