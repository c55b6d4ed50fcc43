"""Placing packets on the line: robustness R11 to R14 and R21, complaints 1 and 3 to 6."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.talker import SLOT, Heard, Talker, Timed
from mediaserver.audio.g711 import ALAW_DECODE, ULAW_DECODE
from mediaserver.recording.recorder import REACH
from mediaserver.rtp.packet import build_packet
from mediaserver.rtp.ring import RING
from mediaserver.rtp.timeline import REORDER

Noise = Callable[[float], bytes]
LENGTH = 14.28
"""Seconds of the tone robustness R11 speaks of."""


def decoded(payload: bytes) -> NDArray[np.int16]:
    return ULAW_DECODE[np.frombuffer(payload, np.uint8)]


def test_a_clean_stream_is_heard_sample_for_sample(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    payload = noise(3.0)
    heard.feed(talker.say(payload), until=3.5)
    assert np.array_equal(heard.voice(), decoded(payload))


def test_the_first_packet_lies_where_the_clock_was_when_it_came(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    talker.at = 0.7
    heard.feed(talker.say(noise(0.2)), until=2.0)
    assert np.flatnonzero(heard.whole())[0] == 5600


def test_alaw_and_ulaw_may_follow_each_other(heard: Heard, talker: Talker, noise: Noise) -> None:
    first, second = noise(1.0), noise(1.0)
    heard.feed(talker.say(first) + talker.say(second, kind=8), until=3.0)
    expected = [decoded(first), ALAW_DECODE[np.frombuffer(second, np.uint8)]]
    assert np.array_equal(heard.voice(), np.concatenate(expected))


def test_packet_times_may_change_in_mid_stream(heard: Heard, talker: Talker, noise: Noise) -> None:
    payload = noise(1.2)
    packets = talker.say(payload[:3200])
    talker.size = 480
    packets += talker.say(payload[3200:6400])
    talker.size = 80
    packets += talker.say(payload[6400:])
    heard.feed(packets, until=2.0)
    assert np.array_equal(heard.voice(), decoded(payload))


@pytest.mark.parametrize("share", [0.05, 0.10, 0.30])
def test_loss_never_shortens_or_shifts(share: float, talker: Talker, noise: Noise) -> None:
    payload = noise(LENGTH)
    packets = talker.say(payload)
    chance = random.Random(11)
    kept = [
        p for i, p in enumerate(packets) if i in {0, len(packets) - 1} or chance.random() > share
    ]
    heard = Heard()
    heard.feed(kept, until=LENGTH + 0.5)
    voice = heard.voice()
    assert voice.size == round(LENGTH * 8000)
    original = decoded(payload)
    there = voice != 0
    assert np.array_equal(voice[there], original[there])
    assert there.sum() == sum(len(p.packet) - 12 for p in kept)
    assert heard.lines.counts.lost(SLOT) == len(packets) - len(kept)


def test_reordering_and_copies_leave_no_trace(heard: Heard, talker: Talker, noise: Noise) -> None:
    payload = noise(LENGTH)
    packets = talker.say(payload)
    chance = random.Random(12)
    network = []
    for index, timed in enumerate(packets):
        late = 0.05 if index and chance.random() < 0.05 else 0.0
        network.append(Timed(timed.arrival + late, timed.packet))
        if chance.random() < 0.10:
            network.append(Timed(timed.arrival + chance.uniform(0.0, 0.05), timed.packet))
    heard.feed(network, until=LENGTH + 0.5)
    assert np.array_equal(heard.voice(), decoded(payload))


def test_a_packet_too_late_to_be_listened_to_still_reaches_the_journal(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    payload = noise(2.0)
    packets = talker.say(payload)
    packets[40] = Timed(packets[40].arrival + 0.4, packets[40].packet)
    heard.feed(packets, until=2.5)
    assert np.array_equal(heard.voice(), decoded(payload))


def test_a_packet_beyond_reach_is_counted_and_dropped(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    packets = talker.say(noise(4.0))
    packets[10] = Timed(packets[10].arrival + 2.0, packets[10].packet)
    heard.feed(packets, until=4.5)
    assert heard.lines.counts.late[SLOT] == 1
    assert heard.voice().size == 4 * 8000


def test_sequence_and_timestamp_wrap_unseen(heard: Heard, noise: Noise) -> None:
    payload = noise(4.0)
    talker = Talker(sequence=65_500, timestamp=0xFFFF_FFFF - 8000)
    heard.feed(talker.say(payload), until=4.5)
    assert np.array_equal(heard.voice(), decoded(payload))
    assert heard.lines.counts.lost(SLOT) == 0


def test_a_new_ssrc_goes_on_where_the_old_one_stopped(heard: Heard, noise: Noise) -> None:
    payload = noise(LENGTH)
    first = Talker()
    packets = first.say(payload[: 7 * 8000])
    second = Talker(ssrc=0x9999, sequence=4, timestamp=77, at=first.at)
    packets += second.say(payload[7 * 8000 :])
    heard.feed(packets, until=LENGTH + 0.5)
    assert np.array_equal(heard.voice(), decoded(payload))


def test_a_timestamp_jump_of_ten_minutes_makes_no_silence(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    payload = noise(LENGTH)
    packets = talker.say(payload[: 7 * 8000])
    talker.timestamp += 600 * 8000
    packets += talker.say(payload[7 * 8000 :])
    heard.feed(packets, until=LENGTH + 0.5)
    assert np.array_equal(heard.voice(), decoded(payload))


@pytest.mark.parametrize("step", [-600, -3, -1])
def test_a_timestamp_jump_backwards_loses_nothing(
    step: int, heard: Heard, talker: Talker, noise: Noise
) -> None:
    payload = noise(6.0)
    packets = talker.say(payload[:24000])
    talker.timestamp = (talker.timestamp + step * 8000) & 0xFFFF_FFFF
    packets += talker.say(payload[24000:])
    heard.feed(packets, until=6.5)
    assert np.array_equal(heard.voice(), decoded(payload))


def test_a_sequence_restart_is_no_loss(heard: Heard, talker: Talker, noise: Noise) -> None:
    payload = noise(4.0)
    packets = talker.say(payload[:16000])
    talker.sequence = (talker.sequence + 30_000) & 0xFFFF
    packets += talker.say(payload[16000:])
    heard.feed(packets, until=4.5)
    assert np.array_equal(heard.voice(), decoded(payload))
    assert heard.lines.counts.lost(SLOT) == 0


def test_three_seconds_of_dtx_are_three_seconds_of_silence(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    before, after = noise(1.0), noise(1.0)
    packets = talker.say(before)
    packets.append(
        Timed(talker.at, build_packet(13, talker.sequence, talker.timestamp, 0x1234, b"\x40"))
    )
    talker.sequence += 1
    talker.pause(3.0)
    packets += talker.say(after)
    heard.feed(packets, until=5.5)
    gap = np.zeros(24000, np.int16)
    assert np.array_equal(heard.voice(), np.concatenate([decoded(before), gap, decoded(after)]))


def test_a_stall_of_half_a_second_and_its_burst_leave_no_trace(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    payload = noise(5.0)
    packets = [
        Timed(2.5 if 2.0 <= timed.arrival < 2.5 else timed.arrival, timed.packet)
        for timed in talker.say(payload)
    ]
    heard.feed(packets, until=5.5)
    assert np.array_equal(heard.voice(), decoded(payload))


def test_a_stall_of_three_seconds_loses_nothing(heard: Heard, talker: Talker, noise: Noise) -> None:
    payload = noise(6.0)

    def through_the_outage(at: float) -> float:
        return 5.0 + (at - 2.0) / 100 if 2.0 <= at < 5.03 else at

    packets = [Timed(through_the_outage(t.arrival), t.packet) for t in talker.say(payload)]
    heard.feed(packets, until=10.0)
    voice = heard.voice()
    assert np.array_equal(voice[voice != 0], decoded(payload))


def test_nothing_at_all_is_silence_that_lasts(heard: Heard) -> None:
    heard.feed([], until=20.0)
    whole = heard.whole()
    assert abs(whole.size - 160_000) <= 320
    assert not whole.any()


def test_time_is_decided_by_the_clock_when_nothing_comes(heard: Heard) -> None:
    heard.feed([], until=5.0)
    assert 5.0 * 8000 - heard.lines.decided[SLOT] <= 0.2 * 8000


def test_time_is_decided_by_packets_while_they_come(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    heard.feed(talker.say(noise(2.0)), until=2.0)
    assert heard.lines.decided[SLOT] == heard.lines.final[SLOT]


def test_packets_that_cannot_be_rtp_change_nothing(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    payload = noise(1.0)
    packets = talker.say(payload)
    junk = [
        b"",
        b"\x80",
        b"\x00" * 12,
        b"\xff" * 11,
        b"\x8f" + b"\x00" * 20,
        b"\xb0" + b"\xff" * 40,
    ]
    packets += [Timed(0.5 + i / 100, datagram) for i, datagram in enumerate(junk)]
    heard.feed(packets, until=1.5)
    assert np.array_equal(heard.voice(), decoded(payload))


def test_csrcs_extension_and_padding_are_taken_off(heard: Heard, talker: Talker) -> None:
    plain = bytes(range(1, 101))
    head = build_packet(0, 1, 1000, 5, b"")
    odd = bytes([0x80 | 0x20 | 0x10 | 2]) + head[1:]
    odd += b"C" * 8 + b"\xbe\xde\x00\x01" + b"EEEE" + plain + b"\x00\x00\x03"
    heard.feed([Timed(0.1, odd)], until=1.0)
    assert np.array_equal(heard.voice(), decoded(plain))


def test_an_unknown_payload_type_is_not_decoded(heard: Heard, talker: Talker, noise: Noise) -> None:
    heard.feed(talker.say(noise(0.5), kind=97), until=1.0)
    assert not heard.whole().any()


def test_the_same_packets_make_the_same_line_at_any_speed(noise: Noise) -> None:
    payload = noise(6.0)
    lines = []
    for tick in (0.02, 0.1, 0.4, 2.0):
        heard = Heard()
        talker = Talker()
        packets = talker.say(payload[:16000])
        talker.pause(1.0)
        packets += talker.say(payload[16000:])
        heard.feed(packets, until=8.0, tick=tick)
        lines.append(heard.voice())
    assert np.array_equal(lines[0], lines[1])
    assert np.array_equal(lines[0], lines[2])
    assert np.array_equal(lines[0], lines[3])


def test_a_file_sent_all_at_once_is_kept_whole(heard: Heard, talker: Talker, noise: Noise) -> None:
    payload = noise(3.0)
    packets = [Timed(0.1 + i * 0.02 / 10, t.packet) for i, t in enumerate(talker.say(payload))]
    heard.feed(packets, until=4.0)
    assert np.array_equal(heard.voice(), decoded(payload))


def test_a_line_is_kept_as_long_as_a_recorder_may_look_back() -> None:
    """Behind what is final; a drain's round of the longest packets may come in between."""
    assert RING - REORDER * 8000 >= REACH * 8000


def test_a_packet_without_audio_after_a_gap_harms_nobody() -> None:
    heard, talker = Heard(), Talker()
    packets = talker.say(b"\x20" * 1600)
    talker.sequence += 2
    talker.pause(0.04)
    empty = build_packet(0, talker.sequence, talker.timestamp, talker.ssrc, b"")
    packets.append(Timed(talker.at, empty))
    talker.sequence += 1
    packets += talker.say(b"\x20" * 1600)
    heard.feed(packets, 1.0)
    assert heard.voice().size == 3200 + 320
