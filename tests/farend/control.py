"""Calls without telephony: they note what they are told to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mediaserver.calls.commands import EndReason
from mediaserver.calls.recording import RecordingOrder
from mediaserver.calls.resource import CallRecord
from mediaserver.recording.resource import PauseBehavior

SECOND = 1_000_000


class Control:
    """Carries every command out on the one call there is, or raises what a test wants."""

    def __init__(self, project_id: str = "p", created_at: int = 0) -> None:
        self.call = CallRecord(
            id="5b0c7d5e-3c55-4c5f-9d0c-0a9a7a4f3f10",
            project_id=project_id,
            direction="inbound",
            from_="sip:+4930123456@trunk.example.com",
            to="sip:voicemail@192.0.2.10",
            sip_call_id="1",
            created_at=created_at,
            answered_at=created_at + 2 * SECOND,
        )
        self.did: list[tuple[Any, ...]] = []
        self.fault: Exception | None = None

    def _note(self, *what: Any) -> CallRecord:
        if self.fault is not None:
            raise self.fault
        self.did.append(what)
        return self.call

    async def record(self, call_id: str, order: RecordingOrder, *, beep_first: bool) -> CallRecord:
        return self._note("record", call_id, order, beep_first)

    async def pause(self, call_id: str, control_id: str, behavior: PauseBehavior) -> CallRecord:
        return self._note("pause", call_id, control_id, behavior)

    async def resume(self, call_id: str, control_id: str) -> CallRecord:
        return self._note("resume", call_id, control_id)

    async def stop(self, call_id: str, control_id: str) -> CallRecord:
        return self._note("stop", call_id, control_id)

    async def end(self, call_id: str, reason: EndReason) -> CallRecord:
        call = self._note("end", call_id, reason)
        ended_at = call.created_at + 14 * SECOND + 340_000
        return replace(call, ended_at=ended_at, end_reason=reason.value)
