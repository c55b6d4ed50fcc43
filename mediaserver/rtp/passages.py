"""By how much the streams that are passed on are moved, in sequence and in time.

A stream that joins another (`rtp.relay`) keeps its place among its neighbours: its sequence numbers
and timestamps are moved by amounts that stay the same while it goes on.

The amounts are set anew when the stream changes (SSRC, a leap in its count or its timestamps) and
when nothing was passed on for a while because the leg sent something of its own, a prompt or a
digit, or its party held the call. Then the stream goes on where time says, after all that is there.

Streams that simply go on are handled together, as arrays; only a stream that does anything else is
looked at packet by packet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .counting import MAX_DROPOUT
from .drift import Drifts
from .packet import PacketFields, first_of_each, rank_in_leg, wrap_distance
from .sender import PASSED_AHEAD, Senders

LEAP: Final = 0.5
"""Seconds that timestamps may run ahead of time, or of those before, and be the same count."""

AHEAD: Final = 30.0
"""Seconds that a stream may run ahead of time altogether: of a far end that sends faster."""

BEHIND: Final = 0.5
"""Seconds that timestamps may go back while the sequence goes on, and be the same count."""

DROP: Final = 0xFF
"""In place of a payload type: the other side has none for this."""

EVENT: Final = 0
AUDIO: Final = 1
"""Forms of payload; from `AUDIO` + 1 on, audio to be translated by a table."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What becomes of packets that are passed on, in parallel arrays."""

    kind: NDArray[np.uint8]
    """Payload type, or `DROP`."""
    form: NDArray[np.uint8]
    sequence: NDArray[np.int64]
    stamp: NDArray[np.int64]
    position: NDArray[np.int64]
    begins: NDArray[np.bool_]
    """Whether the stream was set anew with it."""

    def take(self, wanted: NDArray[np.bool_]) -> Passed:
        """Return those that `wanted` marks."""
        return Passed(
            self.kind[wanted],
            self.form[wanted],
            self.sequence[wanted],
            self.stamp[wanted],
            self.position[wanted],
            self.begins[wanted],
        )


class Passages:
    """The streams heard on `capacity` legs, each on its way to the leg that sends it on."""

    def __init__(self, capacity: int, senders: Senders) -> None:
        self._senders = senders
        self.drifts = Drifts(capacity)
        self._ssrc: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self._shift: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._delay: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._next_in: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._next_out: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._first: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Where in the stream it is passed on in each stream was set anew."""

    def break_off(self, slot: int | NDArray[np.int64]) -> None:
        """Set the stream of a leg, or of several, anew with the next packet."""
        self._ssrc[slot] = -1

    def make_up(self, slot: int, amount: int) -> None:
        """Take note that the clock a stream is passed on by follows so much of its drift."""
        self.drifts.make_up(slot, amount)
        self._first[slot] -= amount

    def pass_on(
        self,
        fields: PacketFields,
        to: NDArray[np.int64],
        kind: NDArray[np.uint8],
        form: NDArray[np.uint8],
        since: NDArray[np.int64],
        now: float,
    ) -> tuple[Passed, NDArray[np.bool_] | None]:
        """Move packets heard, grouped by slot, into the streams of the legs `to`.

        `kind` and `form` are what their payloads are to be there, `since` the samples since the
        beginning of that stream when each came. Returns what becomes of them, and which of them
        are sent at all; None: every one.
        """
        slot, size, senders = fields.slot, fields.size, self._senders
        begun = first_of_each(slot)
        starts = np.flatnonzero(begun)
        # Where each packet lies in the stream it is passed on in, and where what was sent ends.
        stamp = fields.timestamp + self._delay[slot]
        ahead = _wrapped(stamp - senders.base[to] - since)
        position = since + ahead
        reached = senders.reached[to]
        number = self._next_in[slot]
        counts = None
        if starts.size < slot.size:
            counts = np.diff(starts, append=slot.size)
            rank = rank_in_leg(starts, counts)
            reached[1:] = np.where(begun[1:], reached[1:], position[:-1] + size[:-1])
            number = number + rank
        leap = int(LEAP * senders.rate)
        plain = (
            (fields.sequence == number & 0xFFFF)
            & (fields.ssrc == self._ssrc[slot])
            & (self._next_out[slot] == senders.sequence[to])
            & (form >= AUDIO)
            & (position >= reached)
            & (position <= np.maximum(since, reached) + leap)
            & (ahead <= AHEAD * senders.rate)
        )
        sequence = fields.sequence + self._shift[slot]
        out = Passed(kind, form, sequence, stamp, position, np.zeros(slot.size, np.bool_))
        if plain.all():
            self._go_on(fields, to, starts, counts, position, ahead, now)
        else:
            self._with_care(fields, to, starts, plain, out, since, now)
            wanted = out.kind != DROP
            if not wanted.all():
                return out, wanted
        return out, None

    def _with_care(
        self,
        fields: PacketFields,
        to: NDArray[np.int64],
        starts: NDArray[np.int64],
        plain: NDArray[np.bool_],
        out: Passed,
        since: NDArray[np.int64],
        now: float,
    ) -> None:
        """Pass on a batch in which some stream does not simply go on: that one packet by packet."""
        counts = np.diff(starts, append=plain.size)
        whole = np.logical_and.reduceat(plain, starts)
        if whole.any():
            these = np.repeat(whole, counts)
            starts_there = np.concatenate([[0], np.cumsum(counts[whole])[:-1]])
            self._go_on(
                fields.take(these), to[these], starts_there, counts[whole],
                out.position[these], out.position[these] - since[these], now,
            )  # fmt: skip
        for group in np.flatnonzero(~whole).tolist():
            first = int(starts[group])
            for index in range(first, first + int(counts[group])):
                self._pass_one(fields, index, int(to[index]), out, int(since[index]), now)

    def _go_on(
        self,
        fields: PacketFields,
        to: NDArray[np.int64],
        starts: NDArray[np.int64],
        counts: NDArray[np.int64] | None,
        position: NDArray[np.int64],
        ahead: NDArray[np.int64],
        now: float,
    ) -> None:
        """Count packets of streams that go on as they should; without `counts`, one of each."""
        senders, heads, octets = self._senders, fields.slot, fields.size
        ends = position + octets
        step: NDArray[np.int64] | int = 1
        if counts is not None:
            heads, to, ahead, step = heads[starts], to[starts], ahead[starts], counts
            ends, octets = ends[starts + counts - 1], np.add.reduceat(octets, starts)
        self._next_in[heads] = self._next_in[heads] + step & 0xFFFF
        self._next_out[heads] = senders.sequence[to] = senders.sequence[to] + step & 0xFFFF
        senders.reached[to] = ends
        senders.packets[to] += step
        senders.octets[to] += octets
        senders.last_sent[to] = now
        self.drifts.measure(heads, ahead)

    def _pass_one(
        self,
        fields: PacketFields,
        index: int,
        to: int,
        out: Passed,
        present: int,
        now: float,
    ) -> None:
        """Pass one packet on with all care: fill in what `out` says of it.

        `present` is where in the stream it is passed on in it would lie by when it came.
        """
        senders, slot = self._senders, int(fields.slot[index])
        sequence, size = int(fields.sequence[index]), int(fields.size[index])
        audio = out.form[index] >= AUDIO
        step = wrap_distance(sequence, int(self._next_in[slot]), 16)
        same = fields.ssrc[index] == self._ssrc[slot] and abs(step) <= MAX_DROPOUT
        if out.kind[index] == DROP:
            if same and step == 0:  # leaves no gap
                self._next_in[slot] = sequence + 1 & 0xFFFF
                self._shift[slot] -= 1
            return
        same = same and self._next_out[slot] == senders.sequence[to]
        position = self._position(fields, index, to, present)
        leaps = same and audio and self._leaps(slot, to, position, present, late=step < 0)
        if leaps and step < 0:  # of before the amounts were set: these would lead it astray
            out.kind[index] = DROP
            return
        if not same or leaps:
            self._begin(fields, index, to, present, now)
            out.begins[index] = True
            position, step = self._position(fields, index, to, present), 0
        out.sequence[index] = sequence + self._shift[slot]
        out.stamp[index] = int(fields.timestamp[index]) + self._delay[slot]
        out.position[index] = position
        forth = max(step + 1, 0)
        self._next_in[slot] = int(self._next_in[slot]) + forth & 0xFFFF
        self._next_out[slot] = senders.sequence[to] = int(senders.sequence[to]) + forth & 0xFFFF
        if audio:
            senders.reached[to] = max(int(senders.reached[to]), position + size)
        senders.packets[to] += 1
        senders.octets[to] += size
        senders.last_sent[to] = now

    def _position(self, fields: PacketFields, index: int, to: int, present: int) -> int:
        """Return where a packet lies in the stream it is passed on in."""
        stamp = int(fields.timestamp[index]) + int(self._delay[fields.slot[index]])
        return present + wrap_distance(stamp, int(self._senders.base[to]) + present, 32)

    def _leaps(self, slot: int, to: int, position: int, present: int, *, late: bool) -> bool:
        """Tell whether audio lies where its stream cannot be by now, `late` or in sequence."""
        rate, reached = self._senders.rate, int(self._senders.reached[to])
        return (
            position > max(present, reached) + LEAP * rate
            or position > present + AHEAD * rate
            or position < (self._first[slot] if late else reached - BEHIND * rate)
        )

    def _begin(self, fields: PacketFields, index: int, to: int, present: int, now: float) -> None:
        """Set anew by how much a stream is moved: it goes on with this packet."""
        senders, slot = self._senders, int(fields.slot[index])
        sequence = int(senders.sequence[to])
        position = senders.free_from(to, present, int(PASSED_AHEAD * senders.rate))
        # It may begin before what came last: then what came last is no measure of it.
        senders.reached[to] = position
        self._ssrc[slot] = fields.ssrc[index]
        self._shift[slot] = sequence - int(fields.sequence[index])
        self._delay[slot] = int(senders.base[to]) + position - int(fields.timestamp[index])
        self._next_in[slot] = fields.sequence[index]
        self._next_out[slot] = sequence
        self._first[slot] = position
        self.drifts.begin(slot, now)


def _wrapped(distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return distances of 32-bit timestamps, negative ones for what is behind."""
    return (distance + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
