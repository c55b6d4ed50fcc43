"""Passing packets on from leg to leg as they came.

A relayed packet keeps its payload, its marker and its place among its neighbours; what it gets is
the SSRC of the stream it joins, and a sequence number and timestamp moved by an amount that stays
the same while its own stream goes on. So a gap, a copy or a late packet arrives as what it is, and
the far end's jitter buffer deals with it as it would have without us. What the other side did not
agree to take leaves no gap in the sequence.

Where the two far ends speak different laws of G.711 the bytes are translated one for one.

By how much each stream is moved, and when that is set anew, is `rtp.passages`' to say.

A far end's timestamps follow its own clock, and so does what is passed on. With it would drift what
the leg sends itself, and what its journal holds: see `rtp.drift`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .packet import HEADER, PacketBatch, PacketFields
from .passages import AUDIO, DROP, EVENT, Passages, Passed
from .sender import Senders, pack_headers

NOWHERE: Final = -1


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
        self._passages = Passages(capacity, senders)
        self._kinds: NDArray[np.uint8] = np.full((capacity, 128), DROP, np.uint8)
        self._forms: NDArray[np.uint8] = np.zeros((capacity, 128), np.uint8)
        self._tables: list[NDArray[np.uint8]] = []
        self._open: set[int] = set()

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
        self._kinds[slot], self._forms[slot] = DROP, EVENT
        for heard, sent in kinds.items():
            self._kinds[slot, heard] = sent
        for heard, table in audio.items():
            self._forms[slot, heard] = AUDIO if table is None else self._form(table)
        if self.to[slot] != to:
            self._passages.break_off(slot)
        self.to[slot] = to
        self._open.add(slot)

    def close(self, slot: int) -> None:
        """Pass nothing on from `slot` any more."""
        self.to[slot] = NOWHERE
        self._passages.drifts.forget(slot)
        self._open.discard(slot)

    @property
    def translates(self) -> bool:
        """Whether there are, or were, two far ends of different laws."""
        return bool(self._tables)

    @property
    def drift(self) -> NDArray[np.int64]:
        """By leg heard: samples by which what it says runs ahead of the clock of the leg it is
        passed on to, more than when it began to be."""
        return self._passages.drifts.drift

    def make_up(self, slot: int, amount: int) -> None:
        """Let the clock of the leg that `slot` is passed on to follow so much of its drift."""
        self._passages.make_up(slot, amount)
        self._senders.shift(int(self.to[slot]), amount)

    def forward(self, batch: PacketBatch, fields: PacketFields, now: float) -> Relayed | None:
        """Rewrite, in their rows of the batch, the packets that are to be passed on.

        `fields` hold what was heard, grouped by slot. Headers are changed, and if it `translates`
        payloads: then the caller places the packets on their lines first.
        """
        if not self._open or not fields.slot.size:
            return None
        self._passages.drifts.look(now)
        to = self.to[fields.slot]
        joined = to != NOWHERE
        busy = joined & self.busy[to]
        if busy.any():
            self._passages.break_off(fields.slot[busy])
            joined &= ~busy
        if not joined.all():
            if not joined.any():
                return None
            fields, to = fields.take(joined), to[joined]
        slot = fields.slot
        kind, form = self._kinds[slot, fields.kind], self._forms[slot, fields.kind]
        since = self._senders.since(to, batch.arrival[fields.row])
        out, wanted = self._passages.pass_on(fields, to, kind, form, since, now)
        if wanted is not None:
            if not wanted.any():
                return None
            fields, to, out = fields.take(wanted), to[wanted], out.take(wanted)
        return self._rewrite(batch, fields, to, out)

    def _form(self, table: NDArray[np.uint8]) -> int:
        for index, known in enumerate(self._tables):
            if known is table:
                return AUDIO + 1 + index
        self._tables.append(table)
        return AUDIO + len(self._tables)

    def _rewrite(
        self, batch: PacketBatch, fields: PacketFields, to: NDArray[np.int64], out: Passed
    ) -> Relayed:
        row = fields.row
        second = (batch.data[row, 1] & 0x80 | out.kind).astype(np.int64)
        header = pack_headers(second, out.sequence, out.stamp, self._senders.ssrc[to])
        batch.set_heads(row, header)
        for index, table in enumerate(self._tables):
            these = out.form == AUDIO + 1 + index
            if these.any():
                _translate(batch, row[these], fields.size[these], table)
        return Relayed(to, row, fields.size + HEADER, out.position, out.form >= AUDIO, out.begins)


def _translate(
    batch: PacketBatch, row: NDArray[np.int64], size: NDArray[np.int64], table: NDArray[np.uint8]
) -> None:
    """Translate the payloads of rows in place."""
    for one in np.unique(size[size > 0]).tolist():
        these = row[size == one]
        batch.set_payloads(these, table.take(batch.payloads(these, one)))
