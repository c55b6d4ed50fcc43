"""Encoder processes: they make files of journals, beside the calls and with lower priority."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Final

import structlog

from ..errors import LocalError
from ..recording.render import Rendered, RenderJob, render

ATTEMPTS: Final = 3
"""How often a render is tried when the process doing it dies."""

TIMEOUT: Final = 600.0
"""Seconds after which an encoder counts as hanging."""

NICENESS: Final = 10

log = structlog.get_logger(__name__)


class Renderer:
    """A pool of encoder processes, started when the first recording ends."""

    def __init__(self, processes: int = 1) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> None:
        """Start a process now, so that the first recording does not wait for it."""
        self._get_pool().submit(os.getpid)

    async def render(self, job: RenderJob) -> Rendered:
        """Return the file made for `job`; LocalError when it cannot be made.

        A process that dies or hangs is replaced, and the job tried again by its successor.
        """
        loop = asyncio.get_running_loop()
        for attempt in range(ATTEMPTS):
            pool = self._get_pool()
            try:
                async with asyncio.timeout(TIMEOUT):
                    return await loop.run_in_executor(pool, render, job)
            except (BrokenProcessPool, TimeoutError) as error:
                log.error(
                    "encoder lost", recording_id=job.recording_id, attempt=attempt + 1,
                    error=str(error) or type(error).__name__,
                )  # fmt: skip
                self._discard(pool)
        raise LocalError(f"the encoder failed {ATTEMPTS} times")

    async def close(self) -> None:
        """Let the renders in hand finish, then end the processes."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(pool.shutdown, wait=True)

    def _get_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not fork: a child of a process with threads may hang on a lock nobody holds any more.
            context = multiprocessing.get_context("forkserver")
            self._pool = ProcessPoolExecutor(self._processes, context, initializer=_calm_down)
        return self._pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=False)


def _calm_down() -> None:
    """Make an encoder give way to the calls, leave Ctrl-C to its parent, and not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End this process when the server's has ended, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
