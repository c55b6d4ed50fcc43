"""What the server sends to the streams: every packet counted, some listened to.

The sockets are swept every 100 ms, a piece at a time between two turns of the generator. Of every
packet the sequence number and the port it came from are looked at, all packets of a piece at once;
of every few-th stream the packets are kept, with the kernel's time of arrival, and compared at the
end with what should have come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .load import Heard
from .mmsg import Incoming
from .recordings import compare
from .sockets import stamp_arrivals
from .speech import DECODE, FRAME, RATE
from .streams import Streams

SWEEP: Final = 0.1
"""Seconds between two sweeps of all sockets."""

LISTENED_TO: Final = 64
"""Streams whose packets are kept, at the most."""

HEADER: Final = 12

_PIECE: Final = 256
_CAPACITY: Final = 2048
_SIZE: Final = 256


Told = Callable[[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float64]], None]
"""Is given the stream of packets, their 12 + 160 bytes, and when they came, monotonic seconds."""


class Ears:
    """Listens for all streams of a run, from `begin` to `heard`."""

    def __init__(self, streams: Streams, told: Told | None = None) -> None:
        """`told` is given every packet as it comes; none is kept then."""
        count = streams.count
        self._told = told
        self.packets: NDArray[np.int64] = np.zeros(count, np.int64)
        self.gaps: NDArray[np.int64] = np.zeros(count, np.int64)
        self.disordered = 0
        self.strangers = 0
        self._owner: NDArray[np.int64] = np.full(1 << 16, -1, np.int64)
        self._last: NDArray[np.int64] = np.full(count, -1, np.int64)
        # Pairs, so that both sides are among them, anywhere in the 20 ms that streams lie in.
        pairs = np.random.default_rng(64).permutation(-(-count // 2))[: LISTENED_TO // 2]
        self._kept_streams = np.isin(np.arange(count) // 2, pairs) & (told is None)
        self._kept: list[_Piece] = []
        self._descriptors = [sock.fileno() for sock in streams.sockets]
        for sock in streams.sockets:
            stamp_arrivals(sock)
        self._incoming = Incoming(_CAPACITY, _SIZE, detailed=True)
        self._at = len(self._descriptors)
        self._next_sweep = 0.0

    def expect(self, stream: int, port: int) -> None:
        """Take what comes from `port` as sent to `stream`."""
        self._owner[port] = stream

    def work(self, now: float) -> bool:
        """Do one piece of a sweep; False when there is none to do."""
        if self._at == len(self._descriptors):
            if now < self._next_sweep:
                return False
            self._next_sweep = now + SWEEP
            self._at = 0
        if self._incoming.capacity - self._incoming.count < _PIECE:
            self._take()
            return True
        if self._incoming.receive(self._descriptors[self._at], _PIECE) < _PIECE:
            self._at += 1
            if self._at == len(self._descriptors):
                self._take()
        return True

    def finish(self) -> None:
        """Take everything that still waits."""
        self._next_sweep = 0.0
        while self.work(1.0):
            self._next_sweep = 2.0

    def kept(self) -> Iterator[tuple[int, Line]]:
        """Yield the streams that were listened to, and what was heard."""
        if not self._kept:
            return
        stream = np.concatenate([piece.stream for piece in self._kept])
        arrival = np.concatenate([piece.arrival for piece in self._kept])
        data = np.concatenate([piece.data for piece in self._kept])
        for one in np.flatnonzero(self._kept_streams):
            rows = stream == one
            if rows.any():
                yield int(one), Line.of(data[rows], arrival[rows])

    def _take(self) -> None:
        incoming = self._incoming
        if not incoming.count:
            return
        stream = self._owner[incoming.ports]
        # What is not of the length of an ordinary packet is a stranger too.
        ours = (stream >= 0) & (incoming.lengths == HEADER + FRAME)
        self.strangers += int(np.count_nonzero(~ours))
        data = incoming.data[: incoming.count]
        sequence = data[:, 2].astype(np.int64) << 8 | data[:, 3]
        self._follow(stream[ours], sequence[ours])
        rows = np.flatnonzero(ours if self._told else ours & self._kept_streams[stream])
        if rows.size:
            arrivals = incoming.arrivals(time.monotonic() - time.time())
            keep = self._told or self._keep
            keep(stream[rows], data[rows, : HEADER + FRAME], arrivals[rows])
        incoming.clear()

    def _keep(
        self, stream: NDArray[np.int64], data: NDArray[np.uint8], arrival: NDArray[np.float64]
    ) -> None:
        self._kept.append(_Piece(stream, arrival, data))

    def _follow(self, stream: NDArray[np.int64], sequence: NDArray[np.int64]) -> None:
        """Count packets and look whether each stream's sequence numbers go up by one."""
        if not stream.size:
            return
        order = np.argsort(stream, kind="stable")
        stream, sequence = stream[order], sequence[order]
        first = np.ones(stream.size, np.bool_)
        first[1:] = stream[1:] != stream[:-1]
        before = np.empty_like(sequence)
        before[1:] = sequence[:-1]
        before[first] = self._last[stream[first]]
        before = np.where(before < 0, sequence - 1, before)
        step = (sequence - before) & 0xFFFF
        backwards = (step == 0) | (step >= 0x8000)
        self.disordered += int(np.count_nonzero(backwards))
        np.add.at(self.gaps, stream, np.where(backwards, 0, step - 1))
        self.packets += np.bincount(stream, minlength=self.packets.size)
        last = np.append(first[1:], True)
        self._last[stream[last]] = sequence[last]


@dataclass(frozen=True, slots=True)
class _Piece:
    stream: NDArray[np.int64]
    arrival: NDArray[np.float64]
    data: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Line:
    """What one stream heard, put in place by its timestamps."""

    samples: NDArray[np.int16]
    position: NDArray[np.int64]
    """Where in `samples` each packet begins."""
    arrival: NDArray[np.float64]
    """When it came, monotonic seconds."""

    @classmethod
    def of(cls, data: NDArray[np.uint8], arrival: NDArray[np.float64]) -> Line:
        """Return the line of packets of 12 + 160 bytes, shape (n, 172), as they came."""
        stamp = data[:, 4:8].copy().view(">u4")[:, 0].astype(np.int64)
        ahead = (stamp - stamp[0] + (1 << 31)) % (1 << 32) - (1 << 31)
        position = ahead - ahead.min()
        samples = np.zeros(int(position.max()) + FRAME, np.int16)
        at = position[:, None] + np.arange(FRAME)
        samples[at] = DECODE[data[:, HEADER:]]
        return cls(samples, position, arrival)


@dataclass(slots=True)
class Comparison:
    """What was right and wrong about the lines that were listened to."""

    looked_at: int = 0
    wrong: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def prompt(self, stream: int, line: Line, prompt: NDArray[np.int16]) -> None:
        """Compare a line with the beginning of a prompt."""
        self.looked_at += 1
        expected = prompt[: line.samples.size]
        missing = line.samples.size - expected.size
        missing += int(np.count_nonzero(line.samples[: expected.size] != expected))
        if missing:
            self.wrong.append(f"stream {stream}: {missing} samples heard are not the prompt's")

    def partner(
        self,
        stream: int,
        line: Line,
        said: NDArray[np.int16],
        sent: Callable[[int], float],
        steady: tuple[float, float],
    ) -> None:
        """Compare a line with what the partner said; `sent(n)` is when its packet n went.

        Delay is what the relay adds: how much later a sample can be heard than it could be, had
        the packet it came in been sent here.
        """
        self.looked_at += 1
        verdict = compare(line.samples, said)
        if not verdict.right:
            self.wrong.append(f"stream {stream}, relayed to: {verdict.fault(said.size)}")
        sample = line.position - verdict.lead
        for at, arrival in zip(sample.tolist(), line.arrival.tolist(), strict=True):
            if 0 <= at < said.size:
                left = sent(at // FRAME)
                if steady[0] <= left < steady[1]:
                    self.delays.append(arrival - left - at % FRAME / RATE)


def heard(ears: Ears, comparison: Comparison) -> Heard:
    """Return everything that is known of what was heard."""
    return Heard(
        packets=ears.packets.tolist(),
        gaps=ears.gaps.tolist(),
        disordered=ears.disordered,
        strangers=ears.strangers,
        looked_at=comparison.looked_at,
        wrong=comparison.wrong,
        delays=np.array(comparison.delays),
    )
