"""Threads for what blocks, asked from the event loop: one way there, one way back.

A driver that hands each call of a statement to its thread and back pays that price five times a
statement. Here the whole piece of work, a transaction or a query, goes over at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Work = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Threads:
    """So many threads that carry out what they are given, in the order it was given."""

    def __init__(self, name: str, count: int = 1) -> None:
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name} {number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Return what brings what `work` returns or raises, once a thread has carried it out.

        Work that was begun is carried out even when whoever waits for it is cancelled.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, done))
        return done

    def close(self) -> None:
        """Carry out what was given so far and end the threads. May be called twice."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            work, done = asked
            result, error = None, None
            try:
                result = work()
            except BaseException as failure:
                error = failure
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                done.get_loop().call_soon_threadsafe(_settle, done, result, error)
            # A thread that waits holds on to nothing.
            del asked, work, done, result, error


def _settle(done: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
