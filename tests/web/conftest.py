"""A served application over the real store, receivers of callbacks, a clock that stands still."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from farend.control import Control
from farend.shelf import numbered
from mediaserver.calls.book import CallBook
from mediaserver.calls.growing import GrowingRecordings, Running
from mediaserver.calls.rendition import Renditions
from mediaserver.calls.resource import CallRecord
from mediaserver.config.model import Callbacks
from mediaserver.recording.announcement import Announcement, Kind
from mediaserver.recording.journal import open_journal
from mediaserver.recording.render import render
from mediaserver.recording.rendering import Rendered, RenderJob
from mediaserver.recording.resource import Audio, Format, Recording
from mediaserver.recording.states import State
from mediaserver.store.calls import Calls
from mediaserver.store.database import Database
from mediaserver.store.erase import Eraser
from mediaserver.store.files import Files
from mediaserver.store.journal_folders import JournalFolders
from mediaserver.store.outbox import Outbox
from mediaserver.store.recordings import Recordings
from mediaserver.web.auth import DELETE, GET, LIST, READ, ApiKey, ApiKeys
from mediaserver.web.connection import ServerLimits
from mediaserver.web.delivery import Delivery
from mediaserver.web.health import Health
from mediaserver.web.links import Links
from mediaserver.web.manner import query_manner, ready_manner, status_manner
from mediaserver.web.outbound import OutboundGuard, Poster
from mediaserver.web.routes import Deps
from mediaserver.web.schedule import Schedule
from mediaserver.web.server import WebServer, build_app
from mediaserver.web.signatures import EnfonicaSigner, Signer

PROJECT = "00000000-0000-4000-8000-000000000001"
DAWN = 1_700_000_000_000_000
LOOPBACK = ip_network("127.0.0.0/8")
SIGNING_KEY = "PSKtest1234567890abcdef"
ENFONICA_KEY = bytes(range(64))

ALL, LISTER, GETTER = "key-for-everything", "key-that-lists", "key-that-gets"
DELETER, READER = "key-that-deletes", "key-that-reads-calls"


class StillClock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.now = DAWN / 1e6
        self.set_by = 0.0
        """Seconds by which the wall clock was set, in all."""

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + self.set_by


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path)
    yield opened
    await opened.dispose()


@pytest.fixture
def make_recording() -> Callable[..., Recording]:
    """A factory of recordings: number n has its own id and is n seconds younger than 0."""

    def make(number: int = 0, **changes: Any) -> Recording:
        fields: dict[str, Any] = {
            "project_id": PROJECT,
            "call_id": "call-1",
            "created_at": DAWN + number * 1_000_000 + 1_000,
            "started_at": DAWN + number * 1_000_000 + 120_000,
        }
        return numbered(number, **fields | changes)

    return make


@pytest.fixture
def finished(
    tmp_path: Path, make_recording: Callable[..., Recording]
) -> Callable[..., tuple[Recording, bytes]]:
    """A factory of recordings that have a file, which is returned too."""

    def make(number: int = 0, size: int = 1000, **changes: Any) -> tuple[Recording, bytes]:
        recording = make_recording(number)
        content = bytes((number + at * 7) % 251 for at in range(size))
        path = tmp_path / "recordings" / f"{recording.id}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        audio = Audio(
            format=Format.WAV,
            path=f"recordings/{path.name}",
            size_bytes=size,
            sample_rate=8000,
            channels=1,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        fields: dict[str, Any] = {
            "state": State.FINISHED,
            "ended_at": recording.started_at + 12_340_000,
            "duration_us": 12_340_000,
            "audio": (audio,),
        }
        return make_recording(number, **fields | changes), content

    return make


class Api:
    """A running server, the store behind it, and a client."""

    def __init__(self, app: web.Application, server: WebServer, recordings: Recordings) -> None:
        self.app = app
        self.server = server
        self.recordings = recordings
        self.health = Health("ok")
        self.client = aiohttp.ClientSession()

    def url(self, path: str) -> URL:
        host, port = self.server.address
        return URL(f"http://{host}:{port}{path}", encoded=True)

    async def ask(
        self, path: str, key: str | None = ALL, method: str = "GET", **options: Any
    ) -> tuple[int, Any, Any]:
        """Return status, headers and the JSON (or else bytes) of the answer."""
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        async with self.client.request(
            method, self.url(path), headers=headers, **options
        ) as response:
            body: Any = await response.read()
            if response.content_type == "application/json" and body:
                body = await response.json()
            return response.status, response.headers, body

    async def raw(self, request: bytes) -> bytes:
        """Send octets, return all that comes back until the server closes."""
        reader, writer = await asyncio.open_connection(*self.server.address)
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
def control() -> Control:
    return Control(PROJECT, DAWN)


class NoExchange:
    """Calls that are up, as a test says."""

    def __init__(self) -> None:
        self.up: dict[str, CallRecord] = {}

    def place(self, order: Any, script: Any = None) -> Any:
        raise AssertionError

    def began(self, call: Any) -> None:
        raise AssertionError

    def find(self, call_id: str) -> Any:
        record = self.up.get(call_id)
        return record and SimpleNamespace(resource=record)

    def records(self) -> list[CallRecord]:
        return list(self.up.values())


@pytest.fixture
def exchange() -> NoExchange:
    return NoExchange()


@pytest.fixture
def running() -> dict[str, Running]:
    """Recordings in progress, by id."""
    return {}


class InProcess:
    """Renders in this process, once a test lets it."""

    def __init__(self) -> None:
        self.jobs: list[RenderJob] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self._asked = asyncio.Event()

    def start(self) -> None: ...

    async def until_asked(self, times: int) -> None:
        """Return once there have been so many jobs."""
        async with asyncio.timeout(10):
            while len(self.jobs) < times:
                self._asked.clear()
                await self._asked.wait()

    async def render(self, job: RenderJob) -> Rendered:
        self.jobs.append(job)
        self._asked.set()
        await self.may_go_on.wait()
        return await asyncio.to_thread(render, job)


@pytest.fixture
def renderer() -> InProcess:
    return InProcess()


def last_position(data_dir: Path, folder: str) -> int:
    """Return where a journal of what was heard ends."""
    with open_journal(data_dir / folder / "speak.journal") as journal:
        return journal.end


@pytest.fixture
def limits() -> ServerLimits:
    return ServerLimits()


@pytest.fixture
def sample_rate() -> int | None:
    """Hz of the files, by the settings."""
    return None


@pytest.fixture
async def api(
    tmp_path: Path,
    database: Database,
    clock: StillClock,
    limits: ServerLimits,
    control: Control,
    exchange: NoExchange,
    running: dict[str, Running],
    renderer: InProcess,
    sample_rate: int | None,
) -> AsyncIterator[Api]:
    recordings = Recordings(database)
    server = WebServer("127.0.0.1", 0, limits)
    host, port = server.bind()
    holder: list[Api] = []
    app = build_app(
        Deps(
            project_id=PROJECT,
            public_url=f"http://{host}:{port}",
            signing_key=SIGNING_KEY,
            keys=ApiKeys(
                [
                    ALL,
                    ApiKey(LISTER, frozenset({LIST})),
                    ApiKey(GETTER, frozenset({GET})),
                    ApiKey(DELETER, frozenset({DELETE}), "api_keys[3]"),
                    ApiKey(READER, frozenset({READ})),
                ]
            ),
            recordings=recordings,
            eraser=Eraser(
                database,
                Files(tmp_path),
                JournalFolders(tmp_path),
                clock,
                in_use=dict,
                is_rendering=lambda _: False,
            ),
            files=Files(tmp_path),
            growing=GrowingRecordings(
                running,
                partial(last_position, tmp_path),
                data_dir=str(tmp_path),
                sample_rate=sample_rate,
            ),
            renditions=Renditions(
                recordings,
                renderer,
                Files(tmp_path),
                partial(last_position, tmp_path),
                data_dir=str(tmp_path),
                sample_rate=None,
            ),
            calls=control,
            book=CallBook(Calls(database), exchange, PROJECT),
            health=lambda: holder[0].health,
            clock=clock,
        )
    )
    holder.append(Api(app, server, recordings))
    await server.start(app)
    yield holder[0]
    await holder[0].client.close()
    await server.stop()


class Got:
    """A request that a receiver has taken."""

    def __init__(self, request: web.BaseRequest, body: bytes) -> None:
        self.method = request.method
        self.path = request.raw_path if isinstance(request, web.Request) else request.path_qs
        self.headers = request.headers
        self.body = body
        self.id = request.headers.get("X-Mediaserver-Delivery", "")


class Receiver:
    """An application: keeps what it is sent, answers as the test says."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.came = asyncio.Event()
        self.connections = 0
        self.answer: Callable[[Got], Awaitable[web.StreamResponse]] = self.accept
        self.port = 0
        self.host = ""

    @staticmethod
    async def accept(_got: Got) -> web.StreamResponse:
        return web.Response()

    def url(self, path: str = "/hook") -> str:
        return f"http://{self.host}:{self.port}{path}"

    @property
    def ids(self) -> list[str]:
        return [got.id for got in self.got]

    async def until(self, count: int, seconds: float = 5.0) -> None:
        """Return once so many requests came."""
        async with asyncio.timeout(seconds):
            while len(self.got) < count:
                self.came.clear()
                await self.came.wait()


@pytest.fixture
async def receiver_at() -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    """Opens receivers on addresses of loopback; all are closed after the test."""
    async with AsyncExitStack() as stack:

        async def open_receiver(
            host: str = "127.0.0.1", port: int = 0, ssl: Any = None
        ) -> Receiver:
            receiver = Receiver()

            async def handle(request: web.BaseRequest) -> web.StreamResponse:
                got = Got(request, await request.read())
                receiver.got.append(got)
                receiver.came.set()
                return await receiver.answer(got)

            server = web.Server(handle, access_log=None)

            def connect() -> Any:
                receiver.connections += 1
                return server()

            listening = await asyncio.get_running_loop().create_server(connect, host, port, ssl=ssl)
            receiver.host, receiver.port = listening.sockets[0].getsockname()[:2]

            async def close() -> None:
                listening.close()
                await server.shutdown(0.1)
                await listening.wait_closed()

            stack.push_async_callback(close)
            return receiver

        yield open_receiver


@pytest.fixture
async def receiver(receiver_at: Callable[..., Awaitable[Receiver]]) -> Receiver:
    return await receiver_at()


@pytest.fixture
def make_announcement() -> Callable[..., Announcement]:
    def make(url: str, stream: str = "stream", sequence: int = 1, **changes: Any) -> Announcement:
        fields: dict[str, Any] = {
            "stream": stream,
            "sequence": sequence,
            "url": url,
            "body": b'{"event_type":"calling.call.record"}',
            "created_at": DAWN,
        }
        return Announcement(**fields | changes)

    return make


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


@pytest.fixture
def links(clock: StillClock) -> Links:
    return Links("https://media.example", SIGNING_KEY, clock)


@pytest.fixture
async def deliver(
    outbox: Outbox, clock: StillClock, links: Links
) -> AsyncIterator[Callable[..., Awaitable[Delivery]]]:
    """Starts delivery workers on the outbox; all are stopped after the test."""
    async with AsyncExitStack() as stack:

        async def begin(
            seconds: float = 15.0,
            delays: tuple[float, ...] = Callbacks().schedule,
            queue: Any = None,
            guard: OutboundGuard | None = None,
        ) -> Delivery:
            guard = guard or OutboundGuard([LOOPBACK])
            poster = Poster(guard)
            stack.push_async_callback(guard.close)
            stack.push_async_callback(poster.close)
            delivery = Delivery(
                queue or outbox,
                poster,
                {
                    Kind.STATUS: status_manner(Signer(SIGNING_KEY), Schedule(delays, lambda: 0.5)),
                    Kind.QUERY: query_manner(Signer(SIGNING_KEY), Schedule(delays, lambda: 0.5)),
                    Kind.READY: ready_manner(EnfonicaSigner(ENFONICA_KEY), links),
                },
                clock,
                seconds,
            )
            stack.push_async_callback(delivery.stop, 0.1)
            delivery.start()
            return delivery

        yield begin
