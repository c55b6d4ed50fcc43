"""Steps that end together with the call, or with whoever waits for them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from mediaserver.calls.ending import CallOver, Ending


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("no document")


@pytest.mark.parametrize("turns", range(1, 7))
async def test_a_step_that_fails_as_its_waiter_is_cancelled_leaves_no_complaint(turns: int) -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    waiting = asyncio.ensure_future(Ending().unless_over(fail()))
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled() or isinstance(waiting.exception(), ValueError)
    del waiting
    gc.collect()
    assert not complaints


async def test_a_step_that_ends_with_the_call_is_over() -> None:
    ending = Ending()

    async def last() -> str:
        ending.come("remote_bye")
        return "done"

    with pytest.raises(CallOver):
        await ending.unless_over(last())


async def test_a_step_is_cancelled_when_the_call_ends() -> None:
    ending = Ending()
    step: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(ending.unless_over(step))
    await asyncio.sleep(0)
    ending.come("remote_bye")
    with pytest.raises(CallOver):
        await waiting
    assert step.cancelled()
