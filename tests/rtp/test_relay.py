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
        self.relays.open(0, 1, {0: 0, 101: 96}, audio={0: None})

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
            assert size == relayed.size[len(sent)]
            assert (timestamp - self.senders.base[to] - relayed.position[len(sent)]) % 2**32 == 0
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


def hectic(seed: int) -> list[bytes]:
    """Return packets of a stream to which everything happens that can."""
    random = np.random.default_rng(seed)
    packets, ssrc, stamp, sequence = [], 7, 0xFFFF_F000, 65_500
    for number in range(120):
        event = int(random.choice(13, p=[0.6, *[0.4 / 12] * 12]))
        sequence, stamp = sequence + 1, stamp + 160
        if event == 1:  # lost
            continue
        if event == 2:  # silence between talk spurts
            stamp += 4000
        if event == 3:
            ssrc, sequence, stamp = ssrc + 1, int(random.integers(65_536)), 5
        if event == 4:
            sequence += 10_000
        if event == 5:
            stamp += int(random.integers(-100_000, 100_000))
        kind = {6: 101, 7: 13, 8: 77}.get(event, 0)
        size = {9: 80, 10: 0}.get(event, 160)
        packets.append(build_packet(kind, sequence, stamp, ssrc, bytes([number]) * size))
        if event == 11:
            packets.append(packets[-1])
        if event == 12 and len(packets) > 5:
            packets[-1], packets[-4] = packets[-4], packets[-1]
    return packets


@pytest.mark.parametrize("seed", range(20))
def test_however_a_hectic_stream_is_cut_it_is_passed_on_the_same(seed: int) -> None:
    packets = hectic(seed)
    cuts = sorted(np.random.default_rng(seed + 100).integers(0, len(packets), 12).tolist())
    at_once, one_by_one, cut = Pair(), Pair(), Pair()
    expected = at_once.pass_on(*packets)
    assert [s for p in packets for s in one_by_one.pass_on(p)] == expected
    bounds = zip([0, *cuts], [*cuts, len(packets)], strict=True)
    assert [s for a, b in bounds for s in (cut.pass_on(*packets[a:b]) if a < b else ())] == expected
    taken = sum(packet[1] & 0x7F in {0, 101} for packet in packets)
    assert taken - 12 < len(expected) <= taken  # some are of before a leap
    assert at_once.senders.packets[1] == len(expected)


def test_several_streams_in_a_batch_are_passed_on_as_each_would_be_alone() -> None:
    together, alone = Pair(), Pair()
    for pair in (together, alone):
        pair.relays.open(2, 3, {0: 8}, audio={0: ULAW_TO_ALAW})
    first, second = hectic(1), hectic(2)
    batch = PacketBatch.empty(len(first) + len(second))
    for slot, packets in ((0, first), (2, second)):
        for packet in packets:
            batch.append(slot, packet, 1, 1.0)
    relayed = together.relays.forward(batch, parse_batch(batch, batch.length > 0), 1.0)
    assert relayed is not None
    sent = [(int(to), batch.data[row, 12:size].tobytes()) for to, row, size in zip(
        relayed.slot, relayed.row, relayed.size, strict=True)]  # fmt: skip
    expected = alone.pass_on(*first) + alone.pass_on(*second, slot=2)
    assert sent == [(s[0], s[6]) for s in expected]


def test_what_the_other_side_cannot_take_leaves_no_gap_in_the_sequence(pair: Pair) -> None:
    sent = pair.pass_on(voice(0), voice(1, kind=13), voice(2), voice(3, kind=77), voice(4))
    sent += pair.pass_on(voice(5, kind=13)) + pair.pass_on(voice(6))
    assert [(s[3] - sent[0][3]) & 0xFFFF for s in sent] == [0, 1, 2, 3]
    assert [(s[4] - sent[0][4]) & 0xFFFF_FFFF for s in sent] == [0, 320, 640, 960]


def test_to_a_leg_that_is_busy_nothing_is_passed_on_and_then_it_goes_on_now(pair: Pair) -> None:
    before = pair.pass_on(voice(0), now=1.0)
    pair.relays.busy[1] = True
    assert pair.pass_on(voice(1), voice(2), now=1.02) == []
    pair.relays.busy[1] = False
    after = pair.pass_on(voice(3), voice(4), now=5.0)
    assert [(s[3] - before[0][3]) & 0xFFFF for s in after] == [1, 2]
    assert [(s[4] - before[0][4]) & 0xFFFF_FFFF for s in after] == [32_000, 32_160]


def test_a_relay_that_is_opened_again_goes_on_as_it_was(pair: Pair) -> None:
    before = pair.pass_on(voice(0), now=1.0)
    pair.relays.open(0, 1, {0: 8}, audio={0: ULAW_TO_ALAW})
    after = pair.pass_on(voice(2), now=7.0)
    assert (after[0][3] - before[0][3]) & 0xFFFF == 2
    assert (after[0][4] - before[0][4]) & 0xFFFF_FFFF == 320
    assert after[0][1] == 8


@pytest.mark.parametrize("leap", [8_000_000, -8_000_000, 5000, -5000])
def test_a_stream_whose_timestamps_leap_goes_on_where_time_says(pair: Pair, leap: int) -> None:
    sent = pair.pass_on(voice(0), voice(1))
    for number in (2, 3):
        stamp = 0xFFFF_FF00 + 160 * number + leap
        sent += pair.pass_on(build_packet(0, 65_530 + number, stamp, 7, b"" * 160), now=1.04)
    assert [(s[3] - sent[0][3]) & 0xFFFF for s in sent] == [0, 1, 2, 3]
    assert [(s[4] - sent[0][4]) & 0xFFFF_FFFF for s in sent] == [0, 160, 320, 480]


def test_what_comes_faster_than_time_passes_does_not_run_away(pair: Pair) -> None:
    for number in range(2000):  # forty seconds of audio in no time
        pair.pass_on(voice(number), now=1.0)
    assert pair.senders.reached[1] <= 31 * 8000
    pair.senders.play(1, 160, 1.0)
    frames = pair.senders.due(np.array([1]), 1.0)
    assert frames is not None
    assert frames.due[0] == 1.0


def test_a_prompt_begins_when_what_was_passed_on_is_over(pair: Pair) -> None:
    sent = pair.pass_on(voice(0), voice(1), voice(2), now=1.0)
    pair.senders.play(1, 160, 1.0)
    assert pair.senders.due(np.array([1]), 1.05) is None
    frames = pair.senders.due(np.array([1]), 1.0601)
    assert frames is not None
    stamp = int.from_bytes(frames.header[0, 4:8].tobytes(), "big")
    assert (stamp - sent[0][4]) & 0xFFFF_FFFF == 480


@pytest.mark.parametrize("ppm", [200, -200])
def test_the_drift_of_a_far_ends_clock_is_told_and_made_up_for(pair: Pair, ppm: int) -> None:
    random = np.random.default_rng(3)
    for number in range(3000):  # a minute; the network delays by up to 40 ms
        arrival = 1.0 + number * 0.02 * (1 - ppm * 1e-6)
        sent = pair.pass_on(voice(number), now=arrival + random.uniform(0, 0.04))
    drift = int(pair.relays.drift[0])
    expected = ppm * 1e-6 * 50 * 8000
    assert abs(drift - expected) < 40
    reached = sent[0][4] + 160
    pair.relays.make_up(0, drift)
    assert pair.relays.drift[0] == 0
    behind = (reached - pair.senders.timestamp(1, arrival) + 2**31) % 2**32 - 2**31
    assert abs(behind - 160) < 480
    after = pair.pass_on(voice(3000), now=arrival + 0.02)
    assert (after[0][4] - sent[0][4]) & 0xFFFF_FFFF == 160
    assert not pair.relays.drift.any()


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
    pair.relays.open(0, 1, {0: 8, 101: 101}, audio={0: ULAW_TO_ALAW})
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
