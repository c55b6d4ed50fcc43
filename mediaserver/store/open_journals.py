"""The journals that are open: where each one's samples go, and what became of them.

All of this belongs to the writing thread, but for the reasons of failure, which whoever waits
for a journal reads when the thread has passed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from ..errors import LocalError
from ..recording.failure import Failure, RecordingFailed, failure_of
from ..recording.journal import (
    HEADER_SIZE,
    NOTES,
    JournalHeader,
    create,
    journal_name,
    offset,
)
from ..recording.resource import Direction
from .batch_write import Lane, Writes

log = structlog.get_logger(__name__)


class OpenJournal:
    """A journal from its creation to its end."""

    def __init__(
        self, number: int, data_dir: Path, folder: str, header: JournalHeader, *, wide: bool = False
    ) -> None:
        self.number = number
        self.header = header
        self._data_dir = data_dir
        self._folder = folder
        self._wide = wide
        self.made = False
        """Whether the file was created, or tried to be."""
        self.fault: RecordingFailed | None = None
        """Why not all of it could be written: the first reason there was."""
        self._noted = 0
        self._note_failed = False

    @property
    def path(self) -> Path:
        """Where the file is."""
        name = journal_name(self.header.direction, wide=self._wide)
        return self._data_dir / self._folder / name

    def fail(self, problem: str, failure: Failure) -> None:
        """Note why it is not whole."""
        self.fault = self.fault or RecordingFailed(problem, failure)

    def fail_writing(self, error: Exception) -> None:
        """Note the error that kept samples out of the file."""
        why = error.strerror if isinstance(error, OSError) else type(error).__name__
        self.fail(f"cannot write the journal {self.path}: {why}", failure_of(error))

    def append_note(self, data: bytes) -> None:
        """Append to the notes beside the journal.

        Each time by opening the file: most legs have none, and a leg that has writes some each
        second. What could not be written whole is written over next time.
        """
        path = self._data_dir / self._folder / NOTES
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.pwrite(descriptor, data, self._noted) == len(data):
                    self._noted += len(data)
            finally:
                os.close(descriptor)
        except OSError as error:
            if not self._note_failed:
                self._note_failed = True
                log.warning("notes not written", path=str(path), error=error.strerror)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Pieces of audio for many journals; every array but the buffer has one entry a piece."""

    numbers: NDArray[np.int64]
    """Of the journals."""
    positions: NDArray[np.int64]
    """On each one's line."""
    buffer: NDArray[np.uint8]
    """int16 little-endian samples, one piece after the other."""
    starts: NDArray[np.int64]
    """Byte of the buffer."""
    lengths: NDArray[np.int64]
    """Bytes."""

    @classmethod
    def of_rows(
        cls,
        numbers: NDArray[np.int64],
        positions: NDArray[np.int64],
        samples: NDArray[np.int16],
    ) -> Samples:
        """Return the rows of an array of shape (n, width) as pieces; none of it is copied."""
        rows = np.ascontiguousarray(samples, "<i2")
        count, width = rows.shape
        return cls(
            numbers,
            positions,
            rows.view(np.uint8).reshape(-1),
            np.arange(count, dtype=np.int64) * (2 * width),
            np.full(count, 2 * width, np.int64),
        )

    @classmethod
    def of_pieces(cls, pieces: Sequence[tuple[int, int, bytes]]) -> Samples:
        """Join pieces of any length: number, position and bytes."""
        numbers, positions, data = zip(*pieces, strict=True)
        lengths = np.fromiter(map(len, data), np.int64, len(data))
        return cls(
            np.array(numbers, np.int64),
            np.array(positions, np.int64),
            np.frombuffer(b"".join(data), np.uint8),
            np.cumsum(lengths) - lengths,
            lengths,
        )

    def take(self, rows: NDArray[np.int64]) -> Samples:
        """Return some of the pieces."""
        return Samples(
            self.numbers[rows],
            self.positions[rows],
            self.buffer,
            self.starts[rows],
            self.lengths[rows],
        )

    def rounds(self) -> Iterator[Samples]:
        """Yield the pieces in batches that name each journal once, in its own order."""
        count = self.numbers.size
        order = np.argsort(self.numbers, kind="stable")
        ordered = self.numbers[order]
        new = np.ones(count, bool)
        np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
        if new.all():
            yield self
            return
        # How many pieces of the same journal lie before each one.
        at = np.arange(count)
        before = at - np.maximum.accumulate(np.where(new, at, 0))
        for nth in range(int(before.max()) + 1):
            yield self.take(np.sort(order[before == nth]))


class OpenJournals:
    """The journals by their numbers."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._journals: dict[int, OpenJournal] = {}
        # By number: the descriptor, -1 where no file is open, and the byte of position 0.
        self._descriptors: NDArray[np.int64] = np.full(1024, -1, np.int64)
        self._origins: NDArray[np.int64] = np.zeros(1024, np.int64)

    def open(self, journal: OpenJournal) -> None:
        """Take in a journal and create its file.

        That of what the party hears waits for its first sample: most calls send nothing.
        """
        number = journal.number
        while number >= self._descriptors.size:
            self._descriptors = np.concatenate(
                [self._descriptors, np.full_like(self._descriptors, -1)]
            )
            self._origins = np.concatenate([self._origins, np.zeros_like(self._origins)])
        self._journals[number] = journal
        self._origins[number] = HEADER_SIZE - 2 * journal.header.first
        if journal.header.direction is not Direction.LISTEN:
            self._descriptor(journal)

    def write(self, samples: Samples) -> None:
        """Write to each journal what is meant for it, in the order given."""
        for part in samples.rounds():
            self._write_once(part)

    def fail_writing(self, samples: Samples, error: Exception) -> None:
        """Note the error that kept samples out of every journal they were meant for."""
        for number in set(samples.numbers.tolist()):
            if number in self._journals:
                self._journals[number].fail_writing(error)

    def close(self, journal: OpenJournal) -> None:
        """Close a journal; its number may be used anew."""
        del self._journals[journal.number]
        descriptor = int(self._descriptors[journal.number])
        self._descriptors[journal.number] = -1
        if descriptor >= 0:
            try:
                os.close(descriptor)
            except OSError as error:
                journal.fail_writing(error)

    def _write_once(self, samples: Samples) -> None:
        """Write pieces of which no two go to the same journal."""
        descriptors = self._descriptors[samples.numbers]
        offsets = self._origins[samples.numbers] + 2 * samples.positions
        writes = Writes(descriptors, offsets, samples.buffer, samples.starts, samples.lengths)
        ready = (descriptors >= 0) & (offsets >= HEADER_SIZE)
        if ready.all():
            left = self._lane.write(writes)
        else:
            rows = np.flatnonzero(ready)
            left = np.concatenate(
                [rows[self._lane.write(writes.take(rows))], np.flatnonzero(~ready)]
            )
        for row in left.tolist():
            journal = self._journals.get(int(samples.numbers[row]))
            if journal is not None:  # else it was closed: nobody will read this
                start = int(samples.starts[row])
                piece = samples.buffer[start : start + int(samples.lengths[row])]
                self._write_carefully(journal, int(samples.positions[row]), piece)

    def _write_carefully(
        self, journal: OpenJournal, position: int, piece: NDArray[np.uint8]
    ) -> None:
        """Write what did not go with the batch; what still fails is the journal's fault.

        A journal with a fault is lost already: on a full disk its samples are not tried twice.
        """
        if journal.fault is not None:
            return
        try:
            at = offset(journal.header, position)
            descriptor = self._descriptor(journal)
            view = piece.data
            while view and descriptor >= 0:
                done = os.pwrite(descriptor, view, at)
                view, at = view[done:], at + done
        except OSError as error:
            journal.fail_writing(error)
        except Exception as error:
            journal.fail_writing(error)
            log.exception("journal work failed")

    def _descriptor(self, journal: OpenJournal) -> int:
        """Return what the file is written through, -1 if there is none; create it if it is due."""
        if not journal.made:
            journal.made = True
            try:
                self._descriptors[journal.number] = create(journal.path, journal.header)
            except (LocalError, OSError) as error:
                journal.fail(str(error), failure_of(error))
        return int(self._descriptors[journal.number])
