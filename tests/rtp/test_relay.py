"""Packets passed on as they came, in a stream of their own."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mediaserver.audio.g711 import ULAW_TO_ALAW
from mediaserver.rtp.packet import PacketBatch, build_packet, parse_batch
from mediaserver.rtp.relay import Relays
from mediaserver.rtp.sender import Senders

Sent = tuple[int, int, int, int, int, int, bytes]


class Pair:
    """Two legs, 0 and 1; what 0 hears is passed on to 1."""

    def __init__(self) -> None:
        self.senders = Senders(4, lambda bits: (1 << bits) - 3)
        for slot in range(4):
            self.senders.open(slot)
        self.relays = Relays(4, self.senders)
        self.relays.open(0, 1, {0: 0, 101: 96})

    def pass_on(self, *packets: bytes, now: float = 1.0, slot: int = 0) -> list[Sent]:
        batch = PacketBatch.empty(len(packets))
        for packet in packets:
            batch.append(slot, packet, 1, now)
        fields = parse_batch(batch, batch.length > 0)
        relayed = self.relays.forward(batch, fields, now)
        if relayed is None:
            return []
        sent: list[Sent] = []
        for to, row, size in zip(relayed.slot, relayed.row, relayed.size, strict=True):
            data = batch.data[row, :size].tobytes()
            first, second, sequence, timestamp, ssrc = struct.unpack(">BBHII", data[:12])
            assert first == 0x80
            sent.append((int(to), second & 0x7F, second >> 7, sequence, timestamp, ssrc, data[12:]))
        return sent


@pytest.fixture
def pair() -> Pair:
    return Pair()


def voice(number: int, *, ssrc: int = 7, first: int = 65_530, kind: int = 0) -> bytes:
    stamp = 0xFFFF_FF00 + number * 160
    return build_packet(kind, first + number, stamp, ssrc, bytes([number % 256]) * 160)


def test_payload_marker_and_spacing_stay_and_the_stream_is_the_legs_own(pair: Pair) -> None:
    packets = [voice(n) for n in range(10)]
    packets[3] = build_packet(0, 65_533, 0xFFFF_FF00 + 480, 7, b"\3" * 160, marker=True)
    sent = pair.pass_on(*packets)
    assert [s[6] for s in sent] == [p[12:] for p in packets]
    assert {s[0] for s in sent} == {1}
    assert {s[5] for s in sent} == {int(pair.senders.ssrc[1])}
    assert [s[2] for s in sent] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert [(s[3] - sent[0][3]) & 0xFFFF for s in sent] == list(range(10))
    assert [(s[4] - sent[0][4]) & 0xFFFF_FFFF for s in sent] == [160 * n for n in range(10)]
    assert pair.senders.packets[1] == 10
    assert pair.senders.octets[1] == 1600


def test_gaps_copies_and_disorder_arrive_as_what_they_are(pair: Pair) -> None:
    order = [0, 1, 4, 3, 3, 7]
    sent = [pair.pass_on(voice(n))[0] for n in order]
    assert [(s[3] - sent[0][3]) & 0xFFFF for s in sent] == order
    assert [(s[4] - sent[0][4]) & 0xFFFF_FFFF for s in sent] == [160 * n for n in order]


def test_cut_anywhere_into_batches_the_stream_is_the_same() -> None:
    packets = [voice(n) for n in (0, 1, 2, 5, 4, 6, 7)]
    at_once, one_by_one = Pair(), Pair()
    expected = at_once.pass_on(*packets)
    assert [s for p in packets for s in one_by_one.pass_on(p)] == expected


def test_a_new_stream_goes_on_where_time_says(pair: Pair) -> None:
    before = pair.pass_on(voice(0), voice(1), now=1.0)
    after = pair.pass_on(voice(0, ssrc=9, first=30_000), now=3.0)
    assert (after[0][3] - before[-1][3]) & 0xFFFF == 1
    assert (after[0][4] - before[0][4]) & 0xFFFF_FFFF == 16_000
    assert after[0][5] == before[0][5]


def test_a_stream_that_changes_within_a_batch_is_followed(pair: Pair) -> None:
    sent = pair.pass_on(voice(0), voice(1), voice(50, ssrc=9, first=7), voice(51, ssrc=9, first=7))
    assert [(s[3] - sent[0][3]) & 0xFFFF for s in sent] == [0, 1, 2, 3]
    assert (sent[3][4] - sent[2][4]) & 0xFFFF_FFFF == 160


def test_what_the_leg_sent_itself_in_between_is_counted(pair: Pair) -> None:
    before = pair.pass_on(voice(0))
    event = pair.senders.event(1, 96, 0, b"\1\2\3\4", 1.01, marker=True)
    after = pair.pass_on(voice(1), now=1.02)
    assert (struct.unpack(">H", event[2:4])[0] - before[0][3]) & 0xFFFF == 1
    assert (after[0][3] - before[0][3]) & 0xFFFF == 2
    assert (after[0][4] - before[0][4]) & 0xFFFF_FFFF == 160


def test_digits_get_the_other_sides_number_and_what_it_cannot_take_is_left_out(
    pair: Pair,
) -> None:
    digit = build_packet(101, 65_530, 100, 7, b"\5\x0a\0\xa0", marker=True)
    noise = build_packet(13, 65_531, 260, 7, b"\x40")
    assert [(s[1], s[2]) for s in pair.pass_on(digit, noise)] == [(96, 1)]


def test_the_other_law_is_translated_and_digits_are_not(pair: Pair) -> None:
    pair.relays.open(0, 1, {0: 8, 101: 101}, (0, ULAW_TO_ALAW))
    codes = bytes(range(160))
    digit = b"\5\x0a\0\xa0"
    sent = pair.pass_on(
        build_packet(0, 1, 0, 7, codes), build_packet(101, 2, 160, 7, digit, marker=True)
    )
    assert sent[0][6] == ULAW_TO_ALAW[np.arange(160)].tobytes()
    assert [s[1] for s in sent] == [8, 101]
    assert sent[1][6] == digit


def test_a_closed_relay_passes_nothing_on(pair: Pair) -> None:
    pair.relays.close(0)
    assert pair.pass_on(voice(0)) == []


def test_an_extended_header_and_padding_are_not_passed_on(pair: Pair) -> None:
    odd = struct.pack(">BBHII", 0xB1, 0, 5, 6, 7) + b"CSRC" + struct.pack(">HH", 1, 1) + b"EXTN"
    (sent,) = pair.pass_on(odd + b"payload" + b"\0\2")
    assert sent[6] == b"payload"
