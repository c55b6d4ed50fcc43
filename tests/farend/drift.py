"""Far ends whose clocks are fast or slow, for simulated hours: many packets, no object for each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.g711 import ALAW_DECODE, ULAW_DECODE
from mediaserver.rtp.packet import HEADER, PacketBatch, PacketFields, parse_batch
from mediaserver.rtp.sender import pack_headers
from mediaserver.rtp.timeline import Kind, Timelines

FRAME = 160
RATE = 8000
DELAY = 0.03
"""Seconds that a packet which waits for nothing is under way."""
MARK_EVERY = 10.0
"""Seconds from mark to mark; the first is at half of it."""
MARK = 0x00
SOUND = 0x50
"""Octets of u-law: a mark, the loudest there is, and what sounds between marks."""
MOST = 200


class CountingTimelines(Timelines):
    """Lines that count the packets placed one by one."""

    one_by_one = 0

    def _place_one(
        self,
        batch: PacketBatch,
        fields: PacketFields,
        index: int,
        kind: Kind,
        positions: NDArray[np.int64] | None,
    ) -> None:
        self.one_by_one += 1
        super()._place_one(batch, fields, index, kind, positions)


@dataclass
class FarEnd:
    """One that sends a packet every 20 ms of its own clock, `ppm` faster than ours."""

    ppm: float
    seconds: float
    jitter: float = 0.0
    """Mean of what a packet waits on its way, in seconds; they stay in order."""
    loss: float = 0.0
    seed: int = 1
    arrivals: NDArray[np.float64] = field(init=False)
    numbers: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        count = int(self.seconds * self.rate / FRAME)
        sent = np.arange(count) * FRAME / self.rate
        waits = random.exponential(self.jitter, count) if self.jitter else np.zeros(count)
        kept = random.random(count) >= self.loss
        kept[0] = True
        self.numbers = np.flatnonzero(kept)
        self.arrivals = np.maximum.accumulate(sent + DELAY + waits)[kept]

    @property
    def rate(self) -> float:
        """Samples it sends in one of our seconds."""
        return RATE * (1 + self.ppm * 1e-6)

    def payloads(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the octets of packets, with a mark of half a millisecond now and then."""
        payloads = np.full((numbers.size, FRAME), SOUND, np.uint8)
        middle = (numbers + 0.5) * FRAME / self.rate
        near = np.flatnonzero(np.abs(middle % MARK_EVERY - MARK_EVERY / 2) < FRAME / RATE)
        at = (numbers[near, None] * FRAME + np.arange(FRAME)) / self.rate
        marked = np.abs(at % MARK_EVERY - MARK_EVERY / 2) < 0.00025
        payloads[near] = np.where(marked, MARK, SOUND)
        return payloads


@dataclass
class Heard:
    """What became of a far end's packets on its line."""

    marks: list[float] = field(default_factory=list)
    """Positions of the marks."""
    silent: int = 0
    """Samples of silence from the first to the last that was heard."""
    notes: bytes = b""


def listen(far_ends: list[FarEnd], tick: float) -> tuple[CountingTimelines, list[Heard]]:
    """Give every far end a line, one slot after the other, and all its packets to it."""
    lines = CountingTimelines(len(far_ends), {Kind.ULAW: ULAW_DECODE, Kind.ALAW: ALAW_DECODE})
    slots = np.arange(len(far_ends))
    for slot in slots.tolist():
        lines.open(slot, {0: Kind.ULAW}, 0.0)
        lines.leads.keep(slot)
    heard = [Heard() for _ in far_ends]
    done = [0] * len(far_ends)
    batch = PacketBatch.empty(MOST * len(far_ends))
    seconds = max(end.arrivals[-1] for end in far_ends)
    for now in np.arange(tick, seconds + tick, tick):
        batch.count = 0
        for slot, end in enumerate(far_ends):
            first, last = np.searchsorted(end.arrivals, [now - tick, now], side="right")
            _append(batch, slot, end, int(first), int(last))
        lines.receive(batch, parse_batch(batch, np.ones(batch.count, np.bool_)))
        lines.advance(float(now), slots)
        for slot, what in enumerate(heard):
            done[slot] = _look(lines, slot, done[slot], what)
            what.notes += lines.leads.take(slot)
    return lines, heard


def _append(batch: PacketBatch, slot: int, end: FarEnd, first: int, last: int) -> None:
    numbers, rows = end.numbers[first:last], slice(batch.count, batch.count + last - first)
    batch.data[rows, :HEADER] = pack_headers(
        np.zeros_like(numbers), numbers, numbers * FRAME, np.full_like(numbers, 7)
    )
    batch.data[rows, HEADER : HEADER + FRAME] = end.payloads(numbers)
    batch.length[rows] = HEADER + FRAME
    batch.slot[rows] = slot
    batch.source[rows] = 1
    batch.arrival[rows] = end.arrivals[first:last]
    batch.count = rows.stop


def _look(lines: Timelines, slot: int, done: int, heard: Heard) -> int:
    placed = int(lines.placed[slot])
    samples = lines.read(slot, done, placed)
    first = 0 if done else int(np.argmax(samples != 0))
    heard.silent += int((samples[first:] == 0).sum())
    marked = np.flatnonzero(samples == ULAW_DECODE[MARK])
    if marked.size:
        heard.marks.append(done + float(marked.mean()))
    return placed
