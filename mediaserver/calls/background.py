"""What a call has running beside its script, and waits for at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Work that is seen through whatever becomes of the call."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        """`failed` is told of what work raises."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed = failed

    @property
    def busy(self) -> bool:
        """Whether anything runs."""
        return bool(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` to its end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def finish(self) -> None:
        """Wait until nothing runs any more, also of what is begun meanwhile.

        When this is cancelled, at a shutdown, so is what runs: the next start completes it.
        """
        try:
            while self._tasks:
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            raise

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
