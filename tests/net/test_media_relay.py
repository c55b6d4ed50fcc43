"""Two legs joined by the engine, on real sockets: each far end hears the other."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from farend.tape import Desk
from mediaserver.audio.g711 import ULAW_DECODE, ULAW_TO_ALAW
from mediaserver.calls.capture import Capture
from mediaserver.clock import SystemClock
from mediaserver.net.lanes import Lane
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.net.ports import PortPool
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction as Side
from mediaserver.rtp.packet import build_packet
from mediaserver.sdp.codec import PCMA, PCMU, Codec
from mediaserver.sdp.negotiation import AudioSession, Direction

Packet = tuple[int, int, int, int, bytes]


class Phone:
    """A far end with one socket."""

    def __init__(self, host: str = "127.0.0.1", codec: Codec = PCMU, events: int = 101) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp = socket.socket(family, socket.SOCK_DGRAM)
        self.rtp.bind((host, 0))
        self.rtp.setblocking(False)
        self.kind = 0 if codec is PCMU else 8
        self.sequence = 0
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
        for at in range(0, len(payload), size):
            packet = build_packet(
                self.kind if kind is None else kind,
                self.sequence,
                self.sequence * 160,
                id(self) & 0xFFFF,
                payload[at : at + size],
            )
            self.sequence += 1
            self.rtp.sendto(packet, leg.address)

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


async def test_both_directions_are_recorded(
    engine: MediaEngine, desk: Desk, phones: list[Phone]
) -> None:
    phones += [Phone(), Phone()]
    legs = joined(engine, *phones)
    captures = [Capture(leg, desk, engine.clock) for leg in legs]
    papers = []
    for capture in captures:
        capture.start(StopRules(max_length=60))
        papers.append(desk.papers[Side.SPEAK])
    for number, (phone, leg) in enumerate(zip(phones, legs, strict=True)):
        phone.say(leg, noise(20, number))
    await until(lambda: all(leg.statistics().packets_received == 20 for leg in legs))
    for number, capture in enumerate(captures):
        capture.hang_up()
        said = ULAW_DECODE[np.frombuffer(noise(20, number), np.uint8)]
        assert said.tobytes() in papers[number].samples.tobytes()


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
        PortPool("::1", 34_400, 34_419), SystemClock(), advertise="::1", capacity=4, lane=lane
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
