"""A far end that talks, and a line that is given its packets at chosen instants."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.g711 import ALAW_DECODE, ULAW_DECODE
from mediaserver.rtp.keys import Key
from mediaserver.rtp.packet import PacketBatch, build_packet, parse_batch
from mediaserver.rtp.timeline import Kind, Timelines

ROUND = 24
KINDS = {0: Kind.ULAW, 8: Kind.ALAW, 13: Kind.NOISE, 101: Kind.EVENT}
SLOT = 3


@dataclass(frozen=True)
class Timed:
    """A packet and the second at which it arrives."""

    arrival: float
    packet: bytes


@dataclass
class Talker:
    """Makes the packets of one stream: 20 ms of u-law each, unless told otherwise."""

    ssrc: int = 0x1234
    sequence: int = 100
    timestamp: int = 5000
    at: float = 0.0
    size: int = 160
    sent: list[bytes] = field(default_factory=list)

    def say(self, payload: bytes, kind: int = 0) -> list[Timed]:
        """Return `payload` as packets that leave in even steps."""
        packets = []
        for start in range(0, len(payload), self.size):
            part = payload[start : start + self.size]
            packets.append(
                Timed(self.at, build_packet(kind, self.sequence, self.timestamp, self.ssrc, part))
            )
            self.sequence = (self.sequence + 1) & 0xFFFF
            self.timestamp = (self.timestamp + len(part)) & 0xFFFF_FFFF
            self.at += len(part) / 8000
        return packets

    def pause(self, seconds: float) -> None:
        """Say nothing; the timestamps go on with time."""
        self.at += seconds
        self.timestamp = (self.timestamp + round(seconds * 8000)) & 0xFFFF_FFFF

    def press(
        self, payloads: Iterable[bytes], kind: int = 101, lasting: float = 0.1
    ) -> list[Timed]:
        """Return event packets, which all carry the timestamp of their beginning."""
        packets = []
        for number, payload in enumerate(payloads):
            at = self.at + number * 0.02
            packets.append(
                Timed(at, build_packet(kind, self.sequence, self.timestamp, self.ssrc, payload))
            )
            self.sequence = (self.sequence + 1) & 0xFFFF
        self.pause(lasting)
        return packets


class Heard:
    """A line of `Timelines`, fed with timed packets in ticks of 20 ms."""

    def __init__(self) -> None:
        self.lines = Timelines(8, {Kind.ULAW: ULAW_DECODE, Kind.ALAW: ALAW_DECODE})
        self.lines.open(SLOT, KINDS, 0.0)
        self.keys: list[Key] = []
        self.samples: NDArray[np.int16] = np.zeros(0, np.int16)
        self.now = 0.0

    def feed(self, packets: Iterable[Timed], until: float, tick: float = 0.02) -> None:
        """Let time go to `until`, with the packets arriving on their way; read what is final."""
        waiting = deque(sorted(packets, key=lambda timed: timed.arrival))
        while self.now < until - 1e-9:
            self.now = round(self.now + tick, 6)
            while True:
                taken = self._round(waiting)
                if taken < ROUND:
                    break
                self.lines.settle([SLOT])
                self._read(int(self.lines.final[SLOT]))
            self.lines.advance(self.now, [SLOT])
            self._read(int(self.lines.final[SLOT]))
        assert not waiting, "packets left over: let time go further"

    def _round(self, waiting: deque[Timed]) -> int:
        """Take what arrived by now, as many as the engine takes from a socket at once."""
        batch = PacketBatch.empty(ROUND)
        while waiting and waiting[0].arrival <= self.now and batch.count < ROUND:
            timed = waiting.popleft()
            batch.append(SLOT, timed.packet, 1, timed.arrival)
        fields = parse_batch(batch, np.ones(batch.count, np.bool_))
        self.keys += self.lines.receive(batch, fields)
        return batch.count

    def _read(self, upto: int) -> None:
        start = self.samples.size
        late = self.lines.take_late(SLOT)
        if late is not None and late < start:
            self.samples[late:start] = self.lines.read(SLOT, late, start)
        self.samples = np.concatenate(
            [self.samples, self.lines.read(SLOT, start, max(upto, start))]
        )

    def whole(self) -> NDArray[np.int16]:
        """Return the line up to its end if it ended now."""
        self._read(self.lines.end(SLOT, self.now))
        return self.samples

    def voice(self) -> NDArray[np.int16]:
        """Return the line without the silence before and after."""
        whole = self.whole()
        loud = np.flatnonzero(whole)
        return whole[loud[0] : loud[-1] + 1] if loud.size else whole[:0]
