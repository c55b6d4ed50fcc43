"""Passing packets on from leg to leg as they came.

A relayed packet keeps its payload, its marker and its place among its neighbours; what it gets is
the SSRC of the stream it joins, and a sequence number and timestamp moved by an amount that stays
the same while its own stream goes on. So a gap, a copy or a late packet arrives as what it is, and
the far end's jitter buffer deals with it as it would have without us. What the other side did not
agree to take leaves no gap in the sequence.

The amounts are set anew when the stream changes (SSRC, a leap in its count or its timestamps) and
when nothing was passed on for a while because the leg sent something of its own, a prompt or a
digit, or its party held the call. Then the stream goes on where time says, after all that is there.

Where the two far ends speak different laws of G.711 the bytes are translated one for one.

Streams that simply go on are handled together, as arrays; only a stream that does anything else is
looked at packet by packet.

A far end's timestamps follow its own clock, and so does what is passed on. With it would drift what
the leg sends itself, and what its journal holds: see `rtp.drift`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .counting import MAX_DROPOUT
from .drift import Drifts
from .packet import HEADER, PacketBatch, PacketFields, wrap_distance
from .sender import PASSED_AHEAD, Senders, pack_headers

NOWHERE: Final = -1

LEAP: Final = 0.5
"""Seconds that timestamps may run ahead of time, or of those before, and be the same count."""

AHEAD: Final = 30.0
"""Seconds that a stream may run ahead of time altogether: of a far end that sends faster."""

BEHIND: Final = 0.5
"""Seconds that timestamps may go back while the sequence goes on, and be the same count."""

_DROP: Final = 0xFF
"""In place of a payload type: the other side has none for this."""

_EVENT: Final = 0
_AUDIO: Final = 1
"""Forms of payload; from `_AUDIO` + 1 on, audio to be translated by a table."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """Packets to pass on, in parallel arrays: their rows in the batch hold what is to be sent."""

    slot: NDArray[np.int64]
    """The legs that send them."""
    row: NDArray[np.int64]
    size: NDArray[np.int64]
    """Bytes, header included."""
    position: NDArray[np.int64]
    """Samples since the beginning of the sender's stream, by their timestamps."""
    audio: NDArray[np.bool_]
    """Whether it is audio; else an event or a description of noise."""
    begins: NDArray[np.bool_]
    """Whether the stream was set anew with it."""

    def take(self, wanted: NDArray[np.bool_]) -> Relayed:
        """Return those that `wanted` marks."""
        return Relayed(
            self.slot[wanted],
            self.row[wanted],
            self.size[wanted],
            self.position[wanted],
            self.audio[wanted],
            self.begins[wanted],
        )


class Relays:
    """Which leg each leg's packets go on to."""

    def __init__(self, capacity: int, senders: Senders) -> None:
        self._senders = senders
        self.to: NDArray[np.int64] = np.full(capacity, NOWHERE, np.int64)
        self.busy: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Legs to which nothing is passed on for now: their party does not listen, or they send
        something of their own. Whoever uses this sets it."""
        self._drifts = Drifts(capacity)
        self._kinds: NDArray[np.uint8] = np.full((capacity, 128), _DROP, np.uint8)
        self._forms: NDArray[np.uint8] = np.zeros((capacity, 128), np.uint8)
        self._tables: list[NDArray[np.uint8]] = []
        self._open: set[int] = set()
        self._ssrc: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self._shift: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._delay: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._next_in: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._next_out: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._first: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Where in the stream it is passed on in each stream was set anew."""

    def open(
        self,
        slot: int,
        to: int,
        kinds: Mapping[int, int],
        *,
        audio: Mapping[int, NDArray[np.uint8] | None],
    ) -> None:
        """Pass the packets of `slot` on to the leg `to`; what is passed on already goes on.

        `kinds` maps payload types heard to those sent; others are not passed on. `audio` says
        which of those heard are audio, and the 256-entry table their bytes are translated by.
        """
        self._kinds[slot], self._forms[slot] = _DROP, _EVENT
        for heard, sent in kinds.items():
            self._kinds[slot, heard] = sent
        for heard, table in audio.items():
            self._forms[slot, heard] = _AUDIO if table is None else self._form(table)
        if self.to[slot] != to:
            self._ssrc[slot] = -1
        self.to[slot] = to
        self._open.add(slot)

    def close(self, slot: int) -> None:
        """Pass nothing on from `slot` any more."""
        self.to[slot] = NOWHERE
        self._drifts.forget(slot)
        self._open.discard(slot)

    @property
    def drift(self) -> NDArray[np.int64]:
        """By leg heard: samples by which what it says runs ahead of the clock of the leg it is
        passed on to, more than when it began to be."""
        return self._drifts.drift

    def make_up(self, slot: int, amount: int) -> None:
        """Let the clock of the leg that `slot` is passed on to follow so much of its drift."""
        self._drifts.make_up(slot, amount)
        self._first[slot] -= amount
        self._senders.shift(int(self.to[slot]), amount)

    def forward(self, batch: PacketBatch, fields: PacketFields, now: float) -> Relayed | None:
        """Rewrite, in their rows of the batch, the packets that are to be passed on.

        `fields` hold what was heard, grouped by slot. Where laws differ payloads are changed, so
        the caller places the packets on their lines first.
        """
        if not self._open or not fields.slot.size:
            return None
        self._drifts.look(now)
        to = self.to[fields.slot]
        joined = to != NOWHERE
        busy = joined & self.busy[to]
        if busy.any():
            self._ssrc[fields.slot[busy]] = -1
            joined &= ~busy
        if not joined.all():
            if not joined.any():
                return None
            fields, to = fields.take(joined), to[joined]
        return self._forward(batch, fields, to, now)

    def _form(self, table: NDArray[np.uint8]) -> int:
        for index, known in enumerate(self._tables):
            if known is table:
                return _AUDIO + 1 + index
        self._tables.append(table)
        return _AUDIO + len(self._tables)

    def _forward(
        self, batch: PacketBatch, fields: PacketFields, to: NDArray[np.int64], now: float
    ) -> Relayed | None:
        slot, size, senders = fields.slot, fields.size, self._senders
        begun = np.empty(slot.size, np.bool_)
        begun[0] = True
        np.not_equal(slot[1:], slot[:-1], out=begun[1:])
        starts = np.flatnonzero(begun)
        kind, form = self._kinds[slot, fields.kind], self._forms[slot, fields.kind]
        # Where each packet lies in the stream it is passed on in, and where what was sent ends.
        since = senders.since(to, batch.arrival[fields.row])
        stamp = fields.timestamp + self._delay[slot]
        ahead = _wrapped(stamp - senders.base[to] - since)
        position = since + ahead
        reached = senders.reached[to]
        number = self._next_in[slot]
        counts = None
        if starts.size < slot.size:
            counts = np.diff(starts, append=slot.size)
            rank = np.arange(slot.size) - np.repeat(starts, counts)
            reached[1:] = np.where(begun[1:], reached[1:], position[:-1] + size[:-1])
            number = number + rank
        leap = int(LEAP * senders.rate)
        plain = (
            (fields.sequence == number & 0xFFFF)
            & (fields.ssrc == self._ssrc[slot])
            & (self._next_out[slot] == senders.sequence[to])
            & (form >= _AUDIO)
            & (position >= reached)
            & (position <= np.maximum(since, reached) + leap)
            & (ahead <= AHEAD * senders.rate)
        )
        sequence = fields.sequence + self._shift[slot]
        out = _Rewritten(kind, form, sequence, stamp, position, np.zeros(slot.size, np.bool_))
        if plain.all():
            self._go_on(fields, to, starts, counts, position, ahead, now)
        else:
            self._with_care(fields, to, starts, plain, out, since, now)
            wanted = out.kind != _DROP
            if not wanted.all():
                if not wanted.any():
                    return None
                fields, to, out = fields.take(wanted), to[wanted], out.take(wanted)
        return self._rewrite(batch, fields, to, out)

    def _with_care(
        self,
        fields: PacketFields,
        to: NDArray[np.int64],
        starts: NDArray[np.int64],
        plain: NDArray[np.bool_],
        out: _Rewritten,
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

    def _rewrite(
        self, batch: PacketBatch, fields: PacketFields, to: NDArray[np.int64], out: _Rewritten
    ) -> Relayed:
        row = fields.row
        second = (batch.data[row, 1] & 0x80 | out.kind).astype(np.int64)
        header = pack_headers(second, out.sequence, out.stamp, self._senders.ssrc[to])
        batch.set_heads(row, header)
        for index, table in enumerate(self._tables):
            these = out.form == _AUDIO + 1 + index
            if these.any():
                _translate(batch, row[these], fields.size[these], table)
        return Relayed(to, row, fields.size + HEADER, out.position, out.form >= _AUDIO, out.begins)

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
        self._drifts.measure(heads, ahead)

    def _pass_one(
        self,
        fields: PacketFields,
        index: int,
        to: int,
        out: _Rewritten,
        present: int,
        now: float,
    ) -> None:
        """Pass one packet on with all care: fill in what `out` says of it.

        `present` is where in the stream it is passed on in it would lie by when it came.
        """
        senders, slot = self._senders, int(fields.slot[index])
        sequence, size = int(fields.sequence[index]), int(fields.size[index])
        audio = out.form[index] >= _AUDIO
        step = wrap_distance(sequence, int(self._next_in[slot]), 16)
        same = fields.ssrc[index] == self._ssrc[slot] and abs(step) <= MAX_DROPOUT
        if out.kind[index] == _DROP:
            if same and step == 0:  # leaves no gap
                self._next_in[slot] = sequence + 1 & 0xFFFF
                self._shift[slot] -= 1
            return
        same = same and self._next_out[slot] == senders.sequence[to]
        position = self._position(fields, index, to, present)
        leaps = same and audio and self._leaps(slot, to, position, present, late=step < 0)
        if leaps and step < 0:  # of before the amounts were set: these would lead it astray
            out.kind[index] = _DROP
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
        self._drifts.begin(slot, now)


@dataclass(frozen=True, slots=True)
class _Rewritten:
    """What becomes of packets, in parallel arrays."""

    kind: NDArray[np.uint8]
    form: NDArray[np.uint8]
    sequence: NDArray[np.int64]
    stamp: NDArray[np.int64]
    position: NDArray[np.int64]
    begins: NDArray[np.bool_]

    def take(self, wanted: NDArray[np.bool_]) -> _Rewritten:
        return _Rewritten(
            self.kind[wanted],
            self.form[wanted],
            self.sequence[wanted],
            self.stamp[wanted],
            self.position[wanted],
            self.begins[wanted],
        )


def _wrapped(distance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return distances of 32-bit timestamps, negative ones for what is behind."""
    return (distance + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000


def _translate(
    batch: PacketBatch, row: NDArray[np.int64], size: NDArray[np.int64], table: NDArray[np.uint8]
) -> None:
    """Translate the payloads of rows in place."""
    for one in np.unique(size[size > 0]).tolist():
        these = row[size == one]
        batch.set_payloads(these, table.take(batch.payloads(these, one)))
