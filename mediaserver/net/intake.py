"""From sockets to lines: what a tick takes in, of all legs together.

A leg somebody waits for is asked for one packet at every tick; where there may be more they are
looked for, and what all looks of a tick bring is one batch: numpy costs by the call. Other legs are
drained, in rounds, until nothing is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ..rtp.codecs import Heard
from ..rtp.keys import Key
from ..rtp.packet import PacketBatch, PacketFields, parse_batch
from ..rtp.relay import NOWHERE
from ..rtp.timeline import NOT_PLACED, Kind
from .second_lane import RTCP_KINDS, Transcoded, narrow
from .sweep import ROUND, SocketSet, Sweeper
from .transmit import Outgoing

if TYPE_CHECKING:
    from .media import MediaEngine

MORE_ROUNDS: Final = 3
"""Sweeps for one more packet of legs that are to be drained, before it is looked for many."""

PATIENCE: Final = 0.06
"""Seconds that packets of a transcoded leg wait for one they overtook."""

_NONE: Final = np.zeros(0, np.int64)


class Intake:
    """Takes the packets of an engine's legs in, and passes on what is to be passed on."""

    def __init__(self, engine: MediaEngine, sweeper: Sweeper, capacity: int) -> None:
        self._engine = engine
        self._sweeper = sweeper
        self._behind: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Legs of which nothing was there the last time: another packet is looked for."""

    def look(self, sockets: SocketSet, due: NDArray[np.bool_], rounds: int) -> None:
        """Take so many packets of each of `sockets`, and all that waits in those that are `due`."""
        wanted = due | self._behind[sockets.slot]
        for number in range(rounds + MORE_ROUNDS):
            found = self._sweep(sockets)
            if not number:
                self._behind[sockets.slot] = True
                self._behind[sockets.slot[found]] = False
            if number >= rounds - 1:
                found = found[wanted[found]]
                wanted = due
            sockets, due, wanted = sockets.take(found, 1), due[found], wanted[found]
            if not found.size:
                break
        self._take(grouped=False)
        self.drain(sockets)

    def drain(self, sockets: SocketSet) -> None:
        """Take all that waits in `sockets`, in rounds until nothing is left."""
        engine = self._engine
        while len(sockets):
            again = self._sweep(sockets)
            self._take(grouped=True)
            sockets = sockets.take(again, ROUND)
            if again.size:
                # What was heard is judged and written before the next round can push it out.
                engine.lines.settle(sockets.slot)
                engine.wakes.tell_all(sockets.slot)
                to = engine.relays.to[sockets.slot]
                slots = np.union1d(sockets.slot, to[to != NOWHERE])
                engine.tapes.turn(slots, engine.clock.monotonic())

    def _sweep(self, sockets: SocketSet) -> NDArray[np.int64]:
        """Fill the batch by one sweep; return the indices of sockets that may hold more."""
        found: list[NDArray[np.int64]] = [_NONE]
        index = 0
        while index < len(sockets):
            index, more = self._sweeper.sweep(sockets, index)
            found.append(more)
            if index < len(sockets):  # the batch is full
                self._take(grouped=False)
        return np.concatenate(found)

    def _take(self, *, grouped: bool) -> None:
        """Let the packets of the batch through to the lines, and the keys to their listeners."""
        batch = self._sweeper.batch
        if not batch.count:
            return
        try:
            keys = self._place(batch, grouped=grouped)
        finally:
            batch.count = 0
        # Now only: whoever is told may have sockets drained, into this very batch.
        self._tell(keys)

    def release(self, slots: NDArray[np.int64], now: float, patience: float = PATIENCE) -> None:
        """Hear what waited long enough, on transcoded legs, for packets it overtook."""
        lane = self._engine.second_lane
        rest = lane.hear_rest(slots, now - patience) if lane else None
        if rest is not None:
            self._tell(self._hear_transcoded(rest))

    def _tell(self, keys: list[Key]) -> None:
        for key in keys:
            leg = self._engine.leg_at(key.slot)
            if leg is not None:
                leg.tell_key(key.digit, key.position)

    def _place(self, batch: PacketBatch, *, grouped: bool) -> list[Key]:
        keys: list[Key] = []
        if self._engine.second_lane:
            self._engine.second_lane.open(batch, self._engine.sources.knows(batch))
        own, replay = self._engine.sources.admit(batch)
        if replay:
            early = PacketBatch.empty(len(replay))
            for slot, datagram, arrival in replay:
                early.append(slot, datagram, 0, arrival)
            keys += self._hear(early, parse_batch(early, early.length > 0))
        fields = parse_batch(batch, own, grouped=grouped)
        reports = (fields.kind >= RTCP_KINDS[0]) & (fields.kind <= RTCP_KINDS[1])
        if reports.any():
            for row in fields.row[reports].tolist():
                leg = self._engine.leg_at(int(batch.slot[row]))
                if leg is not None:
                    leg.hear_report(batch.data[row, : batch.length[row]].tobytes())
            fields = fields.take(~reports)
        return keys + self._hear(batch, fields)

    def _hear(self, batch: PacketBatch, fields: PacketFields) -> list[Key]:
        keys: list[Key] = []
        if self._engine.second_lane:
            fields, transcoded = self._engine.second_lane.hear(batch, fields)
            if transcoded is not None:
                keys = self._hear_transcoded(transcoded)
        if self._engine.relays.translates:
            keys += self._engine.lines.receive(batch, fields)
            self._pass_on(batch, fields)
        else:  # whoever waits for it has it a moment earlier
            self._pass_on(batch, fields)
            keys += self._engine.lines.receive(batch, fields)
        return keys

    def _hear_transcoded(self, transcoded: Transcoded) -> list[Key]:
        """Hear packets in which audio is linear samples, and pass them on: as G.711, or as they
        came where the far end speaks the same codec.
        """
        batch = transcoded.batch
        fields = parse_batch(batch, batch.length[: batch.count] > 0)
        audio = self._engine.lines.meaning(fields) == Kind.LINEAR
        fields.size[audio] //= 2  # in samples, as that of all others is
        positions = np.full(batch.count, NOT_PLACED)
        keys = self._engine.lines.receive(batch, fields, positions)
        self._engine.tapes.heard_wide(batch.slot, positions, transcoded.heard)
        narrow(batch, fields, audio)
        self._pass_on(batch, fields, transcoded.heard)
        return keys

    def _pass_on(
        self, batch: PacketBatch, fields: PacketFields, heard: Sequence[Heard] = ()
    ) -> None:
        """Pass on what is to be; `heard` is what each row of the batch was made of."""
        engine = self._engine
        relayed = engine.relays.forward(batch, fields, engine.clock.monotonic())
        if relayed is None:
            return
        made_of = [heard[row] for row in relayed.row.tolist()] if heard else []
        head = (relayed.row * batch.data.shape[1] + batch.data.ctypes.data).astype(np.uint64)
        packets = Outgoing(relayed.slot, head, relayed.size, head, np.zeros_like(relayed.size))
        engine.transmit(packets, [one.coded for one in made_of])
        sends = engine.second_lane.sends
        wide = [
            one.wide if sends(slot, one.coded) else None
            for slot, one in zip(relayed.slot.tolist(), made_of, strict=False)
        ]
        engine.tapes.passed_on(batch, relayed, engine.senders, wide)
