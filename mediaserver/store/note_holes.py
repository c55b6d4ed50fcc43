"""Taking stretches of a line out of what is noted of it (`rtp.spans`): when something was lost, a
key pressed, the call held. Every record keeps its place in the file, for the leg may still add to
it; one of which nothing is left is zeros, which is no kind of record.

What is noted of the clocks (`rtp.skew`) stays as long as anything of the leg does: what was sent
is laid beside what was said by it, and of what was said it tells nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mediaserver.rtp.spans import RECORD_SIZE, Kind, pack, unpack

from .tombstones import NEVER, Stretch

_SPANS: Final = (Kind.LOST, Kind.FILLED, Kind.KEY)
_HOLDS: Final = (Kind.HELD, Kind.FREED)


def keep_notes(notes: NDArray[np.int64], needed: Iterable[Stretch]) -> NDArray[np.int64]:
    """Return the records, shape (n, 3), with what lies in no stretch that is needed taken out."""
    starts, ends = _joined(needed)
    kept = notes.copy()
    spans = np.flatnonzero(np.isin(notes[:, 0], _SPANS))
    begin, end = notes[spans, 1], notes[spans, 2]
    first = np.searchsorted(ends, begin, "right")
    last = np.searchsorted(starts, end, "left") - 1
    inside = first <= last
    kept[spans[~inside]] = 0
    spans, first, last = spans[inside], first[inside], last[inside]
    kept[spans, 1] = np.maximum(kept[spans, 1], starts[first])
    kept[spans, 2] = np.minimum(kept[spans, 2], ends[last])
    _keep_holds(kept, starts, ends)
    return kept


def rewrite_notes(path: str | os.PathLike[str], needed: Iterable[Stretch], before: int) -> None:
    """Do so in a file, as far as it lies before `before`; one that is not there is no error.

    Raises OSError. Blocks.
    """
    stretches = list(needed)
    if before != NEVER:
        stretches.append(Stretch(before))
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        size = os.fstat(descriptor).st_size
        data = os.pread(descriptor, size, 0)
        kept = pack(keep_notes(unpack(data), stretches))
        if before == NEVER:
            kept += bytes(size % RECORD_SIZE)  # half a record, of a process that was killed
        if kept != data[: len(kept)]:
            os.pwrite(descriptor, kept, 0)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep_holds(
    kept: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> None:
    """Leave of the holds those in a stretch, and how the call stood as it began."""
    stood: dict[int, int] = {}
    for row in np.flatnonzero(np.isin(kept[:, 0], _HOLDS)).tolist():
        position = int(kept[row, 1])
        stretch = int(np.searchsorted(ends, position, "right"))
        if stretch == starts.size:
            kept[row] = 0
        elif position < starts[stretch]:
            if stretch in stood:
                kept[stood[stretch]] = 0
            stood[stretch] = row
            kept[row, 1] = starts[stretch]


def _joined(needed: Iterable[Stretch]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the stretches begin and end, in order, none touching another."""
    joined: list[list[int]] = []
    for stretch in sorted(needed, key=lambda stretch: stretch.start):
        if stretch.start >= stretch.end:
            continue
        if joined and stretch.start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stretch.end)
        else:
            joined.append([stretch.start, stretch.end])
    starts, ends = np.array(joined, np.int64).reshape(-1, 2).T
    return starts, ends
