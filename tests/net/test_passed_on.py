"""What is passed on to a leg lies in its journal as its party hears it, whatever happens."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import Desk
from mediaserver.audio.g711 import ALAW_DECODE, ULAW_DECODE, ULAW_TO_ALAW
from mediaserver.net.tapes import Tapes
from mediaserver.recording.resource import Direction
from mediaserver.rtp.packet import PacketBatch, build_packet, parse_batch
from mediaserver.rtp.relay import Relays
from mediaserver.rtp.ring import RING
from mediaserver.rtp.sender import Senders
from mediaserver.rtp.timeline import Kind, Timelines

TICK = 0.02
HERE, THERE = 0, 1


class Bridge:
    """A leg, HERE, that is kept and hears what is said THERE; packets and time are the test's."""

    def __init__(self) -> None:
        self.lines = Timelines(2, {Kind.ULAW: ULAW_DECODE, Kind.ALAW: ALAW_DECODE})
        self.senders = Senders(2, lambda bits: (1 << bits) - 3)
        self.relays = Relays(2, self.senders)
        self.desk = Desk()
        self.clip: NDArray[np.int16] = np.arange(1, 4001).astype(np.int16)
        self.tapes = Tapes(self.lines, self.desk, lambda _, a, b: self.clip[a:b], 2)
        self.now = 100.0
        for slot in range(2):
            self.lines.open(slot, {}, self.now)
            self.senders.open(slot)
            self.tapes.open(slot)
        self.law = ULAW_DECODE
        self.relays.open(THERE, HERE, {0: 0, 101: 101}, audio={0: None})
        self.tapes.speak(HERE, Kind.ULAW)
        self.expected: NDArray[np.int16] = np.zeros(80_000, np.int16)
        self.ticks = 0
        self.reached = self.first = 0
        self.keep()

    def keep(self, since: int = 0) -> None:
        self.heard, self.sent = (
            self.desk.create("leg", side, rate=8000, first=0, wall_us=0)
            for side in (Direction.SPEAK, Direction.LISTEN)
        )
        self.tapes.start(HERE, self.heard, self.sent, since, self.now)

    def tick(self, *packets: bytes) -> None:
        """Let a tick pass in which packets come."""
        self.ticks += 1
        self.now += TICK
        batch = PacketBatch.empty(max(1, len(packets)))
        for packet in packets:
            batch.append(THERE, packet, 1, self.now)
        fields = parse_batch(batch, batch.length[: batch.count] > 0)
        relayed = self.relays.forward(batch, fields, self.now)
        if relayed is not None:
            sent = zip(
                relayed.row.tolist(), relayed.size.tolist(), relayed.begins.tolist(), strict=True
            )
            for row, size, begins in sent:
                self._hear(batch.data[row, :size].tobytes(), begins=begins)
            self.tapes.passed_on(batch, relayed, self.senders)
        if self.ticks % 5 == 0:
            self.tapes.turn(np.array([HERE, THERE]), self.now)

    def _hear(self, packet: bytes, *, begins: bool) -> None:
        """Note what the party hears, where the packet's timestamp says."""
        if packet[1] & 0x7F == 101:
            return
        began = round((self.senders.origins(np.array([HERE]))[0] - 100.0) * 8000)
        stamp = int.from_bytes(packet[4:8], "big")
        at = (stamp - int(self.senders.base[HERE])) % 2**32 + began
        samples = self.law[np.frombuffer(packet[12:], np.uint8)]
        if begins:
            self.first = at
        assert at >= self.first
        self.expected[at : at + samples.size] = samples
        self.reached = max(self.reached, at + samples.size)

    def play(self, samples: int) -> None:
        """Let a prompt take the line."""
        self.relays.busy[HERE] = True
        self.senders.play(HERE, samples, self.now)
        while self.senders.playing(HERE):
            self.tick(voice(9000, 99))
            while (frames := self.senders.due(np.array([HERE]), self.now)) is not None:
                at = int(self.lines.positions(frames.slot, frames.due)[0])
                start, size = int(frames.offset[0]), int(frames.size[0])
                self.expected[at : at + size] = self.clip[start : start + size]
                self.tapes.sent(frames)
        self.relays.busy[HERE] = False

    def end(self) -> None:
        self.tapes.catch_up(HERE, self.now)
        assert np.array_equal(self.sent.samples, self.expected)


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()


def voice(number: int, ssrc: int = 7, size: int = 160, first: int = 65_530) -> bytes:
    codes = np.random.default_rng(number).integers(0, 0x7E, size).astype(np.uint8)
    return build_packet(0, first + number, 0xFFFF_FD00 + 160 * number, ssrc, codes.tobytes())


def test_every_sample_is_written_once_and_waits_less_than_half_a_second(bridge: Bridge) -> None:
    reached: list[int] = []
    for number in range(400):
        bridge.tick(voice(number))
        reached.append(bridge.reached)
        written = max((at + size for at, size in bridge.sent.writes), default=0)
        assert written >= ([0] * 25 + reached)[-25]
    bridge.end()
    assert sum(size for _, size in bridge.sent.writes) == 400 * 160
    assert len(bridge.sent.writes) <= 400 * 160 // 2400 + 2


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_the_journal_is_what_the_party_hears(seed: int, bridge: Bridge) -> None:
    random = np.random.default_rng(seed)
    waiting: list[bytes] = []
    number, ssrc = 0, 7
    while bridge.ticks < 400 and bridge.reached < 65_000:
        event = int(random.choice(9, p=[0.84, *[0.02] * 8]))
        number += 1
        packets = [voice(number, ssrc)]
        if event == 1:
            packets = []  # lost
        elif event == 2:
            waiting += packets  # and what follows, for a while
        elif event == 3:
            number += int(random.integers(60))  # an outage, or silence suppressed
        elif event == 4:
            ssrc += 1
        elif event == 5:
            packets *= 2
        elif event == 6 and bridge.reached < 60_000:
            bridge.play(int(random.integers(1, 4000)))
        elif event == 7:
            packets = [build_packet(101, 65_530 + number, 5, ssrc, b"\5\x0a\0\xa0")]
        elif event == 8:
            bridge.relays.busy[HERE] = True
            bridge.tick(*packets)
            bridge.relays.busy[HERE] = False
            continue
        if waiting:
            waiting += packets
            packets = []
            if random.random() < 0.1:
                packets = [waiting[index] for index in random.permutation(len(waiting))]
                waiting = []
        bridge.tick(*packets)
    bridge.end()


def test_a_gap_is_silence_where_the_ring_held_audio_before(bridge: Bridge) -> None:
    for number in range(RING // 160 + 50):
        bridge.tick(voice(number))
    for _ in range(30):
        bridge.tick()
    for number in range(RING // 160 + 80, RING // 160 + 100):
        bridge.tick(voice(number))
    bridge.end()


def test_a_recording_that_begins_and_pauses_amid_a_call_has_its_own_part(bridge: Bridge) -> None:
    bridge.tapes.stop(HERE)
    for number in range(20):
        bridge.tick(voice(number))
    bridge.keep(since=1000)
    for number in range(20, 40):
        bridge.tick(voice(number))
    bridge.tapes.catch_up(HERE, bridge.now)
    bridge.tapes.stop(HERE)
    before, middle = bridge.sent.samples.copy(), bridge.reached
    for number in range(40, 60):
        bridge.tick(voice(number))
    since = bridge.reached + 100
    bridge.tapes.start(HERE, bridge.heard, bridge.sent, since, bridge.now)
    for number in range(60, 90):
        bridge.tick(voice(number))
    bridge.tapes.catch_up(HERE, bridge.now)
    start = bridge.reached - 70 * 160
    assert not before[:start].any()
    assert np.array_equal(before[start:middle], bridge.expected[start:middle])
    samples = bridge.sent.samples
    assert not samples[middle:since].any()
    assert np.array_equal(samples[since:], bridge.expected[since:])


def test_what_is_translated_is_kept_as_it_is_heard(bridge: Bridge) -> None:
    bridge.tick(voice(0))
    bridge.relays.open(THERE, HERE, {0: 8}, audio={0: ULAW_TO_ALAW})
    bridge.tapes.speak(HERE, Kind.ALAW)
    bridge.law = ALAW_DECODE
    for number in range(1, 30):
        bridge.tick(voice(number))
    bridge.end()


def test_packets_of_any_size_are_kept(bridge: Bridge) -> None:
    at = 0
    for number, size in enumerate((80, 160, 240, 33, 1200, 0, 160, 160)):
        codes = np.random.default_rng(number).integers(0, 0x7E, size).astype(np.uint8).tobytes()
        bridge.tick(build_packet(0, number, at, 7, codes))
        at += size
    bridge.end()


@pytest.mark.parametrize("drift", [100, -100])
def test_a_shift_of_the_clock_in_a_pause_costs_nothing_that_is_heard(
    drift: int, bridge: Bridge
) -> None:
    quiet = bytes([0xFF]) * 160
    for number in range(10):
        bridge.tick(voice(number))
    assert not bridge.tapes.pausing(HERE, 400)
    for number in range(10, 14):
        bridge.tick(build_packet(0, 65_530 + number, 0xFFFF_FD00 + 160 * number, 7, quiet))
    assert bridge.tapes.pausing(HERE, 400)
    assert not bridge.tapes.pausing(HERE, 641)
    bridge.relays.drift[THERE] = drift
    bridge.relays.make_up(THERE, drift)
    for number in range(14, 40):
        bridge.tick(voice(number))
    bridge.end()
    assert bridge.reached == 40 * 160 - drift + round(TICK * 8000)


def test_after_seconds_without_a_turn_nothing_is_missing(bridge: Bridge) -> None:
    for number in range(0, 200, 20):
        bridge.tick(*(voice(number + one) for one in range(20)))
        bridge.tapes.turn(np.array([HERE, THERE]), bridge.now)
    bridge.end()
