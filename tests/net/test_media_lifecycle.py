"""Legs and ports when things go wrong half-way: nobody else notices, and nothing stays behind."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import Desk
from mediaserver.audio.g711 import ULAW_DECODE
from mediaserver.calls.capture import Capture
from mediaserver.clock import SystemClock
from mediaserver.errors import LocalError
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.net.player import LONG
from mediaserver.net.ports import PortPool
from mediaserver.net.turns import RELAXED
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction as Side
from mediaserver.rtp.packet import build_packet, source_key
from mediaserver.sdp.codec import PCMA, PCMU
from mediaserver.sdp.negotiation import AudioSession, Direction


class Far:
    """A far end of one socket."""

    def __init__(self) -> None:
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind(("127.0.0.1", 0))
        self.rtp.setblocking(False)
        self.sequence = 0
        self.timestamp = 0

    def session(self, codec: Any = PCMU) -> AudioSession:
        number = 0 if codec is PCMU else 8
        return AudioSession(
            remote_rtp=self.rtp.getsockname(),
            remote_rtcp=None,
            rtcp_mux=False,
            receive={number: codec},
            send_payload_type=number,
            send_codec=codec,
            receive_events={101: 8000},
            send_events=(101, 8000),
            comfort_noise=frozenset(),
            ptime=20,
            direction=Direction.SENDRECV,
            held=False,
        )

    def say(self, leg: RtpLeg, payload: bytes, size: int = 160) -> None:
        """Send all of it at once, as packets of `size` bytes."""
        for at in range(0, len(payload), size):
            self.put(leg, payload[at : at + size], self.sequence, self.timestamp)
            self.sequence += 1
            self.timestamp += size

    def put(self, leg: RtpLeg, payload: bytes, sequence: int, timestamp: int) -> None:
        packet = build_packet(0, sequence, timestamp, 77, payload)
        self.rtp.sendto(packet, ("127.0.0.1", leg.pair.port))


@pytest.fixture
def far() -> Any:
    far = Far()
    yield far
    far.rtp.close()


class Ear:
    """Counts how often its leg went on, and may fail."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.told = 0
        self.fault = fault

    def on_key(self, digit: str, position: int) -> None:
        self.on_advance()

    def on_advance(self) -> None:
        self.told += 1
        if self.fault is not None:
            raise self.fault


def voice(seconds: float) -> bytes:
    random = np.random.default_rng(5)
    return random.integers(0, 0x7E, round(seconds * 8000)).astype(np.uint8).tobytes()


def decoded(payload: bytes) -> NDArray[np.int16]:
    return ULAW_DECODE[np.frombuffer(payload, np.uint8)]


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the sockets under test tell nobody
            await asyncio.sleep(0.01)


async def test_a_listener_that_fails_stops_nobody_elses_clock(
    engine: MediaEngine, far: Far
) -> None:
    legs = [engine.open_leg() for _ in range(20)]
    ears = [Ear(ZeroDivisionError() if n < 5 else None) for n in range(20)]
    for leg, ear in zip(legs, ears, strict=True):
        leg.listener = ear
        leg.wake = 0
        leg.connect(far.session(), "127.0.0.1")
    resting = engine.open_leg()
    resting.close()
    await until(lambda: all(ear.told >= 3 for ear in ears))
    await until(lambda: engine.pool.resting == 0)


async def test_a_listener_that_fails_at_a_key_loses_nobodys_audio(
    engine: MediaEngine, far: Far
) -> None:
    bad, good = engine.open_leg(), engine.open_leg()
    bad.listener = Ear(ZeroDivisionError())
    for leg in (bad, good):
        leg.connect(far.session(), "127.0.0.1")
    key = build_packet(101, 0, 0, 77, b"\x05\x0a\x00\xa0", marker=True)
    far.rtp.sendto(key, ("127.0.0.1", bad.pair.port))
    payload = voice(0.2)
    far.say(good, payload)
    end = good.end()
    engine.drain([bad, good])
    assert decoded(payload).tobytes() in good.read(0, end).tobytes()


class Eager(Ear):
    """Has all legs drained whenever it hears a key, as the end of a recording does."""

    def __init__(self, engine: MediaEngine, legs: list[RtpLeg]) -> None:
        super().__init__()
        self.engine, self.legs = engine, legs

    def on_key(self, digit: str, position: int) -> None:
        super().on_key(digit, position)
        self.engine.drain(self.legs)


async def test_draining_in_the_midst_of_what_came_hears_nothing_twice(engine: MediaEngine) -> None:
    """A key, and audio of an address that is learned just then, in one batch with others' audio."""
    fars = [Far() for _ in range(4)]
    legs = [engine.open_leg() for _ in fars]
    for leg, far in zip(legs, fars, strict=True):
        leg.listener = Eager(engine, legs)
        leg.connect(far.session(), "127.0.0.1")
    stranger = Far()  # the same host, another port: learned after four packets
    key = build_packet(101, 0, 0, 77, b"\x05\x0a\x00\xa0", marker=True)
    payload = voice(0.4)
    for leg, far in zip(legs[1:], fars[1:], strict=True):
        far.say(leg, payload)
    for number in range(1, 5):
        audio = build_packet(0, number, number * 160, 77, payload[:160])
        stranger.rtp.sendto(audio, ("127.0.0.1", legs[0].pair.port))
    stranger.rtp.sendto(key, ("127.0.0.1", legs[0].pair.port))
    fars[1].rtp.sendto(key, ("127.0.0.1", legs[1].pair.port))
    engine.drain(legs)
    for leg in legs[1:]:
        assert decoded(payload).tobytes() in leg.read(0, leg.end()).tobytes()
    counts = [leg.statistics() for leg in legs]
    assert [count.packets_received for count in counts] == [5, 21, 20, 20]
    assert not any(count.packets_late for count in counts)
    for one in (*fars, stranger):
        one.rtp.close()


async def test_a_burst_of_big_packets_harms_nobody(
    engine: MediaEngine, far: Far, desk: Desk
) -> None:
    leg, other = engine.open_leg(), engine.open_leg()
    capture = Capture(leg, desk, engine.clock)
    ear = other.listener = Ear()
    other.wake = 0
    leg.connect(far.session(), "127.0.0.1")
    take = capture.start(StopRules(max_length=30))
    far.say(leg, voice(5.6), size=1400)  # 32 packets of 175 ms, more than the ring, in one go
    await until(lambda: leg.statistics().packets_received == 32)
    before = ear.told
    await until(lambda: ear.told > before + 3)
    far.say(leg, voice(0.2))
    await until(lambda: leg.statistics().packets_received == 42)
    capture.hang_up()
    assert take.stopped.done()


@pytest.mark.parametrize("ahead", [1 << 20, 1 << 30, (1 << 31) - 1])
async def test_an_old_packet_from_the_far_future_makes_no_line_of_hours(
    engine: MediaEngine, far: Far, ahead: int
) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    payload = voice(0.4)
    far.sequence = 100
    far.say(leg, payload)
    far.put(leg, voice(0.02), 110, ahead)
    far.say(leg, payload)
    end = leg.end()
    assert end < 8 * 8000
    assert decoded(payload + payload).tobytes() in leg.read(0, end).tobytes()
    assert leg.statistics().packets_late == 1


async def test_what_waits_in_the_socket_is_heard_before_the_session_changes(
    engine: MediaEngine, far: Far
) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    payload = voice(0.2)
    far.say(leg, payload)
    other = Far()
    leg.connect(other.session(PCMA), "127.0.0.1")
    other.rtp.close()
    end = leg.end()
    assert decoded(payload).tobytes() in leg.read(0, end).tobytes()


async def test_the_old_codec_is_understood_until_the_far_end_has_changed_over(
    engine: MediaEngine, far: Far
) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    leg.connect(far.session(PCMA), "127.0.0.1")
    payload = voice(0.2)
    far.say(leg, payload)  # our answer is still on its way
    end = leg.end()
    assert decoded(payload).tobytes() in leg.read(0, end).tobytes()


async def test_nothing_to_play_is_done_at_once(engine: MediaEngine, far: Far) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    async with asyncio.timeout(1):
        await leg.play(np.zeros(0, np.int16))
    assert leg.slot not in engine._sending


async def test_a_prompt_that_is_cut_short_leaves_the_leg_in_peace(
    engine: MediaEngine, far: Far
) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    playing = asyncio.create_task(leg.play(np.zeros(80_000, np.int16)))
    await until(lambda: leg.statistics().packets_sent >= 2)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    assert leg.slot not in engine._sending
    assert not engine.senders.playing(leg.slot)


async def test_a_second_prompt_takes_over_from_the_first(engine: MediaEngine, far: Far) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    first = asyncio.create_task(leg.play(np.zeros(80_000, np.int16)))
    await until(lambda: leg.statistics().packets_sent >= 2)
    second = asyncio.create_task(leg.play(np.full(3200, 500, np.int16)))
    await first
    await asyncio.sleep(0.05)
    assert engine.senders.playing(leg.slot)
    await second


async def test_a_leg_says_how_much_of_a_prompt_was_sent(engine: MediaEngine, far: Far) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    assert await leg.play(np.zeros(500, np.int16)) == 500
    before = leg.statistics().packets_sent
    playing = asyncio.create_task(leg.play(np.zeros(80_000, np.int16)))
    await until(lambda: leg.statistics().packets_sent >= before + 3)
    leg.stop_playing()
    assert await playing == (leg.statistics().packets_sent - before) * 160
    first = asyncio.create_task(leg.play(np.zeros(80_000, np.int16)))
    await asyncio.sleep(0)
    assert await leg.play(np.zeros(160, np.int16)) == 160
    assert await first < 80_000
    leg.close()
    assert await leg.play(np.zeros(160, np.int16)) == 0


async def test_a_prompt_that_takes_long_to_encode_can_be_stopped_before_it_is_heard(
    engine: MediaEngine, far: Far
) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    short = np.ones(160, np.int16)
    for interrupt in (leg.stop_playing, lambda: asyncio.ensure_future(leg.play(short))):
        playing = asyncio.create_task(leg.play(np.zeros(LONG + 1, np.int16)))
        await asyncio.sleep(0)
        interrupt()
        assert await playing == 0
    await until(lambda: leg.slot not in engine._sending)
    assert leg.statistics().packets_sent == 1


async def test_prompts_follow_one_another_without_overlap(engine: MediaEngine, far: Far) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    for _ in range(3):
        await leg.play(np.zeros(480, np.int16))
    packets = [far.rtp.recv(2048) for _ in range(9)]
    times = [int.from_bytes(packet[4:8], "big") for packet in packets]
    steps = [(after - before) & 0xFFFF_FFFF for before, after in itertools.pairwise(times)]
    assert min(steps) >= 160
    assert sum(steps) <= 8 * 160 + 2 * 160  # nor with more of a pause than a tick


async def test_a_closed_leg_neither_plays_nor_takes_anothers_place(
    engine: MediaEngine, far: Far
) -> None:
    old = engine.open_leg()
    old.close()
    new = engine.open_leg()
    assert new.slot == old.slot
    new.connect(far.session(), "127.0.0.1")
    stranger = Far()
    old.connect(stranger.session(), "127.0.0.9")
    stranger.rtp.close()
    async with asyncio.timeout(1):
        await old.play(np.ones(160, np.int16))
        await old.send_digits("1")
    assert engine._legs[new.slot] is new
    assert old not in (*engine._sending.values(), *engine._dialing.values())
    assert engine.sources.accepted[new.slot] == source_key(*far.rtp.getsockname())
    payload = voice(0.2)
    far.say(new, payload)
    end = new.end()
    assert decoded(payload).tobytes() in new.read(0, end).tobytes()


async def test_a_leg_whose_goodbye_fails_is_closed_all_the_same(
    engine: MediaEngine, far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    leg = engine.open_leg()
    leg.connect(far.session(), "127.0.0.1")
    await leg.play(np.zeros(160, np.int16))

    def fail() -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(leg.reports.reporter, "goodbye", fail)
    with pytest.raises(ZeroDivisionError):
        leg.close()
    assert engine.legs == 0
    assert engine.pool.in_use == 0


async def test_a_call_too_many_is_refused_and_its_ports_go_back() -> None:
    pool = PortPool("127.0.0.1", 19_320, 19_327, drain=0.0)
    engine = MediaEngine(pool, SystemClock(), advertise="127.0.0.1", capacity=1)
    engine.open_leg()
    with pytest.raises(LocalError, match="limits"):
        engine.open_leg()
    assert pool.in_use == 1
    engine.stop()


@pytest.mark.parametrize("survivors", [0, 1])
async def test_descriptors_that_run_out_cost_no_port_for_good(
    monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    pool = PortPool("127.0.0.1", 19_330, 19_331)
    plain = socket.socket
    made: list[socket.socket] = []

    def scarce(*args: Any) -> socket.socket:
        if len(made) >= survivors:
            raise OSError(errno.EMFILE, "Too many open files")
        made.append(plain(*args))
        return made[-1]

    monkeypatch.setattr(socket, "socket", scarce)
    with pytest.raises(LocalError, match="Too many open files"):
        pool.take()
    monkeypatch.setattr(socket, "socket", plain)
    assert all(sock.fileno() == -1 for sock in made)
    pool.take().close()


async def test_a_loop_that_stood_still_for_seconds_loses_no_audio(far: Far) -> None:
    pool = PortPool("127.0.0.1", 19_340, 19_347)
    desk = Desk()
    engine = MediaEngine(pool, SystemClock(), advertise="127.0.0.1", journals=desk, capacity=4)
    leg = engine.open_leg()
    try:
        capture = Capture(leg, desk, engine.clock)
        leg.connect(far.session(), "127.0.0.1")
        capture.start(StopRules(max_length=30))
        payload = voice(4.0)
        far.say(leg, payload)
        time.sleep(0.2)  # noqa: ASYNC251 - nobody reads the socket meanwhile
        for _ in range(RELAXED):
            engine._tick_number += 1
            engine._turn(engine.clock.monotonic())
        capture.hang_up()
        assert decoded(payload).tobytes() in desk.papers[Side.SPEAK].samples.tobytes()
    finally:
        engine.stop()
