"""`calling.collect`: the keys of a call, collected beside whatever else it does (contract A4).

One is made at a time. Its results are told as `calling.call.collect`; keys go on to wherever they
went before, to a prompt of the script and to the other side of a bridge.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ConflictError
from .collection import Collected, Collection, DigitRules, Outcome
from .ending import CallOver

if TYPE_CHECKING:
    from .call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOrder:
    """What is to be collected, and whom to tell."""

    control_id: str
    rules: DigitRules
    start_input_timers: bool = False
    """Whether the time for the first digit runs at once, or when it is asked for."""
    partial_results: bool = False
    """Whether every digit is told."""
    continuous: bool = False
    """Whether it begins again after each result, until it is stopped."""
    send_start_of_input: bool = False
    """Whether the first digit is told, before any result."""
    status_url: str | None = None


class Collecting:
    """One of them, from its construction to its end."""

    def __init__(self, call: Call, order: CollectOrder) -> None:
        """Begin to listen. CallOver when the call has no media; ConflictError if one runs."""
        if call.capture is None:
            raise CallOver
        if call.collecting is not None:
            raise ConflictError("control_id: a collect runs on this call; stop it first")
        self.order = order
        self._call = call
        self._collection = Collection(order.rules)
        self._changed = asyncio.Event()
        self._over = False
        self._timed = False
        self._stream = f"{call.id}-collect-{uuid.uuid4()}"
        self._listeners = call.capture.key_listeners
        self._listeners.append(self._press)
        call.collecting = self
        if order.start_input_timers:
            self.start_timers()

    async def run(self) -> None:
        """See it through, to its last result, a command or the end of the call."""
        try:
            with suppress(CallOver):
                await self._call.unless_over(self._keep_time())
        finally:
            if not self._over:
                self._tell({"type": "finished"}, final=True, state="finished")
            self._end()

    def start_timers(self) -> None:
        """Let the time for the first digit run, also when it begins again."""
        self._timed = True
        self._collection.listen(self._now())
        self._changed.set()

    def stop(self) -> None:
        """Collect no more: that is the last result."""
        if not self._over:
            self._tell({"type": "finished"}, final=True, state="finished")
            self._end()

    async def _keep_time(self) -> None:
        while not self._over:
            due = self._collection.due
            self._changed.clear()
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                    await self._changed.wait()
            except TimeoutError:
                self._conclude(self._collection.expire(self._now()))

    def _press(self, digit: str, _position: int) -> None:
        if self._over:
            return
        first = not self._collection.begun
        collected = self._collection.press(digit, self._now())
        if first and self.order.send_start_of_input:
            self._tell({"type": "start_of_input"}, final=False)
        if collected is None and self.order.partial_results:
            self._tell(result_of(self._collection.present), final=False)
        self._conclude(collected)
        self._changed.set()

    def _conclude(self, collected: Collected | None) -> None:
        """Tell a result, and end with it or begin again."""
        if collected is None:
            return
        self._tell(result_of(collected), final=True)
        if not self.order.continuous:
            self._end()
            return
        self._collection = Collection(self.order.rules)
        # That nobody is there is told once, not every few seconds until the end of the call.
        if self._timed and collected.outcome is Outcome.DIGITS:
            self._collection.listen(self._now())

    def _tell(self, result: Mapping[str, Any], *, final: bool, state: str = "collecting") -> None:
        if self.order.status_url is None:
            return
        told: dict[str, Any] = {"control_id": self.order.control_id, "result": result}
        if self.order.partial_results:
            told["final"] = final
        if self.order.continuous:
            told["state"] = state
        self._call.announcer.say("calling.call.collect", told, self.order.status_url, self._stream)

    def _end(self) -> None:
        self._over = True
        self._changed.set()
        if self._call.collecting is self:
            self._call.collecting = None
            self._listeners.remove(self._press)

    def _now(self) -> float:
        return self._call.services.clock.monotonic()


def result_of(collected: Collected) -> dict[str, Any]:
    """Return what is told of digits, or of there being none (contract A8 `prompt`)."""
    if collected.outcome is Outcome.NO_INPUT:
        return {"type": "no_input"}
    params = {"digits": collected.digits, "terminator": collected.terminator}
    return {"type": "digit", "params": params}
