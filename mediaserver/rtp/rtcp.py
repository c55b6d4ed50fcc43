"""Sender and receiver reports (RFC 3550 section 6).

The packet formats are aiortc's; what is said in them, and when, is decided here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)

INTERVAL: Final = 5.0
"""Mean seconds between reports (RFC 3550 section 6.2: the recommended minimum)."""

MAX_REPORT: Final = 1500
"""Bytes of a compound packet beyond which it is not looked at."""

_CNAME: Final = 1
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
        blocks = [self._block(reception, now)] if reception else []
        head: RtcpSrPacket | RtcpRrPacket
        if sending is not None:
            info = RtcpSenderInfo(
                ntp_timestamp=_ntp(wall),
                rtp_timestamp=sending.timestamp,
                packet_count=sending.packets & 0xFFFF_FFFF,
                octet_count=sending.octets & 0xFFFF_FFFF,
            )
            head = RtcpSrPacket(ssrc=self._ssrc, sender_info=info, reports=blocks)
        else:
            head = RtcpRrPacket(ssrc=self._ssrc, reports=blocks)
        return bytes(head) + self._description()

    def goodbye(self) -> bytes:
        """Return the compound packet that ends the stream (RFC 3550 section 6.6)."""
        head = RtcpRrPacket(ssrc=self._ssrc, reports=[])
        return bytes(head) + self._description() + bytes(RtcpByePacket(sources=[self._ssrc]))

    def receive(self, data: bytes, now: float, wall: float) -> bool:
        """Read a compound packet from the far end; False if it is none (nothing is changed).

        A BYE is noted and ends nothing: only SIP ends a call.
        """
        if not 8 <= len(data) <= MAX_REPORT:
            return False
        try:
            packets = RtcpPacket.parse(data)
        except (ValueError, IndexError, struct.error):
            return False
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                middle = packet.sender_info.ntp_timestamp >> 16 & 0xFFFF_FFFF
                self._heard_sr = (middle, now)
            if isinstance(packet, RtcpSrPacket | RtcpRrPacket):
                for block in packet.reports:
                    if block.ssrc == self._ssrc:
                        self._note(block, wall)
            elif isinstance(packet, RtcpByePacket):
                self.peer_said_bye = True
        return True

    def _note(self, block: RtcpReceiverInfo, wall: float) -> None:
        self.peer.reports += 1
        self.peer.fraction_lost = block.fraction_lost / 256
        self.peer.lost = block.packets_lost
        self.peer.jitter = block.jitter / self._rate
        if block.lsr:
            trip = ((_ntp(wall) >> 16) - block.lsr - block.dlsr) & 0xFFFF_FFFF
            if trip < 0x8000_0000:
                self.peer.round_trip = trip / 65536

    def _block(self, heard: Reception, now: float) -> RtcpReceiverInfo:
        """Return a report block (RFC 3550 section 6.4.1 and appendix A.3)."""
        expected = heard.top - heard.base + 1
        interval_expected = expected - self._expected_before
        interval_lost = interval_expected - (heard.received - self._received_before)
        self._expected_before, self._received_before = expected, heard.received
        fraction = 0
        if interval_expected > 0 and interval_lost > 0:
            fraction = min(255, interval_lost * 256 // interval_expected)
        lost = max(-0x80_0000, min(0x7F_FFFF, expected - heard.received))
        lsr, dlsr = 0, 0
        if self._heard_sr is not None:
            lsr, dlsr = self._heard_sr[0], int((now - self._heard_sr[1]) * 65536) & 0xFFFF_FFFF
        return RtcpReceiverInfo(
            ssrc=heard.ssrc,
            fraction_lost=fraction,
            packets_lost=lost,
            highest_sequence=heard.top & 0xFFFF_FFFF,
            jitter=int(heard.jitter * self._rate) & 0xFFFF_FFFF,
            lsr=lsr,
            dlsr=dlsr,
        )

    def _description(self) -> bytes:
        chunk = RtcpSourceInfo(ssrc=self._ssrc, items=[(_CNAME, self._cname)])
        return bytes(RtcpSdesPacket(chunks=[chunk]))


def _ntp(wall: float) -> int:
    """Return seconds since 1970 as a 64-bit NTP timestamp (RFC 3550 section 4)."""
    return int((wall + _NTP_EPOCH) * (1 << 32))
