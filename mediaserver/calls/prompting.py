"""`prompt`: play something and collect the digits that are pressed (contract A8)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..recording.announcement import Announcement
from ..swml.actions import Prompt
from .collection import Collected, Collection, DigitRules, Outcome
from .ledger import persist

if TYPE_CHECKING:
    from .call import Call


async def run_prompt(
    call: Call, prompt: Prompt, play: Callable[[], Awaitable[bool]]
) -> dict[str, Any]:
    """Carry a prompt out; return its variables. `play` returns whether there was anything to hear.

    The first key ends what is playing.
    """
    assert call.capture is not None
    assert call.media is not None
    collection = Collection(
        DigitRules(
            max_digits=prompt.max_digits,
            terminators=prompt.terminators,
            digit_timeout=prompt.digit_timeout,
            initial_timeout=prompt.initial_timeout,
        )
    )
    clock = call.services.clock
    pressed = asyncio.Event()

    def press(digit: str, _position: int) -> None:
        collection.press(digit, clock.monotonic())
        pressed.set()

    call.capture.keys = press
    try:
        playing = asyncio.ensure_future(play())
        key = asyncio.ensure_future(pressed.wait())
        try:
            await call.unless_over(asyncio.wait({playing, key}, return_when="FIRST_COMPLETED"))
            if not playing.done():
                call.media.stop_playing()
            elif not playing.result():
                return {"prompt_result": "failed", "prompt_value": ""}
        finally:
            for task in (playing, key):
                task.cancel()
            await asyncio.gather(playing, key, return_exceptions=True)
        collection.listen(clock.monotonic())
        collected = await call.unless_over(_collect(call, collection, pressed))
    finally:
        call.capture.keys = None
    if prompt.status_url:
        _announce(call, prompt.status_url, collected)
    return {
        "prompt_result": collected.outcome.value,
        "prompt_value": collected.digits,
        "prompt_digit_terminator": collected.terminator,
    }


async def _collect(call: Call, collection: Collection, pressed: asyncio.Event) -> Collected:
    clock = call.services.clock
    while collection.result is None:
        pressed.clear()
        assert collection.due is not None
        try:
            async with asyncio.timeout(max(0.0, collection.due - clock.monotonic())):
                await pressed.wait()
        except TimeoutError:
            collection.expire(clock.monotonic())
    return collection.result


def _announce(call: Call, url: str, collected: Collected) -> None:
    """Send `calling.call.collect`."""
    control_id = str(uuid.uuid4())
    result: dict[str, Any] = {"type": "no_input"}
    if collected.outcome is Outcome.DIGITS:
        params = {"digits": collected.digits, "terminator": collected.terminator}
        result = {"type": "digit", "params": params}
    told: dict[str, Any] = {
        "call_id": call.id,
        "node_id": call.envelope.node_id,
        "control_id": control_id,
        "state": "finished",
        "final": True,
        "result": result,
    }
    now = int(call.services.clock.time() * 1e6)
    said = Announcement(
        stream=control_id,
        sequence=1,
        url=url,
        body=call.envelope.wrap("calling.call.collect", told, now),
        created_at=now,
    )
    call.spawn(persist(partial(call.services.outbox.add, [said])))
