"""Encrypted legs on real sockets (RFC 3711): what passes, and what does not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from pylibsrtp import Error, Session

from farend.srtp import new_key, opening, sealing
from farend.tape import Desk
from farend.terms import pcmu
from mediaserver.audio.g711 import ULAW_DECODE, encode_ulaw
from mediaserver.calls.capture import Capture
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction as Side
from mediaserver.rtp.dtmf import event_packets
from mediaserver.rtp.packet import build_packet
from mediaserver.rtp.rtcp import Reporter
from mediaserver.sdp.crypto import MediaKeys
from mediaserver.sdp.direction import Direction
from mediaserver.sdp.session import AudioSession

SUITE = "AES_CM_128_HMAC_SHA1_80"


class Phone:
    """A far end: two sockets, and keys unless it speaks plain RTP."""

    def __init__(self, suite: str | None = SUITE, *, mux: bool = False) -> None:
        self.rtp, self.rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (self.rtp, self.rtcp):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        self.sequence = 0xFFFA  # rolls over soon
        self.ssrc = 77
        self.sent: list[bytes] = []
        """As they were sent."""
        self.came: list[bytes] = []
        """RTP that came, opened."""
        ports = self.rtp.getsockname(), self.rtcp.getsockname()
        self.session = replace(
            pcmu(ports[0], ports[0] if mux else ports[1]),
            rtcp_mux=mux,
            receive_events={101: 8000},
            send_events=(101, 8000),
        )
        self.sealer: Session | None = None
        self.opener: Session | None = None
        if suite is not None:
            self.rekey(suite)

    def rekey(self, suite: str = SUITE) -> AudioSession:
        """Return the session under new keys both ways; they are used from now on."""
        theirs, ours = new_key(suite), new_key(suite)
        self.sealer, self.opener = sealing(theirs, suite), opening(ours, suite)
        self.session = replace(self.session, keys=MediaKeys(suite, ours, theirs))
        return self.session

    def packets(self, payload: bytes, kind: int = 0) -> list[bytes]:
        """Return what says it; what comes next goes on from there."""
        made = []
        for at in range(0, len(payload), 160):
            number = self.sequence
            self.sequence += 1
            made.append(build_packet(kind, number, 160 * number, self.ssrc, payload[at : at + 160]))
        return made

    def say(self, leg: RtpLeg, payload: bytes) -> None:
        for packet in self.packets(payload):
            self.send(leg, packet)

    def send(self, leg: RtpLeg, packet: bytes) -> None:
        datagram = packet if self.sealer is None else self.sealer.protect(packet)
        self.sent.append(datagram)
        self.rtp.sendto(datagram, leg.address)

    def heard(self) -> list[bytes]:
        """Return all RTP that came so far."""
        while True:
            try:
                data = self.rtp.recv(2048)
            except BlockingIOError:
                return self.came
            if not 64 <= data[1] & 0x7F <= 95:
                self.came.append(data if self.opener is None else self.opener.unprotect(data))

    def audio(self) -> bytes:
        return b"".join(packet[12:] for packet in self.heard() if packet[1] & 0x7F == 0)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


@pytest.fixture
def phones() -> Iterator[Callable[..., Phone]]:
    made: list[Phone] = []

    def phone(suite: str | None = SUITE, *, mux: bool = False) -> Phone:
        made.append(Phone(suite, mux=mux))
        return made[-1]

    yield phone
    for each in made:
        each.close()


class Recorded:
    """A leg that is recorded from its beginning."""

    def __init__(self, engine: MediaEngine, desk: Desk, phone: Phone) -> None:
        self.leg = engine.open_leg()
        self.leg.connect(phone.session, "127.0.0.1")
        self.capture = Capture(self.leg, desk, engine.clock)
        self.take = self.capture.start(StopRules(max_length=60))
        self.said, self.sent = desk.papers[Side.SPEAK], desk.papers[Side.LISTEN]

    async def finish(self) -> None:
        await self.capture.finish(self.take)


def noise(packets: int, seed: int = 1) -> bytes:
    random = np.random.default_rng(seed)
    return random.integers(0, 0x7E, 160 * packets).astype(np.uint8).tobytes()


def linear(payload: bytes) -> bytes:
    return ULAW_DECODE[np.frombuffer(payload, np.uint8)].tobytes()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the sockets under test tell nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("suite", [SUITE, "AEAD_AES_256_GCM"])
async def test_both_sides_are_heard_and_recorded_to_the_bit(
    engine: MediaEngine, desk: Desk, phones: Callable[..., Phone], suite: str
) -> None:
    phone = phones(suite)
    recorded = Recorded(engine, desk, phone)
    leg = recorded.leg
    said, played = noise(40), noise(15, 2)
    phone.say(leg, said)
    samples = ULAW_DECODE[np.frombuffer(played, np.uint8)]
    await leg.play(samples)
    await until(lambda: leg.statistics().packets_received == 40)
    await recorded.finish()
    assert linear(said) in recorded.said.samples.tobytes()
    assert np.count_nonzero(recorded.said.samples) == np.count_nonzero(
        np.frombuffer(linear(said), np.int16)
    )
    assert phone.audio() == encode_ulaw(samples) == played
    assert linear(played).strip(b"\0") in recorded.sent.samples.tobytes()
    statistics = leg.statistics()
    assert (statistics.encryption, statistics.packets_refused) == (suite, 0)


async def test_keys_are_heard_and_pressed(
    engine: MediaEngine, phones: Callable[..., Phone]
) -> None:
    phone = phones()
    leg = engine.open_leg()
    leg.connect(phone.session, "127.0.0.1")
    pressed: list[str] = []

    class Listener:
        def on_key(self, digit: str, position: int) -> None:
            pressed.append(digit)

        def on_advance(self) -> None: ...

    leg.listener = Listener()
    phone.say(leg, noise(3))
    for event in event_packets("3", clock_rate=8000):
        phone.send(leg, build_packet(101, phone.sequence, 50_000, phone.ssrc, event.payload))
        phone.sequence += 1
    await leg.send_digits("5")
    await until(lambda: pressed == ["3"])
    events = [packet for packet in phone.heard() if packet[1] & 0x7F == 101]
    assert {packet[12] for packet in events} == {5}
    assert events[-1][13] & 0x80  # its end was told


@pytest.mark.parametrize("mux", [False, True])
async def test_reports_are_sealed_both_ways_and_so_is_the_goodbye(
    engine: MediaEngine, phones: Callable[..., Phone], mux: bool
) -> None:
    phone = phones(mux=mux)
    leg = engine.open_leg()
    leg.connect(phone.session, "127.0.0.1")
    phone.say(leg, noise(2))
    await leg.play(np.zeros(320, np.int16))
    assert phone.sealer is not None
    assert phone.opener is not None
    where = ("127.0.0.1", leg.pair.port + (not mux))
    source = phone.rtp if mux else phone.rtcp
    reporter = Reporter(phone.ssrc, "phone", 8000, lambda: 1.0)
    report = reporter.goodbye()
    source.sendto(report, where)  # in clear: not heard
    await until(lambda: leg.statistics().packets_refused == 1)
    assert leg.reports.heard_at is None
    sealed = phone.sealer.protect_rtcp(report)
    source.sendto(sealed, where)
    await until(lambda: leg.reports.heard_at is not None)
    source.sendto(sealed, where)
    await until(lambda: leg.statistics().packets_refused == 2)
    leg.send_report(engine.clock.monotonic())
    leg.close()
    came: list[bytes] = []

    def drained() -> bool:
        try:
            while True:
                data = source.recv(2048)
                if 64 <= data[1] & 0x7F <= 95:
                    assert phone.opener is not None
                    came.append(phone.opener.unprotect_rtcp(data))
        except BlockingIOError:
            return len(came) >= 2

    await until(drained)
    assert came[0][1] == 200
    assert b"\x81\xcb" in came[-1]  # a BYE


async def test_nothing_that_is_not_sealed_by_the_far_end_is_heard(
    engine: MediaEngine, desk: Desk, phones: Callable[..., Phone]
) -> None:
    """Robustness S3: 10,000 plain packets, 10,000 with bad tags, 1,000 that were heard before."""
    phone, stranger = phones(), phones(None)
    recorded = Recorded(engine, desk, phone)
    leg = recorded.leg
    said = noise(60)
    voice = phone.packets(said)
    for packet in voice[:20]:
        phone.send(leg, packet)
    await until(lambda: leg.statistics().packets_received == 20)
    accepted = int(engine.sources.accepted[leg.slot])
    refused = 0

    async def attack(sock: socket.socket, datagrams: list[bytes]) -> None:
        nonlocal refused
        for at in range(0, len(datagrams), 100):
            for datagram in datagrams[at : at + 100]:
                sock.sendto(datagram, leg.address)
            refused += len(datagrams[at : at + 100])
            engine.drain([leg])
            await asyncio.sleep(0)
        await until(lambda: leg.statistics().packets_refused == refused)

    sealed = list(phone.sent)
    plain = [
        build_packet(0, number & 0xFFFF, 160 * number, phone.ssrc, b"\x11" * 160)
        for number in range(phone.sequence, phone.sequence + 5000)
    ]
    bad = [bytes([*sealed[n % 20][:-1], sealed[n % 20][-1] ^ 1 + n % 255]) for n in range(5000)]
    for packet in voice[20:40]:
        phone.send(leg, packet)
    # From the far end's own address, as who forges it would, and from another port of its host.
    for sock in (phone.rtp, stranger.rtp):
        await attack(sock, plain)
        await attack(sock, bad)
        await attack(sock, sealed * 25)
    for packet in voice[40:]:
        phone.send(leg, packet)
    await until(lambda: leg.statistics().packets_received == 60)
    assert refused == 21_000
    assert leg.statistics().packets_refused == 21_000
    assert int(engine.sources.accepted[leg.slot]) == accepted
    await leg.play(ULAW_DECODE[np.frombuffer(noise(3, 9), np.uint8)])
    assert phone.audio() == noise(3, 9)
    assert not stranger.heard()
    await recorded.finish()
    voices = np.frombuffer(linear(said), np.int16)
    assert np.count_nonzero(recorded.said.samples) == np.count_nonzero(voices)
    assert linear(said[: 20 * 160]) in recorded.said.samples.tobytes()


async def test_forged_packets_do_not_keep_a_leg_alive_nor_move_it(
    engine: MediaEngine, phones: Callable[..., Phone]
) -> None:
    """Who has the keys may come from another port of a known host; who has not may not."""
    phone, moved = phones(), phones(None)
    leg = engine.open_leg()
    leg.connect(phone.session, "127.0.0.1")
    for number in range(8):
        moved.rtp.sendto(build_packet(0, number, 160 * number, 5, b"\x11" * 160), leg.address)
    phone.rtp.sendto(b"\x80" * 200, leg.address)
    await until(lambda: leg.statistics().packets_refused == 9)
    assert leg.heard_at is None
    assert engine.sources.accepted[leg.slot] & 0xFFFF == phone.rtp.getsockname()[1]
    assert phone.sealer is not None
    for packet in phone.packets(noise(5)):
        moved.rtp.sendto(phone.sealer.protect(packet), leg.address)
    await until(lambda: leg.statistics().packets_received == 5)
    assert engine.sources.accepted[leg.slot] & 0xFFFF == moved.rtp.getsockname()[1]


async def test_new_keys_in_a_call_lose_no_packet(
    engine: MediaEngine, desk: Desk, phones: Callable[..., Phone]
) -> None:
    phone = phones()
    recorded = Recorded(engine, desk, phone)
    leg, said = recorded.leg, noise(120)
    voice = phone.packets(said)
    for third in range(3):
        old = phone.sealer
        if third:
            leg.connect(phone.rekey(), "127.0.0.1")
        for number, packet in enumerate(voice[40 * third : 40 * third + 40]):
            # Our answer is still on its way: the first ten are under the old keys.
            if number < 10 and old is not None:
                phone.rtp.sendto(old.protect(packet), leg.address)
            else:
                phone.send(leg, packet)
        await until(lambda third=third: leg.statistics().packets_received == 40 * third + 40)  # type: ignore[misc]
    await leg.play(ULAW_DECODE[np.frombuffer(noise(3, 9), np.uint8)])
    assert phone.audio() == noise(3, 9)
    await recorded.finish()
    assert linear(said) in recorded.said.samples.tobytes()
    assert leg.statistics().packets_refused == 0


async def test_hold_and_resume_keep_the_counters(
    engine: MediaEngine, desk: Desk, phones: Callable[..., Phone]
) -> None:
    phone = phones()
    recorded = Recorded(engine, desk, phone)
    leg, first, second = recorded.leg, noise(10), noise(10, 2)
    phone.say(leg, first)
    await until(lambda: leg.statistics().packets_received == 10)
    held = replace(phone.session, direction=Direction.RECVONLY, held=True)
    leg.connect(held, "127.0.0.1")
    await leg.play(np.ones(320, np.int16))
    assert not phone.heard()
    leg.connect(phone.session, "127.0.0.1")
    for datagram in phone.sent:  # somebody recorded them
        phone.rtp.sendto(datagram, leg.address)
    phone.say(leg, second)
    await until(lambda: leg.statistics().packets_received == 20)
    assert leg.statistics().packets_refused == 10
    await leg.play(ULAW_DECODE[np.frombuffer(noise(3, 9), np.uint8)])
    assert phone.audio() == noise(3, 9)
    await recorded.finish()
    assert linear(second) in recorded.said.samples.tobytes()


async def test_a_call_may_change_to_plain_rtp_and_back(
    engine: MediaEngine, phones: Callable[..., Phone]
) -> None:
    phone = phones()
    leg = engine.open_leg()
    leg.connect(phone.session, "127.0.0.1")
    phone.say(leg, noise(5))
    phone.sealer = phone.opener = None
    leg.connect(replace(phone.session, keys=None), "127.0.0.1")
    assert leg.statistics().encryption is None
    phone.say(leg, noise(5, 2))
    await until(lambda: leg.statistics().packets_received == 10)
    leg.connect(phone.rekey(), "127.0.0.1")
    phone.say(leg, noise(5, 3))
    await until(lambda: leg.statistics().packets_received == 15)
    assert leg.statistics().packets_refused == 0


@pytest.mark.parametrize("suites", [(SUITE, None), (SUITE, "AEAD_AES_128_GCM")])
async def test_joined_legs_hear_each_other_sample_for_sample(
    engine: MediaEngine,
    desk: Desk,
    phones: Callable[..., Phone],
    suites: tuple[str | None, str | None],
) -> None:
    pair = [phones(suite) for suite in suites]
    takes = [Recorded(engine, desk, phone) for phone in pair]
    engine.join(takes[0].leg, takes[1].leg)
    said = [noise(50, 3), noise(50, 4)]
    voices = [phone.packets(payload) for phone, payload in zip(pair, said, strict=True)]
    for at in range(0, 50, 5):
        for phone, take, voice in zip(pair, takes, voices, strict=True):
            for packet in voice[at : at + 5]:
                phone.send(take.leg, packet)
        await asyncio.sleep(0.03)
    await until(lambda: all(len(phone.heard()) >= 50 for phone in pair))
    assert [phone.audio() for phone in pair] == said[::-1]
    for take in takes:
        await take.finish()
    for take, own, other in zip(takes, said, said[::-1], strict=True):
        assert linear(own) in take.said.samples.tobytes()
        assert linear(other).strip(b"\0") in take.sent.samples.tobytes()


async def test_what_is_sent_cannot_be_opened_without_the_key(
    engine: MediaEngine, phones: Callable[..., Phone]
) -> None:
    phone = phones()
    leg = engine.open_leg()
    leg.connect(phone.session, "127.0.0.1")
    phone.opener = opening(new_key())
    await leg.play(np.zeros(160, np.int16))
    with pytest.raises(Error):
        phone.heard()
