"""Rendering a recording again: another file of the same journal, for as long as that is kept.

A rendition changes nothing of what was said about the recording: its state is final, and nobody is
told. It only gets one more file, under the next number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from ..errors import ConflictError, LocalError, PeerError
from ..recording.announcement import Announcement
from ..recording.rendering import RenderJob, Target
from ..recording.resource import Audio, Direction, Format, PostProcessing, Recording
from ..recording.states import FINAL
from .ports import Renderer

MOST_RENDITIONS: Final = 16
"""Of one recording, beside what was made when it ended."""

MOST_AT_ONCE: Final = 4
"""Recordings rendered again at a time: the encoders are first of all for those that just ended."""

CLOSING: Final = 8.0
"""Seconds that those in hand are given when the server stops."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionOrder:
    """What is to be different; None: as the recording itself is."""

    format: Format | None = None
    direction: Direction | None = None
    stereo: bool | None = None
    post_processing: tuple[PostProcessing, ...] | None = None
    sample_rate: int | None = None
    """Hz."""


class NotRenderable(PeerError):
    """As things stand with this recording, no further file can be made of it."""

    def __init__(self, why: str) -> None:
        super().__init__(400, why)


class RenderingAlready(PeerError):
    """It is being rendered again at this moment."""

    def __init__(self) -> None:
        super().__init__(409, "the recording is being rendered again already")


class RecordingBook(Protocol):
    """Where recordings are kept."""

    def get(
        self, project_id: str, call_id: str | None, recording_id: str
    ) -> Awaitable[Recording | None]:
        """Return a recording of the project."""

    def save(
        self, recording: Recording, announcements: Sequence[Announcement] = ()
    ) -> Awaitable[None]:
        """Keep what became of a recording; ConflictError if there is no such recording."""


class RenditionFiles(Protocol):
    """The files of recordings. Both methods block."""

    def has_rendition(self, recording_id: str, rendition: int) -> bool:
        """Tell whether there is a file of this number, of whatever format."""

    def discard(self, path: str) -> None:
        """Remove one file; `path` is an `Audio.path`. LocalError if it stays."""


class Renditions:
    """Makes them."""

    def __init__(
        self,
        book: RecordingBook,
        renderer: Renderer,
        files: RenditionFiles,
        journal_end: Callable[[str], int],
        *,
        data_dir: str,
        sample_rate: int | None,
    ) -> None:
        """`journal_end` raises LocalError for a journal that is gone; it blocks.

        `sample_rate` is what holds where an order names none; None: the line's own.
        """
        self._book = book
        self._renderer = renderer
        self._files = files
        self._journal_end = journal_end
        self._data_dir = data_dir
        self._sample_rate = sample_rate
        self._work: dict[str, asyncio.Task[Recording]] = {}
        self._closed = False

    async def render(self, recording: Recording, order: RenditionOrder) -> Recording:
        """Make a further file of a recording; return the recording with it.

        Raises NotRenderable, RenderingAlready, PeerError 404 when it was deleted meanwhile and 429
        when too much is being rendered again; LocalError when the file cannot be made. Whoever
        asked may go: the file is made all the same.
        """
        if recording.state not in FINAL:
            raise NotRenderable("the recording is not over yet, or its files are being made")
        if recording.span.end is None:
            raise NotRenderable("the recording failed before it had any audio")
        if self._closed:
            raise LocalError("the server is stopping")
        if recording.id in self._work:
            raise RenderingAlready
        if len(self._work) >= MOST_AT_ONCE:
            raise PeerError(429, f"{MOST_AT_ONCE} recordings are being rendered again")
        task = self._work[recording.id] = asyncio.create_task(self._render(recording, order))
        task.add_done_callback(lambda done: self._ended(recording.id, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait a moment for those in hand; what is cut off is as if it had never been asked for."""
        self._closed = True
        if not self._work:
            return
        _, late = await asyncio.wait(self._work.values(), timeout=CLOSING)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, recording_id: str, task: asyncio.Task[Recording]) -> None:
        del self._work[recording_id]
        if not task.cancelled():
            task.exception()  # taken: whoever asked may be gone

    async def _render(self, recording: Recording, order: RenditionOrder) -> Recording:
        recording = await self._latest(recording)
        await self._check_journal(recording)
        rendition = await self._next_number(recording)
        job = self._job(recording, order, rendition)
        try:
            rendered = await self._renderer.render(job)
        except LocalError:
            await self._check_journal(recording)  # it may have gone while the job was waiting
            raise
        (audio,) = rendered.audio
        audio = replace(
            audio,
            direction=job.direction,
            duration_us=rendered.samples * 1_000_000 // recording.span.rate,
        )
        recording = await self._add(recording, audio)
        log.info(
            "recording rendered again",
            recording_id=recording.id,
            rendition=rendition,
            format=audio.format,
            bytes=audio.size_bytes,
        )
        return recording

    async def _latest(self, recording: Recording) -> Recording:
        """Return it as it is now: somebody else may have added a file, or deleted it."""
        found = await self._book.get(recording.project_id, recording.call_id, recording.id)
        if found is None:
            raise PeerError(404, "recording not found")
        return found

    async def _check_journal(self, recording: Recording) -> None:
        try:
            await asyncio.to_thread(self._journal_end, recording.span.journal)
        except LocalError:
            raise NotRenderable("the journal of the recording is kept no longer") from None

    async def _next_number(self, recording: Recording) -> int:
        """Return a number that no file has, also none that a crash left behind."""
        numbers = {audio.rendition for audio in recording.audio} - {0}
        if len(numbers) >= MOST_RENDITIONS:
            raise NotRenderable(f"the recording has {MOST_RENDITIONS} renditions")
        number = max(numbers, default=0) + 1
        while await asyncio.to_thread(self._files.has_rendition, recording.id, number):
            number += 1
        return number

    def _job(self, recording: Recording, order: RenditionOrder, rendition: int) -> RenderJob:
        assert recording.span.end is not None
        steps = order.post_processing
        target = Target(
            format=order.format or recording.format,
            rendition=rendition,
            sample_rate=order.sample_rate or self._sample_rate,
        )
        return replace(
            RenderJob.of(recording, self._data_dir, recording.span.end, (target,)),
            direction=order.direction or recording.direction,
            stereo=recording.stereo if order.stereo is None else order.stereo,
            trim=PostProcessing.TRIM_SILENCE
            in (recording.post_processing if steps is None else steps),
        )

    async def _add(self, recording: Recording, audio: Audio) -> Recording:
        """Note down a file; what cannot be noted down is removed."""
        try:
            latest = await self._latest(recording)
            latest = replace(latest, audio=(*latest.audio, audio))
            await self._book.save(latest)
        except (LocalError, PeerError) as error:
            await asyncio.to_thread(self._files.discard, audio.path)
            if isinstance(error, ConflictError):
                raise PeerError(404, "recording not found") from error
            raise
        return latest
