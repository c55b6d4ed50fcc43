"""The share of attempts that each origin (scheme, host, port) may have at a time.

One whose last attempt failed is a suspect: it has one at a time until it takes something.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

PER_ORIGIN: Final = 8
"""Attempts at a time to one origin."""

PER_SUSPECT: Final = 1
"""Attempts at a time to an origin whose last attempt failed."""

MAX_SUSPECTS: Final = 10_000
"""Origins that are remembered to have failed; the oldest is forgotten."""


class Origins:
    """The origins that attempts are under way at, and the suspects."""

    def __init__(self) -> None:
        self._attempts: Counter[str] = Counter()
        self._suspects: dict[str, None] = {}

    @property
    def full(self) -> list[str]:
        """Those that may have no further attempt now."""
        return [origin for origin in self._attempts if not self._has_room(origin)]

    def begin(self, origin: str) -> bool:
        """Count one more attempt at an origin; False if it may have none now."""
        if not self._has_room(origin):
            return False
        self._attempts[origin] += 1
        return True

    def end(self, origin: str) -> None:
        """Count one attempt less."""
        self._attempts[origin] -= 1
        if not self._attempts[origin]:
            del self._attempts[origin]

    def succeeded(self, origin: str) -> None:
        """Note that its last attempt was taken."""
        self._suspects.pop(origin, None)

    def failed(self, origin: str) -> None:
        """Note that its last attempt failed."""
        self._suspects.pop(origin, None)
        self._suspects[origin] = None
        if len(self._suspects) > MAX_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]

    def suspects(self, origin: str) -> bool:
        """Tell whether its last attempt failed."""
        return origin in self._suspects

    def _has_room(self, origin: str) -> bool:
        cap = PER_SUSPECT if origin in self._suspects else PER_ORIGIN
        return self._attempts[origin] < cap
