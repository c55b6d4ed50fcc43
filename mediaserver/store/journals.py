"""Writing journals without ever waiting for the disk on the event loop.

One thread does all the writing, and takes what waits in batches (see `batch_write`). What it is
given is the queue's own, so the media path may go on at once; the queue is bounded in bytes, and
a disk that does not keep up for that long makes the recordings concerned fail with a reason
instead of eating the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from ..recording.failure import Failure, RecordingFailed
from ..recording.journal import JournalHeader
from ..recording.resource import Direction
from .batch_write import LIST, Lane, open_lane
from .open_journals import OpenJournal, OpenJournals, Samples

MAX_QUEUED: Final = 256 << 20
"""Bytes that may wait for the disk: some four seconds of 4,000 calls."""

PACE: Final = 0.01
"""Seconds from when the thread has done all there was until it looks again. Each time that it is
woken by one piece of work the event loop pays twice for the interpreter's lock; so what comes
meanwhile is done in one go."""

_TOO_SLOW: Final = "the disk does not keep up with the recordings"

_Piece = tuple[int, int, bytes]
"""A journal's number, a position on its line, samples."""
_Work = Callable[[], None]

log = structlog.get_logger(__name__)


class JournalFile:
    """One direction of one leg's journal, open for writing."""

    def __init__(self, writer: JournalWriter, journal: OpenJournal) -> None:
        self.number: Final = journal.number
        """Names this journal in `JournalWriter.write_many` until it is closed."""
        self._writer = writer
        self._journal = journal
        self._open = True
        self._begun = False
        """Whether there is anything to wait for; known for good when it is closed."""

    def write(self, position: int, samples: NDArray[np.int16]) -> None:
        """Queue samples for `position` on the line. Never waits; a fault shows at `flushed`."""
        if self._open:
            data = samples.astype("<i2", copy=False).tobytes()
            self._writer.write_piece(self._journal, position, data)

    def note(self, spans: bytes) -> None:
        """Queue what is known of the line, to be appended to the leg's notes (`NOTES`).

        Never waits. That it could not be written is no fault of the journal.
        """
        if self._open:
            self._writer.write_note(self._journal, spans)

    async def flushed(self) -> None:
        """Wait until all that was queued is in the file; LocalError if it could not be written."""
        if self._open:
            self._begun = self._writer.has_begun(self._journal)
        if self._begun:
            await self._writer.barrier()
        fault = self._journal.fault
        if fault is not None:
            # Whoever waits gets one of its own: a traceback is not shared.
            raise RecordingFailed(str(fault), fault.failure)

    async def close(self) -> None:
        """Close the file once everything queued is in it; LocalError as for `flushed`."""
        if self._open:
            self._begun = self._writer.has_begun(self._journal)
            self._open = False
            self._writer.finish(self._journal)
        await self.flushed()


class JournalWriter:
    """The thread, and the journals it writes below `data_dir`."""

    def __init__(self, data_dir: Path, lane: Lane | None = None) -> None:
        """`lane` is how batches are written; None: in the quickest way this system has."""
        self._data_dir = data_dir
        self._lane = lane or open_lane()
        self._open = OpenJournals(self._lane)
        self._journals: dict[int, OpenJournal] = {}
        self._numbers = itertools.count()
        self._free: deque[int] = deque()
        """Numbers of journals that were closed; the thread puts them there."""
        self._begun: NDArray[np.bool_] = np.zeros(1024, np.bool_)
        """By number: whether the thread has or had something to do for the journal."""
        self._queue: queue.SimpleQueue[_Work | _Piece | Samples | None] = queue.SimpleQueue()
        self._queued = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="journals", daemon=True)
        self._thread.start()

    def create(
        self,
        folder: str,
        direction: Direction,
        *,
        rate: int,
        first: int,
        wall_us: int,
        wide: bool = False,
    ) -> JournalFile:
        """Create the journal of one direction; `folder` is made of the leg's id alone.

        The file of `LISTEN` appears with its first sample. `wide` is that of a higher rate.
        """
        header = JournalHeader(
            leg_id=folder.rpartition("/")[2],
            direction=direction,
            rate=rate,
            first=first,
            wall_us=wall_us,
        )
        number = self._free.popleft() if self._free else next(self._numbers)
        journal = OpenJournal(number, self._data_dir, folder, header, wide=wide)
        self._journals[number] = journal
        if number >= self._begun.size:
            self._begun = np.concatenate([self._begun, np.zeros_like(self._begun)])
        self._begun[number] = direction is not Direction.LISTEN
        self.submit(partial(self._open.open, journal))
        return JournalFile(self, journal)

    def write_many(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.int64],
        samples: NDArray[np.int16],
    ) -> None:
        """Queue samples for many journals at once: row i for `positions[i]` of `numbers[i]`.

        `samples` has the shape (n, width) and is given away: it must not change any more. No
        journal named may have been closed. Never waits; faults show at each one's `flushed`.
        """
        if not samples.size:
            return
        self._begun[numbers] = True
        if self.reserve(samples.nbytes):
            self._queue.put(
                Samples.of_rows(np.array(numbers, np.int64), np.array(positions, np.int64), samples)
            )
        else:
            for number in set(numbers.tolist()):
                if number in self._journals:
                    self._journals[number].fail(_TOO_SLOW, Failure.STORAGE_TOO_SLOW)

    def write_piece(self, journal: OpenJournal, position: int, data: bytes) -> None:
        """Queue samples for one journal."""
        self._begun[journal.number] = True
        if self.reserve(len(data)):
            self._queue.put((journal.number, position, data))
        else:
            journal.fail(_TOO_SLOW, Failure.STORAGE_TOO_SLOW)

    def write_note(self, journal: OpenJournal, spans: bytes) -> None:
        """Queue notes for the leg of a journal; they are let go when the queue is full."""
        if self.reserve(len(spans)):
            self.submit(partial(self._note, journal, spans))

    def has_begun(self, journal: OpenJournal) -> bool:
        """Return whether there is anything of a journal that may still wait."""
        return bool(self._begun[journal.number])

    def finish(self, journal: OpenJournal) -> None:
        """Close a journal when all that is queued now has been written."""
        del self._journals[journal.number]
        self.submit(partial(self._finish, journal))

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
        self._lane.close()

    def _run(self) -> None:
        pieces: list[_Piece] = []
        while True:
            work = self._queue.get()
            if isinstance(work, tuple):
                pieces.append(work)
                if len(pieces) < LIST and not self._queue.empty():
                    continue  # what waits behind it may go in the same batch
            if pieces:
                self._write(Samples.of_pieces(pieces))
                pieces.clear()
            if work is None:
                return
            if isinstance(work, Samples):
                self._write(work)
            elif callable(work):
                self._do(work)
            del work  # nothing is to be held on to while the queue is empty
            if self._queue.empty():
                time.sleep(PACE)

    def _write(self, samples: Samples) -> None:
        try:
            self._open.write(samples)
        except Exception as error:
            self._open.fail_writing(samples, error)
            log.exception("journal work failed")
        finally:
            self.release(int(samples.lengths.sum()))

    def _note(self, journal: OpenJournal, spans: bytes) -> None:
        try:
            journal.append_note(spans)
        finally:
            self.release(len(spans))

    def _finish(self, journal: OpenJournal) -> None:
        try:
            self._open.close(journal)
        finally:
            self._free.append(journal.number)

    @staticmethod
    def _do(work: _Work) -> None:
        try:
            work()
        except Exception:
            # The journals of all calls hang on this thread: nothing may end it.
            log.exception("journal work failed")


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
