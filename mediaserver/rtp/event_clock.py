"""Telephone events from one clock to another (RFC 4733).

What an event's duration says, and how long a segment of it can be, goes by the clock: at 48 kHz a
key that is held becomes another segment after 1.4 s, at 8 kHz after 8.2 s.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from .dtmf import SEGMENT_LIMIT
from .packet import wrap_distance

_PAYLOAD: Final = struct.Struct(">BBH")
_END: Final = 0x80
_SLACK: Final = SEGMENT_LIMIT // 8
"""How far from its end the last that was heard of a segment may be, since packets are lost."""


class EventClock:
    """The events of one stream, whose segments are joined and cut anew."""

    def __init__(self) -> None:
        self._code = -1
        self._first = self._segment = 0
        """Timestamps of the event and of its segment heard last."""
        self._before = 0
        """How long it is without that segment, in ticks of its own."""
        self._full = False
        self._cut = 0

    def convert(
        self, timestamp: int, payload: bytes, rates: tuple[int, int], stamp: Callable[[int], int]
    ) -> list[tuple[int, bytes]]:
        """Return the timestamp and payload for an event, from the first of `rates` to the second.

        `stamp` gives the timestamp for one of the other clock. Where a segment is over, what ends
        it comes before what begins the next.
        """
        if len(payload) < _PAYLOAD.size:
            return [(stamp(timestamp), payload)]
        code, flags, duration = _PAYLOAD.unpack_from(payload)
        if timestamp != self._segment or code != self._code:
            step = wrap_distance(timestamp, self._segment + SEGMENT_LIMIT, 32)
            if code == self._code and self._full and abs(step) <= _SLACK:
                self._before += SEGMENT_LIMIT
            else:
                self._first, self._before, self._cut = timestamp, 0, 0
            self._code, self._segment = code, timestamp
        self._full = not flags & _END and duration >= SEGMENT_LIMIT - _SLACK
        whole = (self._before + duration) * rates[1] // rates[0]
        number, begun = max(0, whole - 1) // SEGMENT_LIMIT, stamp(self._first)
        pieces: list[tuple[int, bytes]] = []
        for cut in range(self._cut, number):
            full = _PAYLOAD.pack(code, flags & ~_END, SEGMENT_LIMIT)
            pieces.append((begun + cut * SEGMENT_LIMIT, full))
        self._cut = max(self._cut, number)
        start = number * SEGMENT_LIMIT
        pieces.append((begun + start, _PAYLOAD.pack(code, flags, whole - start)))
        return pieces
