"""What crosses a bridge: every packet of every stream, compared with what its partner said.

A packet passed on keeps its payload and its place among its neighbours, so the first one with
speech in it says where in the partner's words a stream begins to hear them. From there on each
packet must have, to the bit, what was said where its timestamp puts it, up to the last word; and
when that left here is known too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .echo import HEADER, Ears
from .load import Heard
from .speech import FRAME, RATE, Voice
from .streams import GROUPS, Streams

DISTINCT: Final = 16
"""Different bytes that a packet must have to be looked for."""

_UNKNOWN: Final = -1
_LATEST: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class _Packets:
    """Some of what came, in parallel arrays."""

    stream: NDArray[np.int64]
    """Who hears it."""
    stamp: NDArray[np.int64]
    payload: NDArray[np.uint8]
    arrival: NDArray[np.float64]

    def take(self, wanted: NDArray[np.bool_]) -> _Packets:
        return _Packets(
            self.stream[wanted], self.stamp[wanted], self.payload[wanted], self.arrival[wanted]
        )


@dataclass(frozen=True, slots=True)
class _Passage:
    """When packets came that were right; as small as may be, for all are kept."""

    stream: NDArray[np.int32]
    at: NDArray[np.int32]
    """Which sample of the partner's they begin with."""
    arrival: NDArray[np.float64]


class Crossing:
    """Streams 2n and 2n + 1 are partners. `take` is for `Ears`."""

    def __init__(self, streams: Streams, voice: Voice) -> None:
        count = streams.count
        self._streams = streams
        self._starts: NDArray[np.int64] = np.array(streams.starts, np.int64)
        self._length = voice.codes.size
        self._speech = voice.codes.tobytes() * 2
        looped = np.concatenate([voice.codes, voice.codes[:FRAME]])
        self._said = np.lib.stride_tricks.sliding_window_view(looped, FRAME)
        self._place: NDArray[np.int64] = np.full(count, _UNKNOWN, np.int64)
        """Where the packet by which a stream found its place lies in what its partner said."""
        self._stamp: NDArray[np.int64] = np.zeros(count, np.int64)
        self._first: NDArray[np.int64] = np.full(count, _LATEST, np.int64)
        self._last: NDArray[np.int64] = np.full(count, _UNKNOWN, np.int64)
        self._right: NDArray[np.int64] = np.zeros(count, np.int64)
        self._wrong: NDArray[np.int64] = np.zeros(count, np.int64)
        self._early: list[_Packets] = []
        """What came while it was not known yet where it belongs."""
        self._passages: list[_Passage] = []

    def take(
        self, stream: NDArray[np.int64], data: NDArray[np.uint8], arrival: NDArray[np.float64]
    ) -> None:
        """Compare packets of 12 + 160 bytes."""
        stamp = data[:, 4:8].copy().view(">u4")[:, 0].astype(np.int64)
        packets = _Packets(stream, stamp, np.ascontiguousarray(data[:, HEADER:]), arrival)
        for row in np.flatnonzero(self._place[stream] == _UNKNOWN).tolist():
            self._find(packets, row)
        known = self._place[stream] != _UNKNOWN
        if not known.all():
            self._early.append(packets.take(~known))
            packets = packets.take(known)
        self._compare(packets)

    def heard(self, ears: Ears, steady: tuple[float, float]) -> Heard:
        """Return everything that is known of what was heard, once nothing more comes."""
        for packets in self._early:
            known = self._place[packets.stream] != _UNKNOWN
            np.add.at(self._wrong, packets.stream[~known], 1)
            self._compare(packets.take(known))
        begins = np.where(self._last == _UNKNOWN, _UNKNOWN, self._first)
        return Heard(
            packets=ears.packets.tolist(),
            gaps=ears.gaps.tolist(),
            disordered=ears.disordered,
            strangers=ears.strangers,
            looked_at=int(np.count_nonzero(self._streams.packets)),
            wrong=self._faults(),
            delays=self._delays(steady),
            begins=begins.tolist(),
            begins_at=[
                self._streams.sent_at(stream ^ 1)(begin // FRAME) if begin >= 0 else 0.0
                for stream, begin in enumerate(begins.tolist())
            ],
        )

    def _find(self, packets: _Packets, row: int) -> None:
        """Look for the only place in what its partner said that a packet can be from."""
        stream = int(packets.stream[row])
        payload = packets.payload[row]
        if self._place[stream] != _UNKNOWN or np.unique(payload).size < DISTINCT:
            return
        begin = int(self._starts[stream ^ 1])
        end = begin + FRAME * int(self._streams.packets[stream ^ 1])
        sought = payload.tobytes()
        found = self._speech.find(sought, begin, end)
        if found >= 0 and self._speech.find(sought, found + 1, end) < 0:
            self._place[stream] = found - begin
            self._stamp[stream] = packets.stamp[row]

    def _compare(self, packets: _Packets) -> None:
        stream = packets.stream
        ahead = (packets.stamp - self._stamp[stream] + (1 << 31)) % (1 << 32) - (1 << 31)
        at = self._place[stream] + ahead
        expected = self._said[(self._starts[stream ^ 1] + at) % self._length]
        same = (packets.payload.view(np.uint64) == expected.view(np.uint64)).all(axis=1)
        same &= (at >= 0) & (at < FRAME * self._streams.packets[stream ^ 1])
        np.add.at(self._wrong, stream[~same], 1)
        stream, at = stream[same], at[same]
        np.add.at(self._right, stream, 1)
        np.minimum.at(self._first, stream, at)
        np.maximum.at(self._last, stream, at)
        self._passages.append(
            _Passage(stream.astype(np.int32), at.astype(np.int32), packets.arrival[same])
        )

    def _faults(self) -> list[str]:
        faults = []
        sent = self._streams.packets
        for stream in np.flatnonzero(sent).tolist():
            said = int(sent[stream ^ 1])
            if self._last[stream] == _UNKNOWN:
                faults.append(f"stream {stream} heard nothing its partner said")
                continue
            missing = said - int(self._first[stream]) // FRAME - int(self._right[stream])
            if missing or self._wrong[stream]:
                faults.append(
                    f"stream {stream}: of {said} packets its partner sent {missing} are missing "
                    f"from when on it was heard, {self._wrong[stream]} are something else"
                )
        return faults

    def _delays(self, steady: tuple[float, float]) -> NDArray[np.float64]:
        """Return seconds, one a packet that was sent in the steady state."""
        stream = np.concatenate([np.zeros(0, np.int32), *(p.stream for p in self._passages)])
        at = np.concatenate([np.zeros(0, np.int32), *(p.at for p in self._passages)])
        arrival = np.concatenate([np.zeros(0), *(p.arrival for p in self._passages)])
        partner = stream ^ 1
        turn = self._streams.first_turn[partner] + at // FRAME
        sent = np.zeros(stream.size)
        for number, turns in enumerate(self._streams.turns):
            rows = np.flatnonzero(partner % GROUPS == number)
            sent[rows] = np.array(turns)[turn[rows]]
        counted = (sent >= steady[0]) & (sent < steady[1])
        delays: NDArray[np.float64] = arrival - sent - at % FRAME / RATE
        return delays[counted]
