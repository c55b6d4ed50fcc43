"""`detect_machine`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...audio.answering import MachineRules
from ...audio.single_tone import FaxTone
from ...swml.actions import DetectMachine
from ..detection import DetectOrder, detect

if TYPE_CHECKING:
    from ..performance import Performance


async def detect_machine(performance: Performance, action: DetectMachine) -> dict[str, Any]:
    """Find out who answered, or begin to."""
    await performance.pick_up()
    rules = MachineRules(
        amd="amd" in action.detectors,
        fax=FaxTone(action.tone) if "fax" in action.detectors else None,
        initial_timeout=action.initial_timeout,
        end_silence_timeout=action.end_silence_timeout,
        machine_ready_timeout=action.machine_ready_timeout,
        machine_voice_threshold=action.machine_voice_threshold,
        machine_words_threshold=action.machine_words_threshold,
        timeout=action.timeout,
        detect_message_end=action.detect_message_end,
    )
    order = DetectOrder(
        rules=rules, status_url=action.status_url, wait=action.wait, since=performance.take_since()
    )
    return await detect(performance.call, order, performance.learn)
