"""Two legs joined by the engine, on real sockets: each far end hears the other."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from farend.tape import Desk, Paper
from mediaserver.audio.g711 import ALAW_DECODE, ULAW_DECODE, ULAW_TO_ALAW
from mediaserver.audio.tones import DTMF_HZ
from mediaserver.calls.capture import Capture
from mediaserver.clock import SystemClock
from mediaserver.net.lanes import Lane
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.net.ports import PortPool
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction as Side
from mediaserver.rtp.packet import build_packet, wrap_distance
from mediaserver.sdp.codec import PCMA, PCMU, Codec
from mediaserver.sdp.negotiation import AudioSession, Direction

Packet = tuple[int, int, int, int, bytes]
LAWS = {0: ULAW_DECODE, 8: ALAW_DECODE}


class Phone:
    """A far end with one socket."""

    def __init__(self, host: str = "127.0.0.1", codec: Codec = PCMU, events: int = 101) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp = socket.socket(family, socket.SOCK_DGRAM)
        self.rtp.bind((host, 0))
        self.rtp.setblocking(False)
        self.kind = 0 if codec is PCMU else 8
        self.sequence = 0xFFFC
        self.ssrc = id(self) & 0xFFFF
        self.session = AudioSession(
            remote_rtp=self.rtp.getsockname()[:2],
            remote_rtcp=None,
            rtcp_mux=False,
            receive={self.kind: codec},
            send_payload_type=self.kind,
            send_codec=codec,
            receive_events={events: 8000},
            send_events=(events, 8000),
            comfort_noise=frozenset({13}),
            ptime=20,
            direction=Direction.SENDRECV,
            held=False,
        )

    def say(self, leg: RtpLeg, payload: bytes, kind: int | None = None, size: int = 160) -> None:
        for packet in self.packets(payload, kind, size):
            self.rtp.sendto(packet, leg.address)

    def packets(self, payload: bytes, kind: int | None = None, size: int = 160) -> list[bytes]:
        """Return what says it; what comes next goes on from there."""
        packets = []
        for at in range(0, len(payload), size):
            packets.append(
                build_packet(
                    self.kind if kind is None else kind,
                    self.sequence,
                    self.sequence * 160,
                    self.ssrc,
                    payload[at : at + size],
                )
            )
            self.sequence += 1
        return packets

    def heard(self) -> list[Packet]:
        packets: list[Packet] = []
        while True:
            try:
                data = self.rtp.recv(2048)
            except BlockingIOError:
                return packets
            _, kind, sequence, timestamp, ssrc = struct.unpack(">BBHII", data[:12])
            packets.append((kind & 0x7F, sequence, timestamp, ssrc, data[12:]))


@pytest.fixture
def phones() -> Iterator[list[Phone]]:
    made: list[Phone] = []
    yield made
    for phone in made:
        phone.rtp.close()


def joined(engine: MediaEngine, one: Phone, other: Phone) -> tuple[RtpLeg, RtpLeg]:
    legs = engine.open_leg(), engine.open_leg()
    for leg, phone in zip(legs, (one, other), strict=True):
        leg.connect(phone.session, str(phone.rtp.getsockname()[0]))
    engine.join(*legs)
    return legs


def noise(packets: int, seed: int = 1) -> bytes:
    random = np.random.default_rng(seed)
    return random.integers(0, 0x7E, 160 * packets).astype(np.uint8).tobytes()


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the sockets under test tell nobody
            await asyncio.sleep(0.01)


async def collect(phone: Phone, count: int) -> list[Packet]:
    packets: list[Packet] = []

    def enough() -> bool:
        packets.extend(phone.heard())
        return len(packets) >= count

    await until(enough)
    return packets


async def test_each_hears_the_other_byte_for_byte(engine: MediaEngine, phones: list[Phone]) -> None:
    pairs = []
    for _ in range(6):
        phones += [Phone(), Phone()]
        pairs.append((phones[-2:], joined(engine, phones[-2], phones[-1])))
    for number in range(10):
        for (one, other), (left, right) in pairs:
            one.say(left, noise(5, number))
            other.say(right, noise(5, number + 50))
        await asyncio.sleep(0.03)
    for (one, other), _ in pairs:
        for phone, first in ((other, 0), (one, 50)):
            packets = await collect(phone, 50)
            whole = b"".join(noise(5, first + number) for number in range(10))
            assert b"".join(p[4] for p in packets) == whole
            assert len({p[3] for p in packets}) == 1
            assert [(p[1] - packets[0][1]) & 0xFFFF for p in packets] == list(range(50))


def as_heard(paper: Paper, packets: list[Packet]) -> None:
    """Assert that a journal holds audio packets exactly as they are heard, and nothing else."""
    audio = [packet for packet in packets if packet[0] in LAWS]
    expected = np.zeros_like(paper.samples)
    first = LAWS[audio[0][0]][np.frombuffer(audio[0][4], np.uint8)]
    start = paper.samples.tobytes().find(first.tobytes())
    assert start >= 0
    assert start % 2 == 0
    for kind, _, stamp, _, payload in audio:
        at = start // 2 + wrap_distance(stamp, audio[0][2], 32)
        expected[at : at + len(payload)] = LAWS[kind][np.frombuffer(payload, np.uint8)]
    assert np.array_equal(paper.samples, expected)


class Recorded:
    """A leg that is recorded, and what its party heard."""

    def __init__(self, leg: RtpLeg, phone: Phone, engine: MediaEngine, desk: Desk) -> None:
        self.capture = Capture(leg, desk, engine.clock)
        self.capture.start(StopRules(max_length=60))
        self.leg, self.phone = leg, phone
        self.said, self.sent = desk.papers[Side.SPEAK], desk.papers[Side.LISTEN]
        self.packets: list[Packet] = []

    async def hear(self, total: int) -> None:
        """Wait until the party has heard so many packets in all."""
        if len(self.packets) < total:
            self.packets += await collect(self.phone, total - len(self.packets))

    def end(self) -> None:
        self.capture.hang_up()
        as_heard(self.sent, self.packets)


def received(leg: RtpLeg, packets: int) -> bool:
    return leg.statistics().packets_received == packets


@pytest.fixture
async def pair(
    engine: MediaEngine, desk: Desk, phones: list[Phone]
) -> tuple[Recorded, Phone, RtpLeg]:
    """A recorded leg joined to another, and that one's party."""
    phones += [Phone(), Phone()]
    left, right = joined(engine, *phones)
    return Recorded(left, phones[0], engine, desk), phones[1], right


async def test_each_records_what_it_says_and_what_it_is_sent(
    engine: MediaEngine, desk: Desk, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone()]
    legs = joined(engine, *phones)
    sides = [Recorded(leg, phone, engine, desk) for leg, phone in zip(legs, phones, strict=True)]
    for number in range(25):
        for side, (leg, phone) in enumerate(zip(legs, phones, strict=True)):
            phone.say(leg, noise(1, 2 * number + side))
        await asyncio.sleep(0.02)
    for number, recorded in enumerate(sides):
        await recorded.hear(25)
        recorded.end()
        said = b"".join(noise(1, 2 * one + number) for one in range(25))
        samples = ULAW_DECODE[np.frombuffer(said, np.uint8)]
        assert samples.tobytes() in recorded.said.samples.tobytes()


async def test_lost_late_and_doubled_packets_lie_in_the_journal_as_they_are_heard(
    pair: tuple[Recorded, Phone, RtpLeg],
) -> None:
    side, other, right = pair
    packets = other.packets(noise(40))
    bursts = [[*range(8)], [9, 8, 12, 11, 12], [*range(20, 40)], [14, 13]]
    total = 0
    for burst in bursts:
        for number in burst:
            other.rtp.sendto(packets[number], right.address)
        total += len(burst)
        await side.hear(total)
        await asyncio.sleep(0.12)  # a turn in which what is there is written
    side.end()
    assert len(side.packets) == total


async def test_seconds_of_audio_at_once_are_passed_on_and_recorded_whole(
    pair: tuple[Recorded, Phone, RtpLeg],
) -> None:
    side, other, right = pair
    other.say(right, noise(240))
    await side.hear(240)
    side.end()
    assert b"".join(p[4] for p in side.packets) == noise(240)


async def test_a_recording_holds_what_is_heard_from_when_legs_join_until_they_part(
    engine: MediaEngine, pair: tuple[Recorded, Phone, RtpLeg]
) -> None:
    side, other, right = pair
    for turn in range(2):
        other.say(right, noise(4, turn))
        await side.hear(4 * (turn + 1))
        engine.part(side.leg)
        engine.part(side.leg)
        other.say(right, noise(4, 10 + turn))
        await until(partial(received, right, 8 * (turn + 1)))
        engine.join(right, side.leg)
        engine.join(side.leg, right)
    other.ssrc += 1
    other.say(right, noise(4, 5))
    await side.hear(12)
    side.end()
    assert side.phone.heard() == []
    assert [(p[1] - side.packets[0][1]) & 0xFFFF for p in side.packets] == list(range(12))


async def test_while_a_prompt_or_digits_take_the_line_nothing_else_is_heard(
    pair: tuple[Recorded, Phone, RtpLeg],
) -> None:
    side, other, right = pair
    other.say(right, noise(3))
    await side.hear(3)
    playing = asyncio.create_task(side.leg.play((np.arange(3200) % 500 + 400).astype(np.int16)))
    await side.hear(4)
    other.say(right, noise(5, 1))
    await until(partial(received, right, 8))
    await playing
    digits = asyncio.create_task(side.leg.send_digits("55"))
    await side.hear(24)
    other.say(right, noise(5, 2))
    await until(partial(received, right, 13))
    await digits
    await side.hear(39)
    other.say(right, noise(5, 3))
    await side.hear(44)
    side.end()
    assert b"".join(p[4] for p in side.packets[39:]) == noise(5, 3)
    kinds = [packet[0] for packet in side.packets]
    assert kinds == [0] * 23 + [101] * 16 + [0] * 5
    assert [(p[1] - side.packets[0][1]) & 0xFFFF for p in side.packets] == list(range(44))
    times = [wrap_distance(p[2], side.packets[0][2], 32) for p in side.packets]
    assert times == sorted(times)
    ends = [time + 160 for time, kind in zip(times, kinds, strict=True) if kind == 0]
    starts = [time for time, kind in zip(times, kinds, strict=True) if kind == 0]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


async def test_who_is_held_and_who_speaks_another_law_now_is_recorded_as_it_hears(
    pair: tuple[Recorded, Phone, RtpLeg],
) -> None:
    side, other, right = pair
    other.say(right, noise(4))
    await side.hear(4)
    terms = side.phone.session
    side.leg.connect(replace(terms, direction=Direction.INACTIVE), "127.0.0.1")
    other.say(right, noise(4, 1))
    await until(lambda: right.statistics().packets_received == 8)
    alaw = replace(terms, receive={8: PCMA}, send_payload_type=8, send_codec=PCMA)
    side.leg.connect(alaw, "127.0.0.1")
    other.say(right, noise(4, 2))
    await side.hear(8)
    side.leg.connect(terms, "127.0.0.1")
    other.say(right, noise(4, 3))
    await side.hear(12)
    side.end()
    assert [packet[0] for packet in side.packets] == [0] * 4 + [8] * 4 + [0] * 4
    assert [(p[1] - side.packets[0][1]) & 0xFFFF for p in side.packets] == list(range(12))


async def test_a_join_takes_effect_when_both_legs_are_connected(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone()]
    left, right = engine.open_leg(), engine.open_leg()
    engine.join(left, right)
    left.connect(phones[0].session, "127.0.0.1")
    phones[0].say(left, noise(3))
    await until(lambda: left.statistics().packets_received == 3)
    right.connect(phones[1].session, "127.0.0.1")
    phones[0].say(left, noise(3, 1))
    packets = await collect(phones[1], 3)
    assert b"".join(p[4] for p in packets) == noise(3, 1)
    right.close()
    engine.part(right)
    engine.join(left, right)
    phones[0].say(left, noise(3))
    await until(lambda: left.statistics().packets_received == 9)
    assert phones[1].heard() == []


async def test_who_is_joined_to_another_leg_parts_from_the_first(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone(), Phone()]
    left, right = joined(engine, phones[0], phones[1])
    third = engine.open_leg()
    third.connect(phones[2].session, "127.0.0.1")
    engine.join(third, left)
    phones[0].say(left, noise(3))
    assert b"".join(p[4] for p in await collect(phones[2], 3)) == noise(3)
    phones[1].say(right, noise(3))
    await until(lambda: right.statistics().packets_received == 3)
    assert phones[0].heard() == []
    assert phones[1].heard() == []


def loudest(payload: bytes) -> list[int]:
    """Return the two loudest of the frequencies that keys are made of, in Hz."""
    samples = ULAW_DECODE[np.frombuffer(payload, np.uint8)].astype(np.float64)
    hertz = sorted({tone for pair in DTMF_HZ.values() for tone in pair})
    angles = 2j * np.pi * np.array(hertz)[:, None] * np.arange(samples.size) / 8000
    power = np.abs(np.exp(-angles) @ samples)
    return sorted(round(hertz[index]) for index in np.argsort(power)[-2:])


async def test_keys_are_tones_where_no_telephone_events_were_agreed_on(
    engine: MediaEngine, desk: Desk, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone()]
    phones[0].session = replace(phones[0].session, receive_events={}, send_events=None)
    left, right = joined(engine, *phones)
    side = Recorded(left, phones[0], engine, desk)
    phones[1].say(right, noise(3))
    await side.hear(3)
    playing = asyncio.create_task(left.play(np.full(800, 500, np.int16)))
    await side.hear(5)
    await asyncio.gather(playing, left.send_digits("5"), left.send_digits("9"))
    await side.hear(24)
    phones[1].say(right, noise(3, 1))
    await side.hear(27)
    side.end()
    heard = [packet[4] for packet in side.packets]
    assert loudest(b"".join(heard[8:13])) == [770, 1336]
    assert loudest(b"".join(heard[16:21])) == [852, 1477]
    assert heard[:3] + heard[24:] == [noise(3)[at : at + 160] for at in (0, 160, 320)] + [
        noise(3, 1)[at : at + 160] for at in (0, 160, 320)
    ]


async def test_a_leg_tells_when_its_far_end_was_last_heard(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    phones += [Phone()]
    leg = engine.open_leg()
    leg.connect(phones[0].session, "127.0.0.1")

    def heard_at() -> float:
        return leg.heard_at or 0.0

    assert not heard_at()
    before = engine.clock.monotonic()
    phones[0].say(leg, noise(1))
    await until(lambda: heard_at() > 0)
    first = heard_at()
    assert before <= first <= engine.clock.monotonic()
    phones[0].say(leg, noise(1))
    await until(lambda: heard_at() > first)
    leg.close()
    assert not heard_at()


async def test_the_other_law_is_understood(engine: MediaEngine, phones: list[Phone]) -> None:
    phones += [Phone(), Phone(codec=PCMA, events=96)]
    left, right = joined(engine, *phones)
    phones[0].say(left, noise(5))
    packets = await collect(phones[1], 5)
    codes = ULAW_TO_ALAW[np.frombuffer(noise(5), np.uint8)]
    assert b"".join(p[4] for p in packets) == codes.tobytes()
    assert {p[0] for p in packets} == {8}
    phones[1].say(right, b"\5\x0a\0\xa0", kind=96)
    assert [(p[0], p[4]) for p in await collect(phones[0], 1)] == [(101, b"\5\x0a\0\xa0")]


async def test_who_holds_hears_nothing_and_a_stranger_is_passed_on_to_nobody(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone(), Phone("127.0.0.9")]
    left, right = joined(engine, phones[0], phones[1])
    right.connect(replace(phones[1].session, direction=Direction.RECVONLY), "127.0.0.1")
    phones[2].say(left, noise(5, 9))
    phones[0].say(left, noise(5))
    await until(lambda: left.statistics().packets_received == 5)
    assert phones[1].heard() == []
    right.connect(phones[1].session, "127.0.0.1")
    phones[0].say(left, noise(5, 2))
    packets = await collect(phones[1], 5)
    assert b"".join(p[4] for p in packets) == noise(5, 2)


async def test_a_prompt_on_a_joined_leg_and_what_follows_it_are_one_stream(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone()]
    left, right = joined(engine, *phones)
    phones[0].say(left, noise(3))
    before = await collect(phones[1], 3)
    await asyncio.sleep(0.06)  # as long as what was said
    await right.play(np.zeros(480, np.int16))
    prompt = await collect(phones[1], 3)
    phones[0].say(left, noise(3))
    after = await collect(phones[1], 3)
    whole = before + prompt + after
    assert len({p[3] for p in whole}) == 1
    assert [(p[1] - whole[0][1]) & 0xFFFF for p in whole] == list(range(9))
    times = [(p[2] - whole[0][2]) & 0xFFFF_FFFF for p in whole]
    assert times == sorted(times)


async def test_when_one_leg_parts_neither_hears_the_other(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone()]
    left, right = joined(engine, *phones)
    left.close()
    phones[1].say(right, noise(3))
    await until(lambda: right.statistics().packets_received == 3)
    assert phones[0].heard() == []
    stranger = engine.open_leg()  # in the place of the one that was closed
    assert stranger.slot == left.slot
    stranger.connect(phones[0].session, "127.0.0.1")
    phones[0].say(stranger, noise(3))
    await until(lambda: stranger.statistics().packets_received == 3)
    assert phones[1].heard() == []


@pytest.mark.parametrize("lane", list(Lane))
async def test_legs_of_ipv6_are_joined_too(lane: Lane, phones: list[Phone]) -> None:
    engine = MediaEngine(
        PortPool("::1", 19_400, 19_419), SystemClock(), advertise="::1", capacity=4, lane=lane
    )
    engine.start()
    try:
        phones += [Phone("::1"), Phone("::1")]
        left, _ = joined(engine, *phones)
        phones[0].say(left, noise(5))
        packets = await collect(phones[1], 5)
        assert b"".join(p[4] for p in packets) == noise(5)
    finally:
        engine.stop()


async def test_a_prompt_goes_on_in_the_law_that_is_spoken_now(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    phones += [Phone()]
    leg = engine.open_leg()
    leg.connect(phones[0].session, "127.0.0.1")
    playing = asyncio.create_task(leg.play((np.arange(8000) % 4000).astype(np.int16)))
    before = await collect(phones[0], 5)
    other = replace(phones[0].session, receive={8: PCMA}, send_payload_type=8, send_codec=PCMA)
    leg.connect(other, "127.0.0.1")
    await playing
    packets = before + phones[0].heard()
    laws = [p[0] for p in packets]
    assert laws == sorted(laws)
    assert set(laws) == {0, 8}
    assert len(packets) == 50


async def test_legs_that_play_the_same_share_its_encoding(
    engine: MediaEngine, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone(), Phone(codec=PCMA)]
    legs = [engine.open_leg() for _ in phones]
    for leg, phone in zip(legs, phones, strict=True):
        leg.connect(phone.session, "127.0.0.1")
    clip = np.full(480, 500, np.int16)
    await asyncio.gather(*(leg.play(clip) for leg in legs))
    assert len(engine.encodings) == 2  # one for each law
    for phone in phones:
        assert len(phone.heard()) == 3
    del clip
    assert len(engine.encodings) == 0
