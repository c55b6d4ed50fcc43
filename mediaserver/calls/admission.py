"""Which new calls are taken on: the calls there are come first.

There are four bounds: calls at a time, new calls in any second, the room on the disk, and, where
the operator left the number of calls to the server, what the machine bears. The last shows in the
ticks that move the media: when they begin late, or the event loop has hardly any time left, new
calls are refused until both are well below their bounds again. Just below the bounds new calls
come in more slowly, for what a call costs shows only once it is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

MAX_BUSY: Final = 0.85
"""Share of a core that the event loop may use before it takes on nothing more."""

RECOVERED: Final = 0.85
"""Share of a bound below which the load must fall before calls are taken on again."""

EASY: Final = 0.7
"""Share of a bound up to which new calls come in at their full pace."""

SLOWEST: Final = 0.1
"""Share of that pace which is left just below the bound."""

LOOK_EVERY: Final = 0.1
"""Seconds for which a look at the load is good."""

RETRY_AFTER: Final = 5
"""Seconds a refused caller is asked to wait, at least."""

RETRY_SPREAD: Final = 6
"""Callers refused one after the other are asked to wait longer by a second each, up to so many:
they shall not come back together."""


class Load(Protocol):
    """What is known of the last second or two."""

    @property
    def late_p99(self) -> float:
        """Seconds by which the media's ticks began late, but for the latest few."""

    @property
    def loop_busy(self) -> float:
        """Share of a core that the event loop used, 0 to 1."""


class Admission:
    """Counts and decides; time is told to it."""

    def __init__(
        self,
        *,
        calls: int,
        calls_per_second: int,
        max_lateness: float = 0.0,
        load: Callable[[float], Load] | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """`load` tells the load at an instant; None: these numbers alone decide.

        `max_lateness` is in seconds. `has_room` tells, at once, whether the disk has room for more
        than the calls there are.
        """
        self._calls = calls
        self._calls_per_second = calls_per_second
        self._max_lateness = max_lateness
        self._load = load
        self._has_room = has_room
        self._lately: deque[float] = deque()
        self._refused = 0
        self._looked_at = float("-inf")
        self._strain = 0.0
        self.overloaded = False
        """Whether the machine bears no more calls."""

    def refusal(self, now: float, active: int) -> int | None:
        """Return the seconds after which a new caller may try again; None: it is let in.

        `active` is how many calls there are.
        """
        while self._lately and self._lately[0] <= now - 1.0:
            self._lately.popleft()
        self._look(now)
        if (
            active < self._calls
            and not self.overloaded
            and len(self._lately) < self._pace()
            and self._has_room()
        ):
            return None
        self._refused += 1
        return RETRY_AFTER + self._refused % RETRY_SPREAD

    def admitted(self, now: float) -> None:
        """Count a call that was let in."""
        self._lately.append(now)

    def _look(self, now: float) -> None:
        """See how near the load is to its bounds; a bound reached stands at 1."""
        if self._load is None or now < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = now
        load = self._load(now)
        self._strain = max(load.late_p99 / self._max_lateness, load.loop_busy / MAX_BUSY)
        self.overloaded = self._strain >= (RECOVERED if self.overloaded else 1.0)

    def _pace(self) -> float:
        """Return how many calls may come in a second."""
        if self._strain <= EASY:
            return self._calls_per_second
        left = max(SLOWEST, (1.0 - self._strain) / (1.0 - EASY))
        return max(1.0, self._calls_per_second * left)
