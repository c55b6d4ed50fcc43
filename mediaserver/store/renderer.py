"""Encoder processes: they make files of journals, beside the calls and with lower priority."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import structlog

from ..errors import LocalError
from ..recording.rendering import Rendered, RenderJob
from .encoder import LENGTH, packed

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

RENDER: Final = "mediaserver.recording.render:render"
"""What an encoder does with a job."""

_PROGRAM: Final = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"

T = TypeVar("T")

log = structlog.get_logger(__name__)


class EncoderLost(Exception):
    """The process ended before it answered."""


class _Encoder:
    """A running process, which does one job at a time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        answers: asyncio.StreamReader,
        transport: asyncio.ReadTransport,
    ) -> None:
        self._process = process
        self._answers = answers
        self._transport = transport

    @classmethod
    async def start(cls) -> _Encoder:
        """Start a process; LocalError when the system has no room for it."""
        try:
            process = await asyncio.to_thread(_start_process)
        except OSError as error:
            raise LocalError(f"no encoder can be started: {error.strerror}") from error
        answers = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(answers), process.stdout
        )
        return cls(process, answers, transport)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ask(self, name: str, job: object) -> Any:
        """Return what the function `name` made of `job`, or the exception it raised.

        Raises `EncoderLost` when the process ended meanwhile.
        """
        assert self._process.stdin is not None
        try:
            # Less than a pipe holds, and it is empty: this waits for nobody.
            os.write(self._process.stdin.fileno(), packed((name, job)))
            (length,) = LENGTH.unpack(await self._answers.readexactly(LENGTH.size))
            return pickle.loads(await self._answers.readexactly(length))  # noqa: S301  our own
        except (asyncio.IncompleteReadError, OSError) as error:
            raise EncoderLost("its process ended") from error

    async def end(self) -> None:
        """End the process at once: what it is doing is lost."""
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._transport.close()
        await asyncio.sleep(0)  # a turn of the loop, in which asyncio closes the pipe


class Renderer:
    """Some encoder processes, each started when it is first needed."""

    def __init__(self, processes: int = 1) -> None:
        # A process that dies takes its job with it, and a clock that runs while a render waits for
        # its turn says nothing: so jobs wait here, and not in a pipe.
        self._turn = asyncio.Semaphore(processes)
        self._idle: list[_Encoder] = []
        self._busy: set[_Encoder] = set()
        self._work: set[asyncio.Task[Any]] = set()

    @property
    def pids(self) -> list[int]:
        """The processes there are."""
        return [encoder.pid for encoder in (*self._idle, *self._busy)]

    def start(self) -> None:
        """Have a process ready soon, so that the first recording need not wait for it to start."""
        if not self._idle and not self._busy and not self._work:
            self._begin(self._prepare())

    async def render(self, job: RenderJob) -> Rendered:
        """Return the file made for `job`; LocalError when it cannot be made.

        A process that dies or hangs is replaced, and the job tried again by its successor. A
        render whose caller is cancelled goes on: `close` gives it its time.
        """
        rendered: Rendered = await asyncio.shield(self._begin(self._render(job)))
        return rendered

    async def close(self) -> None:
        """Let the renders in hand finish, if they do soon, then end the processes."""
        if self._work:
            await asyncio.wait(self._work, timeout=CLOSING)
        if self._work:
            log.error("encoder killed at shutdown")
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)
        while self._idle:
            await self._idle.pop().end()

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
                self._idle.append(await _Encoder.start())

    async def _render(self, job: RenderJob) -> Rendered:
        limit = TIMEOUT + (job.end - job.start) / job.rate / SLOWEST
        async with self._turn:
            for attempt in range(ATTEMPTS):
                try:
                    rendered: Rendered = await self._ask(job, limit)
                except (EncoderLost, TimeoutError) as error:
                    log.error(
                        "encoder lost", recording_id=job.recording_id, attempt=attempt + 1,
                        error=str(error) or type(error).__name__,
                    )  # fmt: skip
                else:
                    return rendered
        raise LocalError(f"the encoder failed {ATTEMPTS} times")

    async def _ask(self, job: RenderJob, limit: float) -> Any:
        """Give a job to a process; one that did not answer, for whatever reason, is ended."""
        encoder = self._idle.pop() if self._idle else await _Encoder.start()
        self._busy.add(encoder)
        try:
            async with asyncio.timeout(limit):
                answer = await encoder.ask(RENDER, job)
        except BaseException:
            await encoder.end()
            raise
        else:
            self._idle.append(encoder)
        finally:
            self._busy.discard(encoder)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _start_process() -> subprocess.Popen[bytes]:
    program = _PROGRAM.format(path=sys.path, module="mediaserver.store.encoder")
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # numpy's threads would only be memory: nothing here multiplies matrices.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        bufsize=0,
    )
