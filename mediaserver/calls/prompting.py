"""`prompt`: play something and collect the digits that are pressed (contract A8).

Digits count from the moment the prompt begins, also those that come while it is played: the first
key ends that. What was pressed before is no part of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..swml.actions import Prompt
from .collecting import result_of
from .collection import Collected, Collection, DigitRules
from .playback import PlayOrder

if TYPE_CHECKING:
    from ..swml.actions import Source
    from .call import Call


async def run_prompt(call: Call, prompt: Prompt, sources: tuple[Source, ...]) -> dict[str, Any]:
    """Carry a prompt out; return its variables. CallOver when the call ends.

    Where nothing could be played, it has failed: a question that nobody hears is not answered.
    """
    prompting = Prompting(call, prompt, sources)
    try:
        collected = await prompting.run()
    finally:
        prompting.close()
    told = {"type": "error"} if collected is None else result_of(collected)
    if prompt.status_url is not None:
        params = {"control_id": prompting.control_id, "result": told}
        stream = f"{call.id}-prompt-{prompting.control_id}"
        call.announcer.say("calling.call.collect", params, prompt.status_url, stream)
    if collected is None:
        return {"prompt_result": "failed", "prompt_value": "", "prompt_digit_terminator": ""}
    return {
        "prompt_result": collected.outcome.value,
        "prompt_value": collected.digits,
        "prompt_digit_terminator": collected.terminator,
    }


class Prompting:
    """One prompt, from its construction to `close`."""

    def __init__(self, call: Call, prompt: Prompt, sources: tuple[Source, ...]) -> None:
        assert call.capture is not None
        self._call = call
        self._playback = call.playbacks.begin(PlayOrder(sources=sources, volume=prompt.volume))
        self._collection = Collection(
            DigitRules(
                max_digits=prompt.max_digits,
                terminators=prompt.terminators,
                digit_timeout=prompt.digit_timeout,
                initial_timeout=prompt.initial_timeout,
            )
        )
        self._pressed = asyncio.Event()
        self._listeners = call.capture.key_listeners
        self._listeners.append(self._press)

    @property
    def control_id(self) -> str:
        """Of the prompt and of what it plays."""
        return self._playback.control_id

    def close(self) -> None:
        """Listen no more."""
        self._listeners.remove(self._press)

    async def run(self) -> Collected | None:
        """Return what was pressed; None if there was nothing to play."""
        if not await self._play():
            return None
        self._collection.listen(self._now())
        return await self._call.unless_over(self._collect())

    async def _play(self) -> bool:
        """Play to the end or the first key; tell whether that could be."""
        playing = asyncio.ensure_future(self._playback.run())
        key = asyncio.ensure_future(self._pressed.wait())
        try:
            both = asyncio.wait({playing, key}, return_when=asyncio.FIRST_COMPLETED)
            await self._call.unless_over(both)
            return key.done() or playing.result()
        finally:
            for task in (playing, key):
                task.cancel()
            await asyncio.gather(playing, key, return_exceptions=True)

    async def _collect(self) -> Collected:
        collection = self._collection
        while collection.result is None:
            self._pressed.clear()
            assert collection.due is not None
            try:
                async with asyncio.timeout(max(0.0, collection.due - self._now())):
                    await self._pressed.wait()
            except TimeoutError:
                collection.expire(self._now())
        return collection.result

    def _press(self, digit: str, _position: int) -> None:
        self._collection.press(digit, self._now())
        self._pressed.set()

    def _now(self) -> float:
        return self._call.services.clock.monotonic()
