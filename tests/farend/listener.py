"""Whoever listens along: a WebSocket server that keeps what it gets and may answer it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web


class Connection:
    """One connection, from its handshake to its end."""

    def __init__(self, request: web.Request) -> None:
        self.path = request.path
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.octets = bytearray()
        """All binary messages."""
        self.messages: list[dict[str, Any]] = []
        """All texts, which must be JSON."""
        self.socket = web.WebSocketResponse()
        self.over = asyncio.Event()

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the messages of one kind."""
        return [message for message in self.messages if message["event"] == event]

    async def say(self, event: str, **content: Any) -> None:
        """Send a message of a stream."""
        await self.socket.send_str(json.dumps({"event": event, event: content}))

    async def close(self) -> None:
        """Say goodbye."""
        await self.socket.close()


class Listener:
    """What is connected to `/echo` hears what it says; `/no` is no WebSocket; the rest listens."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[Connection] = asyncio.Queue()
        self.port = 0
        self.hold = asyncio.Event()
        """Cleared, no handshake is answered."""
        self.hold.set()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Listener]:
        """Yield a server that listens."""
        listener = cls()
        app = web.Application()
        app.router.add_get("/{path:.*}", listener._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        listener.port = int(runner.addresses[0][1])
        try:
            yield listener
        finally:
            await runner.cleanup()

    def url(self, path: str = "/") -> str:
        """Return the URL of a path here."""
        return f"ws://127.0.0.1:{self.port}{path}"

    async def came(self, timeout: float = 8.0) -> Connection:  # noqa: ASYNC109
        """Return the next connection."""
        return await asyncio.wait_for(self.connections.get(), timeout)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await self.hold.wait()
        if request.path == "/no":
            return web.Response(status=404)
        connection = Connection(request)
        await connection.socket.prepare(request)
        self.connections.put_nowait(connection)
        try:
            async for message in connection.socket:
                if message.type is WSMsgType.BINARY:
                    connection.octets += message.data
                elif message.type is WSMsgType.TEXT:
                    told = json.loads(message.data)
                    connection.messages.append(told)
                    if request.path == "/echo" and told["event"] == "media":
                        await connection.say("media", payload=told["media"]["payload"])
        finally:
            connection.over.set()
        return connection.socket
