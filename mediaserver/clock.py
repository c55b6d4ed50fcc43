"""Time, as an object that is passed in, so that a test can hold it still."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for durations, one for dates."""

    def monotonic(self) -> float:
        """Seconds that never go backwards and never jump; only differences mean anything."""

    def time(self) -> float:
        """Seconds since 1970-01-01 UTC, as the operating system believes at this moment."""


def now_us(clock: Clock) -> int:
    """Return the date by `clock` as whole microseconds since 1970-01-01 UTC."""
    return int(clock.time() * 1e6)


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def time(self) -> float:
        """See `Clock.time`."""
        return time.time()
