"""Recordings before their end, for whoever reads them while they grow.

What the database says of a recording in progress is a moment old: a pause that was asked for just
now must hold at once for those who listen along. So what runs in this process is asked itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..errors import LocalError
from ..recording.end import cut_off
from ..recording.rendering import RenderJob
from ..recording.resource import Recording


@dataclass(frozen=True, slots=True)
class SoFar:
    """What there is of a recording at a moment."""

    job: RenderJob
    """Its audio as a track: nothing is to be rendered."""
    sample_rate: int | None
    """Hz that its files will have; None: those of the track."""
    over: bool
    """Whether this is all of it."""


class Running(Protocol):
    """A recording in progress in this process."""

    @property
    def present(self) -> Recording:
        """As it stands at this moment; `span.end` is set once its last sample is known."""

    async def settled(self) -> int:
        """Return the position up to which its audio is in the journal and changes no more.

        LocalError when the journal could not be written.
        """


class Growing:
    """A recording that is in no final state, or was not when it was found."""

    def __init__(self, source: Running, data_dir: str, sample_rate: int | None) -> None:
        self._source = source
        self._data_dir = data_dir
        self._sample_rate = sample_rate

    async def so_far(self) -> SoFar:
        """Return what there is of it by now; LocalError when the journal could not be written."""
        settled = await self._source.settled()
        # Asked afterwards: no pause that began meanwhile is heard.
        recording = self._source.present
        span = recording.span
        end = max(settled, span.start)
        end = end if span.end is None else min(end, span.end)
        job = RenderJob.of(recording, self._data_dir, end, ())
        return SoFar(job, self._sample_rate, over=job.end == span.end)


class GrowingRecordings:
    """Finds recordings that have not come to their end."""

    def __init__(
        self,
        running: Mapping[str, Running],
        journal_end: Callable[[str], int],
        *,
        data_dir: str,
        sample_rate: int | None,
    ) -> None:
        """`running` has those of this process, by id.

        `journal_end` returns the last position a leg's journal holds; LocalError if there is none.
        `sample_rate` is in Hz, of the files; None: as the call was.
        """
        self._running = running
        self._journal_end = journal_end
        self._data_dir = data_dir
        self._sample_rate = sample_rate

    async def find(self, recording: Recording) -> Growing | None:
        """Return a recording that the database has in no final state; None if it has no journal."""
        source = self._running.get(recording.id) or await self._in_the_making(recording)
        return None if source is None else Growing(source, self._data_dir, self._sample_rate)

    async def _in_the_making(self, recording: Recording) -> Running | None:
        if recording.span.end is None:  # cut off by a crash
            try:
                end = await asyncio.to_thread(self._journal_end, recording.span.journal)
            except LocalError:
                return None
            recording = cut_off(recording, end)
        return _InTheMaking(recording)


class _InTheMaking:
    """A recording to whose audio nothing is added: its files are being made."""

    def __init__(self, recording: Recording) -> None:
        self.present = recording

    async def settled(self) -> int:
        """Return its end."""
        assert self.present.span.end is not None
        return self.present.span.end
