"""The room that is kept free on the disk: what is left of it belongs to the calls there are.

Recordings of calls that were let in go on growing, and so does the database. So new calls are
refused while there is still room for those, and are let in again once there is more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from mediaserver.errors import LocalError

from .files import Files, Space

LOOK_EVERY: Final = 1.0
"""Seconds between looks at the disk."""

DEFAULT: Final = 1 << 30
"""Octets that are kept free where the operator says nothing, ..."""

DEFAULT_SHARE: Final = 0.05
"""... but no more than this share of the disk."""

RECOVERED: Final = 1.05
"""Of the reserve, how much must be free before calls are let in again: a recording that ends and
gives back a little must not open the door for a moment."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """How the disk stands."""

    free: int
    """Octets."""
    reserve: int
    """Octets that are to be free."""


class Reserve:
    """Looks at the disk from time to time, in a thread: it may take long to answer."""

    def __init__(self, files: Files, asked: int | None = None) -> None:
        """`asked` is in octets; None: see `DEFAULT`; 0: nothing is kept free."""
        self._files = files
        self._asked = asked
        self._task: asyncio.Task[None] | None = None
        self._unknown = False
        self.room: Room | None = None
        """What the last look saw; None before the first."""
        self.reached = False
        """Whether the reserve is reached, and no new call is to be let in."""

    async def start(self) -> None:
        """Take a first look, then look every second."""
        await self.look()
        self._task = asyncio.create_task(self._run(), name="disk reserve")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """See how much is free. While the disk does not tell, what it told last holds."""
        try:
            space = await asyncio.to_thread(self._files.space)
        except LocalError as error:
            if not self._unknown:
                log.error("disk space unknown", error=str(error))
            self._unknown = True
            return
        self._unknown = False
        self.judge(space)

    def judge(self, space: Space) -> None:
        """Decide on what was seen, and say so when it is another decision."""
        reserve = self._asked
        if reserve is None:
            reserve = min(DEFAULT, int(space.total * DEFAULT_SHARE))
        self.room = Room(space.free, reserve)
        reached = space.free < reserve * (RECOVERED if self.reached else 1.0)
        if reached is self.reached:
            return
        self.reached = reached
        if reached:
            log.warning(
                "new calls refused: the disk is nearly full",
                free_bytes=space.free,
                reserve_bytes=reserve,
            )
        else:
            log.info(
                "new calls taken again: the disk has room",
                free_bytes=space.free,
                reserve_bytes=reserve,
            )

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Exception:
                log.exception("disk not looked at")
