"""The book of recordings: every state goes into it, with its announcement, in one transaction.

A state that cannot be written because the database is busy, locked or gone for a while is written
when it is back; the audio does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import structlog

from ..clock import Clock, now_us
from ..errors import ConflictError, LocalError
from ..recording.announcement import Announcement, Envelope, announce, announce_ready
from ..recording.resource import Recording
from ..recording.states import FINAL, State
from .ports import RecordingStore

RETRIES: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between attempts to write a state; the last is repeated for as long as it takes."""

log = structlog.get_logger(__name__)


class Ledger:
    """Writes the states of recordings and says them to whoever asked."""

    def __init__(
        self,
        store: RecordingStore,
        clock: Clock,
        download_url: Callable[[str], str],
        resource: Callable[[Recording], bytes],
    ) -> None:
        """`download_url` returns the address of a recording's audio, given its id.

        `resource` returns the JSON of a recording as its REST resource (contract B1).
        """
        self._store = store
        self._clock = clock
        self.download_url = download_url
        self._resource = resource

    async def begin(self, recording: Recording, envelope: Envelope) -> Recording:
        """Write a recording that has just started."""
        return await self._write(recording, envelope, new=True)

    async def change(self, recording: Recording, envelope: Envelope) -> Recording:
        """Write a recording's next state."""
        return await self._write(recording, envelope, new=False)

    async def _write(self, recording: Recording, envelope: Envelope, *, new: bool) -> Recording:
        recording, said = self._announce(recording, envelope)
        write = self._store.add if new else self._store.save
        await persist(
            lambda: write(recording, said), recording_id=recording.id, state=recording.state
        )
        if recording.state in FINAL:
            log.info(
                "recording ended",
                call_id=recording.call_id,
                recording_id=recording.id,
                state=recording.state,
                reason=recording.stop_reason,
                **({} if recording.failure is None else {"failure": recording.failure}),
            )
        return recording

    def _announce(
        self, recording: Recording, envelope: Envelope
    ) -> tuple[Recording, list[Announcement]]:
        said: list[Announcement | None] = []
        now = now_us(self._clock)
        if recording.status_url is not None and recording.state is not State.RENDERING:
            recording = replace(recording, sequence=recording.sequence + 1)
            said.append(announce(recording, envelope, self.download_url(recording.id), now))
        if recording.ready_uri is not None and recording.state in FINAL:
            said.append(announce_ready(recording, self._resource(recording), now))
        return recording, [announcement for announcement in said if announcement is not None]


async def persist(write: Callable[[], Awaitable[None]], **what: object) -> None:
    """Write to the database, again and again until it takes it; `what` says in the log what.

    What it will never take, because it is written already or cannot be held, is logged and let go:
    no call may wait for that.
    """
    attempt = 0
    while True:
        try:
            return await write()
        except ConflictError as error:
            log.error("not written", **what, error=str(error))
            return None
        except LocalError as error:
            delay = RETRIES[min(attempt, len(RETRIES) - 1)]
            attempt += 1
            log.error("not yet written", **what, error=str(error), retry_in=delay)
            await asyncio.sleep(delay)
