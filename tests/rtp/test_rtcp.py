"""RTCP reports, and what a far end may not do with them (robustness S5)."""

from __future__ import annotations

import random
import struct

import pytest
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket

from mediaserver.rtp.rtcp import INTERVAL, Reception, Reporter, Sending

HEARD = Reception(ssrc=77, top=0x1_0064, base=0x1_0001, received=80, jitter=0.002)
SENDING = Sending(timestamp=4_000_000_000, packets=12, octets=1920)
WALL = 1_700_000_000.25


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(ssrc=5, cname="x@y", rate=8000, spread=lambda: 1.0)


def test_a_receiver_report_says_what_was_lost(reporter: Reporter) -> None:
    head, names = RtcpPacket.parse(reporter.report(10.0, WALL, HEARD, None))
    assert isinstance(head, RtcpRrPacket)
    assert isinstance(names, RtcpSdesPacket)
    (block,) = head.reports
    assert (block.ssrc, block.packets_lost, block.highest_sequence) == (77, 20, 0x1_0064)
    assert block.fraction_lost == 20 * 256 // 100
    assert block.jitter == 16
    assert names.chunks[0].items == [(1, b"x@y")]


def test_a_fraction_is_of_the_last_interval_only(reporter: Reporter) -> None:
    reporter.report(10.0, WALL, HEARD, None)
    later = Reception(ssrc=77, top=0x1_0064 + 50, base=0x1_0001, received=130, jitter=0.0)
    head = RtcpPacket.parse(reporter.report(15.0, WALL, later, None))[0]
    assert isinstance(head, RtcpRrPacket)
    assert head.reports[0].fraction_lost == 0
    assert head.reports[0].packets_lost == 20


def test_whoever_sends_reports_its_sending(reporter: Reporter) -> None:
    head = RtcpPacket.parse(reporter.report(10.0, WALL, None, SENDING))[0]
    assert isinstance(head, RtcpSrPacket)
    assert head.sender_info.rtp_timestamp == 4_000_000_000
    assert head.sender_info.ntp_timestamp >> 32 == 1_700_000_000 + 2_208_988_800


def test_reports_are_five_seconds_apart(reporter: Reporter) -> None:
    assert reporter.begin(1.0) == 1.0 + INTERVAL / 2
    reporter.report(1.0 + INTERVAL / 2, WALL, None, None)
    assert reporter.next_at == 1.0 + INTERVAL * 1.5


def test_the_round_trip_is_measured_between_two_reporters() -> None:
    here, there = (Reporter(ssrc, "x@y", 8000, lambda: 1.0) for ssrc in (5, 77))
    there.receive(here.report(0.0, WALL, None, SENDING), 0.1, WALL + 0.1)
    answer = there.report(1.1, WALL + 1.1, Reception(5, 1, 1, 1, 0.0), None)
    here.receive(answer, 1.2, WALL + 1.2)
    assert here.peer.round_trip == pytest.approx(0.2, abs=0.001)


def test_reports_go_on_when_the_seconds_of_ntp_start_again() -> None:
    end_of_era = float((1 << 32) - 2_208_988_800)
    here, there = (Reporter(ssrc, "x@y", 8000, lambda: 1.0) for ssrc in (5, 77))
    there.receive(here.report(0.0, end_of_era - 0.5, None, SENDING), 0.1, end_of_era - 0.4)
    answer = there.report(1.1, end_of_era + 0.6, Reception(5, 1, 1, 1, 0.0), None)
    here.receive(answer, 1.2, end_of_era + 0.7)
    assert here.peer.round_trip == pytest.approx(0.2, abs=0.001)


def test_what_the_far_end_reports_of_us_is_told_from_no_report() -> None:
    here, there = (Reporter(ssrc, "x@y", 8000, lambda: 1.0) for ssrc in (5, 77))
    stranger = there.report(1.0, WALL, Reception(6, 1, 1, 1, 0.0), None)
    here.receive(stranger, 1.0, WALL)
    assert here.peer.reports == 0
    here.receive(there.report(2.0, WALL, Reception(5, 100, 1, 90, 0.004), None), 2.0, WALL)
    assert (here.peer.reports, here.peer.lost) == (1, 10)
    assert here.peer.jitter == pytest.approx(0.004)


def test_a_goodbye_is_a_compound_packet_and_ends_nothing(reporter: Reporter) -> None:
    packets = RtcpPacket.parse(reporter.goodbye())
    assert isinstance(packets[-1], RtcpByePacket)
    other = Reporter(9, "z", 8000, lambda: 1.0)
    assert other.receive(reporter.goodbye(), 0.0, WALL)
    assert other.peer_said_bye


@pytest.mark.parametrize(
    "abuse",
    [
        b"",
        b"\x80\xc9\x00\x00",
        b"\x80\xc9\xff\xff" + b"\0" * 60,
        b"\x9f\xc8\x00\x06" + b"\0" * 24,
        b"\xa0\xc9\x00\x01\x00\x00\x00\xff",
        b"\x81\xca\x00\x02\x00\x00\x00\x05\x01\xffabc"[:12],
        struct.pack(">BBH", 0x81, 0xCE, 0xFFFF) + b"\0" * 4,
        b"\x80\xc9\x00\x01" * 2000,
    ],
)
def test_malformed_reports_are_refused_whole(reporter: Reporter, abuse: bytes) -> None:
    assert not reporter.receive(abuse, 0.0, WALL)
    assert reporter.peer.round_trip is None


def test_no_bytes_make_the_reader_raise(reporter: Reporter) -> None:
    chance = random.Random(3)
    whole = reporter.report(1.0, WALL, HEARD, SENDING) + reporter.goodbye()
    for _ in range(3000):
        mutated = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(6)):
            if mutated:
                mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        reporter.receive(bytes(mutated), 2.0, WALL)
