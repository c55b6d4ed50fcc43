"""An encoder process as the server sees it: asked, listened to, and ended (see `encoder`)."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import structlog

from ..recording.failure import RecordingFailed, encoding_failure
from .encoder import LENGTH, packed

PATIENCE: Final = 18.0
"""Seconds without a sign of life after which a process at work counts as hanging: three of them in
a row, and a recording has failed within a minute (robustness R22)."""

REAPING: Final = 5.0
"""Seconds that a killed process is given to end; one that the disk does not let go is left."""

_PROGRAM: Final = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"

log = structlog.get_logger(__name__)


class EncoderLost(Exception):
    """The process ended or hung before it answered; the message says which."""


class EncoderProcess:
    """A running process, which does one job at a time; see `start`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.idle_since = 0.0
        """When it was last at work, by the loop's clock."""
        self._process = process
        self._answers = asyncio.StreamReader()
        self._ended = asyncio.Event()
        self._reading: asyncio.ReadTransport | None = None
        self._writing: asyncio.WriteTransport | None = None

    @classmethod
    async def start(cls, gone: Callable[[EncoderProcess], None]) -> EncoderProcess:
        """Start a process, and wait until it is ready; `gone` is called when it ends.

        Raises `RecordingFailed` when there is no room for it, `EncoderLost` when it does not get
        ready.
        """
        try:
            process = await asyncio.to_thread(_start)
        except OSError as error:
            problem = f"no encoder can be started: {error.strerror}"
            raise RecordingFailed(problem, encoding_failure(error)) from error
        encoder = cls(process)

        def ended() -> None:
            encoder._ended.set()
            gone(encoder)

        loop = asyncio.get_running_loop()
        encoder._reading, _ = await loop.connect_read_pipe(
            lambda: _Answers(encoder._answers, ended), process.stdout
        )
        encoder._writing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)
        try:
            async with asyncio.timeout(PATIENCE):
                await encoder._answers.readexactly(LENGTH.size)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            await encoder.end()
            raise EncoderLost("it did not get ready") from error
        except BaseException:
            await encoder.end()
            raise
        return encoder

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ask(self, name: str, job: object, limit: float) -> Any:
        """Return what the function `name` made of `job`, or the exception it raised.

        Raises `EncoderLost` when the process ended meanwhile, showed no sign of life for PATIENCE
        seconds, or was not done after `limit` seconds.
        """
        assert self._writing is not None
        try:
            async with asyncio.timeout(limit) as whole:
                self._writing.write(packed((name, job)))
                return pickle.loads(await self._answer())  # noqa: S301  our own process's
        except TimeoutError as error:
            why = f"not done after {limit:.0f} s" if whole.expired() else "it hung"
            raise EncoderLost(why) from error
        except asyncio.IncompleteReadError as error:
            raise EncoderLost("its process ended") from error

    async def _answer(self) -> bytes:
        while True:
            async with asyncio.timeout(PATIENCE):
                (length,) = LENGTH.unpack(await self._answers.readexactly(LENGTH.size))
                if length:
                    return await self._answers.readexactly(length)

    async def end(self) -> None:
        """End the process at once: what it is doing is lost."""
        assert self._reading is not None
        assert self._writing is not None
        self._process.kill()
        if not self._writing.is_closing():  # as it is when the process has ended by itself
            self._writing.abort()
        try:
            async with asyncio.timeout(REAPING):
                await self._ended.wait()
        except TimeoutError:
            log.error("encoder does not end", pid=self.pid)
        else:
            await asyncio.to_thread(self._process.wait)
        self._reading.close()
        await asyncio.sleep(0)  # a turn of the loop, in which asyncio closes the pipes


class _Answers(asyncio.StreamReaderProtocol):
    """Reads what a process says, and tells when it says no more."""

    def __init__(self, reader: asyncio.StreamReader, ended: Callable[[], None]) -> None:
        super().__init__(reader)
        self._tell: Callable[[], None] | None = ended

    def eof_received(self) -> bool:
        super().eof_received()
        self._told()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._told()

    def _told(self) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()


def _start() -> subprocess.Popen[bytes]:
    program = _PROGRAM.format(path=sys.path, module="mediaserver.store.encoder")
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # numpy's threads would only be memory: nothing here multiplies matrices.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        bufsize=0,
    )
