"""The HTTP server: which path is answered by whom, who may ask, and the socket it listens on."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from mediaserver.clock import Clock
from mediaserver.errors import LocalError

from .auth import CONTROL, DELETE, GET, LIST, RENDER, Access, ApiKeys, open_to_all
from .calling import CallControl, CallingRoutes, calling_error
from .connection import MAX_BODY, Connection, Refusal, ServerLimits, keep_deadline
from .downloads import AudioFiles, DownloadRoutes
from .erasure import RecordingEraser
from .errors import SHAPES, Handler, Shape, answer_errors, route_name
from .growing import GrowingReader
from .health import HealthCheck, health_handler
from .links import Links
from .peaks import PeaksRoutes
from .recordings import RecordingReader, RecordingRoutes
from .relay_recordings import PATH as RELAY
from .relay_recordings import RelayRecordingRoutes, relay_error
from .renditions import RenditionMaker, RenditionRoutes

log = structlog.get_logger(__name__)

BACKLOG: Final = 512
"""Connections that wait to be accepted."""

_SENTENCES: Final = {
    errno.EADDRINUSE: "is in use by another program: stop that one, or choose another port",
    errno.EACCES: "needs rights this user does not have: choose a port from 1024 on",
    errno.EADDRNOTAVAIL: "is no address of this machine: choose one of its own, or 0.0.0.0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """What the server is built from."""

    project_id: str
    public_url: str
    """Begins every URL that is handed out."""
    signing_key: str
    """Download links are signed with a key derived from it."""
    keys: ApiKeys
    recordings: RecordingReader
    eraser: RecordingEraser
    files: AudioFiles
    growing: GrowingReader
    renditions: RenditionMaker
    calls: CallControl
    health: HealthCheck
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Route:
    path: str
    handler: Handler
    access: Access
    """Every route says who may use it; there is no default to forget."""
    method: str = "GET"
    """GET answers HEAD, too."""


def build_app(deps: Deps) -> web.Application:
    """Return the application with all its routes."""
    app = web.Application(
        middlewares=[_log_request, keep_deadline, answer_errors], client_max_size=MAX_BODY
    )
    shapes: dict[str, Shape] = {"/api/calling/": calling_error, "/api/relay/rest/": relay_error}
    app[SHAPES] = shapes
    app.on_response_prepare.append(_set_headers)
    for route in _routes(deps):
        for method in {"GET": ("GET", "HEAD")}.get(route.method, (route.method,)):
            app.router.add_route(
                method,
                route.path,
                partial(_guarded, route),
                expect_handler=_leave_expectations,
            )
    return app


def _routes(deps: Deps) -> Iterator[_Route]:
    links = Links(deps.public_url, deps.signing_key, deps.clock)
    recordings = RecordingRoutes(deps.project_id, deps.recordings, deps.eraser, links, deps.keys)
    renditions = RenditionRoutes(recordings, deps.renditions)
    downloads = DownloadRoutes(
        deps.project_id, deps.recordings, deps.files, deps.growing, links, deps.keys
    )
    peaks = PeaksRoutes(deps.project_id, deps.recordings, deps.files, deps.growing)
    may_list, may_get = deps.keys.demanding(LIST), deps.keys.demanding(GET)
    may_delete = deps.keys.demanding(DELETE)
    # The answer holds links, which open what only this permission opens.
    may_render = deps.keys.demanding(RENDER, GET)
    project = "/v1beta1/projects/{project}"
    call = project + "/calls/{call}"
    yield _Route("/health", health_handler(deps.health), open_to_all)
    yield _Route(f"{project}/recordings", recordings.list_recordings, may_list)
    yield _Route(f"{call}/recordings", recordings.list_recordings, may_list)
    one = f"{call}/recordings/{{recording}}"
    yield _Route(one, recordings.get_recording, may_get)
    yield _Route(one, recordings.delete_recording, may_delete, "DELETE")
    yield _Route(f"{one}:render", renditions.render, may_render, "POST")
    yield _Route("/api/v1/recordings/{recording}/download", downloads.download, downloads.access)
    yield _Route("/api/v1/recordings/{recording}/peaks", peaks.peaks, may_get)
    relay = RelayRecordingRoutes(
        deps.project_id, deps.public_url, deps.recordings, deps.eraser, deps.keys
    )
    yield _Route(RELAY, relay.list_recordings, may_list)
    yield _Route(RELAY + "/{recording}", relay.get_recording, may_get)
    yield _Route(RELAY + "/{recording}", relay.delete_recording, may_delete, "DELETE")
    calling, may_control = CallingRoutes(deps.calls), deps.keys.demanding(CONTROL)
    yield _Route("/api/calling/calls", calling.command, may_control, "POST")


async def _guarded(route: _Route, request: web.Request) -> web.StreamResponse:
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
