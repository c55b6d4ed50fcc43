"""WebSockets of ours: to whom they go, and what becomes of them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from mediaserver.web import websocket as module
from mediaserver.web.guard import OutboundGuard
from mediaserver.web.outbound import FetchFailed
from mediaserver.web.websocket import WebSocket, WebSockets

LOOPBACK = ip_network("127.0.0.0/8")


class Server:
    """Serves WebSockets at /, and what a test says elsewhere."""

    def __init__(self) -> None:
        self.handshakes: list[dict[str, str]] = []
        self.got: list[str | bytes] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.ended = asyncio.Event()
        self.port = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(dict(request.headers))
        response = web.WebSocketResponse()
        await response.prepare(request)
        self.sockets.append(response)
        async for message in response:
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                self.got.append(message.data)
                await response.send_str(f"got {len(message.data)}")
        self.ended.set()
        return response

    def url(self, path: str = "/", scheme: str = "ws", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


async def elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/")


async def nothing(request: web.Request) -> web.StreamResponse:
    return web.Response(text="no")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get("/", server.serve)
    app.router.add_get("/elsewhere", elsewhere)
    app.router.add_get("/nothing", nothing)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    for socket_ in server.sockets:
        await socket_.close()
    await runner.cleanup()


Connect = Callable[..., Awaitable[WebSocket]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    made: list[Any] = []

    async def make(
        url: str,
        allow: Sequence[Any] = (LOOPBACK,),
        *,
        secure: bool = True,
        seconds: float = 3.0,
        lookup: Any = None,
        **headers: str,
    ) -> WebSocket:
        guard = OutboundGuard(allow, lookup)
        sockets = WebSockets(guard, allow)
        made.extend([sockets, guard])
        return await sockets.connect(url, headers=headers, timeout=seconds, secure=secure)

    yield make
    for one in made:
        await one.close()


async def test_messages_go_both_ways_until_goodbye(server: Server, connect: Connect) -> None:
    ours = await connect(server.url(), Authorization="Bearer secret")
    await ours.send("text")
    assert await ours.receive() == "got 4"
    await ours.send(b"\0\1")
    assert await ours.receive() == "got 2"
    assert server.got == ["text", b"\0\1"]
    assert server.handshakes[0]["Authorization"] == "Bearer secret"
    await ours.close()
    await asyncio.wait_for(server.ended.wait(), 3)
    with pytest.raises(FetchFailed, match="closed the connection"):
        await ours.send("more")


async def test_user_and_password_of_the_url_go_as_basic(server: Server, connect: Connect) -> None:
    url = server.url().replace("ws://", "ws://me:pw@")
    await (await connect(url)).close()
    assert server.handshakes[0]["Authorization"].startswith("Basic ")


async def test_a_goodbye_of_theirs_is_no_loss(server: Server, connect: Connect) -> None:
    ours = await connect(server.url())
    await server.sockets[0].close()
    assert await ours.receive() is None
    await ours.close()


async def test_a_connection_that_breaks_is_a_loss(server: Server, connect: Connect) -> None:
    ours = await connect(server.url())
    transport = server.sockets[0].get_extra_info("socket")
    assert transport is not None
    transport.shutdown(socket.SHUT_RDWR)
    with pytest.raises(FetchFailed, match="broke off"):
        await ours.receive()
    await ours.close()


async def test_who_takes_nothing_is_given_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STUCK", 0.2)
    monkeypatch.setattr(module, "CLOSE_WAIT", 0.1)
    given_up, ended = asyncio.Event(), asyncio.Event()

    async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(x[19:] for x in request.split("\r\n") if x.startswith("Sec-WebSocket-Key: "))
        answer = accepted(key)
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Accept: {answer}\r\n\r\n".encode()
        )
        await given_up.wait()
        await reader.read()  # what was sent, and then its end
        ended.set()
        writer.close()

    server = await asyncio.start_server(shake_hands, "127.0.0.1", 0)
    ours = await connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    with pytest.raises(FetchFailed, match="takes nothing"):
        await asyncio.gather(*(ours.send(bytes(64 * 1024)) for _ in range(300)))
    await ours.close()
    given_up.set()
    await asyncio.wait_for(ended.wait(), 3)
    server.close()
    await server.wait_closed()


def accepted(key: str) -> str:
    """Return the answer to a handshake's key (RFC 6455 section 4.2.2)."""
    text = key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1(text).digest()).decode()


@pytest.mark.parametrize(
    ("url", "status", "sentence"),
    [
        ("http://127.0.0.1/", 400, "only ws and wss"),
        ("file:///etc/passwd", 400, "only ws and wss"),
        ("ws://", 400, "no host"),
        ("ws://127.0.0.1/a b", 400, "space"),
        ("ws://2130706433/", 403, "not a public one"),
        ("ws://[::ffff:10.0.0.1]/", 403, "not a public one"),
        ("wss://169.254.169.254/", 403, "not a public one"),
    ],
)
async def test_what_is_no_place_for_a_web_socket(
    connect: Connect, url: str, status: int, sentence: str
) -> None:
    with pytest.raises(FetchFailed, match=sentence) as refused:
        await connect(url)
    assert refused.value.status == status


async def test_no_forbidden_address_is_reached(server: Server, connect: Connect) -> None:
    async def private(host: str) -> list[str]:
        return ["127.0.0.1"]

    for url in (server.url(), server.url(host="inside.example")):
        for secure in (True, False):
            with pytest.raises(FetchFailed, match="not a public one"):
                await connect(url, (), lookup=private, secure=secure)
    assert server.handshakes == []


async def test_audio_goes_unencrypted_only_where_the_operator_says(connect: Connect) -> None:
    async def public(host: str) -> list[str]:
        return ["93.184.216.34"]

    with pytest.raises(FetchFailed, match="only wss") as refused:
        await connect("ws://example.com/", lookup=public)
    assert refused.value.status == 403
    with pytest.raises(FetchFailed, match="only wss"):
        await connect("ws://93.184.216.34/", lookup=public)


async def test_a_redirect_is_a_refusal(server: Server, connect: Connect) -> None:
    with pytest.raises(FetchFailed, match="answered 302"):
        await connect(server.url("/elsewhere"))
    assert server.handshakes == []


async def test_what_is_no_web_socket_is_told(server: Server, connect: Connect) -> None:
    with pytest.raises(FetchFailed, match="answered 200"):
        await connect(server.url("/nothing"))
    with pytest.raises(FetchFailed, match="cannot be reached"):
        await connect("ws://127.0.0.1:1/")


async def test_a_server_that_never_answers_is_waited_for_so_long(connect: Connect) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(FetchFailed, match=r"longer than 0\.1 s") as late:
            await connect(f"ws://127.0.0.1:{mute.getsockname()[1]}/", seconds=0.1)
    assert late.value.status == 504
