"""Why a leg's line is silent where it is: what was lost, the time of keys, the time on hold.

The line itself says only that there is silence. What else is known at that moment is noted here,
for the legs whose audio is kept, as spans of the line; a leg without gaps, keys and holds notes
nothing. Whoever keeps the audio takes the notes from time to time, as octets to append to a file,
so that they outlive the process. A record is three little-endian int64: kind, start and end.

A gap is *lost* as far as sequence numbers are missing for it; the rest is a far end that sent
nothing (silence suppression), which is no span. Packets that come late take lost time back.

A leg's first `MOST` spans are noted one by one. From then on those of a minute are added up, and
noted at the minute's beginning: where in it they were is no longer known, but how much it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .packet import wrap_distance

MOST: Final = 100_000
"""Spans noted one by one: an hour and a half of a leg that loses every third packet."""

MOST_HOLDS: Final = 1000
"""Times that a leg may be put on hold or taken off; what follows is not noted."""

WINDOW: Final = 480_000
"""Samples whose spans are added up beyond MOST: a minute at 8 kHz."""

FOREVER: Final = 1 << 62
"""End of a span whose end is not known yet."""

RECORD_SIZE: Final = 24

_NUMBER: Final = np.dtype("<i8")


class Kind(IntEnum):
    """What a span of a line was."""

    LOST = 1
    """Packets were sent and never came."""
    FILLED = 2
    """They came after all: no longer lost."""
    KEY = 3
    """A DTMF key was held down."""
    HELD = 4
    """The far end has put the call on hold, from here on."""
    FREED = 5
    """It has not, or no longer, from here on."""


@dataclass(slots=True)
class _Span:
    kind: Kind
    start: int
    end: int
    written: bool = False

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(slots=True)
class _Key:
    """The key last pressed: where it is in RTP time and on the line, and how far it is noted."""

    timestamp: int
    position: int
    noted: int


@dataclass(slots=True)
class _Log:
    """The notes of one leg."""

    waiting: list[_Span] = field(default_factory=list)
    recent: list[_Span] = field(default_factory=list)
    """Lost spans that a late packet may still fill."""
    key: _Key | None = None
    holds: int = 0
    written: int = 0
    sums: dict[Kind, int] = field(default_factory=dict)
    """Samples not noted yet, beyond MOST, since ..."""
    since: int = 0
    until: int = 0

    def note(self, kind: Kind, start: int, end: int) -> _Span:
        last = self.waiting[-1] if self.waiting else None
        if last is not None and last.kind is kind and last.end == start:
            last.end = end
            return last
        span = _Span(kind, start, end)
        self.waiting.append(span)
        return span

    def lose(self, start: int, end: int, reach: int) -> None:
        span = self.note(Kind.LOST, start, end)
        self.recent = [one for one in self.recent if one.end > end - reach and one is not span]
        self.recent.append(span)

    def fill(self, start: int, end: int) -> None:
        for gap in list(self.recent):
            first, last = max(start, gap.start), min(end, gap.end)
            if first >= last:
                continue
            rest = _Span(Kind.LOST, last, gap.end, gap.written)
            gap.end = first
            if rest.size:
                self.recent.append(rest)
            if gap.written:
                self.note(Kind.FILLED, first, last)
            elif rest.size:
                self.waiting.append(rest)

    def hold(self, *, held: bool, position: int) -> None:
        if self.holds < MOST_HOLDS:
            self.holds += 1
            self.note(Kind.HELD if held else Kind.FREED, position, FOREVER)

    def take(self, *, whole: bool) -> list[_Span]:
        """Return what is to be written; `whole`: also of a minute that is not over."""
        spans = [span for span in self.waiting if span.size > 0]
        self.waiting = []
        for span in spans:
            span.written = True
        room = max(0, MOST - self.written)
        self.written += min(room, len(spans))
        if len(spans) <= room and not self.sums:
            return spans
        due = spans[:room]
        for span in spans[room:]:
            due += self._add(span)
        if self.sums and (whole or self.until - self.since >= WINDOW):
            due += self._sum_up()
        return due

    def _add(self, span: _Span) -> list[_Span]:
        """Add a span to the sums; return it if it is one that cannot be added up."""
        if span.end == FOREVER:
            return [span]
        if not self.sums:
            self.since = self.until = span.start
        kind = Kind.KEY if span.kind is Kind.KEY else Kind.LOST
        size = -span.size if span.kind is Kind.FILLED else span.size
        self.sums[kind] = self.sums.get(kind, 0) + size
        self.until = max(self.until, span.end)
        return []

    def _sum_up(self) -> list[_Span]:
        spans, at = [], self.since
        for kind, size in self.sums.items():
            end = min(at + max(0, size), self.until)
            if end > at:
                spans.append(_Span(kind, at, end))
                at = end
        self.sums = {}
        return spans


class Spans:
    """The notes of all legs whose audio is kept."""

    def __init__(self, reach: int) -> None:
        """`reach` is how far behind the end of the line a late packet may still fill a gap."""
        self.dirty: set[int] = set()
        """Legs of which there is something to take."""
        self._reach = reach
        self._logs: dict[int, _Log] = {}
        self._resting: dict[int, _Log] = {}
        self._held: dict[int, bool] = {}
        """Whether a leg is on hold; those that never were are not in it."""

    def open(self, slot: int) -> None:
        """Begin a leg of which nothing is known or kept."""
        self.release(slot)
        self._resting.pop(slot, None)
        self._held.pop(slot, None)

    def keep(self, slot: int, position: int) -> None:
        """Take notes of a leg from `position` on."""
        if slot in self._logs:
            return
        log = self._resting.pop(slot) if slot in self._resting else _Log()
        self._logs[slot] = log
        if slot in self._held:
            log.hold(held=self._held[slot], position=position)
            self.dirty.add(slot)

    def release(self, slot: int) -> None:
        """Take no more notes of a leg; what was not taken is lost."""
        log = self._logs.pop(slot, None)
        if log is not None:
            log.waiting, log.recent, log.key = [], [], None
            self._resting[slot] = log
            self.dirty.discard(slot)

    def lose(self, slot: int, start: int, end: int) -> None:
        """Note that packets for a stretch of the line never came; it is the line's end so far."""
        log = self._logs.get(slot)
        if log is not None:
            log.lose(start, end, self._reach)
            self.dirty.add(slot)

    def fill(self, slot: int, start: int, end: int) -> None:
        """Note that audio for a stretch came late; it need not have been noted as lost."""
        log = self._logs.get(slot)
        if log is not None and log.recent:
            log.fill(start, end)
            self.dirty.add(slot)

    def press(self, slot: int, timestamp: int, position: int) -> None:
        """Note that a key went down at `position`; its packets say `timestamp`."""
        log = self._logs.get(slot)
        if log is not None:
            log.key = _Key(timestamp, position, position)

    def press_on(
        self, slot: int, timestamp: int, duration: int, *, unit: float, until: int
    ) -> None:
        """Note what a packet says of the key last pressed, or of a later segment of it.

        `timestamp` and `duration` are in the event's own clock, `unit` is a tick of it in samples
        of the line. Whatever it says, the key was not down beyond `until`.
        """
        log = self._logs.get(slot)
        if log is None or log.key is None:
            return
        ahead = wrap_distance(timestamp, log.key.timestamp, 32)
        if ahead < 0:
            return
        start = log.key.position + round(ahead * unit)
        end = min(start + round(duration * unit), until)
        start = max(start, log.key.noted)
        if start < end:
            log.note(Kind.KEY, start, end)
            log.key.noted = end
            self.dirty.add(slot)

    def hold(self, slot: int, *, held: bool, position: int) -> None:
        """Note that the far end has put the call on hold, or that it has not, at `position`."""
        if held == self._held.get(slot, False):
            return
        self._held[slot] = held
        log = self._logs.get(slot)
        if log is not None:
            log.hold(held=held, position=position)
            self.dirty.add(slot)

    def take(self, slot: int, *, whole: bool = False) -> bytes:
        """Return the notes of a leg not taken yet, packed; `whole`: the leg ends, or may."""
        self.dirty.discard(slot)
        log = self._logs.get(slot)
        if log is None:
            return b""
        return pack((span.kind, span.start, span.end) for span in log.take(whole=whole))


def pack(spans: Iterable[tuple[int, int, int]]) -> bytes:
    """Return spans (kind, start, end) as they are written."""
    return np.array(list(spans), _NUMBER).tobytes()


def unpack(data: bytes) -> NDArray[np.int64]:
    """Return the records in `data`, shape (n, 3); one that was cut short is left out."""
    count = len(data) // RECORD_SIZE
    records = np.frombuffer(data, _NUMBER, 3 * count).reshape(count, 3)
    return records.astype(np.int64, copy=False)
