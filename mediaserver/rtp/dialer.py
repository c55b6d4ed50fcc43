"""DTMF digits that a leg is to send, each packet at its time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .dtmf import EventPacket, event_packets

DIGIT_GAP: Final = 0.1
"""Seconds of silence between two digits."""

_PAUSES: Final = {"w": 0.5, "W": 1.0}


@dataclass(frozen=True, slots=True)
class Tone:
    """One packet of a digit: `timestamp` is that of the instant its key went down."""

    at: float
    kind: int
    timestamp: int
    event: EventPacket


class Dialer:
    """The digits one leg still has to send."""

    def __init__(self, timestamp: Callable[[float], int]) -> None:
        """`timestamp` gives the RTP timestamp for an instant (8 kHz, or the events' own clock)."""
        self._timestamp = timestamp
        self._queue: deque[Tone] = deque()

    @property
    def busy(self) -> bool:
        """Tell whether anything is left to send."""
        return bool(self._queue)

    def dial(self, digits: str, kind: int, clock_rate: int, now: float) -> float:
        """Queue digits as events of payload type `kind`; return when the last one is over.

        `w` waits half a second, `W` a whole one. ValueError for any other character.
        """
        at = max(now, self._queue[-1].at + DIGIT_GAP if self._queue else now)
        for digit in digits:
            if digit in _PAUSES:
                at += _PAUSES[digit]
                continue
            begin = at
            for event in event_packets(digit, clock_rate=clock_rate):
                at = begin + event.at
                self._queue.append(Tone(at, kind, self._timestamp(begin), event))
            at += DIGIT_GAP
        return at

    def due(self, now: float) -> list[Tone]:
        """Return the packets whose time has come by `now`."""
        tones: list[Tone] = []
        while self._queue and self._queue[0].at <= now:
            tones.append(self._queue.popleft())
        return tones
