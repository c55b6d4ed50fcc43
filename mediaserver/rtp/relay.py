"""Passing packets on from leg to leg as they came.

A relayed packet keeps its payload, its marker and its place among its neighbours; what it gets is
the SSRC of the stream it joins, and a sequence number and timestamp moved by an amount that stays
the same while its own stream goes on. So a gap, a copy or a late packet arrives as what it is, and
the far end's jitter buffer deals with it as it would have without us. The amounts are set anew
when the stream changes (SSRC, a leap in its count) and when the leg has sent something else in
between, a prompt or a digit: then the stream goes on where time says.

Where the two far ends speak different laws of G.711 the bytes are translated one for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .counting import MAX_DROPOUT
from .packet import HEADER, PacketBatch, PacketFields
from .sender import Senders, pack_headers

NOWHERE: Final = -1

_DROP: Final = 0xFF
"""In place of a payload type: the other side has none for this."""


_FIRST: Final = np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True)
class Relayed:
    """Packets to pass on: their rows in the batch, which now hold what is to be sent."""

    slot: NDArray[np.int64]
    """The legs that send them."""
    row: NDArray[np.int64]
    size: NDArray[np.int64]
    """Bytes, header included."""


class Relays:
    """Which leg each leg's packets go on to."""

    def __init__(self, capacity: int, senders: Senders) -> None:
        self._senders = senders
        self.to: NDArray[np.int64] = np.full(capacity, NOWHERE, np.int64)
        self._kinds: NDArray[np.uint8] = np.full((capacity, 128), _DROP, np.uint8)
        self._open: set[int] = set()
        self._laws: dict[int, NDArray[np.uint8]] = {}
        self._audio: NDArray[np.int64] = np.full(capacity, NOWHERE, np.int64)
        self._ssrc: NDArray[np.int64] = np.full(capacity, -1, np.int64)
        self._shift: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._delay: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._next_in: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._next_out: NDArray[np.int64] = np.zeros(capacity, np.int64)

    def open(
        self,
        slot: int,
        to: int,
        kinds: Mapping[int, int],
        translate: tuple[int, NDArray[np.uint8]] | None = None,
    ) -> None:
        """Pass the packets of `slot` on to the leg `to`.

        `kinds` maps payload types heard to those sent; others are not passed on. `translate` is
        the payload type heard whose bytes must be translated, and the 256-entry table for it.
        """
        self._kinds[slot] = _DROP
        for heard, sent in kinds.items():
            self._kinds[slot, heard] = sent
        self._laws.pop(slot, None)
        self._audio[slot] = NOWHERE
        if translate is not None:
            self._audio[slot], self._laws[slot] = translate
        self._ssrc[slot] = -1
        self.to[slot] = to
        self._open.add(slot)

    def close(self, slot: int) -> None:
        """Pass nothing on from `slot` any more."""
        self.to[slot] = NOWHERE
        self._open.discard(slot)
        self._laws.pop(slot, None)

    def forward(self, batch: PacketBatch, fields: PacketFields, now: float) -> Relayed | None:
        """Rewrite, in their rows of the batch, the headers of packets that are to be passed on.

        `fields` hold what was heard; only where laws differ are payloads changed, so the caller
        places the packets on their lines first.
        """
        if not self._open:
            return None
        to, kind = self.to[fields.slot], self._kinds[fields.slot, fields.kind]
        wanted = (to != NOWHERE) & (kind != _DROP)
        if not wanted.any():
            return None
        fields = fields.take(wanted)
        starts = np.flatnonzero(np.diff(fields.slot, prepend=-1))
        counts = np.diff(starts, append=fields.slot.size)
        same = fields.ssrc == np.repeat(fields.ssrc[starts], counts)
        if same.all():
            return self._forward(batch, fields, starts, now)
        # A stream changed within the batch: one packet after the other.
        parts = [
            self._forward(batch, fields.take(np.arange(same.size) == index), _FIRST, now)
            for index in range(same.size)
        ]
        return Relayed(
            np.concatenate([part.slot for part in parts]),
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.size for part in parts]),
        )

    def _forward(
        self, batch: PacketBatch, fields: PacketFields, starts: NDArray[np.int64], now: float
    ) -> Relayed:
        """Rewrite packets of streams that stay the same within the batch."""
        slot, row = fields.slot, fields.row
        to, kind = self.to[slot], self._kinds[slot, fields.kind]
        self._follow(fields, starts, now)
        marker = batch.data[row, 1] & 0x80
        batch.data[row, :HEADER] = pack_headers(
            (marker | kind).astype(np.int64),
            fields.sequence + self._shift[slot],
            fields.timestamp + self._delay[slot],
            self._senders.ssrc[to],
        )
        for index in np.flatnonzero(fields.kind == self._audio[slot]):
            payload = batch.data[row[index], HEADER : HEADER + fields.size[index]]
            payload[:] = self._laws[int(slot[index])][payload]
        self._count(fields, starts, to[starts], now)
        return Relayed(to, row, fields.size + HEADER)

    def _follow(self, fields: PacketFields, starts: NDArray[np.int64], now: float) -> None:
        """Set the amounts anew for streams that do not go on as they were passed on before."""
        heads = fields.slot[starts]
        to = self.to[heads]
        step = (fields.sequence[starts] - self._next_in[heads] + 0x8000 & 0xFFFF) - 0x8000
        other = (
            (fields.ssrc[starts] != self._ssrc[heads])
            | (np.abs(step) > MAX_DROPOUT)
            | (self._next_out[heads] != self._senders.sequence[to])
        )
        for index in starts[other]:
            slot = int(fields.slot[index])
            leg = int(self.to[slot])
            sequence = int(self._senders.sequence[leg])
            stamp = self._senders.timestamp(leg, now)
            self._ssrc[slot] = fields.ssrc[index]
            self._shift[slot] = sequence - int(fields.sequence[index])
            self._delay[slot] = stamp - int(fields.timestamp[index])
            self._next_in[slot] = fields.sequence[index]
            self._next_out[slot] = sequence

    def _count(
        self, fields: PacketFields, starts: NDArray[np.int64], to: NDArray[np.int64], now: float
    ) -> None:
        """Note what was passed on, as sent by the legs `to` (one for each of `starts`)."""
        counts = np.diff(starts, append=fields.slot.size)
        ahead = (fields.sequence - self._next_in[fields.slot] + 0x8000 & 0xFFFF) - 0x8000 + 1
        forth = np.maximum(np.maximum.reduceat(ahead, starts), 0)
        heads = fields.slot[starts]
        self._next_in[heads] = (self._next_in[heads] + forth) & 0xFFFF
        self._next_out[heads] = (self._next_out[heads] + forth) & 0xFFFF
        senders = self._senders
        senders.sequence[to] = self._next_out[heads]
        senders.packets[to] += counts
        senders.octets[to] += np.add.reduceat(fields.size, starts)
        senders.last_sent[to] = now
