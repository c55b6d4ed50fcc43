"""The RTCP of one leg: what we report to its far end, and what that reports to us."""

from __future__ import annotations

import contextlib
import random
import secrets
from typing import TYPE_CHECKING, Final

from ..rtp.rtcp import Reception, Reporter, Sending
from ..rtp.transcoding import Transcoding
from ..sdp.negotiation import AudioSession
from .ports import PortPair

if TYPE_CHECKING:
    from .media import MediaEngine

SENDING: Final = 10.0
"""Seconds since the last packet for which a leg counts as a sender."""

_RANDOM = random.Random(secrets.randbits(64))  # noqa: S311 - spreads reports, hides nothing


class Reports:
    """Hears and sends the reports of the leg in `slot`."""

    def __init__(self, engine: MediaEngine, slot: int, pair: PortPair, cname: str) -> None:
        self.reporter = Reporter(
            int(engine.senders.ssrc[slot]), cname, engine.lines.rate,
            lambda: _RANDOM.uniform(0.5, 1.5),
        )  # fmt: skip
        self.heard_at: float | None = None
        """When the last one came; None before the first."""
        self._engine = engine
        self._slot = slot
        self._pair = pair
        self._target: tuple[str, int] | None = None
        self._shares_port = False
        self._transcoding: Transcoding | None = None
        engine.report_at[slot] = self.reporter.begin(engine.clock.monotonic())

    def connect(self, session: AudioSession, transcoding: Transcoding | None) -> None:
        """Send where it was agreed to; nothing is sent before.

        With `transcoding`, what is on the wire has another clock and other octets than the leg.
        """
        self._transcoding = transcoding
        self._target = session.remote_rtcp
        self._shares_port = session.rtcp_mux

    def hear(self, data: bytes) -> None:
        """Take an RTCP packet that came from where the leg's media comes from."""
        clock = self._engine.clock
        now = self.heard_at = clock.monotonic()
        self.reporter.receive(data, now, clock.time())

    def send(self, now: float) -> None:
        """Send the report that is due."""
        wall = self._engine.clock.time()
        senders, slot = self._engine.senders, self._slot
        sending = None
        if senders.packets[slot] and now - senders.last_sent[slot] < SENDING:
            timestamp, octets = senders.timestamp(slot, now), int(senders.octets[slot])
            if self._transcoding is not None:
                timestamp = self._transcoding.stamp(timestamp)
                octets += self._transcoding.added_octets
            sending = Sending(timestamp, self.packets_sent, octets)
        report = self.reporter.report(now, wall, self._reception(), sending)
        self._engine.report_at[slot] = self.reporter.next_at
        self._send(report)

    @property
    def packets_sent(self) -> int:
        """Packets that the leg has sent, as they were on the wire."""
        added = self._transcoding.added_packets if self._transcoding is not None else 0
        return int(self._engine.senders.packets[self._slot]) + added

    @property
    def peer_jitter(self) -> float:
        """Seconds of jitter that the far end reports."""
        return self.reporter.peer.jitter / self._ticks

    @property
    def _ticks(self) -> float:
        """Ticks of the wire's clock for each of the line's."""
        wire = self._transcoding
        return 1.0 if wire is None else wire.clock_rate / self._engine.lines.rate

    def say_goodbye(self) -> None:
        """Tell the far end that the leg's stream is over, if there was one."""
        if self._engine.senders.packets[self._slot]:
            self._send(self.reporter.goodbye())

    def _reception(self) -> Reception | None:
        lines, slot = self._engine.lines, self._slot
        ssrc = lines.ssrc(slot)
        if ssrc is None:
            return None
        return Reception(
            ssrc=ssrc,
            top=int(lines.counts.top[slot]),
            base=int(lines.counts.base[slot]),
            received=int(lines.counts.received[slot]),
            jitter=float(lines.counts.jitter[slot]) * self._ticks,
        )

    def _send(self, packet: bytes) -> None:
        if self._target is None:
            return
        sealed = self._engine.second_lane.seal_report(self._slot, packet)
        if sealed is None:
            return
        with contextlib.suppress(OSError):
            if self._shares_port:
                target = self._engine.endpoints.address(self._slot)
                if target is not None:
                    self._pair.rtp.sendto(sealed, target)
            else:
                self._pair.rtcp.sendto(sealed, self._target)
