"""Taps and streams of a call: from a real leg to real receivers, and what callbacks say of them."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import numpy as np
import pytest
import structlog
from aiohttp import WSMsgType, web
from numpy.typing import NDArray

from farend.tape import Desk
from farend.terms import pcmu
from mediaserver.addresses import AddressRule
from mediaserver.audio.g711 import ULAW_DECODE
from mediaserver.audio.opus import OpusDecoder, OpusEncoder
from mediaserver.calls import live_outputs as module
from mediaserver.calls.announcer import Announcer
from mediaserver.calls.capture import Capture
from mediaserver.calls.ending import CallOver, Ending
from mediaserver.calls.floor import Floor
from mediaserver.calls.live_outputs import MAX_OUTPUTS, LiveOutputs
from mediaserver.calls.streaming import StreamOrder
from mediaserver.calls.tapping import TapOrder
from mediaserver.clock import SystemClock
from mediaserver.errors import ConflictError, PeerError
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.net.ports import PortPool
from mediaserver.net.tap_rtp import RtpTaps
from mediaserver.recording.announcement import Announcement, Envelope, Kind
from mediaserver.recording.resource import Direction
from mediaserver.rtp.packet import build_packet
from mediaserver.web.guard import OutboundGuard
from mediaserver.web.websocket import WebSockets

LOOPBACK = ip_network("127.0.0.0/8")
PACKETS = 15
T = TypeVar("T")


class Phone:
    """The caller: says the same random octets every time, and hears."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        random = np.random.default_rng(1)
        self.said = random.integers(0, 0x7E, 160 * PACKETS).astype(np.uint8).tobytes()
        self._number = 0
        self.session = pcmu(self.socket.getsockname()[:2])

    async def talk(self, leg: RtpLeg) -> None:
        """Say all of it, in a burst: however busy the machine is, it is there in time."""
        for at in range(0, len(self.said), 160):
            piece = self.said[at : at + 160]
            packet = build_packet(0, self._number, 160 * self._number, 7, piece)
            self.socket.sendto(packet, leg.address)
            self._number += 1
        await asyncio.sleep(0.1)

    def heard(self) -> bytes:
        """Return the audio that came since."""
        audio = b""
        while True:
            try:
                audio += self.socket.recv(2048)[12:]
            except BlockingIOError:
                return audio


class Book:
    """An outbox in memory."""

    def __init__(self) -> None:
        self.said: list[Announcement] = []

    async def add(self, announcements: Sequence[Announcement]) -> None:
        self.said.extend(announcements)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(said.body) for said in self.said]

    def states(self) -> list[tuple[str, str | None]]:
        params = [event["params"] for event in self.events()]
        return [(told["state"], told.get("reason")) for told in params]


class Party:
    """What live outputs need of a call, with a real leg."""

    def __init__(self, engine: MediaEngine, web_sockets: WebSockets) -> None:
        self.id = "call-1"
        self.phone = Phone()
        self.leg = engine.open_leg()
        self.media: RtpLeg | None = self.leg
        self.leg.connect(self.phone.session, "127.0.0.1")
        self.capture = Capture(self.leg, Desk(), engine.clock)
        self.envelope = Envelope(
            project_id="project-1", space_id="space-1", node_id="node-1", session_id="session-1"
        )
        self.book = Book()
        self.services = SimpleNamespace(
            rtp_outputs=RtpTaps("127.0.0.1", "127.0.0.1", AddressRule([LOOPBACK]).permits),
            web_sockets=web_sockets,
        )
        self.log = structlog.get_logger("test")
        self.tasks: list[asyncio.Task[Any]] = []
        self.announcer = Announcer(self.book, self.envelope, self.id, engine.clock, self.spawn)
        self.outputs = LiveOutputs()
        self.floor = Floor()
        self._ending = Ending()

    @property
    def ended(self) -> bool:
        return self._ending.done()

    async def unless_over(self, step: Awaitable[T]) -> T:
        return await self._ending.unless_over(step)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    async def tap(self, uri: str, **order: Any) -> dict[str, Any]:
        return await self.outputs.start_tap(cast(Any, self), TapOrder(uri=uri, **order))

    async def stream(self, url: str, **order: Any) -> dict[str, Any]:
        return await self.outputs.start_stream(cast(Any, self), StreamOrder(url=url, **order))

    def hang_up(self) -> None:
        if self._ending.come("hangup"):
            self.capture.hang_up()
            self.leg.close()

    async def settled(self, seconds: float = 5.0) -> None:
        """Wait until nothing of the call runs any more."""
        async with asyncio.timeout(seconds):
            for task in self.tasks:
                await task


class Server:
    """A WebSocket server that keeps what it gets."""

    def __init__(self) -> None:
        self.handshakes: list[dict[str, str]] = []
        self.got: list[Any] = []
        self.came = asyncio.Event()
        self.socket: web.WebSocketResponse | None = None
        self.over = asyncio.Event()
        self.port = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(dict(request.headers))
        self.socket = web.WebSocketResponse()
        await self.socket.prepare(request)
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                self.got.append(json.loads(message.data))
            elif message.type is WSMsgType.BINARY:
                self.got.append(message.data)
            self.came.set()
        self.over.set()
        return self.socket

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["event"] == event]

    async def say(self, event: str, **content: Any) -> None:
        assert self.socket is not None
        await self.socket.send_str(json.dumps({"event": event, event: content}))

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    app = web.Application()
    app.router.add_get("/", server.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(Server()) as server:
        yield server


@pytest.fixture
async def call() -> AsyncIterator[Party]:
    engine = MediaEngine(
        PortPool("127.0.0.1", 19_600, 19_639, drain=0.1),
        SystemClock(),
        advertise="127.0.0.1",
        capacity=8,
    )
    engine.start()
    guard = OutboundGuard([LOOPBACK])
    sockets = WebSockets(guard, [LOOPBACK])
    call = Party(engine, sockets)
    yield call
    call.hang_up()
    await call.settled()
    call.phone.socket.close()
    engine.stop()
    await sockets.close()
    await guard.close()


async def test_a_tap_over_rtp(call: Party) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        port = receiver.getsockname()[1]
        uri = f"rtp://127.0.0.1:{port}"
        variables = await call.tap(uri, control_id="t", ptime=30, status_url="http://me/")
        await call.phone.talk(call.leg)
        call.hang_up()
        await call.settled()
        audio = b""
        sources = set()
        while True:
            try:
                data, source = receiver.recvfrom(2048)
            except BlockingIOError:
                break
            audio += data[12:]
            sources.add(source)
            assert len(data) == 12 + 240
    assert call.phone.said in audio
    assert sources == {(variables["tap_rtp_src_addr"], variables["tap_rtp_src_port"])}
    del variables["tap_rtp_src_addr"], variables["tap_rtp_src_port"]
    assert variables == {
        "tap_uri": uri,
        "tap_result": "success",
        "tap_control_id": "t",
        "tap_ptime": 30,
        "tap_codec": "PCMU",
        "tap_rate": 8000,
    }
    first, last = call.book.events()
    assert {said.url for said in call.book.said} == {"http://me/"}
    assert [said.sequence for said in call.book.said] == [1, 2]
    assert first["event_type"] == "calling.call.tap"
    assert first["params"] == {
        "call_id": "call-1",
        "node_id": "node-1",
        "control_id": "t",
        "state": "tapping",
        "tap": {"type": "audio", "params": {"direction": "speak"}},
        "device": {
            "type": "rtp",
            "params": {"codec": "PCMU", "addr": "127.0.0.1", "port": port, "ptime": 30},
        },
    }
    assert last["params"] == first["params"] | {"state": "finished", "reason": "call_ended"}


async def test_a_tap_over_a_web_socket(call: Party, server: Server) -> None:
    variables = await call.tap(
        server.url, direction=Direction.BOTH, codec="PCMU", status_url="http://me/"
    )
    assert variables["tap_result"] == "success"
    assert "tap_rtp_src_addr" not in variables
    await call.phone.talk(call.leg)
    await server.until(lambda: len(server.got) >= PACKETS - 3)
    assert call.outputs.stop_tap(None)
    assert not call.outputs.stop_tap(variables["tap_control_id"])
    await call.settled()
    assert not call.outputs.stop_tap(variables["tap_control_id"])
    assert {len(message) for message in server.got} == {160}
    audio = b"".join(server.got)
    assert call.phone.said[: 160 * (PACKETS - 5)] in audio
    assert server.handshakes[0]["X-Mediaserver-Call"] == "call-1"
    assert server.handshakes[0]["X-Mediaserver-Control"] == variables["tap_control_id"]
    assert call.book.states() == [("tapping", None), ("finished", "stopped")]
    assert call.book.events()[0]["params"]["device"] == {
        "type": "ws",
        "params": {"codec": "PCMU", "uri": server.url},
    }


async def test_a_stream_tells_and_carries_everything(call: Party, server: Server) -> None:
    variables = await call.stream(
        server.url,
        control_id="s",
        name="mine",
        track="both_tracks",
        status_url="http://me/",
        authorization_bearer_token="token",
        custom_parameters={"tier": "gold"},
    )
    assert variables == {"stream_result": "success", "stream_control_id": "s"}
    clip = np.random.default_rng(5).integers(0, 0x7E, 160 * 6).astype(np.uint8)
    await asyncio.gather(call.phone.talk(call.leg), call.leg.play(ULAW_DECODE[clip]))
    call.capture.on_key("7", 0)
    await asyncio.sleep(0.06)
    call.hang_up()
    await call.settled()
    await asyncio.wait_for(server.over.wait(), 3)
    assert server.handshakes[0]["Authorization"] == "Bearer token"
    connected, start = server.got[:2]
    assert connected["event"] == "connected"
    assert start["start"]["tracks"] == ["inbound", "outbound"]
    assert start["start"]["customParameters"] == {"tier": "gold"}
    assert start["start"]["callSid"] == "call-1"
    assert start["start"]["accountSid"] == "project-1"
    for track, audio in (("inbound", call.phone.said), ("outbound", clip.tobytes())):
        media = [m["media"] for m in server.of("media") if m["media"]["track"] == track]
        assert [int(frame["chunk"]) for frame in media] == list(range(1, len(media) + 1))
        assert [int(frame["timestamp"]) for frame in media] == list(range(0, 20 * len(media), 20))
        assert audio in b"".join(b64decode(frame["payload"]) for frame in media)
    assert [m["dtmf"]["digit"] for m in server.of("dtmf")] == ["7"]
    assert server.got[-1]["event"] == "stop"
    assert server.got[-1]["stop"]["reason"] == "call_ended"
    numbers = [int(message["sequenceNumber"]) for message in server.got[1:]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert call.capture.key_listeners == []
    first, last = call.book.events()
    assert first["event_type"] == "calling.call.stream"
    assert first["params"] == {
        "call_id": "call-1",
        "node_id": "node-1",
        "control_id": "s",
        "state": "streaming",
        "url": server.url,
        "name": "mine",
    }
    assert last["params"] == first["params"] | {"state": "finished", "reason": "call_ended"}


async def test_a_stream_of_linear_samples(call: Party, server: Server) -> None:
    await call.stream(server.url, codec="L16@24000h@40i")
    await call.phone.talk(call.leg)
    await server.until(lambda: len(server.of("media")) >= 3)
    assert call.outputs.stop_stream("") is False
    assert call.outputs.stop_stream(None)
    await call.settled()
    await asyncio.wait_for(server.over.wait(), 3)
    media = [m["media"] for m in server.of("media")]
    assert {len(b64decode(frame["payload"])) for frame in media} == {2 * 24 * 40}
    assert [int(frame["timestamp"]) for frame in media] == list(range(0, 40 * len(media), 40))
    assert server.got[1]["start"]["mediaFormat"]["sampleRate"] == 24_000
    assert server.got[-1]["stop"]["reason"] == "stopped"


async def test_a_server_speaks_to_the_caller(call: Party, server: Server) -> None:
    await call.stream(server.url, bidirectional=True, realtime=False)
    await server.until(lambda: len(server.got) >= 2)
    call.phone.heard()
    for at in range(0, 160 * PACKETS, 80):  # more than ten times as fast as it is played
        await server.say("media", payload=b64encode(call.phone.said[at : at + 80]).decode())
    await server.say("nonsense")
    assert server.socket is not None
    await server.socket.send_str("{")
    await server.say("mark", name="said")
    await server.until(lambda: bool(server.of("mark")))
    assert server.of("mark")[0]["mark"] == {"name": "said"}
    assert call.phone.heard().rstrip(b"\xff") == call.phone.said
    await server.say("media", payload=b64encode(bytes(80_000)).decode())
    await server.say("mark", name="cleared")
    await server.say("clear")
    await server.until(lambda: len(server.of("mark")) == 2)
    assert len(call.phone.heard()) < 16_000


async def test_opus_goes_both_ways_a_packet_a_message(call: Party, server: Server) -> None:
    await call.stream(server.url, codec="OPUS@48000H@40I", bidirectional=True)
    encoder, decoder = OpusEncoder(), OpusDecoder()
    await server.until(lambda: bool(server.of("media")))
    assert server.got[1]["start"]["mediaFormat"] == {
        "encoding": "audio/opus",
        "sampleRate": 48_000,
        "channels": 1,
    }
    call.phone.heard()
    await server.say("media", payload=b64encode(b"").decode())
    await server.say("media", payload=b64encode(b"\x03").decode())
    tone = np.rint(8000 * np.sin(np.arange(3200) * 2 * np.pi * 500 / 8000)).astype(np.int16)
    for frame in tone.reshape(-1, 160):
        await server.say("media", payload=b64encode(encoder.encode(frame)).decode())
    await server.say("mark", name="said")
    await server.until(lambda: bool(server.of("mark")))
    heard = ULAW_DECODE[np.frombuffer(call.phone.heard(), np.uint8)]
    assert heard.size >= tone.size
    assert np.corrcoef(heard[68:3200], tone[:-68])[0, 1] > 0.95
    for message in server.of("media"):
        assert decoder.decode(b64decode(message["media"]["payload"])).size == 320


async def test_a_tap_over_a_web_socket_may_be_opus(call: Party, server: Server) -> None:
    variables = await call.tap(server.url, codec="opus")
    assert (variables["tap_codec"], variables["tap_rate"]) == ("OPUS", 48_000)
    decoder = OpusDecoder()
    await server.until(lambda: len(server.got) >= 3)
    assert [decoder.decode(message).size for message in server.got] == [160] * len(server.got)


async def test_a_stream_one_way_takes_nothing_from_its_server(call: Party, server: Server) -> None:
    await call.stream(server.url, status_url="http://me/", status_url_method="GET")
    await server.until(lambda: len(server.got) >= 2)
    await server.say("media", payload=b64encode(bytes(1600)).decode())
    await server.say("mark", name="never")
    await server.until(lambda: len(server.of("media")) >= 10)
    assert call.phone.heard() == b""
    assert not server.of("mark")
    (said,) = call.book.said
    assert (said.kind, said.body) == (Kind.QUERY, b"")
    assert "&state=streaming&" in said.url


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_server_that_goes_ends_its_stream_alone(
    call: Party, server: Server, breaks: bool
) -> None:
    await call.stream(server.url, status_url="http://me/")
    await server.until(lambda: len(server.got) >= 2)
    assert server.socket is not None
    if breaks:
        raw = server.socket.get_extra_info("socket")
        assert raw is not None
        raw.shutdown(socket.SHUT_RDWR)
    else:
        await server.socket.close()
    await call.settled()
    assert not call.ended
    assert call.book.states() == [("streaming", None), ("finished", "lost" if breaks else "closed")]
    assert call.outputs.stop_stream(None) is False


class Deaf:
    """A server that shakes hands and then never reads."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        raw = request.transport
        assert raw is not None
        raw.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        response = web.WebSocketResponse()
        await response.prepare(request)
        raw.pause_reading()
        await self.gone.wait()
        raw.abort()
        return response


async def test_a_server_that_takes_nothing_costs_the_call_nothing(
    call: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST", 0.2)
    deaf = Deaf()
    server = Server()
    monkeypatch.setattr(server, "serve", deaf.serve)
    async with serving(server):
        # As much as can be sent, so that what the kernel takes is soon full.
        stream = await call.outputs.begin_stream(
            cast(Any, call),
            StreamOrder(url=server.url, track="both_tracks", codec="L16@48000h@120i"),
        )
        tap = cast(Any, stream.audio)
        frame = SimpleNamespace(number=0, samples=np.zeros((2, 960), np.int16))
        full = 0
        while full < 20:
            full = full + 1 if len(tap._frames) >= tap._most else 0
            tap._frames.extend([frame] * (tap._most - len(tap._frames)))
            await asyncio.sleep(0.001)
        sound = call.leg.tap(Direction.SPEAK, 20)
        await call.phone.talk(call.leg)
        call.hang_up()
        await call.settled(3.0)
        deaf.gone.set()
    heard: list[NDArray[np.int16]] = []
    while (live := await sound.take()) is not None:
        heard.append(live.samples[0])
    said = ULAW_DECODE[np.frombuffer(call.phone.said, np.uint8)]
    assert said.tobytes() in np.concatenate(heard).tobytes()
    assert len(tap._frames) <= tap._most


async def test_what_cannot_be_begun_is_told_and_leaves_nothing(call: Party, server: Server) -> None:
    for uri, order in (
        ("rtp://127.0.0.1:0", {}),
        ("rtp://localhost:4000", {}),
        ("rtp://10.0.0.1:4000", {}),
        ("rtp://127.0.0.1", {}),
        ("http://127.0.0.1/", {}),
        ("ws://127.0.0.1:1/", {}),
        ("rtp://127.0.0.1:4000", {"codec": "L16"}),
        ("rtp://127.0.0.1:4000", {"ptime": 15}),
        ("rtp://127.0.0.1:4000", {"codec": "OPUS", "ptime": 30}),
    ):
        assert await call.tap(uri, **order) == {"tap_uri": uri, "tap_result": "failed"}
    for wrong in (
        {"track": "all"},
        {"codec": "GSM"},
        {"codec": "OPUS@30i"},
        {"custom_parameters": {"much": "x" * 10_000}},
        {"authorization_bearer_token": "a\r\nb: c"},
    ):
        assert await call.stream(server.url, **cast(Any, wrong)) == {"stream_result": "failed"}
    assert await call.stream("ws://10.0.0.1/") == {"stream_result": "failed"}
    assert server.handshakes == []
    assert call.book.said == []
    assert call.tasks == []


async def test_a_call_has_so_many_outputs_and_each_its_own_name(call: Party) -> None:
    outputs, party = call.outputs, cast(Any, call)
    for number in range(MAX_OUTPUTS):
        await outputs.begin_tap(party, TapOrder(uri="rtp://127.0.0.1:9", control_id=str(number)))
    with pytest.raises(ConflictError, match="'3' runs"):
        await outputs.begin_tap(party, TapOrder(uri="rtp://127.0.0.1:9", control_id="3"))
    with pytest.raises(ConflictError, match="stop one first"):
        await outputs.begin_tap(party, TapOrder(uri="rtp://127.0.0.1:9"))
    assert outputs.stop_tap("3")
    await asyncio.wait_for(call.tasks[3], 3)
    await outputs.begin_tap(party, TapOrder(uri="rtp://127.0.0.1:9", control_id="3"))
    assert outputs.stop_tap("4")
    await asyncio.wait_for(call.tasks[4], 3)
    with pytest.raises(PeerError, match="codec"):
        await outputs.begin_tap(party, TapOrder(uri="rtp://127.0.0.1:9", codec="GSM"))


async def test_the_one_begun_last_is_one_that_is_not_being_stopped(call: Party) -> None:
    outputs, party = call.outputs, cast(Any, call)
    for control_id in ("first", "last"):
        order = TapOrder(uri="rtp://127.0.0.1:9", control_id=control_id)
        await outputs.begin_tap(party, order)
    assert [outputs.stop_tap(None) for _ in range(3)] == [True, True, False]
    await call.settled()


async def test_a_call_that_ends_while_it_connects_leaves_nothing(call: Party) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}/"
        starting = asyncio.create_task(call.stream(url, control_id="s"))
        await asyncio.sleep(0.05)
        with pytest.raises(ConflictError):
            await call.outputs.begin_stream(cast(Any, call), StreamOrder(url=url, control_id="s"))
        call.hang_up()
        with pytest.raises(CallOver):
            await starting
    call.media = None
    with pytest.raises(CallOver):
        await call.tap("rtp://127.0.0.1:9")
