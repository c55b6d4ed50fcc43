"""How far one call is: what is written down of it, and what its watchers are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..clock import Clock, now_us
from .call_state import CallState, device_of, end_reason
from .ending import Ending
from .resource import CallRecord
from .watchers import Watchers


class Standing:
    """Keeps the record of a call up to date, and tells of every state it comes to."""

    def __init__(
        self, record: CallRecord, state: CallState, watchers: Watchers, ending: Ending, clock: Clock
    ) -> None:
        self.record = replace(record, progress=state)
        """What the database knows of the call, or is about to."""
        self.state = state
        self._watchers = watchers
        self._ending = ending
        self._clock = clock

    def placed(self, sip_call_id: str) -> None:
        """Note the Call-ID that the call has in SIP."""
        self.record = replace(self.record, sip_call_id=sip_call_id)

    def enter(self, state: CallState) -> bool:
        """Come to a state; False if that is past already."""
        if self.state in {state, CallState.ENDED}:
            return False
        self.state = state
        told: dict[str, Any] = {}
        if state is CallState.ANSWERED:
            told = {"answered_at": now_us(self._clock)}
        elif state is CallState.ENDED:
            told = {"ended_at": now_us(self._clock), "end_reason": self._ending.cause}
        self.record = replace(self.record, progress=state, **told)
        return True

    def tell(self) -> None:
        """Tell the watchers of the state it is in."""
        record = self.record
        params = {
            "call_state": self.state.value,
            "direction": "inbound" if record.direction == "inbound" else "outbound",
            "device": device_of(record.from_, record.to),
            "end_reason": end_reason(self._ending.cause) if self._ending.done() else None,
        }
        self._watchers.tell_state(self.state, params)
