"""The journals on the disk that nobody writes to any more: found, emptied in part, removed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mediaserver.errors import LocalError
from mediaserver.recording.claim import sync_folder
from mediaserver.recording.journal import (
    HEADER_SIZE,
    NOTES,
    SUFFIX,
    JournalHeader,
    journal_name,
    offset,
    open_journal,
    read_notes,
)
from mediaserver.recording.resource import Direction
from mediaserver.recording.skew import sent_range
from mediaserver.rtp.skew import read_leads

from .holes import punch
from .note_holes import rewrite_notes
from .tombstones import NEVER, Stretch

BATCH: Final = 256
"""Folders that are looked at in one go."""

_ROOT: Final = "journals"
_LEG = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DOOMED: Final = ".erased"
"""Ends the name of a folder that is being removed: nobody takes half a journal for a whole one."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A leg's journal."""

    path: str
    """As `Span.journal` has it."""
    made_at: int
    """Microseconds since 1970: when its last file was created."""


class JournalFolders:
    """All journals below a data directory. Every method blocks, but for `batches`."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    async def batches(self) -> AsyncIterator[list[Folder]]:
        """Yield the journals there are, some at a time; remove what was begun to be removed."""
        folders = self._list()
        while batch := await asyncio.to_thread(lambda: list(islice(folders, BATCH))):
            yield batch

    def remove(self, journal: str) -> None:
        """Remove a journal; LocalError if that cannot be done. One that is gone is no error."""
        path = self._path(journal)
        doomed = path.with_name(path.name + _DOOMED)
        try:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(doomed)  # of an attempt that was cut off
            path.rename(doomed)
            shutil.rmtree(doomed)
            sync_folder(path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LocalError(f"cannot remove the journal {path}: {error.strerror}") from error

    def keep_only(self, journal: str, needed: Iterable[Stretch], before: int = NEVER) -> None:
        """Take out of a journal all that is not `needed` and lies before `before`.

        So is what was noted of it, but for how far the clocks had parted.
        LocalError if that cannot be done; a file that is damaged keeps no other from it. A
        journal that is gone is no error.
        """
        path = self._path(journal)
        stretches = list(needed)
        try:
            leads = read_leads(read_notes(path))
            rate = _line_rate(path)
            damaged: list[LocalError] = []
            for file in sorted(path.glob(f"*{SUFFIX}")):
                try:
                    _keep_only(file, stretches, before, leads, rate)
                except LocalError as error:
                    damaged.append(error)
            rewrite_notes(path / NOTES, stretches, before)
            if damaged:
                raise damaged[0]
        except FileNotFoundError:
            return
        except OSError as error:
            raise LocalError(f"cannot empty the journal {path}: {error.strerror}") from error

    def _list(self) -> Iterator[Folder]:
        root = self._data_dir / _ROOT
        try:
            with os.scandir(root) as entries:
                for entry in entries:
                    name = entry.name.removesuffix(_DOOMED)
                    if _LEG.fullmatch(name) is None or not entry.is_dir(follow_symlinks=False):
                        continue  # not ours
                    if name != entry.name:
                        self.remove(f"{_ROOT}/{name}")
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        made_at = entry.stat(follow_symlinks=False).st_mtime_ns // 1000
                        yield Folder(f"{_ROOT}/{name}", made_at)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LocalError(f"cannot list the journals in {root}: {error.strerror}") from error

    def _path(self, journal: str) -> Path:
        root, _, leg = journal.partition("/")
        path = self._data_dir / _ROOT / leg
        if root != _ROOT or _LEG.fullmatch(leg) is None or path.is_symlink():
            raise LocalError(f"{journal!r} is not the folder of a journal")
        return path


def gaps(needed: Iterable[Stretch], start: int, end: int) -> Iterator[Stretch]:
    """Yield what lies from `start` to before `end` and in no stretch that is needed, in order."""
    for stretch in sorted(needed, key=lambda stretch: stretch.start):
        if stretch.start >= end:
            break
        if start < stretch.start:
            yield Stretch(start, stretch.start)
        start = max(start, stretch.end)
    if start < end:
        yield Stretch(start, end)


def _line_rate(folder: Path) -> int | None:
    """Return Hz of the line whose positions stretches are; None: it has no journal."""
    for side in (Direction.SPEAK, Direction.LISTEN):
        # One that is damaged is named when it is to be emptied.
        with contextlib.suppress(LocalError), open_journal(folder / journal_name(side)) as journal:
            return journal.header.rate
    return None


def _keep_only(
    path: Path,
    needed: Iterable[Stretch],
    before: int,
    leads: NDArray[np.int64],
    line_rate: int | None,
) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size < HEADER_SIZE:
            return  # of a server that was killed right then: it holds nothing
        try:
            header = JournalHeader.unpack(os.pread(descriptor, HEADER_SIZE, 0))
        except ValueError as error:
            raise LocalError(f"the journal {path} is damaged: {error}") from error
        line_rate = line_rate or header.rate
        if header.direction is Direction.LISTEN:
            # What was sent lies at positions of the clock, from which the line's may have parted.
            needed = [Stretch(*sent_range(leads, line_rate, one.start, one.end)) for one in needed]
            before = sent_range(leads, line_rate, before, before)[0]
        wider = header.rate // line_rate
        if wider > 1:
            needed = [Stretch(one.start * wider, min(one.end * wider, NEVER)) for one in needed]
            before = min(before * wider, NEVER)
        # Half a sample at the end counts as one.
        end = header.first + (size - HEADER_SIZE + 1) // 2
        for gap in gaps(needed, header.first, min(end, before)):
            punch(descriptor, offset(header, gap.start), offset(header, gap.end))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
