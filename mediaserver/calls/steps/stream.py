"""`stream`, `stop_stream` (contract A8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...swml.actions import StopStream, Stream
from ..streaming import StreamOrder

if TYPE_CHECKING:
    from ..performance import Performance


async def stream(performance: Performance, action: Stream) -> dict[str, Any]:
    """Send the call's audio to a WebSocket in messages, beside the script."""
    await performance.pick_up()
    performance.let_time_pass()
    call = performance.call
    order = StreamOrder(
        url=action.url,
        control_id=action.control_id,
        name=action.name,
        track=action.track,
        codec=action.codec,
        status_url=action.status_url,
        status_url_method=action.status_url_method,
        authorization_bearer_token=action.authorization_bearer_token,
        custom_parameters=action.custom_parameters,
    )
    return await call.outputs.start_stream(call, order)


async def stop_stream(performance: Performance, action: StopStream) -> dict[str, Any]:
    """Stop the stream named, or else the one that was begun last."""
    stopped = performance.call.outputs.stop_stream(action.control_id)
    return {"stop_stream_result": "success" if stopped else "failed"}
