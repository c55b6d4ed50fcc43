"""The audio of a recording, read from its journals: mixed, and without what its pauses leave out.

Stereo: what the party says is on the left, what it hears on the right; a recording of one
direction in stereo has silence on the other side. Mono: the two are added and saturate.

Where a pause joins what was not together, the audio fades away before it and comes back after it,
each in FADE seconds along a raised cosine, so that nothing clicks. Every other sample is what the
journals hold, bit for bit; only what the party hears is resampled where its clock and ours have
parted (`skew`), and all that is of the line where what the party says is of a higher rate (`wide`).
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import LocalError
from ..rtp.codecs import WIDE_RATE
from ..rtp.skew import read_leads
from .edits import Piece, edit
from .failure import Failure, RecordingFailed
from .journal import Journal, journal_name, open_journal, read_notes
from .rendering import RenderJob
from .resource import Direction
from .skew import Alignment, align
from .wide import at_higher_rate

FADE: Final = 0.005
"""Seconds in which the audio goes before a joint, and comes after it."""
FRAMES_PER_SECOND: Final = 50
CHUNK_FRAMES: Final = 500
"""Frames of a chunk: ten seconds; encoders take twice as long for short ones."""

_SIDES: Final = (Direction.SPEAK, Direction.LISTEN)


class Track:
    """What a job is to render, in samples from its beginning; see `open_track`."""

    def __init__(
        self,
        job: RenderJob,
        journals: dict[Direction, Journal],
        wide: dict[Direction, Journal],
        alignment: Alignment,
    ) -> None:
        """`wide` has journals of a rate that is higher than the line's, the same for all of them.

        If there is one, `alignment` is for that rate.
        """
        self.factor = next((one.header.rate // job.rate for one in wide.values()), 1)
        """Samples for each one of the line."""
        self.rate = job.rate * self.factor
        """Hz."""
        self.channels = 2 if job.stereo else 1
        self.frame = self.rate // FRAMES_PER_SECOND
        """Samples in a frame of 20 ms."""
        self._journals = journals
        self._wide = wide
        self._alignment = alignment
        pieces = edit(job.start, job.end, job.pauses)
        self._pieces = [piece.times(self.factor) for piece in pieces]
        self._begins = [piece.at for piece in self._pieces]
        count = round(FADE * self.rate)
        self._rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)[:, None]

    @property
    def length(self) -> int:
        """How many samples each channel has."""
        return self._pieces[-1].stop if self._pieces else 0

    def read(self, begin: int, end: int) -> NDArray[np.int16]:
        """Return the samples from `begin` to before `end`, shape (end - begin, channels).

        LocalError when the disk fails.
        """
        assert 0 <= begin <= end <= self.length, (begin, end, self.length)
        samples = np.zeros((end - begin, self.channels), np.int16)
        index = max(bisect_right(self._begins, begin) - 1, 0)
        for piece in self._pieces[index:]:
            if piece.at >= end:
                break
            first, last = max(piece.at, begin), min(piece.stop, end)
            if piece.heard:
                self._hear(piece, first - piece.at, samples[first - begin : last - begin])
        return samples

    def chunks(self, begin: int, end: int) -> Iterator[NDArray[np.int16]]:
        """Yield what `read` returns, CHUNK_FRAMES frames at a time."""
        step = CHUNK_FRAMES * self.frame
        for at in range(begin, end, step):
            yield self.read(at, min(at + step, end))

    def _hear(self, piece: Piece, skip: int, into: NDArray[np.int16]) -> None:
        """Put a piece without its first `skip` samples into an array."""
        count = len(into)
        at = piece.start + skip
        self._mix({side: self._read(side, at, at + count) for side in self._journals}, into)
        fade = len(self._rise)
        if piece.joint_before and skip < fade:
            _scale(into[: fade - skip], self._rise[skip:])
        after = piece.end - at - count
        if piece.joint_after and after < fade:
            _scale(into[::-1][: fade - after], self._rise[after:])

    def _read(self, side: Direction, start: int, end: int) -> NDArray[np.int16]:
        read = self._journals[side].read
        if self.factor > 1:
            wide = self._wide.get(side)
            read = partial(at_higher_rate, read, wide.read if wide else None, self.factor)
        return (
            self._alignment.read(read, start, end) if side is Direction.LISTEN else read(start, end)
        )

    def _mix(self, sides: dict[Direction, NDArray[np.int16]], into: NDArray[np.int16]) -> None:
        if self.channels == 2:
            for side, samples in sides.items():
                into[:, 0 if side is Direction.SPEAK else 1] = samples
        elif len(sides) == 2:
            speak, listen = sides.values()
            np.clip(
                speak.astype(np.int32) + listen, -32768, 32767, out=into[:, 0], casting="unsafe"
            )
        else:
            for samples in sides.values():
                into[:, 0] = samples


def _scale(samples: NDArray[np.int16], gains: NDArray[np.float64]) -> None:
    """Multiply samples in place; there may be fewer of them than gains."""
    samples[:] = np.rint(samples * gains[: len(samples)]).astype(np.int16)


@contextlib.contextmanager
def open_track(job: RenderJob, *, over: bool = True, wide: bool = True) -> Iterator[Track]:
    """Open the journals of a job; LocalError naming one that is missing or damaged.

    They may still be growing: the track ends where the job does. Unless the recording is `over`
    nothing is brought in step, for what is known of the clocks still changes. Where more was heard
    than the line has, the track has a higher rate, unless that is not wanted (`wide`).
    """
    with contextlib.ExitStack() as stack:
        wanted = [side for side in _SIDES if job.direction in (side, Direction.BOTH)]
        journals = {
            side: stack.enter_context(journal)
            for side in wanted
            if (journal := _open_side(job, side)) is not None
        }
        # Beside what the party said, nothing of what it heard means that nothing was sent to it.
        if not journals and not _path(job, Direction.SPEAK).exists():
            folder = Path(job.data_dir) / job.journal
            raise RecordingFailed(
                f"recording {job.recording_id} has no journal in {folder}",
                Failure.JOURNAL_UNUSABLE,
            )
        more: dict[Direction, Journal] = {}
        for side in journals if wide else ():
            journal = _open_wide(job, side)
            if journal is not None:
                more[side] = stack.enter_context(journal)
        factor = next((one.header.rate // job.rate for one in more.values()), 1)
        yield Track(job, journals, more, alignment(job, over=over, factor=factor))


def alignment(job: RenderJob, *, over: bool = True, factor: int = 1) -> Alignment:
    """Return where what the party hears is to be fetched from, so that it is in step.

    In samples of `factor` times the line's rate.
    """
    if job.direction is Direction.SPEAK:
        return Alignment(job.rate * factor, 0)
    leads = factor * read_leads(read_notes(Path(job.data_dir) / job.journal))
    both = job.direction is Direction.BOTH
    start, end = job.start * factor, job.end * factor
    return align(leads, job.rate * factor, start, end, resample=both and over)


def _open_side(job: RenderJob, side: Direction) -> Journal | None:
    """Return the journal of one side, or None when nothing was ever kept of it.

    What the party hears is created with its first sample: a server that is killed right then
    leaves an empty file, and that is no damage.
    """
    path = _path(job, side)
    if not path.exists() or (side is Direction.LISTEN and path.stat().st_size == 0):
        return None
    journal = open_journal(path)
    if journal.header.rate != job.rate:
        journal.close()
        problem = f"the journal {path} is of {journal.header.rate} Hz, not {job.rate} Hz"
        raise RecordingFailed(problem, Failure.JOURNAL_UNUSABLE)
    return journal


def _open_wide(job: RenderJob, side: Direction) -> Journal | None:
    """Return the journal of what one side has at `WIDE_RATE`, if there is one.

    One that cannot be read costs a recording its overtones: the line has the rest.
    """
    path = _path(job, side).with_name(journal_name(side, wide=True))
    if not path.exists():
        return None
    try:
        journal = open_journal(path)
    except LocalError:
        return None
    if journal.header.rate != WIDE_RATE or WIDE_RATE % job.rate or job.rate == WIDE_RATE:
        journal.close()
        return None
    return journal


def _path(job: RenderJob, side: Direction) -> Path:
    return Path(job.data_dir) / job.journal / journal_name(side)
