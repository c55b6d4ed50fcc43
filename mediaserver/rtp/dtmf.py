"""DTMF as telephone events (RFC 4733): heard once each, and sent.

The sender of an event repeats it: an update every 20 ms while the key is held, three copies of
the end, segments when it lasts longer than the duration field can say. What makes two packets
the same key is the RTP timestamp they carry, for it is the instant the key went down.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from .packet import wrap_distance

DIGITS: Final = "0123456789*#ABCD"
"""Event codes 0 to 15 (RFC 4733 section 3.2)."""

END_COPIES: Final = 3
"""How often the end of an event is sent (RFC 4733 section 2.5.1.4)."""

SEGMENT_LIMIT: Final = 0xFFFF
"""The longest duration one segment can state, in timestamp units (section 2.5.1.3)."""

_REMEMBERED: Final = 8
"""How many past events are kept, so that late copies are told from new keys."""

_SEGMENT_SLACK: Final = SEGMENT_LIMIT // 8
"""How far from its limit the last update of a cut segment may be, since packets are lost."""

_PAYLOAD: Final = struct.Struct(">BBH")


@dataclass(frozen=True, slots=True)
class KeyDown:
    """A key that was pressed: the digit and the RTP timestamp of its beginning."""

    digit: str
    timestamp: int


@dataclass(slots=True)
class DigitDetector:
    """Turns the events of one RTP stream into keys, each exactly once, at its first packet.

    A key counts from the first packet that names it, so a lost end costs nothing. A packet of an
    event already counted, whatever its order or number of copies, is the same key. A segment that
    goes on where a long event was cut (its timestamp is the event's plus what was said so far)
    is the same key too.
    """

    _seen: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _cut: tuple[int, int] | None = None
    """Timestamp at which the segment last heard of reaches its limit, and its event code."""

    def receive(self, timestamp: int, payload: bytes) -> KeyDown | None:
        """Take one event payload; return the key if this is the first that is heard of it.

        Anything that is no DTMF event (flash hook, tones, a short payload) is None.
        """
        if len(payload) < _PAYLOAD.size:
            return None
        code, flags, duration = _PAYLOAD.unpack_from(payload)
        if code >= len(DIGITS):
            return None
        known = (timestamp, code) in self._seen
        goes_on = self._goes_on(timestamp, code)
        if not known:
            if self._is_forgotten(timestamp):
                return None
            self._seen.append((timestamp, code))
        if known or goes_on or not self._cut:
            nearly_full = not flags & 0x80 and duration >= SEGMENT_LIMIT - _SEGMENT_SLACK
            self._cut = ((timestamp + SEGMENT_LIMIT) & 0xFFFF_FFFF, code) if nearly_full else None
        return None if known or goes_on else KeyDown(DIGITS[code], timestamp)

    def _goes_on(self, timestamp: int, code: int) -> bool:
        """Tell whether this is the next segment of a key held longer than one can state."""
        if self._cut is None or self._cut[1] != code:
            return False
        return abs(wrap_distance(timestamp, self._cut[0], 32)) <= _SEGMENT_SLACK

    def _is_forgotten(self, timestamp: int) -> bool:
        """Tell whether a timestamp lies before all that is remembered, with the memory full."""
        return len(self._seen) == _REMEMBERED and all(
            wrap_distance(timestamp, seen, 32) < 0 for seen, _ in self._seen
        )


def event_duration(payload: bytes) -> int:
    """Return how long an event payload says its DTMF key has been down, in timestamp units.

    0 if it says nothing of the kind.
    """
    if len(payload) < _PAYLOAD.size:
        return 0
    code, _, duration = _PAYLOAD.unpack_from(payload)
    return int(duration) if code < len(DIGITS) else 0


@dataclass(frozen=True, slots=True)
class EventPacket:
    """One packet of an event to send: `at` seconds after the key goes down."""

    at: float
    payload: bytes
    marker: bool


def event_packets(
    digit: str, *, clock_rate: int, duration: float = 0.1, interval: float = 0.02, volume: int = 10
) -> Iterator[EventPacket]:
    """Yield the packets of one key: an update every `interval` seconds, then three ends.

    `duration` is in seconds (at least 0.04, RFC 4733 section 2.5.1.1 wants a tone one can hear),
    `volume` in -dBm0. Raises ValueError for what is no DTMF digit.
    """
    code = DIGITS.index(digit.upper())
    duration = max(duration, 0.04)
    updates = max(1, round(duration / interval))
    for index in range(1, updates + 1):
        length = min(round(index * interval * clock_rate), SEGMENT_LIMIT)
        yield EventPacket(
            at=(index - 1) * interval,
            payload=_PAYLOAD.pack(code, volume, length),
            marker=index == 1,
        )
    total = min(round(updates * interval * clock_rate), SEGMENT_LIMIT)
    for copy in range(END_COPIES):
        yield EventPacket(
            at=(updates + copy) * interval,
            payload=_PAYLOAD.pack(code, 0x80 | volume, total),
            marker=False,
        )
