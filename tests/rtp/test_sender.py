"""The outgoing stream: even frames, timestamps that run with time, digits."""

from __future__ import annotations

import itertools
import struct

import pytest

from mediaserver.rtp.dtmf import DigitDetector
from mediaserver.rtp.sender import CATCH_UP, Sender


def fields(packet: bytes) -> tuple[int, int, int, int]:
    _, kind, sequence, timestamp, _ = struct.unpack(">BBHII", packet[:12])
    return kind & 0x7F, kind >> 7, sequence, timestamp


@pytest.fixture
def sender() -> Sender:
    return Sender(lambda bits: (1 << bits) - 2)


def drive(sender: Sender, start: float, ticks: int, late: float = 0.0) -> list[bytes]:
    packets: list[bytes] = []
    for tick in range(ticks):
        audio, events = sender.due(start + tick * 0.02 + late)
        packets += [sent.packet for sent in audio] + events
    return packets


def test_frames_leave_in_even_steps_and_wrap(sender: Sender) -> None:
    sender.play(bytes(range(200)) * 8, 10.0)
    packets = drive(sender, 10.0, 10)
    assert len(packets) == 10
    assert b"".join(p[12:] for p in packets) == bytes(range(200)) * 8
    marks = [fields(p) for p in packets]
    assert [m[1] for m in marks] == [1] + [0] * 9
    assert all((b[2] - a[2]) & 0xFFFF == 1 for a, b in itertools.pairwise(marks))
    assert all((b[3] - a[3]) & 0xFFFFFFFF == 160 for a, b in itertools.pairwise(marks))
    assert not sender.busy


def test_a_late_tick_sends_what_is_owed(sender: Sender) -> None:
    sender.play(b"a" * 1600, 0.0)
    assert len(sender.due(0.065)[0]) == 4


def test_a_very_late_tick_skips_time_instead_of_squeezing_it(sender: Sender) -> None:
    sender.play(b"a" * 16000, 0.0)
    sender.due(0.0)
    first = sender.due(0.02)[0][0].packet
    assert len(sender.due(1.5)[0]) <= CATCH_UP
    after = sender.due(1.52)[0][-1].packet
    assert (fields(after)[3] - fields(first)[3]) & 0xFFFFFFFF == pytest.approx(1.5 * 8000, abs=320)


def test_timestamps_go_on_with_time_between_two_prompts(sender: Sender) -> None:
    sender.play(b"a" * 160, 5.0)
    first = drive(sender, 5.0, 1)[0]
    sender.play(b"b" * 160, 8.0)
    second = drive(sender, 8.0, 1)[0]
    assert (fields(second)[3] - fields(first)[3]) & 0xFFFFFFFF == 24_000
    assert fields(second)[1] == 1


def test_digits_are_heard_by_our_own_detector(sender: Sender) -> None:
    over = sender.dial("12w#", 101, 8000, 1.0)
    packets = drive(sender, 1.0, int((over - 1.0) / 0.02) + 10)
    detector = DigitDetector()
    downs = [detector.receive(fields(p)[3], p[12:]) for p in packets]
    assert "".join(d.digit for d in downs if d) == "12#"
    assert not sender.busy


def test_a_digit_nobody_knows_is_refused(sender: Sender) -> None:
    with pytest.raises(ValueError, match="substring not found"):
        sender.dial("x", 101, 8000, 0.0)


def test_another_encoding_goes_on_from_the_same_sample(sender: Sender) -> None:
    sender.play(b"a" * 480, 0.0)
    drive(sender, 0.0, 1)
    sender.replace(b"b" * 480)
    assert b"".join(p[12:] for p in drive(sender, 0.02, 5)) == b"b" * 320
