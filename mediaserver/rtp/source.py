"""Who may speak on a leg (RFC 7362; the RTP injection and RTP bleed attacks).

A leg takes packets from one address. It starts as the one SDP named. Where the peer sits behind
a NAT, SDP names an address nobody can see, and the true one must be learned from the packets:
that is allowed for hosts the signalling vouches for (the host in SDP, the host the SIP message
came from), for four packets in sequence from one address, and only until the first packet of the
accepted address arrived. The four are kept and played into the line, so learning costs nothing.
An accepted address is given up only when nothing came from it for two seconds.

The state of all legs is in parallel arrays, so that a flood from a stranger is refused without
one Python statement per packet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .packet import HEADER, PacketBatch, host_key, source_key, wrap_distance

PROBATION: Final = 4
"""Packets in sequence that an unannounced address must send before it is believed."""

SILENCE: Final = 2.0
"""Seconds without a packet after which an accepted address may be replaced."""

_CANDIDATES: Final = 4
"""Addresses on probation at a time on one leg; more are not looked at."""


@dataclass(slots=True)
class _Candidate:
    """An address on probation and the packets it sent so far."""

    sequence: int
    ssrc: int
    held: list[tuple[bytes, float]] = field(default_factory=list)


class Sources:
    """The source addresses of all legs."""

    def __init__(self, capacity: int) -> None:
        self.accepted: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Key of the address whose packets are taken; 0 before any is known."""
        self.refused: NDArray[np.int64] = np.zeros(capacity, np.int64)
        """Packets turned away since the leg was opened."""
        self._hosts: NDArray[np.int64] = np.zeros((capacity, 2), np.int64)
        self._heard: NDArray[np.float64] = np.zeros(capacity, np.float64)
        self._learning: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        self._announced: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._candidates: dict[int, dict[int, _Candidate]] = {}

    def open(
        self, slot: int, announced: tuple[str, int] | None, signalling_host: str | None, now: float
    ) -> None:
        """Expect packets on `slot` from `announced` (the address in SDP); start learning anew.

        Called again when SDP names another address; a repetition of the old one changes nothing.
        """
        key = source_key(*announced) if announced else 0
        hosts = (
            host_key(announced[0]) if announced else 0,
            host_key(signalling_host) if signalling_host else 0,
        )
        if key and key == self._announced[slot] and tuple(self._hosts[slot]) == hosts:
            return
        self._hosts[slot] = hosts
        self._announced[slot] = key
        self.accepted[slot] = key
        self._heard[slot] = now
        self._learning[slot] = True
        self._candidates.pop(slot, None)

    def close(self, slot: int) -> None:
        """Forget all about `slot`."""
        for array in (self.accepted, self.refused, self._announced, self._hosts):
            array[slot] = 0
        self._heard[slot] = 0.0
        self._learning[slot] = False
        self._candidates.pop(slot, None)

    def knows(self, batch: PacketBatch) -> NDArray[np.bool_]:
        """Return a mask of shape (batch.count,): the rows whose host `admit` might let in."""
        n = batch.count
        host = (batch.source[:n] >> 16)[:, None]
        known: NDArray[np.bool_] = (host == self._hosts[batch.slot[:n]]).any(axis=1)
        return known & (batch.length[:n] > 0)

    def admit(self, batch: PacketBatch) -> tuple[NDArray[np.bool_], list[tuple[int, bytes, float]]]:
        """Say of each row whether it may be heard; give back the packets of those just believed.

        Returns a mask of shape (batch.count,) and a list of (slot, datagram, arrival) that come
        before the rows of the batch.
        """
        n = batch.count
        slot = batch.slot[:n]
        own = batch.source[:n] == self.accepted[slot]
        heard = slot[own]
        if heard.size:
            self._heard[heard] = batch.arrival[:n][own]
            self._learning[heard] = False
        strange = ~own & (batch.length[:n] > 0)
        if not strange.any():
            return own, []
        self._learning |= (self.accepted != 0) & (batch.arrival[n - 1] - self._heard > SILENCE)
        host = (batch.source[:n] >> 16)[:, None]
        vouched = (host == self._hosts[slot]).any(axis=1) & self._learning[slot] & strange
        replay: list[tuple[int, bytes, float]] = []
        for row in np.flatnonzero(vouched):
            self._try(batch, int(row), own, replay)
        np.add.at(self.refused, slot[strange & ~vouched], 1)
        return own, replay

    def _try(
        self,
        batch: PacketBatch,
        row: int,
        own: NDArray[np.bool_],
        replay: list[tuple[int, bytes, float]],
    ) -> None:
        """Count one packet towards the probation of the address it came from."""
        slot, source = int(batch.slot[row]), int(batch.source[row])
        if source == self.accepted[slot]:  # believed a moment ago, in this very batch
            own[row] = True
            return
        head = batch.data[row, :HEADER]
        if batch.length[row] < HEADER or head[0] >> 6 != 2 or not self._learning[slot]:
            self.refused[slot] += 1
            return
        sequence = int(head[2]) << 8 | int(head[3])
        ssrc = int.from_bytes(head[8:12].tobytes(), "big")
        candidates = self._candidates.setdefault(slot, {})
        candidate = candidates.get(source)
        if candidate is None or candidate.ssrc != ssrc:
            if len(candidates) >= _CANDIDATES:
                self.refused[slot] += 1
                return
            candidate = candidates[source] = _Candidate(sequence, ssrc)
        elif wrap_distance(sequence, candidate.sequence, 16) != 1:
            candidate.held.clear()
        candidate.sequence = sequence
        datagram = batch.data[row, : batch.length[row]].tobytes()
        candidate.held.append((datagram, float(batch.arrival[row])))
        if len(candidate.held) >= PROBATION:
            replay.extend((slot, *held) for held in candidate.held)
            self.accepted[slot] = source
            self._heard[slot] = batch.arrival[row]
            self._learning[slot] = False
            del self._candidates[slot]
