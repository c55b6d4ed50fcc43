"""Sender and receiver reports (RFC 3550 section 6): what is said in them, and when.

How the packets look is `rtp.report_packets`' matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .report_packets import Goodbye, Report, ReportBlock, SenderInfo, names, parse

INTERVAL: Final = 5.0
"""Mean seconds between reports (RFC 3550 section 6.2: the recommended minimum)."""

MAX_REPORT: Final = 1500
"""Bytes of a compound packet beyond which it is not looked at."""

_NTP_EPOCH: Final = 2_208_988_800


@dataclass(frozen=True, slots=True)
class Reception:
    """What a leg knows of the stream it hears, as a report block needs it."""

    ssrc: int
    top: int
    """Extended highest sequence number."""
    base: int
    received: int
    jitter: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What a leg knows of the stream it sends, for a sender report."""

    timestamp: int
    packets: int
    octets: int


@dataclass(slots=True)
class PeerReport:
    """What the far end last said about the stream it hears from us."""

    fraction_lost: float = 0.0
    lost: int = 0
    jitter: float = 0.0
    """Seconds."""
    round_trip: float | None = None
    """Seconds; None until a report answered one of ours."""
    reports: int = 0
    """How many there were; with none, the figures above say nothing."""


class Reporter:
    """The RTCP of one leg: makes its reports and reads the far end's."""

    def __init__(self, ssrc: int, cname: str, rate: int, spread: Callable[[], float]) -> None:
        """`spread` returns a random number in [0.5, 1.5) (RFC 3550 section 6.3.1)."""
        self._ssrc = ssrc
        self._cname = cname.encode()
        self._rate = rate
        self._spread = spread
        self._expected_before = 0
        self._received_before = 0
        self._heard_sr: tuple[int, float] | None = None
        self.peer = PeerReport()
        self.next_at = math.inf
        """When the next report is due."""
        self.peer_said_bye = False

    def begin(self, now: float) -> float:
        """Return when the first report is due, half an interval on; monotonic seconds."""
        self.next_at = now + INTERVAL / 2 * self._spread()
        return self.next_at

    def report(
        self, now: float, wall: float, reception: Reception | None, sending: Sending | None
    ) -> bytes:
        """Return a compound packet: SR or RR, then SDES with the CNAME."""
        self.next_at = now + INTERVAL * self._spread()
        blocks = (self._block(reception, now),) if reception else ()
        sender = None
        if sending is not None:
            sender = SenderInfo(
                ntp=_ntp(wall),
                timestamp=sending.timestamp,
                packets=sending.packets & 0xFFFF_FFFF,
                octets=sending.octets & 0xFFFF_FFFF,
            )
        return bytes(Report(self._ssrc, sender, blocks)) + names(self._ssrc, self._cname)

    def goodbye(self) -> bytes:
        """Return the compound packet that ends the stream (RFC 3550 section 6.6)."""
        head = bytes(Report(self._ssrc)) + names(self._ssrc, self._cname)
        return head + bytes(Goodbye((self._ssrc,)))

    def receive(self, data: bytes, now: float, wall: float) -> bool:
        """Read a compound packet from the far end; False if it is none (nothing is changed).

        A BYE is noted and ends nothing: only SIP ends a call.
        """
        if not 8 <= len(data) <= MAX_REPORT:
            return False
        packets = parse(data)
        if packets is None:
            return False
        for packet in packets:
            if isinstance(packet, Goodbye):
                self.peer_said_bye = True
                continue
            if packet.sender is not None:
                self._heard_sr = (packet.sender.ntp >> 16 & 0xFFFF_FFFF, now)
            for block in packet.blocks:
                if block.ssrc == self._ssrc:
                    self._note(block, wall)
        return True

    def _note(self, block: ReportBlock, wall: float) -> None:
        self.peer.reports += 1
        self.peer.fraction_lost = block.fraction_lost / 256
        self.peer.lost = block.lost
        self.peer.jitter = block.jitter / self._rate
        if block.last_report:
            trip = ((_ntp(wall) >> 16) - block.last_report - block.delay) & 0xFFFF_FFFF
            if trip < 0x8000_0000:
                self.peer.round_trip = trip / 65536

    def _block(self, heard: Reception, now: float) -> ReportBlock:
        """Return a report block (RFC 3550 section 6.4.1 and appendix A.3)."""
        expected = heard.top - heard.base + 1
        interval_expected = expected - self._expected_before
        interval_lost = interval_expected - (heard.received - self._received_before)
        self._expected_before, self._received_before = expected, heard.received
        fraction = 0
        if interval_expected > 0 and interval_lost > 0:
            fraction = min(255, interval_lost * 256 // interval_expected)
        last_report, delay = 0, 0
        if self._heard_sr is not None:
            last_report, came = self._heard_sr
            delay = int((now - came) * 65536) & 0xFFFF_FFFF
        return ReportBlock(
            ssrc=heard.ssrc,
            fraction_lost=fraction,
            lost=expected - heard.received,
            highest=heard.top & 0xFFFF_FFFF,
            jitter=int(heard.jitter * self._rate) & 0xFFFF_FFFF,
            last_report=last_report,
            delay=delay,
        )


def _ntp(wall: float) -> int:
    """Return seconds since 1970 as a 64-bit NTP timestamp (RFC 3550 section 4)."""
    # The seconds start again at 0 in 2036 (RFC 3550 section 4, RFC 5905 section 6).
    return int((wall + _NTP_EPOCH) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF
