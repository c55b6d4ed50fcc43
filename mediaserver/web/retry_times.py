"""When callbacks are tried again, whatever is done to the wall clock meanwhile.

The outbox keeps the instants of retries by the wall clock, the one thing that outlasts a restart.
While the server runs, what has passed is measured by the monotonic clock alone: `now` is the wall
clock as it was last followed and what has passed since. When somebody sets the wall clock, the
instants in the outbox are moved by as much.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from mediaserver.clock import Clock
from mediaserver.errors import LocalError

SET: Final = 1.0
"""Seconds by which the clocks must have parted for the wall clock to count as set."""

log = structlog.get_logger(__name__)


class Retries(Protocol):
    """What is needed of the outbox. Instants are microseconds since 1970."""

    async def failed(self, id: int, next_attempt_at: int, why: str) -> None:
        """An announcement is to be tried again."""

    async def shift(self, by: int) -> None:
        """All that was tried is due so many microseconds later."""


class RetryTimes:
    """The clock that retries are kept by."""

    def __init__(self, outbox: Retries, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._ahead = self._parted()
        # What is noted by one reckoning must not be moved as if it were of the other.
        self._noting = 0
        self._noted = asyncio.Event()
        self._noted.set()
        self._may_note = asyncio.Event()
        self._may_note.set()

    def now(self) -> int:
        """Return the instant, in microseconds since 1970 by the clock that was last followed."""
        return self._ahead + round(self._clock.monotonic() * 1e6)

    async def failed(self, id: int, delay: float, why: str) -> None:
        """Note that an announcement is to be tried again `delay` seconds from now."""
        await self._may_note.wait()
        self._noting += 1
        self._noted.clear()
        try:
            await self._outbox.failed(id, self.now() + round(delay * 1e6), why)
        finally:
            self._noting -= 1
            if not self._noting:
                self._noted.set()

    async def follow(self) -> None:
        """Look whether the wall clock was set; what fails is done at the next look."""
        if abs(self._parted() - self._ahead) < SET * 1e6:
            return
        self._may_note.clear()
        try:
            await self._noted.wait()
            ahead = self._parted()
            by = ahead - self._ahead
            await self._outbox.shift(by)
            self._ahead = ahead
            log.warning("the wall clock was set", by=round(by / 1e6, 1))
        except LocalError as error:
            log.warning("callbacks wait for the database", why=str(error))
        finally:
            self._may_note.set()

    def _parted(self) -> int:
        """Return by how much the wall clock is ahead of the monotonic one, in microseconds."""
        return round((self._clock.time() - self._clock.monotonic()) * 1e6)
