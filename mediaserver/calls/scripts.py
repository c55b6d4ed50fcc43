"""The thread that steps through scripts with JavaScript in them.

An expression may take 150 ms of CPU time; the engine lets go of the interpreter's lock meanwhile.
One thread for all calls: its contexts stay with it, and a script that takes its time keeps other
such scripts waiting, but no call's media and no script without expressions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class ScriptThread:
    """See the module. It is started by the first script that needs it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scripts")

    async def run(self, step: Callable[[], T]) -> T:
        """Return what `step` returns or raises, carried out there."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, step)

    def close(self) -> None:
        """End the thread; what it is in the middle of is ended by its own limits."""
        self._thread.shutdown(wait=True, cancel_futures=True)
