"""The end of calls whose far end is gone without a word: neither media nor reports come from it.

What counts is that anything comes, not that anybody speaks: a phone that leaves out silence still
sends RTCP. A far end that holds the call, or only listens, is allowed to say nothing for longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ..clock import Clock
from .ports import MediaLeg


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for which nothing may come from a far end; 0: for ever."""

    talking: float = 0.0
    held: float = 0.0
    """While it holds the call, or only listens."""


class MediaTimeout:
    """Watches one answered call, and calls `gone` once nothing has come for too long."""

    def __init__(
        self, leg: MediaLeg, patience: Patience, clock: Clock, gone: Callable[[], None]
    ) -> None:
        self._leg = leg
        self._patience = patience
        self._clock = clock
        self._gone = gone
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def renew(self) -> None:
        """Count from now: the call was answered, or is held or held no more."""
        self._since = self._clock.monotonic()
        self._look()

    def close(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.close()
        limit = self._limit()
        if not limit:
            return
        heard = max(self._since, self._leg.heard_at or 0.0)
        left = heard + limit - self._clock.monotonic()
        if left <= 0.0:
            self._gone()
        else:
            self._timer = asyncio.get_running_loop().call_later(left, self._look)

    def _limit(self) -> float:
        session = self._leg.session
        talks = session is None or (session.direction.receives and not session.held)
        return self._patience.talking if talks else self._patience.held
