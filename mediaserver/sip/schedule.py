"""What is to be done when: one heap of deadlines for everything an agent waits for."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from itertools import count

Action = Callable[[float], None]
"""Called with the time of the run, which may be later than the deadline."""

COMPACT_AT = 1024
"""Cancelled deadlines stay in the heap; beyond this many, and half the heap, it is rebuilt."""


class Schedule:
    """Deadlines under keys; setting a key again moves it. O(log n) each."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._live: dict[Hashable, tuple[int, Action]] = {}
        self._serials = count()

    def __len__(self) -> int:
        return len(self._live)

    def set(self, key: Hashable, at: float, action: Action) -> None:
        """Call `action` at time `at`, instead of whatever was set under `key` before."""
        serial = next(self._serials)
        self._live[key] = (serial, action)
        heapq.heappush(self._heap, (at, serial, key))
        self._compact()

    def cancel(self, key: Hashable) -> None:
        """Forget `key`; nothing happens when it is not set."""
        self._live.pop(key, None)

    def next(self) -> float | None:
        """The earliest deadline, or None when nothing is waited for."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Carry out everything due at `now`, in order, including what becomes due meanwhile."""
        while (at := self.next()) is not None and at <= now:
            _, _, key = heapq.heappop(self._heap)
            _, action = self._live.pop(key)
            action(now)

    def _drop_stale(self) -> None:
        while self._heap and not self._is_live(self._heap[0]):
            heapq.heappop(self._heap)

    def _is_live(self, entry: tuple[float, int, Hashable]) -> bool:
        _, serial, key = entry
        live = self._live.get(key)
        return live is not None and live[0] == serial

    def _compact(self) -> None:
        if len(self._heap) > COMPACT_AT and len(self._heap) > 2 * len(self._live):
            self._heap = [entry for entry in self._heap if self._is_live(entry)]
            heapq.heapify(self._heap)
