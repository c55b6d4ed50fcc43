"""Recordings that wait on disk, because too many wait for an encoder already.

They are RENDERING in the database, their audio is whole in the journal, and their calls are over.
All that is kept of one in memory is its id and whom to tell: some 300 bytes. A server that stops
forgets them; the next one completes them like any other that was not finished (`recovery`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from ..errors import LocalError
from ..recording.announcement import Envelope
from ..recording.resource import Recording
from ..recording.states import State

RETRY: Final = 1.0
"""Seconds after which it is tried again when there was still no room, or no database."""
AT_ONCE: Final = 16
"""Recordings of the backlog that wait for an encoder at a time, beside those that just ended."""

log = structlog.get_logger(__name__)


class Shelf(Protocol):
    """Where recordings are kept."""

    def get(
        self, project_id: str, call_id: str | None, recording_id: str
    ) -> Awaitable[Recording | None]:
        """Return a recording of the project; LocalError when the database cannot be asked."""


class Backlog:
    """See the module. The recording that was left first is rendered first."""

    def __init__(self) -> None:
        self._left: asyncio.Queue[tuple[str, str, Envelope]] = asyncio.Queue()

    def leave(self, recording: Recording, envelope: Envelope) -> None:
        """Leave a recording for later."""
        log.warning("recording rendered later", recording_id=recording.id, before=self.length)
        self._left.put_nowait((recording.call_id, recording.id, envelope))

    @property
    def length(self) -> int:
        """Number of recordings left."""
        return self._left.qsize()

    async def work_off(
        self, shelf: Shelf, render: Callable[[Recording, Envelope], Awaitable[Recording]]
    ) -> None:
        """Render what is left, for ever; `render` leaves again what there is no room for."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work_off(shelf, render))

    async def _work_off(
        self, shelf: Shelf, render: Callable[[Recording, Envelope], Awaitable[Recording]]
    ) -> None:
        while True:
            left = call_id, recording_id, envelope = await self._left.get()
            try:
                recording = await shelf.get(envelope.project_id, call_id, recording_id)
            except LocalError:
                self._left.put_nowait(left)
                await asyncio.sleep(RETRY)
                continue
            if recording is None or recording.state is not State.RENDERING:
                continue  # deleted meanwhile
            try:
                done = await render(recording, envelope)
            except Exception:
                log.exception("recording not rendered", recording_id=recording_id)
                continue
            if done.state is State.RENDERING:
                await asyncio.sleep(RETRY)
