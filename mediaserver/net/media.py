"""The media engine: one tick that drains the legs' sockets and sends what is due.

All legs share a tick of 20 ms. A leg that is relayed to another has its turn at every tick; one
that only listens or plays is drained at every fifth, in a crowd at every tenth, the legs spread
evenly over them (`net.turns`). What a turn brings of all legs is handled together: the packets are
placed (`rtp.timeline`), passed on (`rtp.relay`) and written down (`net.tapes`) as arrays, and
Python looks at a single leg only when something is due for it: the position its listener waits
for, a key, a report.

Between two calls nothing ticks.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from ..audio.g711 import ALAW_DECODE, ULAW_DECODE
from ..calls.ports import Journals, MediaLeg
from ..clock import Clock
from ..errors import LocalError
from ..rtp.codecs import Coded
from ..rtp.packet import host_key
from ..rtp.relay import Relays
from ..rtp.sender import Senders
from ..rtp.source import Sources
from ..rtp.timeline import Kind, Timelines
from .conference import Mixes, RtpMix
from .encodings import Encodings
from .endpoints import Endpoints
from .intake import Intake
from .joins import Joins
from .lanes import Lane, open_lane
from .leg import RtpLeg
from .ports import PortPool
from .pulse import Pulse
from .second_lane import SecondLane
from .sweep import SocketSet
from .tapes import Tapes
from .taps import Taps
from .transmit import Outgoing
from .turns import Turns
from .wakes import Wakes
from .wide_codecs import WideCodecs

TICK: Final = 0.02
"""Seconds between ticks."""

MOST_ROUNDS: Final = 4
"""Packets taken at a tick that is late of a leg somebody waits for; what is due apart."""

log = structlog.get_logger(__name__)


class MediaEngine:
    """Owns the ports, the lines and the tick."""

    def __init__(
        self,
        pool: PortPool,
        clock: Clock,
        *,
        advertise: str,
        journals: Journals | None = None,
        capacity: int = 4096,
        lane: Lane | None = None,
    ) -> None:
        """`advertise` is the host SDP names; `capacity` the legs there may be at once.

        `journals` is where kept legs are written down; without it none can be kept. `lane` is how
        packets go through the kernel; None: the quickest way there is. LocalError when the one
        asked for is not there.
        """
        self.clock = clock
        self.advertise = advertise
        self.pool = pool
        self.pulse = Pulse()
        self.lines = Timelines(capacity, {Kind.ULAW: ULAW_DECODE, Kind.ALAW: ALAW_DECODE})
        self.sources = Sources(capacity)
        self.senders = Senders(capacity, secrets.randbits)
        self.relays = Relays(capacity, self.senders)
        self.endpoints = Endpoints(capacity)
        self.encodings = Encodings()
        self.tapes = Tapes(self.lines, journals, self._played, capacity)
        self.taps = Taps(self)
        self.audible: NDArray[np.bool_] = np.zeros(capacity, np.bool_)
        """Whether a leg's far end listens, as was negotiated."""
        self.wakes = Wakes(self.lines, capacity, self._tell)
        self.report_at: NDArray[np.float64] = np.zeros(capacity, np.float64)
        """Monotonic seconds at which a leg's next RTCP report is due."""
        self.bodies: NDArray[np.uint64] = np.zeros(capacity, np.uint64)
        """Address of what each leg plays."""
        self.lane, sweeper, self._transmitter = open_lane(self.endpoints, lane)
        self._intake = Intake(self, sweeper, capacity)
        self.second_lane = SecondLane(self.endpoints, capacity)
        self.wide_codecs = WideCodecs()
        self.mixes = Mixes(self, self.transmit, journals, capacity)
        self._free = list(range(capacity - 1, -1, -1))
        self._legs: dict[int, RtpLeg] = {}
        self.joins = Joins(self)
        self._turns = Turns()
        self._sending: dict[int, RtpLeg] = {}
        self._dialing: dict[int, RtpLeg] = {}
        self._tick_number = 0
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._cname = f"{secrets.token_hex(6)}@mediaserver"

    def start(self) -> None:
        """Tick from now on, whenever there is a leg."""
        self._running = True
        self._wake()

    def stop(self) -> None:
        """Stop ticking and close every socket."""
        self._running = False
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
        self.lines.open(slot, {}, self.clock.monotonic())
        self.senders.open(slot)
        self.tapes.open(slot)
        self.endpoints.open(slot, pair.rtp)
        self.audible[slot] = False
        self.attend(slot)
        self.wakes.forget(slot)
        leg = RtpLeg(self, slot, pair, self._cname)
        self._legs[slot] = leg
        self._turns.add(slot, pair.rtp)
        asyncio.get_running_loop().add_reader(pair.rtcp, self._hear_report, leg)
        self._wake()
        return leg

    def release(self, leg: RtpLeg) -> None:
        """Take a leg out of the tick and let its ports rest. Called by `RtpLeg.close`."""
        slot = leg.slot
        self.taps.release(leg)
        self.mixes.forget(leg)
        self.part(leg)
        del self._legs[slot]
        self.endpoints.close(slot)
        self.second_lane.close(slot)
        self._sending.pop(slot, None)
        self._dialing.pop(slot, None)
        self._turns.remove(slot)
        self.lines.close(slot)
        self.sources.close(slot)
        self.wakes.forget(slot)
        self.tapes.stop(slot)
        asyncio.get_running_loop().remove_reader(leg.pair.rtcp)
        self.pool.give_back(leg.pair, self.clock.monotonic())
        self._free.append(slot)

    def join(self, one: MediaLeg, other: MediaLeg) -> None:
        """See `calls.ports.MediaEngine.join`; a leg that was closed is joined to none."""
        self.joins.join(self._own(one), self._own(other))

    def part(self, leg: MediaLeg) -> None:
        """See `calls.ports.MediaEngine.part`."""
        self.joins.part(self._own(leg))

    def partner(self, leg: RtpLeg) -> RtpLeg | None:
        """Return the leg whose packets are passed on to this one."""
        return self.joins.partner(leg)

    def attend(self, slot: int) -> None:
        """Pass on to a leg what it may hear now: called when its party holds, or it sends."""
        self.relays.busy[slot] = (
            not self.audible[slot] or slot in self._sending or slot in self._dialing
        )

    def _own(self, leg: MediaLeg) -> RtpLeg:
        assert isinstance(leg, RtpLeg), "a leg of this engine"
        return leg

    @property
    def dialing(self) -> list[int]:
        """The legs that send digits now."""
        return list(self._dialing)

    def leg_at(self, slot: int) -> RtpLeg | None:
        """Return the leg that is open in a slot."""
        return self._legs.get(slot)

    def is_open(self, leg: RtpLeg) -> bool:
        """Tell whether a leg was not closed yet."""
        return self._legs.get(leg.slot) is leg

    def open_mix(self) -> RtpMix:
        """See `calls.ports.MediaEngine.open_mix`."""
        return self.mixes.open()

    def hurry(self, leg: RtpLeg) -> None:
        """Drain a leg at every tick, until `relax`."""
        self._turns.hurry(leg.slot, self.endpoints.sockets[leg.slot])

    def relax(self, leg: RtpLeg) -> None:
        """Drain a leg no more often than others."""
        self._turns.add(leg.slot, self.endpoints.sockets[leg.slot])

    def begin_playing(self, leg: RtpLeg) -> None:
        """Send what a leg plays until `RtpLeg.finish_playing` is called or `end_playing`."""
        self._sending[leg.slot] = leg
        self.attend(leg.slot)

    def end_playing(self, leg: RtpLeg) -> None:
        """Send no more of what a leg plays."""
        self._sending.pop(leg.slot, None)
        self.attend(leg.slot)

    def begin_dialing(self, leg: RtpLeg) -> None:
        """Let a leg send its digits until there are none left."""
        self._dialing[leg.slot] = leg
        self.attend(leg.slot)

    def drain(self, legs: Iterable[RtpLeg]) -> None:
        """Place what waits in the sockets of `legs`, in rounds until nothing is left."""
        slots = [leg.slot for leg in legs]
        self._intake.drain(SocketSet(slots, (self.endpoints.sockets[slot] for slot in slots)))

    def drain_whole(self, leg: RtpLeg) -> None:
        """The same of one leg, of which nothing more is waited for."""
        self.drain([leg])
        self._intake.release(np.array([leg.slot]), self.clock.monotonic(), 0.0)

    def transmit(self, packets: Outgoing, coded: Sequence[Coded | None] = ()) -> None:
        """Send packets of those legs whose far end listens; `coded` as `SecondLane.send` has it."""
        self.endpoints.follow(packets.slot, self.sources.accepted[packets.slot])
        heard = self.audible[packets.slot] & (self.endpoints.sizes[packets.slot] > 0)
        if not heard.all():
            packets = packets.take(heard)
            coded = [one for one, wanted in zip(coded, heard.tolist(), strict=False) if wanted]
        if self.second_lane:
            packets = self.second_lane.send(packets, coded)
        self._transmitter.send(packets)

    def _wake(self) -> None:
        """Tick, if there is anything to tick for and nothing ticks."""
        if self._running and self._timer is None and (self._legs or self.pool.resting):
            self._next = self.clock.monotonic() + TICK
            self._schedule()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        delay = max(0.0, self._next - self.clock.monotonic())
        self._timer = loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        now = self.clock.monotonic()
        late = now - self._next
        self._next = max(self._next + TICK, now)
        self._tick_number += 1
        self.pool.sweep(now)
        try:
            self._turn(now, 1 + min(int(late / TICK), MOST_ROUNDS - 1))
        except Exception:
            # A leg's own faults stay with it; whatever else there may be must not stop
            # everybody's clock.
            log.exception("media tick failed")
        self.pulse.note(late, self.clock.monotonic() - now, now)
        if self._legs or self.pool.resting:
            self._schedule()
        else:
            self._timer = None

    def _turn(self, now: float, rounds: int = 1) -> None:
        """Do what is due; take up to so many packets of a leg somebody waits for."""
        # What is due goes out first. The journals' thread is given its work last: from then on it
        # competes for the interpreter.
        if self._sending:
            self._send(now)
        if self._dialing:
            self._dial(now)
        turn = self._turns.at(self._tick_number)
        if len(turn.hurried):
            self._intake.look(turn.hurried, turn.due, rounds)
            self.joins.make_up()
        if len(turn.relaxed):
            self._intake.drain(turn.relaxed)
        drained = np.concatenate([turn.hurried.slot[turn.due], turn.relaxed.slot])
        if drained.size:
            self._intake.release(drained, now)
            self.lines.advance(now, drained)
        self.wakes.turn(drained)
        if drained.size:
            for slot in drained[self.report_at[drained] <= now].tolist():
                if slot in self._legs:
                    self._legs[slot].send_report(now)
        self.mixes.turn(now)
        self.taps.turn(now)
        if drained.size:
            self.tapes.turn(drained, now)

    def _tell(self, slot: int) -> None:
        if slot in self._legs:
            self._legs[slot].tell_advance()

    def _send(self, now: float) -> None:
        """Send what is due of what legs play; tell those whose last frame this was."""
        sending = np.array(list(self._sending), np.int64)
        while (frames := self.senders.due(sending, now)) is not None:
            head = frames.header.ctypes.data + np.arange(frames.slot.size) * frames.header.shape[1]
            head_size = np.full(frames.slot.size, frames.header.shape[1])
            body = self.bodies[frames.slot] + frames.offset.astype(np.uint64)
            self.transmit(
                Outgoing(frames.slot, head.astype(np.uint64), head_size, body, frames.size)
            )
            heard = self.audible[frames.slot]
            frames = frames if heard.all() else frames.take(heard)
            self.tapes.sent(frames)
            self.taps.sent(frames)
        for slot in self.senders.finished(sending).tolist():
            leg = self._sending.pop(slot)
            self.attend(slot)
            leg.finish_playing()

    def _dial(self, now: float) -> None:
        """Send the digits that are due."""
        for leg in list(self._dialing.values()):
            if not leg.send_tones(now):
                self._dialing.pop(leg.slot, None)
                self.attend(leg.slot)

    def _played(self, slot: int, start: int, end: int) -> NDArray[np.int16]:
        return self._legs[slot].played(start, end)

    def _hear_report(self, leg: RtpLeg) -> None:
        """Read RTCP from a leg's second port; only the hosts that may send RTP are heard."""
        try:
            data, address = leg.pair.rtcp.recvfrom(2048)
        except OSError:
            return
        accepted = int(self.sources.accepted[leg.slot]) >> 16
        if not accepted or host_key(address[0]) != accepted:
            return
        report = self.second_lane.open_report(leg.slot, data)
        if report is not None:
            leg.hear_report(report)
