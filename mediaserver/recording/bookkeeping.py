"""The account of a recording, made of what is on disk of its leg. Blocks; for a process of its own.

It is made where the files are: all that it needs, the samples of the journal and the spans beside
them, is read there anyway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .account import Account, Reader, Stretch, account_sent, account_spoken
from .journal import journal_name, open_journal, read_notes
from .rendering import RenderJob
from .resource import Direction
from .track import alignment


def account_for(
    job: RenderJob,
    kept: tuple[int, int] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Account | None:
    """Return where every millisecond of a job's files came from, None if that is not asked for.

    `kept` is what was not trimmed off (`Stretch.kept`); `progress` is called at times. LocalError
    when a journal cannot be read, as in a render; without the spans all that is not speech is
    silence.
    """
    if job.sensitivity is None:
        return None
    folder = Path(job.data_dir) / job.journal
    stretch = Stretch(start=job.start, end=job.end, rate=job.rate, pauses=job.pauses, kept=kept)
    with contextlib.ExitStack() as stack:
        if job.direction is Direction.LISTEN:
            read = _reader(folder, Direction.LISTEN, stack, progress)
            return account_sent(partial(alignment(job).read, read), stretch)
        read = _reader(folder, Direction.SPEAK, stack, progress)
        return account_spoken(read, read_notes(folder), stretch, job.sensitivity)


def _reader(
    folder: Path, side: Direction, stack: contextlib.ExitStack, progress: Callable[[], None]
) -> Reader:
    """Return what reads one side; of one that was never written, silence."""
    path = folder / journal_name(side)
    try:
        empty = path.stat().st_size == 0
    except OSError:
        empty = True
    if empty:
        return lambda start, end: np.zeros(end - start, np.int16)
    journal = stack.enter_context(open_journal(path))

    def read(start: int, end: int) -> NDArray[np.int16]:
        progress()
        return journal.read(start, end)

    return read
