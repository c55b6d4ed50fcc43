"""RFC 4733 digits, each exactly once."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest

from farend.talker import Heard, Talker
from mediaserver.rtp.dtmf import DIGITS, DigitDetector, event_packets

Noise = Callable[[float], bytes]


def payloads(digit: str, clock_rate: int = 8000, duration: float = 0.1) -> list[bytes]:
    return [p.payload for p in event_packets(digit, clock_rate=clock_rate, duration=duration)]


def heard_of(pieces: list[tuple[int, bytes]]) -> str:
    detector = DigitDetector()
    downs = (detector.receive(timestamp, payload) for timestamp, payload in pieces)
    return "".join(down.digit for down in downs if down)


def test_every_digit_is_heard_once() -> None:
    pieces = [(1000 * i, p) for i, digit in enumerate(DIGITS) for p in payloads(digit)]
    assert heard_of(pieces) == DIGITS


def test_an_event_is_sent_with_three_ends_and_one_marker() -> None:
    packets = list(event_packets("5", clock_rate=8000, duration=0.1))
    assert sum(p.payload[1] >> 7 for p in packets) == 3
    assert [p.marker for p in packets] == [True] + [False] * 7


def test_lost_ends_cost_nothing_and_double_nothing() -> None:
    pieces = [(1000 * i, p) for i, digit in enumerate("1123") for p in payloads(digit)[:-3]]
    assert heard_of(pieces) == "1123"


def test_one_surviving_packet_is_enough() -> None:
    for survivor in range(8):
        assert heard_of([(7, payloads("9")[survivor])]) == "9"


def test_copies_and_reordering_make_no_second_digit() -> None:
    pieces = [(4000, p) for p in payloads("7")] * 3
    for seed in range(20):
        random.Random(seed).shuffle(pieces)
        assert heard_of(pieces) == "7"


def test_a_late_piece_of_the_digit_before_is_no_digit() -> None:
    first, second = payloads("1"), payloads("2")
    pieces = [(0, p) for p in first[:-1]] + [(2000, p) for p in second]
    assert heard_of([*pieces[:9], (0, first[-1]), *pieces[9:]]) == "12"


@pytest.mark.parametrize("lost", [0, 1, 5, 20])
def test_a_key_held_for_twenty_seconds_is_one_digit(lost: int) -> None:
    """Segments: the duration field is full after 8.2 s and the event goes on (2.5.1.3)."""
    pieces = []
    for segment, length in enumerate((0xFFFF, 0xFFFF, 28_930)):
        updates = list(range(160, length, 160))
        kept = updates[: len(updates) - lost] if length == 0xFFFF else updates
        pieces += [((500 + segment * 0xFFFF), bytes([5, 10, n >> 8, n & 0xFF])) for n in kept]
    pieces += [(500 + 2 * 0xFFFF, bytes([5, 0x8A, 28_930 >> 8, 28_930 & 0xFF]))] * 3
    assert heard_of(pieces) == "5"


def test_the_same_key_pressed_twice_quickly_is_two_digits() -> None:
    pieces = [(t, p) for t in (0, 1200, 2400) for p in payloads("0")]
    assert heard_of(pieces) == "000"


def test_a_48_khz_event_clock_is_understood() -> None:
    pieces = [(t * 48, p) for t in (0, 200, 400) for p in payloads("4", clock_rate=48_000)]
    assert heard_of(pieces) == "444"


def test_what_is_no_digit_is_ignored() -> None:
    assert heard_of([(0, b""), (1, b"\x05\x0a"), (2, bytes([16, 10, 0, 160]))]) == ""


def test_timestamps_wrap() -> None:
    pieces = [(0xFFFF_FF00, p) for p in payloads("1")] + [(0x0000_0300, p) for p in payloads("2")]
    assert heard_of(pieces) == "12"


def test_a_key_lies_on_the_line_where_its_tone_began(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    packets = talker.say(noise(1.0))
    packets += talker.press(payloads("#"))
    packets += talker.say(noise(1.0))
    heard.feed(packets, until=3.0)
    assert [(k.digit, k.position) for k in heard.keys] == [("#", 8000)]
    voice = heard.voice()
    assert voice.size == 8000 + 800 + 8000
    assert not voice[8000:8800].any()


def test_a_long_key_does_not_bend_the_line(heard: Heard, talker: Talker, noise: Noise) -> None:
    packets = talker.say(noise(1.0))
    updates = [bytes([5, 10, n >> 8, n & 0xFF]) for n in range(160, 32_000, 160)]
    packets += talker.press(updates, lasting=4.0)
    packets += talker.say(noise(1.0))
    heard.feed(packets, until=7.0)
    assert [(k.digit, k.position) for k in heard.keys] == [("5", 8000)]
    assert heard.voice().size == 8000 + 32_000 + 8000


def test_keys_of_a_48_khz_clock_lie_where_the_audio_stopped(
    heard: Heard, talker: Talker, noise: Noise
) -> None:
    packets = talker.say(noise(1.0))
    pressed = Talker(sequence=talker.sequence, timestamp=talker.timestamp * 6, at=talker.at)
    packets += pressed.press(payloads("8", clock_rate=48_000))
    talker.sequence = pressed.sequence
    talker.pause(0.1)
    packets += talker.say(noise(0.5))
    heard.feed(packets, until=3.0)
    assert [(k.digit, k.position) for k in heard.keys] == [("8", 8000)]
    assert heard.voice().size == 8000 + 800 + 4000


def test_keys_before_any_audio_have_a_place(heard: Heard, talker: Talker) -> None:
    talker.at = 0.5
    heard.feed(talker.press(payloads("3")), until=2.0)
    assert [(k.digit, k.position) for k in heard.keys] == [("3", 4000)]


def test_digits_over_a_bad_network_come_out_once_each(noise: Noise) -> None:
    for seed in range(5):
        chance = random.Random(seed)
        heard, talker = Heard(), Talker()
        packets = []
        digits = "".join(chance.choice(DIGITS) for _ in range(12))
        for digit in digits:
            packets += talker.say(noise(0.2)) + talker.press(payloads(digit))
        packets += talker.say(noise(0.2))
        network = [p for p in packets if chance.random() > 0.15]
        network += [p for p in network if chance.random() < 0.2]
        heard.feed(network, until=talker.at + 0.5)
        assert "".join(k.digit for k in heard.keys) == digits
        assert all(a.position < b.position for a, b in itertools.pairwise(heard.keys))
        assert np.diff([k.position for k in heard.keys]).min() > 800
