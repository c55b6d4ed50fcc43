"""The media engine on real sockets; every promise holds on both lanes."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import Desk
from mediaserver.audio.g711 import ULAW_DECODE, encode_ulaw
from mediaserver.calls.capture import Capture
from mediaserver.errors import LocalError
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.net.ports import PortPool
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction as Side
from mediaserver.rtp.dtmf import event_packets
from mediaserver.rtp.packet import build_packet
from mediaserver.rtp.rtcp import Reception, Reporter
from mediaserver.sdp.codec import PCMU
from mediaserver.sdp.negotiation import AudioSession, Direction


class Peer:
    """A far end: two sockets."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((host, 0))
        self.rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtcp.bind((host, 0))
        self.rtp.setblocking(False)
        self.rtcp.setblocking(False)

    @property
    def session(self) -> AudioSession:
        return AudioSession(
            remote_rtp=self.rtp.getsockname(),
            remote_rtcp=self.rtcp.getsockname(),
            rtcp_mux=False,
            receive={0: PCMU},
            send_payload_type=0,
            send_codec=PCMU,
            receive_events={101: 8000},
            send_events=(101, 8000),
            comfort_noise=frozenset({13}),
            ptime=20,
            direction=Direction.SENDRECV,
            held=False,
        )

    def send(self, leg: RtpLeg, payload: bytes, sequence: int = 0, ssrc: int = 1) -> None:
        for index in range(0, len(payload), 160):
            number = sequence + index // 160
            part = payload[index : index + 160]
            packet = build_packet(0, number, 160 * number, ssrc, part)
            self.rtp.sendto(packet, ("127.0.0.1", leg.pair.port))

    def received(self) -> list[bytes]:
        packets = []
        while True:
            try:
                packets.append(self.rtp.recv(2048))
            except BlockingIOError:
                return packets


@contextmanager
def peer(host: str = "127.0.0.1") -> Iterator[Peer]:
    far = Peer(host)
    try:
        yield far
    finally:
        far.rtp.close()
        far.rtcp.close()


class Listener:
    """Reads all that becomes final, and the keys."""

    def __init__(self, leg: RtpLeg) -> None:
        self.leg = leg
        self.samples: NDArray[np.int16] = np.zeros(0, np.int16)
        self.keys: list[str] = []
        leg.listener = self
        leg.wake = 0  # told at every turn

    def on_key(self, digit: str, position: int) -> None:
        self.keys.append(digit)

    def on_advance(self) -> None:
        _, final, _ = self.leg.marks()
        if final > self.samples.size:
            new = self.leg.read(self.samples.size, final)
            self.samples = np.concatenate([self.samples, new])

    def rest(self) -> NDArray[np.int16]:
        end = self.leg.end()
        self.samples = np.concatenate([self.samples, self.leg.read(self.samples.size, end)])
        return self.samples


def noise(seconds: float, seed: int = 1) -> bytes:
    random = np.random.default_rng(seed)
    return random.integers(0, 0x7E, round(seconds * 8000)).astype(np.uint8).tobytes()


def contains(samples: NDArray[np.int16], payload: bytes) -> bool:
    return ULAW_DECODE[np.frombuffer(payload, np.uint8)].tobytes() in samples.tobytes()


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the sockets under test tell nobody
            await asyncio.sleep(0.01)


async def test_what_is_sent_is_heard_on_every_leg(engine: MediaEngine) -> None:
    with peer() as far:
        legs = [engine.open_leg() for _ in range(40)]
        listeners = [Listener(leg) for leg in legs]
        for leg in legs:
            leg.connect(far.session, "127.0.0.1")
        payloads = [noise(0.6, seed) for seed in range(40)]
        for leg, payload in zip(legs, payloads, strict=True):
            far.send(leg, payload)
        await until(lambda: all(leg.statistics().packets_received == 30 for leg in legs))
        for listener, payload in zip(listeners, payloads, strict=True):
            assert contains(listener.rest(), payload)
        assert all(leg.statistics().packets_lost == 0 for leg in legs)


async def test_what_waits_in_the_socket_at_the_end_is_not_lost(engine: MediaEngine) -> None:
    with peer() as far:
        leg = engine.open_leg()
        listener = Listener(leg)
        leg.connect(far.session, "127.0.0.1")
        payload = noise(1.2)
        far.send(leg, payload)  # no tick in between: all of it is still in the socket
        assert contains(listener.rest(), payload)


async def test_a_stranger_is_neither_heard_nor_answered(engine: MediaEngine) -> None:
    with peer() as far, peer("127.0.0.9") as stranger:
        leg = engine.open_leg()
        listener = Listener(leg)
        leg.connect(far.session, "127.0.0.1")
        stranger.send(leg, noise(4.0, 9))
        far.send(leg, noise(0.2, 1))
        stranger.send(leg, noise(4.0, 9), sequence=10)
        playing = asyncio.create_task(leg.play(np.zeros(1600, np.int16)))
        await until(lambda: leg.statistics().packets_refused == 400)
        await playing
        whole = listener.rest()
        assert contains(whole, noise(0.2, 1))
        assert np.count_nonzero(whole) == np.count_nonzero(
            ULAW_DECODE[np.frombuffer(noise(0.2, 1), np.uint8)]
        )
        assert not stranger.received()
        assert len(far.received()) == 10


async def test_audio_is_played_in_even_frames(engine: MediaEngine) -> None:
    with peer() as far:
        leg = engine.open_leg()
        leg.connect(far.session, "127.0.0.1")
        samples = (np.sin(np.arange(2400) / 5) * 8000).astype(np.int16)
        await leg.play(samples)
        packets = far.received()
        assert b"".join(p[12:] for p in packets) == encode_ulaw(samples)
        times = [struct.unpack(">I", p[4:8])[0] for p in packets]
        assert all((b - a) & 0xFFFFFFFF == 160 for a, b in itertools.pairwise(times))


async def test_what_was_sent_is_kept_for_who_records_it(engine: MediaEngine, desk: Desk) -> None:
    with peer() as far:
        leg = engine.open_leg()
        capture = Capture(leg, desk, engine.clock)
        leg.connect(far.session, "127.0.0.1")
        before = leg.now()
        take = capture.start(StopRules(max_length=30))
        samples = (np.sin(np.arange(4000) / 5) * 8000).astype(np.int16)
        await leg.play(samples)
        await capture.finish(take)
        sent = desk.papers[Side.LISTEN]
        at = int(np.flatnonzero(sent.samples)[0])
        assert before <= at <= before + 400
        said = ULAW_DECODE[np.frombuffer(encode_ulaw(samples), np.uint8)]
        assert sent.samples[at - 1 : at + 3999].tobytes() == said.tobytes()  # the first is a zero


async def test_playing_stops_at_once_when_told(engine: MediaEngine) -> None:
    with peer() as far:
        leg = engine.open_leg()
        leg.connect(far.session, "127.0.0.1")
        playing = asyncio.create_task(leg.play(np.zeros(80_000, np.int16)))
        await until(lambda: leg.statistics().packets_sent >= 3)
        leg.stop_playing()
        await playing
        count = leg.statistics().packets_sent
        await asyncio.sleep(0.06)
        assert leg.statistics().packets_sent == count


async def test_keys_are_heard_and_sent(engine: MediaEngine) -> None:
    with peer() as far:
        leg = engine.open_leg()
        listener = Listener(leg)
        leg.connect(far.session, "127.0.0.1")
        for number, event in enumerate(event_packets("7", clock_rate=8000)):
            packet = build_packet(101, number, 4000, 1, event.payload, marker=event.marker)
            far.rtp.sendto(packet, ("127.0.0.1", leg.pair.port))
        await until(lambda: listener.keys == ["7"])
        await leg.send_digits("5")
        kinds = {p[1] & 0x7F for p in far.received()}
        assert kinds == {101}


async def test_reports_are_exchanged(engine: MediaEngine) -> None:
    with peer() as far:
        leg = engine.open_leg()
        leg.connect(far.session, "127.0.0.1")
        far.send(leg, noise(0.1))
        await until(lambda: leg.statistics().packets_received == 5)
        leg.send_report(0.0)
        report = far.rtcp.recv(2048)
        assert report[1] == 201
        assert struct.unpack(">I", report[8:12])[0] == 1


async def test_what_the_far_end_reports_is_part_of_the_statistics(engine: MediaEngine) -> None:
    with peer() as far:
        leg = engine.open_leg()
        leg.connect(far.session, "127.0.0.1")
        far.send(leg, noise(0.1))
        await until(lambda: leg.statistics().packets_received == 5)
        assert leg.statistics().far_end is None
        other = Reporter(77, "x", 8000, lambda: 1.0)
        ssrc = int(engine.senders.ssrc[leg.slot])
        heard = Reception(ssrc=ssrc, top=99, base=0, received=75, jitter=0.002)
        report = other.report(1.0, 1_700_000_000.0, heard, None)
        far.rtcp.sendto(report, ("127.0.0.1", leg.pair.port + 1))
        await until(lambda: leg.statistics().far_end is not None)
        told = leg.statistics().far_end
        assert told is not None
        assert (told.fraction_lost, told.packets_lost, told.jitter) == (0.25, 25, 0.002)


async def test_a_far_end_that_only_reports_is_heard(engine: MediaEngine) -> None:
    with peer() as far:
        leg = engine.open_leg()
        leg.connect(far.session, "127.0.0.1")
        assert not leg.heard_at
        began = engine.clock.monotonic()
        report = Reporter(77, "x", 8000, lambda: 1.0).report(1.0, 1_700_000_000.0, None, None)
        far.rtcp.sendto(report, ("127.0.0.1", leg.pair.port + 1))
        await until(lambda: (leg.heard_at or 0.0) >= began)


@pytest.mark.parametrize("abuse", [b"\x80\xc9\x00\x00", b"\x80\xc8\xff\xff" + b"\0" * 2000])
async def test_bad_reports_and_a_strangers_goodbye_change_nothing(
    engine: MediaEngine, abuse: bytes
) -> None:
    with peer() as far, peer("127.0.0.9") as stranger:
        leg = engine.open_leg()
        listener = Listener(leg)
        leg.connect(far.session, "127.0.0.1")
        rtcp = ("127.0.0.1", leg.pair.port + 1)
        far.rtcp.sendto(abuse, rtcp)
        far.rtp.sendto(abuse, ("127.0.0.1", leg.pair.port))
        stranger.rtcp.sendto(b"\x81\xcb\x00\x01\x00\x00\x00\x01", rtcp)
        payload = noise(0.4)
        far.send(leg, payload)
        await until(lambda: leg.statistics().packets_received >= 20)
        assert contains(listener.rest(), payload)
        assert not leg.reports.reporter.peer_said_bye


async def test_reports_on_the_media_port_are_no_audio(engine: MediaEngine) -> None:
    with peer() as far:
        leg = engine.open_leg()
        leg.connect(far.session, "127.0.0.1")
        other = leg.reports.reporter.__class__(5, "x", 8000, lambda: 1.0)
        far.rtp.sendto(other.goodbye(), ("127.0.0.1", leg.pair.port))
        await until(lambda: leg.reports.reporter.peer_said_bye)
        assert leg.statistics().packets_received == 0


async def test_a_closed_legs_port_rests_before_it_is_used_again(engine: MediaEngine) -> None:
    leg = engine.open_leg()
    port = leg.pair.port
    leg.close()
    assert engine.pool.resting == 1
    others = [engine.open_leg() for _ in range(10)]
    assert port not in {other.pair.port for other in others}
    await until(lambda: engine.pool.resting == 0)
    assert engine.legs == 10


async def test_ports_run_out_with_a_sentence() -> None:
    pool = PortPool("127.0.0.1", 19_300, 19_303, drain=0.0)
    pairs = [pool.take(), pool.take()]
    with pytest.raises(LocalError, match=r"rtp\.ports"):
        pool.take()
    for pair in pairs:
        pool.give_back(pair, 0.0)
    pool.sweep(1.0)
    again = pool.take()
    assert again.port == 19_300
    again.close()


async def test_a_port_somebody_else_has_is_passed_over() -> None:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("127.0.0.1", 19_311))
    pool = PortPool("127.0.0.1", 19_310, 19_313)
    pair = pool.take()
    assert pair.port == 19_312
    pair.close()
    taken.close()


async def test_legs_come_and_go_without_a_trace(engine: MediaEngine) -> None:
    with peer() as far:
        for round_ in range(5):
            legs = [engine.open_leg() for _ in range(30)]
            for leg in legs:
                leg.connect(far.session, "127.0.0.1")
                far.send(leg, noise(0.1, round_))
            for leg in legs:
                leg.close()
            await until(lambda: engine.pool.resting == 0)
        assert engine.legs == 0
        assert engine.pool.in_use == 0


async def test_a_loop_held_up_for_two_seconds_loses_and_shifts_nothing(
    engine: MediaEngine,
) -> None:
    """Every leg has a hundred packets waiting then, and only a fifth of them is drained first."""
    with peer() as far:
        legs = [engine.open_leg() for _ in range(10)]
        listeners = [Listener(leg) for leg in legs]
        for leg in legs:
            leg.connect(far.session, "127.0.0.1")
        payload = noise(2.8)

        def talk() -> None:
            began = time.monotonic()
            for number in range(140):
                time.sleep(max(0.0, began + number * 0.02 - time.monotonic()))
                part = payload[number * 160 : number * 160 + 160]
                for leg in legs:
                    far.send(leg, part, sequence=number)

        talking = asyncio.create_task(asyncio.to_thread(talk))
        await asyncio.sleep(0.4)
        time.sleep(2.0)  # noqa: ASYNC251 - this is what is tested
        await talking
        await until(lambda: all(leg.statistics().packets_received == 140 for leg in legs))
        for listener in listeners:
            assert contains(listener.rest(), payload)
