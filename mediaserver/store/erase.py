"""Erasing a recording so that no byte of it is left.

First it is deleted in the database (see `tombstones`), then its bytes are removed from the disk:
every file that bears its id, and of its leg's journal all that no other recording needs. A crash
between the two, or a disk that fails, leaves the rest to `go_on`, which the sweeper calls.

A leg that goes on may still be writing its journal, for a later recording or because the end of
this one was late. Of such a journal only what lies before the recording's end is taken out at
once, and it is looked at again when the leg is gone; so are the files of a recording that an
encoder is still working on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from mediaserver.clock import Clock
from mediaserver.recording.resource import Recording, Span

from .database import Database
from .files import Files
from .journal_folders import JournalFolders
from .tombstones import NEVER, Deletion, Owed, Reason, Stretch, Tombstones

BATCH: Final = 32
"""Recordings whose rest is removed at a time."""

InUse = Callable[[], Mapping[str, Sequence[Span]]]
"""Returns the journals of legs that are there, each with what of it is being recorded, or was and
is not yet written down."""

IsRendering = Callable[[str], bool]
"""Tells whether an encoder makes, or is about to make, a file of the recording of this id."""

log = structlog.get_logger(__name__)


class Eraser:
    """Erases recordings that have come to their end."""

    def __init__(
        self,
        database: Database,
        files: Files,
        journals: JournalFolders,
        clock: Clock,
        in_use: InUse,
        is_rendering: IsRendering,
    ) -> None:
        self._database = database
        self._tombstones = Tombstones(database)
        self._files = files
        self._journals = journals
        self._clock = clock
        self._in_use = in_use
        self._is_rendering = is_rendering
        # What a crash kept from being cleared is not known of.
        self._log_to_clear = True

    async def erase(self, recording: Recording, by: str | None = None) -> bool:
        """Erase a recording on request; `by` says for the audit who asked.

        Returns False if it is gone already, or not in a final state. Raises `StoreUnavailable`
        when nothing was done. Once the database has it, it is erased: should the disk fail then,
        that is logged and tried again later.
        """
        return await self.delete(Deletion.of(recording), Reason.REQUEST, by)

    async def delete(self, deletion: Deletion, reason: Reason, by: str | None = None) -> bool:
        """Erase a recording; see `erase`."""
        at = int(self._clock.time() * 1e6)
        if not await self._tombstones.bury(deletion, reason, at, by):
            return False
        self.log_holds_something()
        log.info(
            "recording erased",
            recording_id=deletion.id,
            call_id=deletion.call_id,
            reason=reason,
            by=by,
        )
        await self._settle(Owed(deletion.id, deletion.journal, deletion.end))
        return True

    async def go_on(self) -> None:
        """Remove what is left of recordings that were deleted; raises `StoreUnavailable`."""
        last = ""
        while owed := await self._tombstones.owed(BATCH, last):
            last = owed[-1].id
            await asyncio.gather(*map(self._settle, owed))

    def log_holds_something(self) -> None:
        """Note that the database's log of changes holds what was deleted just now."""
        self._log_to_clear = True

    async def clear_log(self) -> None:
        """Empty the database's log of changes, if something was deleted since it was empty.

        Raises `StoreUnavailable`.
        """
        if self._log_to_clear:
            self._log_to_clear = False
            try:
                self._log_to_clear = not await self._database.clear_log()
            except BaseException:
                self._log_to_clear = True
                raise

    async def _settle(self, owed: Owed) -> None:
        """Remove what is on the disk, if that can be done now."""
        try:
            # In this order: what is in use no more is in the database by then, or on the disk.
            rendering = self._is_rendering(owed.id)
            in_use = self._in_use().get(owed.journal)
            needed = await self._tombstones.needed(owed.journal)
            await asyncio.to_thread(self._remove, owed, needed, in_use)
            if in_use is None and not rendering:
                await self._tombstones.settle(owed.id)
        except Exception as error:
            log.error("erasing goes on later", recording_id=owed.id, error=str(error))

    def _remove(self, owed: Owed, needed: Sequence[Stretch], in_use: Sequence[Span] | None) -> None:
        self._files.remove(owed.id)
        if in_use is None and not needed:
            self._journals.remove(owed.journal)
        elif in_use is None:
            self._journals.keep_only(owed.journal, needed)
        elif owed.end is not None:
            running = [
                Stretch(span.start, NEVER if span.end is None else span.end) for span in in_use
            ]
            self._journals.keep_only(owed.journal, [*needed, *running], before=owed.end)
