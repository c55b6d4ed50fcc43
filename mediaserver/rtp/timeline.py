"""Where on a leg's line the samples of its packets lie (complaints 1 to 7; RFC 3550 section 5.1).

**The line.** Position 0 is the instant the leg was opened, position n is n / rate seconds later.
Packets are placed by RTP timestamp; what never came stays silence of the right length. Three
marks travel along the line, each only forwards:

- `placed`: end of the last sample received. Beyond it everything is silence, stored nowhere.
- `final`: what lies before it no longer changes for whoever listens. While packets flow it is
  `REORDER` behind `placed`, so that a late packet finds its place; when none has come for `STALL`
  it is `placed`; and it is never more than `GRACE` behind the present.
- `decided`: up to here time has passed for a silence timeout. It is `final` while packets flow
  and runs by the present, `STALL` behind it, when they do not.

The *present* is where on the line is placed what arrives now. It is the clock's position at first;
the far end's clock is another one, and carries the line away from ours (`rtp.skew`). Which
position a timestamp means is `rtp.streams`' to say.

Packets that simply go on where their leg stands, nearly all of them, are decoded and stored
together, over all legs at once. A leg whose packets do anything else in a batch takes the careful
way, one packet after the other.

State is in parallel arrays with one entry a leg (a *slot*). Of a packet of audio the `size` is in
samples: bytes of G.711, half the bytes where it is `Kind.LINEAR`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .counting import Counts
from .decoding import LINEAR
from .keys import Key, Keys
from .lines import NOT_LATE, Lines
from .packet import HEADER, PacketBatch, PacketFields, first_of_each, rank_in_leg
from .ring import HISTORY, RING
from .skew import Leads
from .spans import Spans
from .streams import LEAP, Streams

REORDER: Final = 0.12
"""Seconds a packet may come late and still be heard by whoever listens."""

STALL: Final = 0.08
"""Seconds without a packet after which the far end counts as silent for the moment. Longer than a
packet of 60 ms; with the 100 ms between two turns of a leg, a timeout still fires within 200 ms,
in a crowd within 300."""

GRACE: Final = 1.0
"""Seconds that late packets after a stall are waited for; longer ones shift what follows."""


NOT_PLACED: Final = -1
"""In place of a position: the packet is on no line."""


class Kind(IntEnum):
    """What a payload type means on a leg."""

    UNKNOWN = 0
    ULAW = 1
    ALAW = 2
    EVENT = 3
    NOISE = 4
    LINEAR = LINEAR
    """Samples as they are: made of another codec's packets (`net.second_lane`)."""


class Timelines(Lines):
    """The lines of all legs. `laws` maps `Kind.ULAW` and `Kind.ALAW` to 256-entry int16 tables."""

    def __init__(
        self, capacity: int, laws: Mapping[Kind, NDArray[np.int16]], rate: int = 8000
    ) -> None:
        self.laws = {int(kind): table for kind, table in laws.items()}
        """Samples by octet of the laws there are, by `Kind`."""
        super().__init__(capacity, self.laws)
        self.rate = rate
        self._kinds: NDArray[np.uint8] = np.zeros((capacity, 128), np.uint8)
        self._origin: NDArray[np.float64] = np.zeros(capacity, np.float64)
        self._heard: NDArray[np.float64] = np.zeros(capacity, np.float64)
        self.final: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.decided: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.counts = Counts(capacity)
        self.spans = Spans(HISTORY)
        self.leads = Leads(capacity, rate)
        self._streams = Streams(capacity, rate, self.counts, self.leads)
        self._keys = Keys(rate, self.spans)

    def open(self, slot: int, kinds: Mapping[int, Kind], now: float) -> None:
        """Start the line of `slot` at `now`; `kinds` maps payload types to what they mean."""
        for array in (self.placed, self.final, self.decided):
            array[slot] = 0
        for part in (self.counts, self.spans, self.leads, self._streams, self._keys):
            part.open(slot)
        self.late_from[slot] = NOT_LATE
        self._origin[slot] = self._heard[slot] = now
        self.expect(slot, kinds)

    def expect(
        self, slot: int, kinds: Mapping[int, Kind], event_rates: Mapping[int, int] | None = None
    ) -> None:
        """Change what payload types mean on `slot` (a re-negotiation); the line goes on.

        `event_rates` are the clock rates in Hz of those that are events; else it is the line's.
        """
        self._kinds[slot] = Kind.UNKNOWN
        self._keys.expect(slot, event_rates or {})
        for payload_type, kind in kinds.items():
            self._kinds[slot, payload_type] = kind
        self._streams.look_again(slot)

    def close(self, slot: int) -> None:
        """Stop the line of `slot`."""
        self._kinds[slot] = Kind.UNKNOWN
        self._keys.close(slot)

    def origin(self, slot: int) -> float:
        """Return the instant of position 0."""
        return float(self._origin[slot])

    def position(self, slot: int, at: float) -> int:
        """Return the position of the clock on the line of `slot` at the instant `at`."""
        return int((at - self._origin[slot]) * self.rate)

    def positions(self, slot: NDArray[np.int64], at: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return for each of `slot` the position nearest to its instant in `at`."""
        position: NDArray[np.int64] = np.rint((at - self._origin[slot]) * self.rate).astype(
            np.int64
        )
        return position

    def present(self, slot: int, at: float) -> int:
        """Return the position at which the line of `slot` is at the instant `at`."""
        return self.position(slot, at) + int(self.leads.present[slot])

    def end(self, slot: int, at: float) -> int:
        """Return where the line ends if the leg ends at `at`: no received sample is cut off."""
        return max(self.present(slot, at), int(self.placed[slot]))

    def read(self, slot: int, start: int, end: int) -> NDArray[np.int16]:
        """Return a copy of the samples from `start` to `end`, silence beyond `placed`.

        What lies more than RING behind `placed` is silence too: there was a gap so long, or the
        far end sent audio faster than anybody could fetch it.
        """
        placed = int(self.placed[slot])
        stop = min(end, placed)
        out = np.zeros(end - start, np.int16)
        begin = max(start, placed - RING)
        if begin < stop:
            self._ring.get(slot, begin, stop, out[begin - start :])
        return out

    def blocks(self, slot: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int16]:
        """See `Lines.blocks`."""
        return self._ring.blocks(slot, number)

    def frames(
        self, slot: NDArray[np.int64], start: NDArray[np.int64], size: int
    ) -> NDArray[np.int16]:
        """Return a copy, shape (n, size), of what each line has from its `start` on.

        All of it ends at or before `placed`, and begins within RING of it.
        """
        return self._ring.get_many(slot, start, size)

    def advance(self, now: float, slots: NDArray[np.int64] | Sequence[int]) -> None:
        """Move the marks of legs whose sockets were found empty at `now`.

        Only of those: what still waits in the socket of another leg is not late, however long
        ago it came, and time must not run past it.
        """
        slot = np.asarray(slots, np.int64)
        placed = self.placed[slot]
        present = ((now - self._origin[slot]) * self.rate).astype(np.int64)
        present += self.leads.present[slot]
        stalled = now - self._heard[slot] >= STALL
        settled = np.where(stalled, placed, placed - int(REORDER * self.rate))
        final = np.maximum(np.maximum(self.final[slot], settled), present - int(GRACE * self.rate))
        silent_to = np.where(stalled, present - int(STALL * self.rate), 0)
        self.final[slot] = final
        self.decided[slot] = np.maximum(np.maximum(self.decided[slot], final), silent_to)
        self._streams.look_again(slot[final > placed])

    def settle(self, slots: NDArray[np.int64] | Sequence[int]) -> None:
        """Move the marks of legs in whose sockets more may wait: by what was heard alone."""
        slot = np.asarray(slots, np.int64)
        settled = self.placed[slot] - int(REORDER * self.rate)
        self.final[slot] = np.maximum(self.final[slot], settled)
        self.decided[slot] = np.maximum(self.decided[slot], self.final[slot])

    def meaning(self, fields: PacketFields) -> NDArray[np.uint8]:
        """Return the `Kind` of each packet."""
        return self._kinds[fields.slot, fields.kind]

    def receive(
        self,
        batch: PacketBatch,
        fields: PacketFields,
        positions: NDArray[np.int64] | None = None,
    ) -> list[Key]:
        """Place the packets of a batch (grouped by slot); return the keys that were pressed.

        `positions`, one for each row of the batch, is told where those of audio were placed.
        """
        if not fields.row.size:
            return []
        slot = fields.slot
        starts = np.flatnonzero(first_of_each(slot))
        counts = np.diff(starts, append=slot.size)
        rank = rank_in_leg(starts, counts)
        kind = self.meaning(fields)
        goes_on = self._streams.goes_on(fields, kind, rank)
        plain = np.logical_and.reduceat(goes_on, starts)
        heads = slot[starts]
        self.counts.packets[heads] += counts
        self._measure(batch, fields, starts)
        if plain.all():
            self._append(batch, fields, slice(None), rank, kind, positions)
            self._move_on(fields, starts, counts)
        elif plain.any():
            self._append(batch, fields, np.repeat(plain, counts), rank, kind, positions)
            self._move_on(fields, starts[plain], counts[plain])
        keys: list[Key] = []
        for group in np.flatnonzero(~plain):
            first = int(starts[group])
            for index in range(first, first + int(counts[group])):
                key = self._place_one(batch, fields, index, Kind(int(kind[index])), positions)
                if key is not None:
                    keys.append(key)
        self._heard[heads] = batch.arrival[fields.row[starts + counts - 1]]
        return keys

    def _append(
        self,
        batch: PacketBatch,
        fields: PacketFields,
        chosen: NDArray[np.bool_] | slice,
        rank: NDArray[np.int64],
        kind: NDArray[np.uint8],
        positions: NDArray[np.int64] | None,
    ) -> None:
        """Decode and store packets that go on where their line stands."""
        row, slot, size = fields.row[chosen], fields.slot[chosen], fields.size[chosen]
        position = self.placed[slot] + rank[chosen] * size
        if positions is not None:
            positions[row] = position
        self._decoder.put(self._ring, slot, position, batch, row, size, kind[chosen])

    def _move_on(
        self, fields: PacketFields, starts: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> None:
        """Move the marks of legs whose packets all went on where they stood."""
        slot = fields.slot[starts]
        samples = counts * fields.size[starts]
        self._streams.go_on(slot, counts, samples, self.placed[slot])
        self.placed[slot] += samples

    def _measure(self, batch: PacketBatch, fields: PacketFields, starts: NDArray[np.int64]) -> None:
        """Take one sample of jitter and of lead a leg, from its first packet in the batch."""
        starts = starts[self._streams.are_next(fields, starts)]
        if not starts.size:
            return
        slot = fields.slot[starts]
        arrival = batch.arrival[fields.row[starts]]
        gap = np.abs(arrival - self._heard[slot] - self._streams.size[slot] / self.rate)
        jitter = self.counts.jitter
        jitter[slot] += (gap - jitter[slot]) / 16
        clock = ((arrival - self._origin[slot]) * self.rate).astype(np.int64)
        self._streams.measure(slot, self.placed[slot], clock)

    def _place_one(
        self,
        batch: PacketBatch,
        fields: PacketFields,
        index: int,
        kind: Kind,
        positions: NDArray[np.int64] | None,
    ) -> Key | None:
        """Place one packet with all care; return the key it reports, if any."""
        slot, row, size = (int(a[index]) for a in (fields.slot, fields.row, fields.size))
        payload = batch.data[row, HEADER : HEADER + size * (2 if kind is Kind.LINEAR else 1)]
        if kind is Kind.EVENT:
            return self._press(slot, fields, index, payload.tobytes(), float(batch.arrival[row]))
        clock = self.position(slot, float(batch.arrival[row]))
        placed, final = int(self.placed[slot]), int(self.final[slot])
        position = self._streams.locate(fields, index, clock=clock, placed=placed, final=final)
        if position is None or not size or kind not in {Kind.ULAW, Kind.ALAW, Kind.LINEAR}:
            return None
        self._store(slot, position, self._decoder.one(payload, kind))
        if positions is not None:
            positions[row] = position
        sequence = int(fields.sequence[index])
        if self.counts.is_newest(slot, sequence) and position + size == self.placed[slot]:
            self.counts.skipped[slot] = 0
            self._streams.expect(slot, sequence, int(fields.timestamp[index]), size, kind)
        return None

    def _press(
        self, slot: int, fields: PacketFields, index: int, payload: bytes, arrival: float
    ) -> Key | None:
        """Take one event packet: its timestamp is the beginning of the key, however late it comes.

        It never moves the anchor. Where its clock is not the line's (another SSRC, 48 kHz beside
        8 kHz audio) the key is put where the audio stopped, or at the clock if it stopped long ago.
        """
        timestamp = int(fields.timestamp[index])
        placed = int(self.placed[slot])
        position = max(placed, self.present(slot, arrival) - int(STALL * self.rate))
        streams = self._streams
        if streams.ssrc[slot] < 0:
            clock, final = self.position(slot, arrival), int(self.final[slot])
            position = streams.locate(fields, index, clock=clock, placed=placed, final=final) or 0
        elif fields.ssrc[index] == streams.ssrc[slot]:
            streams.count(slot, int(fields.sequence[index]))
            stated = streams.stated(slot, timestamp)
            if abs(stated - position) <= int(LEAP * self.rate):
                position = stated
        now = max(placed, self.position(slot, arrival) + int(streams.lead[slot]))
        until = now + int(STALL * self.rate)  # an update may speak of the time up to the next
        kind = int(fields.kind[index])
        return self._keys.press(slot, kind, timestamp, payload, position=position, until=until)

    def ssrc(self, slot: int) -> int | None:
        """Return the SSRC now heard on the leg, None before the first packet."""
        ssrc = int(self._streams.ssrc[slot])
        return ssrc if ssrc >= 0 else None

    def heard_at(self, slot: int) -> float | None:
        """Return when a packet was last heard on the leg, None before the first."""
        return float(self._heard[slot]) if self.counts.packets[slot] else None

    def _store(self, slot: int, position: int, samples: NDArray[np.int16]) -> None:
        """Write samples to a line, and note what they are of what was missing."""
        placed = int(self.placed[slot])
        if position > placed:
            self._note_gap(slot, placed, position, samples.size)
        elif position < placed:
            self.spans.fill(slot, position, min(position + samples.size, placed))
        self._put(slot, slot, position, samples)

    def _note_gap(self, slot: int, start: int, end: int, size: int) -> None:
        """Note how much of a gap is of packets that were sent, given the size of the next one."""
        skipped = self.counts.skipped
        missing = min(int(skipped[slot]), -(-(end - start) // size))
        if missing:
            skipped[slot] -= missing
            self.spans.lose(slot, start, min(start + missing * size, end))
