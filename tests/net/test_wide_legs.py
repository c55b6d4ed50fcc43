"""Legs that speak G.722 and Opus on real sockets, through every lane."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from farend.speech import passage
from farend.tape import Desk, Paper
from farend.waveform import Samples, similarity
from farend.wide import (
    CLOCKS,
    NUMBERS,
    WideTalker,
    bright,
    brightness,
    resampled,
    steps_apart,
    understood,
)
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.recording.resource import Direction as Side
from mediaserver.rtp.packet import wrap_distance
from mediaserver.rtp.report_packets import Report, parse
from mediaserver.rtp.srtp import Keys, SrtpCipher
from mediaserver.sdp.codec import G722, OPUS, PCMU, Codec
from mediaserver.sdp.crypto import MediaKeys
from mediaserver.sdp.direction import Direction
from mediaserver.sdp.session import AudioSession

WIDE = {"G722": G722, "opus": OPUS}
SPEAK, LISTEN = Side.SPEAK, Side.LISTEN
ALIKE = {"G722": 0.95, "opus": 0.85}


class Peer:
    """A far end: one socket, RTCP on it too."""

    def __init__(self) -> None:
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind(("127.0.0.1", 0))
        self.rtp.setblocking(False)
        self.came: list[bytes] = []

    def session(self, codec: Codec, number: int) -> AudioSession:
        address = self.rtp.getsockname()
        return AudioSession(
            remote_rtp=address,
            remote_rtcp=address,
            rtcp_mux=True,
            receive={number: codec},
            send_payload_type=number,
            send_codec=codec,
            receive_events={101: codec.clock_rate},
            send_events=(101, codec.clock_rate),
            comfort_noise=frozenset({13}),
            ptime=20,
            direction=Direction.SENDRECV,
            held=False,
        )

    def listen(self) -> list[bytes]:
        while True:
            try:
                self.came.append(self.rtp.recv(2048))
            except BlockingIOError:
                return self.came

    @property
    def audio(self) -> list[bytes]:
        return [p for p in self.listen() if not 64 <= p[1] & 0x7F <= 95 and p[1] & 0x7F != 101]

    @property
    def reports(self) -> list[Report]:
        reports = [p for p in self.listen() if 192 <= p[1] <= 223]
        return [one for p in reports for one in parse(p) or () if isinstance(one, Report)]


@dataclass
class Both:
    """A leg and its far end."""

    leg: RtpLeg
    peer: Peer
    name: str


@pytest.fixture(scope="module")
def speech(speech_files: tuple[Path, ...]) -> Samples:
    return passage(speech_files, 1.2)[1]


@pytest.fixture
def peers() -> Iterator[tuple[Peer, Peer]]:
    peers = Peer(), Peer()
    yield peers
    for peer in peers:
        peer.rtp.close()


@pytest.fixture(params=list(WIDE))
async def both(
    request: pytest.FixtureRequest, engine: MediaEngine, peers: tuple[Peer, Peer]
) -> Both:
    name = request.param
    leg, peer = engine.open_leg(), peers[0]
    leg.connect(peer.session(WIDE[name], NUMBERS[name]), "127.0.0.1")
    loading = leg.loading()
    if loading is not None:
        await loading
    return Both(leg, peer, name)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing tells of what came on a socket
            await asyncio.sleep(0.02)


async def test_a_leg_hears_and_is_heard_and_reports_by_the_clock_on_the_wire(
    engine: MediaEngine, both: Both, speech: Samples
) -> None:
    leg, peer, name = both.leg, both.peer, both.name
    clock = CLOCKS[name]
    playing = asyncio.create_task(leg.play(speech))
    now = asyncio.get_running_loop().time()
    for timed in WideTalker(name).say(speech):
        await asyncio.sleep(max(0.0, now + timed.arrival - asyncio.get_running_loop().time()))
        peer.rtp.sendto(timed.packet, leg.address)
    assert await playing == speech.size
    end = leg.end()
    assert similarity(speech[:9000], leg.read(0, end))[1] > ALIKE[name]
    assert similarity(speech[:9000], understood(name, peer.audio))[1] > ALIKE[name]
    leg.send_report(engine.clock.monotonic())
    await until(lambda: bool(peer.reports))
    sender = peer.reports[0].sender
    assert sender is not None
    assert sender.packets == len(peer.audio) == leg.statistics().packets_sent
    assert sender.octets == sum(len(packet) - 12 for packet in peer.audio)
    since = wrap_distance(sender.timestamp, int.from_bytes(peer.audio[0][4:8], "big"), 32)
    assert clock < since < 4 * clock
    (block,) = peer.reports[0].blocks
    assert block.lost == 0
    leg.close()


async def test_two_parties_of_different_codecs_are_joined(
    engine: MediaEngine, both: Both, peers: tuple[Peer, Peer], speech: Samples
) -> None:
    plain, other = engine.open_leg(), peers[1]
    plain.connect(other.session(PCMU, 0), "127.0.0.1")
    engine.join(both.leg, plain)
    for timed in WideTalker(both.name).say(speech[:1600]):
        both.peer.rtp.sendto(timed.packet, both.leg.address)
        await asyncio.sleep(0.02)
    await until(lambda: len(other.audio) == 10)
    assert {len(packet) for packet in other.audio[1:]} == {172}
    await both.leg.send_digits("7")
    await until(lambda: len([p for p in both.peer.listen() if p[1] & 0x7F == 101]) == 8)
    both.leg.close()
    plain.close()


async def test_what_a_kept_leg_says_beyond_the_line_is_in_its_own_journal(
    engine: MediaEngine, both: Both, desk: Desk
) -> None:
    leg, said = both.leg, bright(1.2)
    keep(desk, leg, 0)
    packets = WideTalker(both.name, rate=16_000).say(said)
    for number, timed in enumerate(packets):
        if number != 30:  # lost
            both.peer.rtp.sendto(timed.packet, leg.address)
        await asyncio.sleep(0.01)
    end = leg.end()
    leg.keep_up()
    narrow = desk.papers[SPEAK].samples[:end]
    wide = desk.wide[SPEAK].samples[: 2 * end]
    assert steps_apart(narrow, wide) == 0
    assert brightness(wide) > 0.2
    assert LISTEN not in desk.wide
    leg.keep_no_more()
    before = len(desk.wide[SPEAK].writes)
    both.peer.rtp.sendto(packets[0].packet, leg.address)
    await asyncio.sleep(0.1)
    leg.end()
    leg.keep_up()
    assert len(desk.wide[SPEAK].writes) == before
    leg.close()


async def test_a_leg_that_begins_to_speak_a_codec_is_kept_wide_from_then_on(
    engine: MediaEngine, both: Both, peers: tuple[Peer, Peer], desk: Desk, speech: Samples
) -> None:
    leg, peer = engine.open_leg(), peers[1]
    leg.connect(peer.session(PCMU, 0), "127.0.0.1")
    keep(desk, leg, 0)
    assert not desk.wide
    leg.connect(peer.session(WIDE[both.name], NUMBERS[both.name]), "127.0.0.1")
    since = leg.now()
    for timed in WideTalker(both.name, rate=16_000).say(bright(0.4)):
        peer.rtp.sendto(timed.packet, leg.address)
        await asyncio.sleep(0.01)
    leg.end()
    leg.keep_up()
    (first, _), *_ = desk.wide[SPEAK].writes
    assert first >= 2 * (since - 160)
    assert brightness(desk.wide[SPEAK].samples) > 0.2
    leg.close()
    both.leg.close()


async def test_parties_of_one_codec_hear_each_other_as_it_came(
    engine: MediaEngine, both: Both, peers: tuple[Peer, Peer], desk: Desk
) -> None:
    leg, other, name = engine.open_leg(), peers[1], both.name
    leg.connect(other.session(WIDE[name], NUMBERS[name] + 1), "127.0.0.1")
    engine.join(both.leg, leg)
    keep(desk, leg, 0)
    said = bright(1.0)
    packets = WideTalker(name, rate=16_000).say(said)
    for timed in packets:
        both.peer.rtp.sendto(timed.packet, both.leg.address)
        await asyncio.sleep(0.01)
    await until(lambda: len(other.audio) == len(packets))
    assert [p[12:] for p in other.audio] == [timed.packet[12:] for timed in packets]
    assert {p[1] & 0x7F for p in other.audio} == {NUMBERS[name] + 1}
    stamps = [int.from_bytes(p[4:8], "big") for p in other.audio]
    assert {wrap_distance(b, a, 32) for a, b in pairwise(stamps)} == {CLOCKS[name] // 50}
    # What it heard is kept as it heard it, and in step with the line.
    leg.keep_up()
    narrow, wide = desk.papers[LISTEN].samples, desk.wide[LISTEN].samples
    assert steps_apart(narrow[:16_000], wide[:32_000]) == 0
    assert brightness(wide) > 0.2
    # A prompt is made for it by an encoder that begins anew.
    playing = asyncio.create_task(leg.play(resampled(said, 0.5)[:1600]))
    await playing
    await until(lambda: len(other.audio) >= len(packets) + 9)
    both.leg.close()
    leg.close()


def keep(desk: Desk, leg: RtpLeg, since: int) -> None:
    """Keep a leg, as a capture does."""

    def wide(side: Side, rate: int) -> Paper:
        return desk.create("leg", side, rate=rate, first=0, wall_us=0, wide=True)

    heard, sent = (
        desk.create("leg", side, rate=8000, first=0, wall_us=0) for side in (SPEAK, LISTEN)
    )
    leg.keep(heard, sent, since, wide)


async def test_what_is_encrypted_is_transcoded_behind_its_keys(both: Both, speech: Samples) -> None:
    leg, peer, name = both.leg, both.peer, both.name
    suite, ours, theirs = "AES_CM_128_HMAC_SHA1_80", bytes(range(30)), bytes(range(30, 60))
    session = replace(peer.session(WIDE[name], NUMBERS[name]), keys=MediaKeys(suite, ours, theirs))
    leg.connect(session, "127.0.0.1")
    cipher = SrtpCipher(Keys(suite, theirs, ours))
    playing = asyncio.create_task(leg.play(speech[:1600]))
    for timed in WideTalker(name).say(speech[:3200]):
        sealed = cipher.seal(timed.packet)
        assert sealed is not None
        peer.rtp.sendto(sealed, leg.address)
        await asyncio.sleep(0.02)
    await playing
    heard = leg.read(0, leg.end())
    assert similarity(speech[:2400], heard)[1] > ALIKE[name] - 0.1
    opened = [cipher.open(packet) for packet in peer.listen()]
    audio = [packet for packet in opened if packet is not None]
    assert len(audio) == 10
    assert similarity(speech[:1400], understood(name, audio))[1] > ALIKE[name] - 0.1
    leg.close()


async def test_octets_of_no_codec_are_counted(engine: MediaEngine, both: Both) -> None:
    for timed in WideTalker(both.name).send([b""] * 5):
        both.peer.rtp.sendto(timed.packet, both.leg.address)
    await until(lambda: both.leg.statistics().packets_refused == 5)
    both.leg.close()
