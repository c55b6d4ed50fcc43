"""The media engine: one tick that drains every leg's socket and sends what is due.

All legs share a tick of 20 ms. A leg that sends has its turn at every tick; one that only listens
at every fifth, the legs spread evenly over the five. What a turn brings of all legs is handled
together (`rtp.timeline`), and then each leg's listener is told that its line went on.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Iterable
from typing import Final

import structlog

from ..audio.g711 import ALAW_DECODE, ULAW_DECODE
from ..clock import Clock
from ..errors import LocalError
from ..rtp.packet import PacketBatch, host_key, parse_batch
from ..rtp.source import Sources
from ..rtp.timeline import Key, Kind, Timelines
from .leg import RtpLeg
from .ports import PortPool
from .sweep import Sweeper, make_sweeper

TICK: Final = 0.02
"""Seconds between ticks."""

RELAXED: Final = 5
"""Ticks between two turns of a leg that sends nothing."""

_RTCP_KINDS: Final = (64, 95)
"""Second octets, less the marker bit, that say RTCP on a shared port (RFC 5761 section 4)."""

log = structlog.get_logger(__name__)


class MediaEngine:
    """Owns the ports, the lines and the tick."""

    def __init__(
        self,
        pool: PortPool,
        clock: Clock,
        *,
        advertise: str,
        capacity: int = 4096,
        portable: bool = False,
    ) -> None:
        """`advertise` is the host SDP names; `capacity` the legs there may be at once."""
        self.clock = clock
        self.advertise = advertise
        self.pool = pool
        self.lines = Timelines(capacity, {Kind.ULAW: ULAW_DECODE, Kind.ALAW: ALAW_DECODE})
        self.sources = Sources(capacity)
        self._sweeper: Sweeper = make_sweeper(portable=portable)
        self._free = list(range(capacity - 1, -1, -1))
        self._legs: dict[int, RtpLeg] = {}
        self._turns: list[dict[int, RtpLeg]] = [{} for _ in range(RELAXED)]
        self._brisk: dict[int, RtpLeg] = {}
        self._tick_number = 0
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._cname = f"{secrets.token_hex(6)}@mediaserver"

    def start(self) -> None:
        """Begin to tick."""
        self._next = self.clock.monotonic() + TICK
        self._schedule()

    def stop(self) -> None:
        """Stop ticking and close every socket."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for leg in list(self._legs.values()):
            leg.close()
        self.pool.close()

    @property
    def legs(self) -> int:
        """Number of legs that are open."""
        return len(self._legs)

    def open_leg(self) -> RtpLeg:
        """Return a new leg; LocalError when ports or places have run out."""
        if not self._free:
            raise LocalError("limits.max_calls: there is no place left for another media leg")
        pair = self.pool.take()
        slot = self._free.pop()
        leg = RtpLeg(self, slot, pair, self._cname)
        self.lines.open(slot, {}, self.clock.monotonic())
        self._legs[slot] = leg
        self.set_pace(leg, brisk=False)
        asyncio.get_running_loop().add_reader(pair.rtcp, self._hear_report, leg)
        return leg

    def release(self, leg: RtpLeg) -> None:
        """Take a leg out of the tick and let its ports rest. Called by `RtpLeg.close`."""
        slot = leg.slot
        del self._legs[slot]
        self._brisk.pop(slot, None)
        self._turns[slot % RELAXED].pop(slot, None)
        self.lines.close(slot)
        self.sources.close(slot)
        asyncio.get_running_loop().remove_reader(leg.pair.rtcp)
        self.pool.give_back(leg.pair, self.clock.monotonic())
        self._free.append(slot)

    def set_pace(self, leg: RtpLeg, *, brisk: bool) -> None:
        """Give a leg a turn at every tick, or at every `RELAXED`th."""
        slot = leg.slot
        if brisk:
            self._turns[slot % RELAXED].pop(slot, None)
            self._brisk[slot] = leg
        else:
            self._brisk.pop(slot, None)
            self._turns[slot % RELAXED][slot] = leg

    def drain(self, legs: Iterable[RtpLeg]) -> None:
        """Place what waits in the sockets of `legs`, in rounds until nothing is left."""
        waiting = [(leg.slot, leg.pair.rtp) for leg in legs]
        while waiting:
            again: list[tuple[int, socket.socket]] = []
            index = 0
            while index < len(waiting):
                index, more = self._sweeper.sweep(waiting, index)
                again += [waiting[i] for i in more]
                if self._sweeper.batch.count:
                    self._take(self._sweeper.batch)
            if again:
                self.lines.settle([slot for slot, _ in again])
                for slot, _ in again:
                    self._legs[slot].tell_advance()
            waiting = again

    def _take(self, batch: PacketBatch) -> None:
        """Let the packets of one batch through to the lines, and the keys to their listeners."""
        own, replay = self.sources.admit(batch)
        keys: list[Key] = []
        if replay:
            early = PacketBatch.empty(len(replay))
            for slot, datagram, arrival in replay:
                early.append(slot, datagram, 0, arrival)
            fields = parse_batch(early, early.length > 0)
            keys += self.lines.receive(early, fields)
        fields = parse_batch(batch, own)
        reports = (fields.kind >= _RTCP_KINDS[0]) & (fields.kind <= _RTCP_KINDS[1])
        if reports.any():
            for row in fields.row[reports]:
                leg = self._legs[int(batch.slot[row])]
                leg.hear_report(batch.data[row, : batch.length[row]].tobytes())
            fields = fields.take(~reports)
        keys += self.lines.receive(batch, fields)
        for key in keys:
            self._legs[key.slot].tell_key(key.digit, key.position)

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        delay = max(0.0, self._next - self.clock.monotonic())
        self._timer = loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        now = self.clock.monotonic()
        self._next = max(self._next + TICK, now)
        self._tick_number += 1
        turn = self._turns[self._tick_number % RELAXED]
        legs = [*self._brisk.values(), *turn.values()]
        self.pool.sweep(now)
        try:
            self._turn(legs, now)
        except Exception:
            # A leg's own faults stay with it (`RtpLeg.take_turn`); whatever else there may be must
            # not stop everybody's clock.
            log.exception("media tick failed")
        self._schedule()

    def _turn(self, legs: list[RtpLeg], now: float) -> None:
        self.drain(legs)
        self.lines.advance(now, [leg.slot for leg in legs])
        for leg in legs:
            leg.take_turn(now)

    def _hear_report(self, leg: RtpLeg) -> None:
        """Read RTCP from a leg's second port; only the hosts that may send RTP are heard."""
        try:
            data, address = leg.pair.rtcp.recvfrom(2048)
        except OSError:
            return
        accepted = int(self.sources.accepted[leg.slot]) >> 16
        if accepted and host_key(address[0]) == accepted:
            leg.hear_report(data)
