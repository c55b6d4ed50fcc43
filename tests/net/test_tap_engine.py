"""Live audio of legs on real sockets, and on its way out as RTP."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_network

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.terms import pcmu
from mediaserver.addresses import AddressRule
from mediaserver.audio.g711 import ALAW_DECODE, ULAW_DECODE
from mediaserver.audio.live_codec import Decoder, LiveCodec
from mediaserver.errors import PeerError
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.net.tap_rtp import RtpTaps
from mediaserver.net.taps import Tap
from mediaserver.recording.resource import Direction as Side
from mediaserver.rtp.packet import build_packet

PACKETS = 20


class Phone:
    """A far end."""

    def __init__(self, seed: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        random = np.random.default_rng(seed)
        self.payload = random.integers(0, 0x7E, 160 * PACKETS).astype(np.uint8)
        self.said: NDArray[np.int16] = ULAW_DECODE[self.payload]
        self.session = pcmu(self.socket.getsockname()[:2])

    def say(self, leg: RtpLeg, number: int) -> None:
        piece = self.payload[160 * number : 160 * number + 160]
        self.socket.sendto(build_packet(0, number, 160 * number, 7, piece.tobytes()), leg.address)


@pytest.fixture
def phones() -> Iterator[tuple[Phone, Phone]]:
    pair = Phone(1), Phone(2)
    yield pair
    for phone in pair:
        phone.socket.close()


@pytest.fixture
async def legs(engine: MediaEngine, phones: tuple[Phone, Phone]) -> tuple[RtpLeg, RtpLeg]:
    pair = engine.open_leg(), engine.open_leg()
    for leg, phone in zip(pair, phones, strict=True):
        leg.connect(phone.session, "127.0.0.1")
    return pair


async def talk(phones: tuple[Phone, Phone], legs: tuple[RtpLeg, RtpLeg]) -> None:
    """Let both say all they have in a burst: however busy the machine is, it is there in time."""
    for number in range(PACKETS):
        for phone, leg in zip(phones, legs, strict=True):
            phone.say(leg, number)
    await asyncio.sleep(0.02 * PACKETS + 0.05)
    for leg in legs:
        leg.end()


async def whole(tap: Tap) -> NDArray[np.int16]:
    """Return the tracks of a tap from beginning to end."""
    frames = []
    while (frame := await tap.take()) is not None:
        frames.append(frame)
    assert [frame.number for frame in frames] == list(range(len(frames)))
    return np.concatenate([frame.samples for frame in frames], axis=1)


def lies_in(piece: NDArray[np.int16], track: NDArray[np.int16]) -> bool:
    return piece.tobytes() in track.tobytes()


async def test_live_audio_of_joined_legs_is_what_each_says_and_hears(
    engine: MediaEngine, phones: tuple[Phone, Phone], legs: tuple[RtpLeg, RtpLeg]
) -> None:
    engine.join(*legs)
    speak, listen = legs[0].tap(Side.SPEAK, 20), legs[0].tap(Side.LISTEN, 60)
    apart = legs[1].tap(Side.BOTH, 30, apart=True)
    taking = [asyncio.create_task(whole(tap)) for tap in (speak, listen, apart)]
    await talk(phones, legs)
    for leg in legs:
        leg.close()
    said, heard, both = await asyncio.gather(*taking)
    assert lies_in(phones[0].said, said)
    assert lies_in(phones[1].said, heard)
    assert lies_in(phones[1].said, both[0])
    assert lies_in(phones[0].said, both[1])


async def test_what_is_played_is_heard_live(
    phones: tuple[Phone, Phone], legs: tuple[RtpLeg, RtpLeg]
) -> None:
    tap = legs[0].tap(Side.LISTEN, 20)
    taking = asyncio.create_task(whole(tap))
    clip = ULAW_DECODE[np.random.default_rng(9).integers(0, 0x7E, 2000).astype(np.uint8)]
    await legs[0].play(clip)
    first = await legs[0].tap(Side.SPEAK, 20).take()  # time goes on without a packet
    assert first is not None
    assert not first.samples.any()
    legs[0].close()
    assert lies_in(clip, await taking)
    assert await legs[0].tap(Side.BOTH, 20).take() is None


@pytest.mark.parametrize(("name", "ptime"), [("PCMU", 20), ("PCMA", 60)])
async def test_a_tap_over_rtp_is_a_stream_like_any_other(name: str, ptime: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(3)
        taps = RtpTaps("127.0.0.1", "127.0.0.1", AddressRule([ip_network("127.0.0.1/32")]).permits)
        host, port = receiver.getsockname()
        out = taps.open(host, port, LiveCodec(name, ptime=ptime))
        table, kind = (ULAW_DECODE, 0) if name == "PCMU" else (ALAW_DECODE, 8)
        codes = np.random.default_rng(3).integers(0, 0x7E, 8 * ptime).astype(np.uint8)
        for number in (0, 1, 5):
            out.send(number, table[codes])
        packets = [receiver.recvfrom(2048) for _ in range(3)]
        out.close()
        assert {source for _, source in packets} == {out.source}
        heads = [struct.unpack(">BBHII", data[:12]) for data, _ in packets]
        assert {data[12:] for data, _ in packets} == {codes.tobytes()}
        # A spurt begins with a marker; time passes for what is left out, the count does not.
        assert [head[1] for head in heads] == [kind | 0x80, kind, kind | 0x80]
        first = heads[0]
        assert [(head[2] - first[2]) & 0xFFFF for head in heads] == [0, 1, 2]
        times = [(head[3] - first[3]) & 0xFFFF_FFFF for head in heads]
        assert times == [0, 8 * ptime, 5 * 8 * ptime]
        assert len({head[4] for head in heads}) == 1


@pytest.mark.parametrize(
    ("codec", "kind", "ticks"),
    [(LiveCodec("G722", 16_000, 40), 9, 320), (LiveCodec("OPUS", 48_000, 60), 96, 2880)],
)
async def test_a_tap_over_rtp_counts_by_the_clock_of_its_codec(
    codec: LiveCodec, kind: int, ticks: int
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(3)
        taps = RtpTaps("127.0.0.1", "127.0.0.1", AddressRule([ip_network("127.0.0.1/32")]).permits)
        codec.load()
        host, port = receiver.getsockname()
        out = taps.open(host, port, codec)
        at = np.arange(8 * codec.ptime * 10)
        said = np.rint(8000 * np.sin(2 * np.pi * 500 * at / 8000)).astype(np.int16)
        for number, frame in enumerate(said.reshape(10, -1)):
            out.send(number, frame)
        packets = [receiver.recv(2048) for _ in range(10)]
        out.close()
    heads = [struct.unpack(">BBHII", data[:12]) for data in packets]
    assert {head[1] & 0x7F for head in heads} == {kind}
    times = [(head[3] - heads[0][3]) & 0xFFFF_FFFF for head in heads]
    assert times == [number * ticks for number in range(10)]
    decoder = Decoder(codec)
    heard = np.concatenate([decoder.decode(data[12:]) for data in packets])[400:]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert np.argmax(spectrum) * 8000 / heard.size == pytest.approx(500, abs=5)


async def test_a_tap_to_nobody_is_no_matter() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        host, port = gone.getsockname()
    taps = RtpTaps("0.0.0.0", "192.0.2.7", lambda _: True)
    out = taps.open(host, port, LiveCodec("PCMU"))
    for number in range(20):
        out.send(number, np.zeros(160, np.int16))
    assert out.source[0] == "192.0.2.7"
    out.close()


@pytest.mark.parametrize(
    ("host", "port", "codec", "status"),
    [
        ("127.0.0.2", 4000, "PCMU", 403),
        ("169.254.169.254", 4000, "PCMU", 403),
        ("::ffff:127.0.0.1", 4000, "PCMU", 403),
        ("2130706433", 4000, "PCMU", 400),
        ("0x7f.1", 4000, "PCMU", 400),
        ("localhost", 4000, "PCMU", 400),
        ("127.0.0.1", 0, "PCMU", 400),
        ("127.0.0.1", 70_000, "PCMU", 400),
        ("127.0.0.1", 4000, "L16", 400),
    ],
)
async def test_rtp_goes_only_where_it_may(host: str, port: int, codec: str, status: int) -> None:
    taps = RtpTaps("127.0.0.1", "127.0.0.1", AddressRule([ip_network("127.0.0.1/32")]).permits)
    with pytest.raises(PeerError) as refused:
        taps.open(host, port, LiveCodec(codec))
    assert refused.value.status == status
