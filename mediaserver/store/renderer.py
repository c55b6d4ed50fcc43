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
from multiprocessing.process import BaseProcess
from typing import Final

import structlog

from ..errors import LocalError
from ..recording.render import Rendered, RenderJob, render

ATTEMPTS: Final = 3
"""How often a render is tried when the process doing it dies."""

TIMEOUT: Final = 25.0
"""Seconds after which an encoder counts as hanging, whatever it makes: with a second one the file
is there within a minute (robustness R22)."""

SLOWEST: Final = 10.0
"""Seconds of audio in one second: an encoder slower than that hangs. A healthy one with a tenth of
a core does three times as much."""

CLOSING: Final = 10.0
"""Seconds that the render in hand is given when the server stops; the next start makes it anew."""

NICENESS: Final = 10

log = structlog.get_logger(__name__)


class Renderer:
    """A pool of encoder processes, started when the first recording ends."""

    def __init__(self, processes: int = 1) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        # A process that dies takes with it what waits in its pool, and a clock that runs while a
        # render waits for its turn says nothing: so jobs wait here.
        self._turn = asyncio.Semaphore(processes)

    def start(self) -> None:
        """Start a process now, so that the first recording does not wait for it."""
        self._get_pool().submit(os.getpid)

    async def render(self, job: RenderJob) -> Rendered:
        """Return the file made for `job`; LocalError when it cannot be made.

        A process that dies or hangs is replaced, and the job tried again by its successor.
        """
        async with self._turn:
            return await self._render(job)

    async def _render(self, job: RenderJob) -> Rendered:
        loop = asyncio.get_running_loop()
        limit = TIMEOUT + (job.end - job.start) / job.rate / SLOWEST
        for attempt in range(ATTEMPTS):
            pool = self._get_pool()
            try:
                async with asyncio.timeout(limit):
                    return await loop.run_in_executor(pool, render, job)
            except (BrokenProcessPool, TimeoutError) as error:
                log.error(
                    "encoder lost", recording_id=job.recording_id, attempt=attempt + 1,
                    error=str(error) or type(error).__name__,
                )  # fmt: skip
                self._discard(pool)
        raise LocalError(f"the encoder failed {ATTEMPTS} times")

    async def close(self) -> None:
        """Let the renders in hand finish, if they do soon, then end the processes."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        processes = _processes(pool)
        closing = asyncio.create_task(
            asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
        )
        await asyncio.wait({closing}, timeout=CLOSING)
        if not closing.done():
            log.error("encoder killed at shutdown")
            for process in processes:
                process.kill()
        await closing

    def _get_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not fork: a child of a process with threads may hang on a lock nobody holds any more.
            context = multiprocessing.get_context("forkserver")
            self._pool = ProcessPoolExecutor(self._processes, context, initializer=_calm_down)
        return self._pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
            for process in _processes(pool):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=False)


def _processes(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    """Return the processes of a pool, for which it has no public name; none once it was shut."""
    return list((getattr(pool, "_processes", None) or {}).values())


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
