"""Encoder processes: they make files of journals, beside the calls and with lower priority.

A render that has to wait for an encoder waits here, up to MOST_WAITING of them. Beyond that a
recording is left where it is anyway, on disk in the state RENDERING (`calls.backlog`).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import structlog

from ..errors import LocalError
from ..recording.failure import Failure, RecordingFailed
from ..recording.rendering import Rendered, RendererFull, RenderJob
from .encoder import RENDER
from .encoder_process import EncoderLost, EncoderProcess

ATTEMPTS: Final = 3
"""How often a render is tried when the process doing it dies."""

TIMEOUT: Final = 30.0
"""Seconds that every render has, and ..."""

SLOWEST: Final = 4.0
"""... seconds of audio in one second: an encoder slower than that hangs, whatever it says. A
healthy one with a tenth of a core is five times as fast."""

CLOSING: Final = 10.0
"""Seconds that the renders in hand are given when the server stops; the next start makes them."""

MOST_WAITING: Final = 1000
"""Renders that wait for an encoder."""

IDLE: Final = 60.0
"""Seconds without work after which an encoder is ended, if it is not the only one."""

MOST_ENCODERS: Final = 4
"""Encoders that are started unless a number is set, however many cores there are."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


def encoders_for(cores: int) -> int:
    """Return how many encoders leave the calls enough of a machine's cores."""
    return min(max(cores // 2, 1), MOST_ENCODERS)


class Renderer:
    """Some encoder processes, each started when it is first needed."""

    def __init__(self, processes: int | None = None) -> None:
        """`processes` is the most there are at a time; None: `encoders_for` this machine."""
        # A process that dies takes its job with it, and a clock that runs while a render waits for
        # its turn says nothing: so jobs wait here, and not in a pipe.
        self._turn = asyncio.Semaphore(processes or encoders_for(os.cpu_count() or 1))
        self._waiting: set[asyncio.Task[Any]] = set()
        self._jobs: Counter[str] = Counter()
        self._idle: list[EncoderProcess] = []
        self._busy: set[EncoderProcess] = set()
        self._work: set[asyncio.Task[Any]] = set()
        self._surplus: asyncio.TimerHandle | None = None

    @property
    def pids(self) -> list[int]:
        """The processes there are."""
        return [encoder.pid for encoder in (*self._idle, *self._busy)]

    def is_rendering(self, recording_id: str) -> bool:
        """Return whether a file of a recording is being made, or waits for an encoder."""
        return recording_id in self._jobs

    def start(self) -> None:
        """Have a process ready soon, so that the first recording need not wait for it to start."""
        if not self._idle and not self._busy and not self._work:
            self._begin(self._prepare())

    async def render(self, job: RenderJob) -> Rendered:
        """Return the files made for `job`; LocalError when they cannot be made.

        A process that dies or hangs is replaced, and the job tried again by its successor.
        `RendererFull` when too many wait already. A render whose caller is cancelled is not begun;
        one that has begun goes on: `close` gives it its time.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise RendererFull(f"{MOST_WAITING} renders wait for an encoder")
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        self._jobs[job.recording_id] += 1
        try:
            await self._turn.acquire()
        except BaseException:
            self._forget(job)
            raise
        finally:
            self._waiting.discard(task)
        work = self._begin(self._render(job))
        work.add_done_callback(lambda _: self._over(job))
        rendered: Rendered = await asyncio.shield(work)
        return rendered

    async def close(self) -> None:
        """Let the renders in hand finish, if they do soon, then end the processes.

        Whoever still waits for an encoder is cancelled.
        """
        for task in self._waiting:
            task.cancel()
        if self._work:
            await asyncio.wait(self._work, timeout=CLOSING)
        if self._work:
            log.error("encoder killed at shutdown")
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)
        if self._surplus is not None:
            self._surplus.cancel()
        while self._idle:
            await self._idle.pop().end()

    def _over(self, job: RenderJob) -> None:
        self._turn.release()
        self._forget(job)

    def _forget(self, job: RenderJob) -> None:
        self._jobs[job.recording_id] -= 1
        if not self._jobs[job.recording_id]:
            del self._jobs[job.recording_id]

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # taken: whoever asked may be gone

    async def _prepare(self) -> None:
        async with self._turn:
            if not self._idle:
                try:
                    self._rest(await EncoderProcess.start(self._gone))
                except (EncoderLost, LocalError) as error:
                    log.error("encoder not started", error=str(error))

    async def _render(self, job: RenderJob) -> Rendered:
        limit = TIMEOUT + (job.end - job.start) / job.rate / SLOWEST
        for attempt in range(ATTEMPTS):
            try:
                rendered: Rendered = await self._ask(job, limit)
            except EncoderLost as error:
                log.error(
                    "encoder lost", recording_id=job.recording_id, attempt=attempt + 1,
                    error=str(error),
                )  # fmt: skip
            else:
                return rendered
        raise RecordingFailed(f"the encoder failed {ATTEMPTS} times", Failure.ENCODER_FAILED)

    async def _ask(self, job: RenderJob, limit: float) -> Any:
        """Give a job to a process; one that did not answer, for whatever reason, is ended."""
        encoder = self._idle.pop() if self._idle else await EncoderProcess.start(self._gone)
        self._busy.add(encoder)
        try:
            answer = await encoder.ask(RENDER, job, limit)
        except BaseException:
            await encoder.end()
            raise
        else:
            self._rest(encoder)
        finally:
            self._busy.discard(encoder)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _rest(self, encoder: EncoderProcess) -> None:
        """Keep a process for the next job; the one that was used last is used first."""
        encoder.idle_since = asyncio.get_running_loop().time()
        self._idle.append(encoder)
        self._watch_surplus()

    def _watch_surplus(self) -> None:
        """Have the processes ended that nothing has needed for a while, but for one."""
        if self._surplus is None and len(self._idle) + len(self._busy) > 1 and self._idle:
            loop = asyncio.get_running_loop()
            self._surplus = loop.call_at(self._idle[0].idle_since + IDLE, self._end_surplus)

    def _end_surplus(self) -> None:
        self._surplus = None
        too_old = asyncio.get_running_loop().time() - IDLE
        while self._idle and len(self._idle) + len(self._busy) > 1:
            if self._idle[0].idle_since > too_old:
                break
            self._begin(self._idle.pop(0).end())
        self._watch_surplus()

    def _gone(self, encoder: EncoderProcess) -> None:
        """Take note that a process has ended; one that was idle is nobody's to wait for."""
        if encoder in self._idle:
            self._idle.remove(encoder)
            log.error("encoder lost", error="it ended by itself", pid=encoder.pid)
            self._begin(encoder.end())
