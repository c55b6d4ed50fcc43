"""Writing journals without ever waiting for the disk on the event loop.

One thread does all the writing. What is queued is copied when it is queued, so the media path may
go on at once; the queue is bounded in bytes, and a disk that does not keep up for that long makes
the recording concerned fail with a reason instead of eating the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from ..errors import LocalError
from ..recording.journal import JournalHeader, create, offset
from ..recording.resource import Direction

MAX_QUEUED: Final = 256 << 20
"""Bytes that may wait for the disk: some ten seconds of 1,500 calls."""

_Work = Callable[[], None]

log = structlog.get_logger(__name__)


class JournalFile:
    """One direction of one leg's journal, open for writing."""

    def __init__(self, writer: JournalWriter, path: Path, header: JournalHeader) -> None:
        self._writer = writer
        self._path = path
        self._header = header
        self._fd = -1
        self._fault: str | None = None
        writer.submit(self._create)

    def write(self, position: int, samples: NDArray[np.int16]) -> None:
        """Queue samples for `position` on the line. Never waits; a fault shows at `flushed`."""
        data = samples.astype("<i2", copy=False).tobytes()
        if not self._writer.reserve(len(data)):
            self._fault = self._fault or "the disk does not keep up with the recordings"
            return
        self._writer.submit(lambda: self._write(position, data))

    async def flushed(self) -> None:
        """Wait until all that was queued is in the file; LocalError if it could not be written."""
        await self._writer.barrier()
        if self._fault is not None:
            raise LocalError(self._fault)

    async def close(self) -> None:
        """Close the file once everything queued is in it; LocalError as for `flushed`."""
        self._writer.submit(self._close)
        await self.flushed()

    def _create(self) -> None:
        try:
            self._fd = create(self._path, self._header)
        except (LocalError, OSError) as error:
            self._fault = str(error)

    def _write(self, position: int, data: bytes) -> None:
        try:
            if self._fd >= 0:
                view, at = memoryview(data), offset(self._header, position)
                while view:
                    done = os.pwrite(self._fd, view, at)
                    view, at = view[done:], at + done
        except OSError as error:
            self._fault = f"cannot write the journal {self._path}: {error.strerror}"
        except Exception as error:
            self._fault = f"cannot write the journal {self._path}: {type(error).__name__}"
            raise
        finally:
            self._writer.release(len(data))

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        try:
            if fd >= 0:
                os.close(fd)
        except OSError as error:
            self._fault = f"cannot write the journal {self._path}: {error.strerror}"


class JournalWriter:
    """The thread, and the journals it writes below `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._queued = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="journals", daemon=True)
        self._thread.start()

    def create(
        self, folder: str, direction: Direction, *, rate: int, first: int, wall_us: int
    ) -> JournalFile:
        """Create the journal of one direction; `folder` is made of the leg's id alone."""
        header = JournalHeader(
            leg_id=Path(folder).name,
            direction=direction,
            rate=rate,
            first=first,
            wall_us=wall_us,
        )
        return JournalFile(self, self._data_dir / folder / f"{direction}.journal", header)

    def barrier(self) -> Awaitable[None]:
        """Return what is done when all that is queued now has been carried out."""
        loop = asyncio.get_running_loop()
        reached: asyncio.Future[None] = loop.create_future()

        def reach() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, reached)

        self.submit(reach)
        return reached

    def submit(self, work: _Work) -> None:
        """Queue work for the thread."""
        self._queue.put(work)

    def reserve(self, size: int) -> bool:
        """Make room for `size` bytes in the queue; False if there is none."""
        with self._lock:
            if self._queued + size > MAX_QUEUED:
                return False
            self._queued += size
            return True

    def release(self, size: int) -> None:
        """Give room back."""
        with self._lock:
            self._queued -= size

    def close(self) -> None:
        """Carry out what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:
                # The journals of all calls hang on this thread: nothing may end it.
                log.exception("journal work failed")


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
