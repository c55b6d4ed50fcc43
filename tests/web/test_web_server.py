from __future__ import annotations

import asyncio
import gzip
import json
import socket
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

import mediaserver
from mediaserver.errors import LocalError
from mediaserver.web.connection import ServerLimits
from mediaserver.web.health import Health, MediaHealth
from mediaserver.web.server import WebServer

PROJECT = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def limits() -> ServerLimits:
    return ServerLimits(linger=0.2)


async def test_health_needs_no_key_and_is_503_while_draining(api: Any) -> None:
    status, _, body = await api.ask("/health", key=None)
    assert (status, body) == (200, {"status": "ok", "version": mediaserver.__version__})
    api.health = Health("draining")
    status, _, body = await api.ask("/health", key=None)
    assert (status, body["status"]) == (503, "draining")


async def test_health_tells_how_late_and_how_busy_the_media_is(api: Any) -> None:
    api.health = Health(
        "ok", MediaHealth(late_p50_ms=0.20004, late_p99_ms=1.9, busy=0.25, loop_busy=0.5)
    )
    _, _, body = await api.ask("/health", key=None)
    assert body["media"] == {
        "late_p50_ms": 0.2, "late_p99_ms": 1.9, "busy": 0.25, "loop_busy": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "NOT_FOUND"),
        ("GET", "/v1beta1/projects", 404, "NOT_FOUND"),
        ("POST", "/health", 405, "UNIMPLEMENTED"),
        ("PUT", f"/v1beta1/projects/{PROJECT}/calls/c/recordings/r", 405, "UNIMPLEMENTED"),
    ],
)
async def test_every_error_has_the_one_shape(
    api: Any, method: str, path: str, status: int, code: str
) -> None:
    answered, headers, body = await api.ask(path, method=method)
    assert answered == status
    assert headers["Content-Type"].startswith("application/json")
    assert set(body["error"]) == {"code", "message", "status", "details"}
    assert (body["error"]["code"], body["error"]["status"]) == (status, code)
    assert ("Allow" in headers) is (status == 405)


@pytest.mark.parametrize(
    "request_",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nX-\x00: a\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_400_in_the_same_shape(api: Any, request_: bytes) -> None:
    with capture_logs() as lines:
        answer = await api.raw(request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.")
    assert b" 400 " in head.splitlines()[0]
    assert json.loads(body)["error"]["status"] == "INVALID_ARGUMENT"
    assert "yyyy" not in str(lines)
    assert (await api.ask("/health"))[0] == 200


async def test_a_large_body_is_refused_before_it_is_sent(api: Any) -> None:
    answer = await api.raw(
        b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 1000
    )
    assert b" 413 " in answer.splitlines()[0]
    assert b'"code": 413' in answer


async def test_an_expectation_is_answered_without_waiting_for_the_body(api: Any) -> None:
    answer = await api.raw(
        b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
        b"Expect: 200-ok\r\nConnection: close\r\n\r\n"
    )
    assert b" 200 " in answer.splitlines()[0]


async def test_a_gzip_bomb_in_a_request_is_not_unpacked(api: Any) -> None:
    bomb = gzip.compress(bytes(40_000_000))
    assert len(bomb) < 64 * 1024
    head = (
        f"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: {len(bomb)}\r\n"
        "Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )
    import tracemalloc

    tracemalloc.start()
    try:
        answer = await api.raw(head.encode() + bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert b" 200 " in answer.splitlines()[0]
    assert peak < 20_000_000


class TestSlowClients:
    @pytest.fixture
    def limits(self) -> ServerLimits:
        return ServerLimits(head=0.4, linger=0.3, connections=40)

    async def test_a_head_sent_byte_by_byte_is_408_in_time(self, api: Any) -> None:
        """S24: every byte is progress, and none of them buys more time."""
        reader, writer = await asyncio.open_connection(*api.server.address)
        began = asyncio.get_running_loop().time()

        async def dribble() -> None:
            for octet in b"GET /health HTTP/1.1\r\nX-Slow: " + b"a" * 1000:
                writer.write(bytes([octet]))
                await asyncio.sleep(0.02)

        dribbling = asyncio.create_task(dribble())
        answer = await asyncio.wait_for(reader.read(), 3)
        took = asyncio.get_running_loop().time() - began
        dribbling.cancel()
        writer.close()
        assert b" 408 " in answer.splitlines()[0]
        assert b"DEADLINE_EXCEEDED" in answer
        assert took < 1.5

    async def test_a_client_that_says_nothing_is_closed(self, api: Any) -> None:
        assert await api.raw(b"") == b""

    async def test_the_time_begins_anew_with_each_request(self, api: Any) -> None:
        reader, writer = await asyncio.open_connection(*api.server.address)
        for _ in range(4):
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await reader.readline()
            while await reader.readline() != b"\r\n":
                pass
            await reader.readexactly(len(b'{"status": "ok", "version": "0.1.0"}'))
            await asyncio.sleep(0.25)
        writer.close()
        await writer.wait_closed()

    async def test_a_body_that_never_ends_is_cut_off(self, api: Any) -> None:
        answer = await api.raw(
            b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        )
        assert b" 200 " in answer.splitlines()[0]

    async def test_one_connection_too_many_is_503_and_room_returns(self, api: Any) -> None:
        idle = [await asyncio.open_connection(*api.server.address) for _ in range(40)]
        assert b" 503 " in (await api.raw(b"")).splitlines()[0]
        await asyncio.sleep(0.6)
        assert (await api.ask("/health"))[0] == 200
        for _, writer in idle:
            writer.close()


async def test_a_busy_port_is_one_sentence_that_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalError) as raised:
            WebServer("127.0.0.1", port).bind()
    assert str(raised.value) == (
        f"http.listen: 127.0.0.1:{port} is in use by another program: "
        "stop that one, or choose another port"
    )


async def test_an_address_of_another_machine_is_one_sentence_too() -> None:
    with pytest.raises(LocalError, match=r"http\.listen: 192\.0\.2\.1:8080 is no address"):
        WebServer("192.0.2.1", 8080).bind()


async def test_it_listens_on_ipv6_and_can_start_again_on_its_port() -> None:
    app = web.Application()
    server = WebServer("::1", 0)
    host, port = await server.start(app)
    assert host == "::1"
    assert port > 0
    await server.stop()
    await server.stop()
    again = WebServer("::1", port)
    assert await again.start(web.Application()) == ("::1", port)
    await again.stop()


async def test_stop_lets_a_request_end_and_then_cuts_off() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        entered.set()
        await release.wait()
        return web.Response(text="done")

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    for finishes in (True, False):
        entered.clear()
        release.clear()
        app = web.Application()
        app.router.add_get("/slow", slow)
        server = WebServer("127.0.0.1", 0)
        address = await server.start(app)
        asking = asyncio.create_task(ask())
        await entered.wait()
        stopping = asyncio.create_task(server.stop(5.0 if finishes else 0.1))
        await asyncio.sleep(0.05)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        if finishes:
            release.set()
        await asyncio.wait_for(stopping, 3)
        assert (b"done" in await asyncio.wait_for(asking, 3)) is finishes


async def test_the_log_has_the_route_and_nothing_that_opens_anything(api: Any) -> None:
    with capture_logs() as lines:
        await api.ask("/api/v1/recordings/some-id/download?expires=1&signature=secret", key=None)
        await api.ask("/api/v1/recordings/some-id/download", key="secret")
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/api/v1/recordings/{recording}/download", 403),
        ("/api/v1/recordings/{recording}/download", 401),
    ]
    assert "secret" not in str(lines)
    assert "some-id" not in str(lines)


async def test_a_hundred_requests_at_once_are_answered(api: Any) -> None:
    answers = await asyncio.gather(*(api.ask("/health") for _ in range(100)))
    assert {status for status, _, _ in answers} == {200}
