"""The thread that steps through scripts with JavaScript in them.

An expression may take 150 ms of CPU time. One thread and one process for all calls: a script that
takes its time keeps other such scripts waiting, but no call's media and no script without
expressions. What the engine cannot end is ended with its process, and the next one has a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..swml.javascript import Engine
from .script_process import ScriptProcess

T = TypeVar("T")


class ScriptThread:
    """See the module. Thread and process are started by the first script that needs them."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scripts")
        self._process = ScriptProcess()

    @property
    def engine(self) -> Engine:
        """What evaluates the expressions of steps that are carried out by `run`."""
        return self._process

    async def run(self, step: Callable[[], T]) -> T:
        """Return what `step` returns or raises, carried out there."""

        def carry_out() -> T:
            self._process.begin()
            return step()

        return await asyncio.get_running_loop().run_in_executor(self._thread, carry_out)

    def close(self) -> None:
        """End thread and process; what it is in the middle of is ended by its own limits."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._process.close()
