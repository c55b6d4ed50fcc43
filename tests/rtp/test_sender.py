"""The outgoing streams: even frames, and timestamps that run with time."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest

from mediaserver.rtp.sender import CATCH_UP, Senders

SLOTS = np.arange(3)


def fields(packet: bytes) -> tuple[int, int, int, int, int]:
    _, kind, sequence, timestamp, ssrc = struct.unpack(">BBHII", packet[:12])
    return kind & 0x7F, kind >> 7, sequence, timestamp, ssrc


class Player:
    """Three legs and what they play."""

    def __init__(self) -> None:
        self.senders = Senders(3, lambda bits: (1 << bits) - 2)
        self.clips = [b""] * 3
        for slot in SLOTS.tolist():
            self.senders.open(slot)

    def play(self, slot: int, clip: bytes, now: float) -> None:
        self.clips[slot] = clip
        self.senders.play(slot, len(clip), now)

    def due(self, now: float, slot: int = 0) -> list[bytes]:
        """Return the packets of one leg that are due; those of the others are left unsent."""
        packets: list[bytes] = []
        while (frames := self.senders.due(SLOTS[slot : slot + 1], now)) is not None:
            offset, size = int(frames.offset[0]), int(frames.size[0])
            packets.append(frames.header[0].tobytes() + self.clips[slot][offset : offset + size])
        return packets

    def drive(self, start: float, ticks: int) -> list[bytes]:
        return [p for tick in range(ticks) for p in self.due(start + tick * 0.02)]


@pytest.fixture
def player() -> Player:
    return Player()


def test_frames_leave_in_even_steps_and_wrap(player: Player) -> None:
    player.play(0, bytes(range(200)) * 8, 10.0)
    packets = player.drive(10.0, 10)
    assert len(packets) == 10
    assert b"".join(p[12:] for p in packets) == bytes(range(200)) * 8
    marks = [fields(p) for p in packets]
    assert [m[1] for m in marks] == [1] + [0] * 9
    assert all((b[2] - a[2]) & 0xFFFF == 1 for a, b in itertools.pairwise(marks))
    assert all((b[3] - a[3]) & 0xFFFFFFFF == 160 for a, b in itertools.pairwise(marks))
    assert not player.senders.playing(0)
    assert player.senders.finished(SLOTS).tolist() == [0, 1, 2]


def test_the_last_frame_is_as_short_as_what_is_left(player: Player) -> None:
    player.play(0, b"a" * 200, 0.0)
    assert [len(p) - 12 for p in player.drive(0.0, 5)] == [160, 40]
    assert (player.senders.packets[0], player.senders.octets[0]) == (2, 200)


def test_a_late_tick_sends_what_is_owed(player: Player) -> None:
    player.play(0, b"a" * 1600, 0.0)
    assert len(player.due(0.065)) == 4


def test_a_very_late_tick_skips_time_instead_of_squeezing_it(player: Player) -> None:
    player.play(0, b"a" * 16000, 0.0)
    player.due(0.0)
    first = player.due(0.02)[0]
    assert len(player.due(1.5)) <= CATCH_UP
    after = player.due(1.52)[-1]
    assert (fields(after)[3] - fields(first)[3]) & 0xFFFFFFFF == pytest.approx(1.5 * 8000, abs=320)


def test_timestamps_go_on_with_time_between_two_prompts(player: Player) -> None:
    player.play(0, b"a" * 160, 5.0)
    first = player.drive(5.0, 1)[0]
    player.play(0, b"b" * 160, 8.0)
    second = player.drive(8.0, 1)[0]
    assert (fields(second)[3] - fields(first)[3]) & 0xFFFFFFFF == 24_000
    assert fields(second)[1] == 1


def test_legs_that_play_together_send_their_own(player: Player) -> None:
    player.senders.kind[1] = 8
    player.senders.frame[1] = 240
    player.play(0, b"a" * 160, 1.0)
    player.play(1, b"b" * 480, 1.0)
    frames = player.senders.due(SLOTS, 1.0)
    assert frames is not None
    assert frames.slot.tolist() == [0, 1]
    assert frames.size.tolist() == [160, 240]
    assert [fields(h.tobytes())[0] for h in frames.header] == [0, 8]
    assert frames.take(frames.slot == 1).size.tolist() == [240]


def test_an_event_is_the_next_packet_of_its_stream(player: Player) -> None:
    player.play(0, b"a" * 320, 0.0)
    before = fields(player.due(0.0)[0])
    event = player.senders.event(0, 101, 7, b"\x05\x0a\x00\xa0", 0.01, marker=True)
    after = fields(player.due(0.02)[0])
    assert fields(event) == (101, 1, (before[2] + 1) & 0xFFFF, 7, before[4])
    assert after[2] == (before[2] + 2) & 0xFFFF


def test_stopping_leaves_nothing_to_send(player: Player) -> None:
    player.play(0, b"a" * 1600, 0.0)
    player.due(0.0)
    player.senders.stop(0)
    assert player.due(1.0) == []


def test_a_stream_begins_with_the_first_of_several_packets() -> None:
    senders = Senders(2, lambda bits: 0)
    senders.open(0)
    senders.open(1)
    slots = np.array([0, 0, 0, 1])
    assert senders.since(slots, np.array([1.0, 1.02, 1.04, 5.0])).tolist() == [0, 160, 320, 0]
    assert senders.origins(np.array([0, 1])).tolist() == [1.0, 5.0]
    assert senders.since(slots, 6.0).tolist() == [40_000, 40_000, 40_000, 8_000]
