"""What goes by itself: recordings whose time is over, journals nobody will read, old callbacks.

==============================  ===================================  ==================
what                            goes                                 looked for every
==============================  ===================================  ==================
a recording and all of it       at its `expires_at`                  minute
a journal                       `keep_journal` after the last of its 10 minutes
                                recordings ended
a journal of no recording       a day after it was made              10 minutes
a callback, delivered or dead   30 days after it was enqueued        10 minutes
a call                          `keep_calls` after its end, but not  hour
                                while it has a recording
==============================  ===================================  ==================

A recording that is not in a final state is never touched, nor is its journal; nor is a call that is
up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from mediaserver.clock import Clock
from mediaserver.errors import LocalError

from .calls import Calls
from .erase import Eraser, InUse
from .journal_folders import Folder, JournalFolders
from .outbox import Outbox
from .tombstones import Deletion, Reason, Tombstones

EVERY: Final = 60.0
"""Seconds between sweeps."""

ROUNDS: Final = 10
"""Of so many sweeps one looks at every journal and callback there is."""

BATCH: Final = 32
"""Recordings that are erased at a time: in one transaction, as a rule."""

ORPHANED: Final = 86_400.0
"""Seconds after which a journal that no recording refers to is removed: the recording it was
begun for is in the database long before."""

REMEMBERED: Final = 30 * 86_400.0
"""Seconds for which it is known what became of a callback."""

CALLS_EVERY: Final = 3600.0
"""Seconds between looks at the calls: each goes through all that are old enough."""

log = structlog.get_logger(__name__)


class Sweeper:
    """The task that does it."""

    def __init__(
        self,
        eraser: Eraser,
        tombstones: Tombstones,
        journals: JournalFolders,
        outbox: Outbox,
        calls: Calls,
        clock: Clock,
        *,
        keep_journal: float,
        keep_calls: float | None,
        in_use: InUse,
    ) -> None:
        """`keep_journal` and `keep_calls` are in seconds; None: for ever."""
        self._eraser = eraser
        self._tombstones = tombstones
        self._journals = journals
        self._outbox = outbox
        self._calls = calls
        self._clock = clock
        self._keep_journal = keep_journal
        self._keep_calls = keep_calls
        self._calls_looked_at: float | None = None
        self._in_use = in_use
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with what a crash cut off."""
        self._task = asyncio.create_task(self._run(), name="sweeper")

    async def stop(self) -> None:
        """End it where it stands; the next start goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sweep(self) -> None:
        """Erase what is due. What fails is logged and left to the next sweep."""
        await self._try(self._eraser.go_on)
        await self._try(self._erase_expired)
        await self._try(self._eraser.clear_log)

    async def sweep_all(self) -> None:
        """Do the same, and remove journals, callbacks and calls that are not needed any more."""
        await self._try(self._remove_journals)
        await self._try(self._forget_callbacks)
        await self._try(self._forget_calls)
        await self.sweep()

    async def _run(self) -> None:
        while True:
            await self.sweep_all()
            for _ in range(ROUNDS - 1):
                await asyncio.sleep(EVERY)
                await self.sweep()
            await asyncio.sleep(EVERY)

    @staticmethod
    async def _try(part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except LocalError as error:
            log.warning("sweeping goes on later", error=str(error))
        except Exception:
            log.exception("sweeping stumbled")

    async def _erase_expired(self) -> None:
        now = self._now()
        while expired := await self._tombstones.expired(now, BATCH):
            erased = await asyncio.gather(*map(self._erase, expired))
            if not all(erased):
                return  # it would be found again and again

    async def _erase(self, deletion: Deletion) -> bool:
        """Erase one recording; whatever is wrong with it must not keep the others."""
        try:
            await self._eraser.delete(deletion, Reason.RETENTION)
        except LocalError as error:
            log.error("recording not erased", recording_id=deletion.id, error=str(error))
        except Exception:
            log.exception("recording not erased", recording_id=deletion.id)
        else:
            return True
        return False

    async def _remove_journals(self) -> None:
        oldest = await self._tombstones.oldest()
        async for batch in self._journals.batches():
            # In this order: a leg that ended since is in the database with all its recordings.
            in_use = self._in_use()
            idle = [folder for folder in batch if folder.path not in in_use]
            ends = await self._tombstones.last_ends([folder.path for folder in idle])
            gone = [folder.path for folder in idle if self._is_over(folder, ends, oldest)]
            if gone:
                await asyncio.to_thread(self._remove, gone)

    def _is_over(self, folder: Folder, ends: dict[str, int], oldest: int | None) -> bool:
        """Tell whether a journal nobody writes to is not needed any more."""
        now = self._now()
        if folder.path in ends:
            return ends[folder.path] <= now - round(self._keep_journal * 1e6)
        # A database that knows of nothing so old may be a new one, put in the place of one that
        # was damaged: then this is the last that is left of some recording.
        return oldest is not None and oldest <= folder.made_at <= now - round(ORPHANED * 1e6)

    def _remove(self, journals: Sequence[str]) -> None:
        for journal in journals:
            try:
                self._journals.remove(journal)
            except LocalError as error:
                log.error("journal not removed", error=str(error))
        log.info("journals removed", count=len(journals))

    async def _forget_callbacks(self) -> None:
        await self._outbox.forget(self._now() - round(REMEMBERED * 1e6))

    async def _forget_calls(self) -> None:
        now = self._clock.monotonic()
        last = self._calls_looked_at
        if self._keep_calls is None or (last is not None and now - last < CALLS_EVERY):
            return
        if count := await self._calls.forget(self._now() - round(self._keep_calls * 1e6)):
            self._eraser.log_holds_something()
            log.info("calls forgotten", count=count)
        self._calls_looked_at = now

    def _now(self) -> int:
        return int(self._clock.time() * 1e6)
