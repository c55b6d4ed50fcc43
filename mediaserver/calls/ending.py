"""The end of a call, which may come in the middle of anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class CallOver(Exception):
    """The call ended while a step was being carried out."""


class Ending:
    """Whether a call is over, and why; what waits for something waits for this as well."""

    def __init__(self) -> None:
        self._cause: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def done(self) -> bool:
        """Tell whether the call is over."""
        return self._cause.done()

    @property
    def cause(self) -> str:
        """Why it is over."""
        return self._cause.result()

    def come(self, cause: str) -> bool:
        """End the call; False if it was over before."""
        if self._cause.done():
            return False
        self._cause.set_result(cause)
        return True

    async def wait(self) -> None:
        """Wait until the call is over."""
        await asyncio.wait({self._cause})

    async def unless_over(self, step: Awaitable[T]) -> T:
        """Wait for `step`; CallOver if the call ends first, and then the step is cancelled.

        A step that comes to its end together with the call is CallOver too: no other may follow.
        """
        task = asyncio.ensure_future(step)
        try:
            if not self._cause.done():
                either: set[asyncio.Future[Any]] = {task, self._cause}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                result = task.result()
                if not self._cause.done():
                    return result
            raise CallOver
        finally:
            if not task.done():
                task.cancel()
            elif not task.cancelled():
                task.exception()  # is looked at, also where whoever waited was cancelled meanwhile
