"""Timestamps from one clock to another."""

from __future__ import annotations

from typing import Final

from .packet import wrap_distance

_WRAP: Final = 0xFFFF_FFFF


class ClockScale:
    """Timestamps of one clock by another; both wrap."""

    def __init__(self) -> None:
        self.rates = (0, 0)
        self._first = self._last = self._begin = 0

    def follow(self, rates: tuple[int, int], timestamp: int, to: int) -> None:
        """Go by these rates; if they are new, `timestamp` becomes `to`."""
        if rates != self.rates:
            self.rates, self._begin = rates, to
            self._first = self._last = timestamp

    def stamp(self, timestamp: int, *, note: bool = False) -> int:
        """Return a timestamp by the other clock; `note` it as where the stream is now."""
        if not self.rates[0]:
            return timestamp
        now = self._last + wrap_distance(timestamp, self._last & _WRAP, 32)
        if note:
            self._last = now
        since = (now - self._first) * self.rates[1] // self.rates[0]
        return self._begin + since & _WRAP
