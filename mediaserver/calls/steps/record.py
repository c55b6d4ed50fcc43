"""`record`, `record_call`, `stop_record_call` (contract A1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...audio.tones import beep
from ...errors import ConflictError
from ...recording.recorder import StopRules
from ...recording.resource import Direction, Format, PostProcessing, Source
from ...recording.states import swml_result
from ...swml.actions import Record, RecordCall, StopRecordCall
from ..floor import play_briefly
from ..recording_order import RecordingOrder

if TYPE_CHECKING:
    from ..performance import Performance


async def record(performance: Performance, action: Record) -> dict[str, Any]:
    """Record until something stops it."""
    call = performance.call
    recording = await call.recordings.record(
        await _order(performance, action, Source.RECORD_ACTION)
    )
    return {
        "record_url": call.services.studio.ledger.download_url(recording.id),
        "record_result": swml_result(recording.state, recording.stop_reason),
    }


async def record_call(performance: Performance, action: RecordCall) -> dict[str, Any]:
    """Record beside the script."""
    call = performance.call
    order = await _order(performance, action, Source.CALL_RECORDING, action.control_id)
    try:
        active = call.recordings.record_along(order)
    except ConflictError as error:
        call.log.warning("record_call refused", error=str(error))
        return {"record_call_result": "failed"}
    recording = active.recording
    return {
        "record_call_url": call.services.studio.ledger.download_url(recording.id),
        "record_call_result": "success",
        "record_control_id": recording.control_id,
    }


async def stop_record_call(performance: Performance, action: StopRecordCall) -> dict[str, Any]:
    """Stop the recording named, or else the one started last."""
    control_id = action.control_id or performance.variables.get("record_control_id")
    active = performance.call.recordings.get(str(control_id))
    stopped = active is not None and active.stop()
    return {"stop_record_call_result": "success" if stopped else "failed"}


async def _order(
    performance: Performance,
    action: Record | RecordCall,
    source: Source,
    control_id: str | None = None,
) -> RecordingOrder:
    """Get the line ready to be recorded; return what is to be."""
    call = performance.call
    await performance.pick_up()
    assert call.media is not None
    if action.beep:
        performance.let_time_pass()
        await play_briefly(call, beep(call.media.rate))
    longest = call.services.max_recording
    policy = call.policy
    if action.post_processing:
        policy = replace(
            policy, post_processing=tuple(PostProcessing(x) for x in action.post_processing)
        )
    return RecordingOrder(
        rules=StopRules(
            terminators=action.terminators,
            initial_timeout=action.initial_timeout,
            end_silence_timeout=action.end_silence_timeout,
            max_length=min(action.max_length or longest, longest),
            input_sensitivity=action.input_sensitivity,
        ),
        format=Format(action.format),
        direction=Direction(action.direction),
        stereo=action.stereo,
        status_url=action.status_url,
        source=source,
        control_id=control_id,
        policy=policy,
        since=performance.take_since(),
    )
