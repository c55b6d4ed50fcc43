"""The pulse of the media engine: how late its ticks begin, and how much of its time is taken.

Whoever ticks notes each tick; whoever decides about new calls, and `GET /health`, reads. A note is
a few stores into rings of a fixed size, so that it costs nothing beside the tick itself.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

WINDOW: Final = 10.0
"""Seconds that are looked back upon unless another window is asked for."""

KEPT: Final = 1024
"""Ticks that are kept: more than `WINDOW` has at the engine's pace."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the ticks of a window say; all zeros while nothing ticks, as without a call."""

    late_p50: float = 0.0
    """Seconds by which half of the ticks began late, or less."""
    late_p99: float = 0.0
    """The same of 99 in 100; of fewer than 100 ticks the second latest, for one is no trend."""
    busy: float = 0.0
    """Share of the time, 0 to 1, that the ticks' own work took."""
    loop_busy: float = 0.0
    """Share of a core, 0 to 1, that the thread of the event loop used, ticks included."""


class Pulse:
    """The last ticks."""

    def __init__(self, cpu: Callable[[], float] = time.thread_time) -> None:
        """`cpu` gives the seconds of CPU time that the thread which calls `note` has used."""
        self._cpu = cpu
        self._at = array("d", [float("-inf")]) * KEPT
        self._late = array("d", [0.0]) * KEPT
        self._spent = array("d", [0.0]) * KEPT
        self._used = array("d", [0.0]) * KEPT
        self._next = 0

    def note(self, late: float, spent: float, now: float) -> None:
        """Keep a tick that began `late` seconds after it was due and took `spent` seconds."""
        index = self._next
        self._at[index] = now
        self._late[index] = late
        self._spent[index] = spent
        self._used[index] = self._cpu()
        self._next = (index + 1) % KEPT

    def read(self, now: float, window: float = WINDOW) -> Reading:
        """Return what the ticks of the last `window` seconds before `now` say."""
        at = np.frombuffer(self._at)
        inside = at > now - window
        late = np.sort(np.frombuffer(self._late)[inside])
        if not late.size:
            return Reading()
        at = at[inside]
        used = np.frombuffer(self._used)[inside]
        first, last = int(at.argmin()), int(at.argmax())
        elapsed = float(at[last] - at[first])
        spent = np.frombuffer(self._spent)[inside]
        return Reading(
            late_p50=float(late[(late.size - 1) // 2]),
            late_p99=float(late[_rank_99(late.size)]),
            # The first tick's work lies before the time between the first and the last.
            busy=float(spent.sum() - spent[first]) / elapsed if elapsed else 0.0,
            loop_busy=float(used[last] - used[first]) / elapsed if elapsed else 0.0,
        )


def _rank_99(count: int) -> int:
    """Return which of `count` sorted values 99 in 100 do not exceed; never the only latest one."""
    return max(0, min((count * 99) // 100, count - 2))
