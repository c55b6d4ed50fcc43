"""The HTTP server: the application with all its routes, and the socket it listens on."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from mediaserver.errors import LocalError

from .calling import calling_error
from .connection import MAX_BODY, Connection, Refusal, ServerLimits, keep_deadline
from .errors import SHAPES, Handler, Shape, answer_errors, route_name
from .relay_recordings import relay_error
from .routes import Deps, Route, routes

log = structlog.get_logger(__name__)

BACKLOG: Final = 512
"""Connections that wait to be accepted."""

_SENTENCES: Final = {
    errno.EADDRINUSE: "is in use by another program: stop that one, or choose another port",
    errno.EACCES: "needs rights this user does not have: choose a port from 1024 on",
    errno.EADDRNOTAVAIL: "is no address of this machine: choose one of its own, or 0.0.0.0",
}


def build_app(deps: Deps) -> web.Application:
    """Return the application with all its routes."""
    app = web.Application(
        middlewares=[_log_request, keep_deadline, answer_errors], client_max_size=MAX_BODY
    )
    shapes: dict[str, Shape] = {"/api/calling/": calling_error, "/api/relay/rest/": relay_error}
    app[SHAPES] = shapes
    app.on_response_prepare.append(_set_headers)
    for route in routes(deps):
        for method in {"GET": ("GET", "HEAD")}.get(route.method, (route.method,)):
            app.router.add_route(
                method,
                route.path,
                partial(_guarded, route),
                expect_handler=_leave_expectations,
            )
    return app


async def _guarded(route: Route, request: web.Request) -> web.StreamResponse:
    route.access(request)
    return await route.handler(request)


async def _leave_expectations(_request: web.Request) -> None:
    """Answer no `Expect`: a route that reads a body does, others are final (RFC 9110 10.1.1)."""


async def _set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "mediaserver"
    response.headers["X-Content-Type-Options"] = "nosniff"


@web.middleware
async def _log_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write one line for a request: the route's pattern, never its path or its query."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    status = 0
    try:
        response = await handler(request)
        status = response.status
        return response
    finally:
        log.info(
            "http request",
            method=request.method,
            route=route_name(request),
            status=status,
            seconds=round(loop.time() - began, 4),
            remote=request.remote,
        )


class WebServer:
    """Listens, and serves an application until it is stopped.

    `bind` and `start` are apart so that a port the system chose is known before the application
    is built, whose links name it.
    """

    def __init__(self, host: str, port: int, limits: ServerLimits | None = None) -> None:
        self._host = host
        self._port = port
        self._limits = limits or ServerLimits()
        self._socket: socket.socket | None = None
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    def bind(self) -> tuple[str, int]:
        """Take the port and return the address; raises `LocalError` if it cannot be had."""
        if self._socket is None:
            self._socket = _listening_socket(self._host, self._port)
        return self.address

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the port is the real one once `bind` was called."""
        if self._socket is None:
            return self._host, self._port
        host, port = self._socket.getsockname()[:2]
        return host, port

    async def start(self, app: web.Application) -> tuple[str, int]:
        """Serve `app` and return the bound address; raises `LocalError`."""
        address = self.bind()
        assert self._socket is not None
        runner = self._runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        loop = asyncio.get_running_loop()
        factory = _connections(runner, loop, self._limits)
        self._server = await loop.create_server(factory, sock=self._socket, backlog=BACKLOG)
        return address

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, give what runs `grace` seconds to end, then close. Idempotent."""
        server, self._server = self._server, None
        runner, self._runner = self._runner, None
        listening, self._socket = self._socket, None
        if server is not None:
            server.close()
        if runner is not None:
            if runner.server is not None:
                runner.server.pre_shutdown()
                await runner.server.shutdown(grace)
            await runner.cleanup()
        if server is not None:
            await server.wait_closed()
        if listening is not None:
            listening.close()


def _connections(
    runner: web.AppRunner, loop: asyncio.AbstractEventLoop, limits: ServerLimits
) -> Callable[[], asyncio.BaseProtocol]:
    manager = runner.server
    assert manager is not None

    def connect() -> asyncio.BaseProtocol:
        if len(manager.connections) >= limits.connections:
            return Refusal()
        return Connection(manager, loop, limits)

    return connect


def _listening_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        why = _SENTENCES.get(number or 0, f"cannot be listened on: {error}")
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise LocalError(f"http.listen: {place} {why}") from error
    listening.setblocking(False)
    return listening
