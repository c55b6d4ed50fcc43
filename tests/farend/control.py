"""Calls without telephony: they note what they are told to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mediaserver.calls.call_state import CallState
from mediaserver.calls.commands.dialling import DialCall
from mediaserver.calls.commands.ending import EndCall
from mediaserver.calls.resource import CallRecord

SECOND = 1_000_000


class Control:
    """Carries every order out on the one call there is, or raises what a test wants."""

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
            progress=CallState.ANSWERED,
        )
        self.did: list[tuple[str | None, Any]] = []
        self.fault: Exception | None = None

    async def dial(self, order: DialCall) -> CallRecord:
        self._note(None, order)
        return replace(
            self.call,
            direction="outbound-api",
            from_=order.from_,
            to=order.to,
            sip_call_id="",
            answered_at=None,
            progress=CallState.CREATED,
        )

    async def carry_out(self, call_id: str, order: Any) -> CallRecord:
        self._note(call_id, order)
        if not isinstance(order, EndCall):
            return self.call
        ended_at = self.call.created_at + 14 * SECOND + 340_000
        return replace(self.call, ended_at=ended_at, end_reason=order.reason.value)

    def _note(self, call_id: str | None, order: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.did.append((call_id, order))
