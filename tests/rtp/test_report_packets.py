"""RTCP packets as we write and read them, against aiortc's way of doing both."""

from __future__ import annotations

import struct

import pytest
from aiortc import rtp as theirs
from hypothesis import example, given
from hypothesis import strategies as some

from mediaserver.rtp.report_packets import (
    Goodbye,
    Report,
    ReportBlock,
    SenderInfo,
    names,
    parse,
)

word = some.integers(0, 0xFFFF_FFFF)
blocks = some.builds(
    ReportBlock,
    ssrc=word,
    fraction_lost=some.integers(0, 255),
    lost=some.integers(-0x80_0000, 0x7F_FFFF),
    highest=word,
    jitter=word,
    last_report=word,
    delay=word,
)
senders = some.builds(
    SenderInfo, ntp=some.integers(0, (1 << 64) - 1), timestamp=word, packets=word, octets=word
)
reports = some.builds(
    Report, word, some.none() | senders, some.lists(blocks, max_size=4).map(tuple)
)
goodbyes = some.builds(Goodbye, some.lists(word, max_size=31).map(tuple))
compounds = some.lists(reports | goodbyes, max_size=4)


def ours(packet: theirs.AnyRtcpPacket) -> list[Report | Goodbye]:
    """Return one of aiortc's packets as ours; [] for those that we do not tell."""
    if isinstance(packet, theirs.RtcpByePacket):
        return [Goodbye(tuple(packet.sources))]
    if not isinstance(packet, theirs.RtcpSrPacket | theirs.RtcpRrPacket):
        return []
    sender = None
    if isinstance(packet, theirs.RtcpSrPacket):
        info = packet.sender_info
        sender = SenderInfo(
            info.ntp_timestamp, info.rtp_timestamp, info.packet_count, info.octet_count
        )
    told = tuple(
        ReportBlock(
            block.ssrc,
            block.fraction_lost,
            block.packets_lost,
            block.highest_sequence,
            block.jitter,
            block.lsr,
            block.dlsr,
        )
        for block in packet.reports
    )
    return [Report(packet.ssrc, sender, told)]


def as_aiortc_reads(data: bytes) -> list[Report | Goodbye] | None:
    try:
        packets = theirs.RtcpPacket.parse(data)
    except (ValueError, IndexError, struct.error):
        return None
    return [found for packet in packets for found in ours(packet)]


@given(compounds)
def test_what_we_write_both_read_back(said: list[Report | Goodbye]) -> None:
    data = b"".join(map(bytes, said))
    assert as_aiortc_reads(data) == said
    assert parse(data) == said
    again = theirs.RtcpPacket.parse(data)
    assert b"".join(map(bytes, again)) == data


@given(word, some.binary(max_size=255))
@example(1, b"")
@example(1, b"xy")
def test_a_name_is_written_as_aiortc_reads_it(ssrc: int, cname: bytes) -> None:
    data = names(ssrc, cname)
    (packet,) = theirs.RtcpPacket.parse(data)
    assert isinstance(packet, theirs.RtcpSdesPacket)
    (chunk,) = packet.chunks
    assert (chunk.ssrc, chunk.items) == (ssrc, [(1, cname)])
    assert parse(data) == []


@given(compounds, some.data())
def test_whatever_is_done_to_packets_both_read_the_same(
    said: list[Report | Goodbye], chance: some.DataObject
) -> None:
    data = bytearray(b"".join(map(bytes, said)))
    for _ in range(chance.draw(some.integers(1, 3)) if data else 0):
        at = chance.draw(some.integers(0, len(data) - 1))
        data[at] = chance.draw(some.integers(0, 255))
    _agree(bytes(data))


@given(some.binary(max_size=64))
@example(b"\x82\xcb\x00\x01\x00\x00\x00\x05")
@example(b"\xa0\xc9\x00\x01\x00\x00\x00\x00")
def test_whatever_comes_both_read_the_same(data: bytes) -> None:
    _agree(data)


def _agree(data: bytes) -> None:
    """See that we read what aiortc reads; where it is alone, or we are, say why that is right."""
    read, expected = parse(data), as_aiortc_reads(data)
    if read == expected:
        return
    kinds = _kinds(data)
    if expected is None:
        # We take a report that has an extension of a profile; of names, those whose last chunk has
        # no end; of feedback, whatever it is.
        assert kinds & {200, 201, 202, 205, 206}
    else:
        # Chunks of names begin at whole words; aiortc begins the next where it stands.
        assert 202 in kinds
        assert read is None


def _kinds(data: bytes) -> set[int]:
    found, at = set(), 0
    while len(data) - at >= 4:
        found.add(data[at + 1])
        at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
    return found


@pytest.mark.parametrize("sender", [None, SenderInfo(1, 2, 3, 4)])
def test_a_report_may_have_an_extension_of_a_profile(sender: SenderInfo | None) -> None:
    report = Report(5, sender, (ReportBlock(1, 2, -3, 4, 5, 6, 7),))
    data = bytes(report)
    longer = data[:2] + (len(data) // 4).to_bytes(2) + data[4:] + b"\xaa\xbb\xcc\xdd"
    assert parse(longer) == [report]


def test_padding_and_a_reason_are_no_part_of_what_is_said() -> None:
    padded = b"\xa1\xcb\x00\x03" + b"\0\0\0\x05" + b"\x02hi\0" + b"\0\0\0\x04"
    assert parse(padded) == [Goodbye((5,))]


def test_more_lost_than_can_be_said_is_said_as_the_most() -> None:
    for lost, said in ((1 << 40, 0x7F_FFFF), (-(1 << 40), -0x80_0000)):
        (report,) = parse(bytes(Report(5, None, (ReportBlock(1, 0, lost, 0, 0, 0, 0),)))) or []
        assert isinstance(report, Report)
        assert report.blocks[0].lost == said


@pytest.mark.parametrize(
    "items",
    [b"\x01", b"\x01\x05abc\0", b"\x01\x01a\x02", b""],
    ids=["no length", "longer than the packet", "second without length", "no source"],
)
def test_names_that_are_cut_off_are_refused(items: bytes) -> None:
    chunk = (b"\0\0\0\x05" + items) if items else b""
    padding = (4 - len(chunk) % 4) % 4
    chunk += b"\x01" * padding
    assert parse(struct.pack(">BBH", 0x81, 202, len(chunk) // 4) + chunk) is None
