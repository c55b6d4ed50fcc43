"""The composition root: builds, starts, drains and stops every part of a server."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import uuid
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from .addresses import AddressRule
from .calls.admission import Admission, Load
from .calls.book import CallBook
from .calls.clips import Clips
from .calls.commands import Commands
from .calls.conference import Conferences
from .calls.documents import Documents
from .calls.espeak import PROGRAM, Espeak
from .calls.growing import GrowingRecordings
from .calls.ledger import Ledger
from .calls.recording import Studio
from .calls.recovery import recover
from .calls.registry import LAST_WORK, Registry
from .calls.rendition import Renditions
from .calls.scripts import ScriptThread
from .calls.services import Identity, Services
from .calls.silence import Patience
from .clock import Clock, SystemClock
from .config import Config
from .dialplan import Dialplan
from .errors import LocalError
from .net.guarded_locator import GuardedLocator
from .net.lanes import Lane
from .net.locate import DnsLookup
from .net.media import MediaEngine
from .net.ports import PortPool
from .net.signalling import Signalling, bracketed, contact_for
from .net.sip import ListenAddress, SipEndpoint
from .net.tap_rtp import RtpTaps
from .recording.announcement import Kind
from .recording.journal_end import journal_end
from .recording.resource import Format, Span, audio_path
from .sip.agent import Agent, AgentLimits
from .sip.events import Event
from .sip.hop import Transport
from .store.calls import Calls
from .store.database import Database
from .store.erase import Eraser
from .store.files import Files
from .store.journal_folders import JournalFolders
from .store.journals import JournalWriter
from .store.outbox import Outbox
from .store.recordings import Recordings
from .store.renderer import Renderer
from .store.reserve import Reserve
from .store.sweeper import Sweeper
from .store.tombstones import Tombstones
from .web.auth import ApiKey, ApiKeys
from .web.delivery import Delivery
from .web.fetcher import Fetcher
from .web.health import DiskHealth, Health, MediaHealth
from .web.links import Links, download_url
from .web.manner import query_manner, ready_manner, status_manner
from .web.outbound import OutboundGuard, Poster
from .web.requester import Requester
from .web.routes import Deps
from .web.schedule import Schedule
from .web.server import WebServer, build_app
from .web.signatures import EnfonicaSigner, Signer, derived_enfonica_key
from .web.views import announced
from .web.websocket import WebSockets

GRACE: Final = 90.0
"""Seconds that calls are given to end when the server is told to stop."""

SPARE_LEGS: Final = 64
"""Places beyond the calls there may be: for those that are just ending."""

LAST_CALLBACKS: Final = 5.0
"""Seconds that the last callbacks are given to arrive; those that do not go out after a restart."""

RESTART: Final = "restart"
"""How calls ended whose end nobody saw: the server had stopped by then."""

LOAD_WINDOW: Final = 2.0
"""Seconds of ticks that decide whether new calls are taken on."""

log = structlog.get_logger(__name__)


class Server:
    """A whole server. `start` it, and `stop` it when done; it starts once."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self._dialplan = Dialplan(config)
        self._stack = contextlib.AsyncExitStack()
        self._data_dir = config.data_dir.absolute()
        self._public_url = ""
        self._ready: Registry | None = None
        self._conferences = Conferences()

    async def start(self) -> None:
        """Take the ports and begin; LocalError with one sentence when something is in the way."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> None:
        config = self.config
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalError(f"data_dir: {self._data_dir}: {error.strerror}") from None
        self._lock_data_dir()
        # Sockets first: a busy port is found before anything is touched.
        web = WebServer(config.http.listen.host, config.http.listen.port)
        self._stack.push_async_callback(web.stop)
        host, port = web.bind()
        self._public_url = config.http.public_url or f"http://{bracketed(host)}:{port}"
        self._open_media()
        await self._open_sip()
        await self._open_store()
        self._open_outbound()
        services = self._services()
        await self._calls.give_up(int(self.clock.time() * 1e6), RESTART)
        self._registry = Registry(services, self._dialplan.route, self._admission())
        self.sip.agent.ask_before_calls(self._registry.refusal)
        self._open_erasing()
        renditions = self._renditions()
        await web.start(build_app(self._web_deps(services, renditions)))
        self._delivery.start()
        self._stack.push_async_callback(self._delivery.stop)
        self._recovery = asyncio.create_task(
            recover(await self._recordings.unfinished(), services, self._journal_end)
        )
        self._stack.push_async_callback(self._stop_recovery)
        self._backlog = asyncio.create_task(
            services.studio.backlog.work_off(self._recordings, services.studio.render)
        )
        self._stack.push_async_callback(self._stop_backlog)
        self._sweeper.start()
        self._stack.push_async_callback(self._sweeper.stop)
        self.media.start()
        self._ready = self._registry
        self.sip.agent.draining = False
        log.info(
            "serving",
            sip=[str(address) for address in self.sip.bound],
            http=self._public_url,
            lane=str(self.media.lane),
            data_dir=str(self._data_dir),
            routes=len(config.routes),
        )

    def _lock_data_dir(self) -> None:
        """Keep a second server out: it would take recordings in progress for crashed ones."""
        descriptor = os.open(self._data_dir / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LocalError(
                f"data_dir: {self._data_dir} is in use by another mediaserver; give each its own"
            ) from None

    async def stop(self, grace: float = GRACE) -> None:
        """Let no new call in, wait for those there are, end the rest, and close everything."""
        log.info("stopping", calls=self._registry.active, grace=grace)
        self.sip.agent.draining = True
        await self._registry.drain(grace)
        await asyncio.wait({self._recovery}, timeout=LAST_WORK if grace else 0.0)
        await self._stop_recovery()
        await self._last_callbacks()
        await self._stack.aclose()
        log.info("stopped", calls=self._registry.total)

    @property
    def public_url(self) -> str:
        """What every URL of this server begins with."""
        return self._public_url

    @property
    def registry(self) -> Registry:
        """The calls."""
        return self._registry

    def _open_media(self) -> None:
        config = self.config
        ports = config.rtp.ports
        pool = PortPool(config.media_host, ports.first, ports.last)
        self._journals = JournalWriter(self._data_dir)
        self._stack.push_async_callback(asyncio.to_thread, self._journals.close)
        self.media = MediaEngine(
            pool,
            self.clock,
            advertise=config.media_address,
            journals=self._journals,
            lane=None if config.rtp.lane == "auto" else Lane(config.rtp.lane),
            capacity=min(config.limits.calls(ports.pairs), ports.pairs) + SPARE_LEGS,
        )
        self._stack.callback(self.media.stop)

    async def _open_sip(self) -> None:
        """Listen, and refuse calls until everything else is there."""
        config = self.config
        agent = Agent(
            contact=contact_for(config.sip.advertise),
            token=lambda: secrets.token_hex(8),
            limits=AgentLimits(
                max_sessions=config.limits.calls(config.rtp.ports.pairs) + SPARE_LEGS
            ),
        )
        agent.draining = True
        self.sip = SipEndpoint(agent, self._hear, clock=self.clock)
        await self.sip.start(
            [
                ListenAddress(Transport(x.transport.upper()), x.host, x.port)
                for x in config.sip.listen
            ]
        )
        self._stack.push_async_callback(self.sip.stop)
        locator = GuardedLocator(
            DnsLookup(),
            self.sip.hop_to,
            secrets.SystemRandom().random,
            AddressRule(config.outbound.allow),
            [(trunk.uri.host, trunk.uri.port) for trunk in config.trunks],
        )
        self._signalling = Signalling(self.sip, locator)

    def _hear(self, event: Event) -> None:
        if self._ready is not None:
            self._ready.handle(event)

    async def _open_store(self) -> None:
        self._database = await Database.open(self._data_dir)
        self._stack.push_async_callback(self._database.dispose)
        self._recordings = Recordings(self._database)
        self._calls = Calls(self._database)
        self._outbox = Outbox(self._database)
        self._files = Files(self._data_dir)
        self._reserve = Reserve(self._files, self.config.limits.min_free_disk)
        await self._reserve.start()
        self._stack.push_async_callback(self._reserve.stop)
        self._renderer = Renderer(self.config.recording.encoders)
        self._stack.push_async_callback(self._renderer.close)

    def _open_erasing(self) -> None:
        journals = JournalFolders(self._data_dir)

        def in_use() -> dict[str, list[Span]]:
            return self._registry.journals_in_use() | self._conferences.journals_in_use()

        self._eraser = Eraser(
            self._database, self._files, journals, self.clock, in_use, self._renderer.is_rendering
        )
        self._sweeper = Sweeper(
            self._eraser,
            Tombstones(self._database),
            journals,
            self._outbox,
            self.clock,
            keep_journal=self.config.recording.keep_journal,
            in_use=in_use,
        )

    def _open_outbound(self) -> None:
        config = self.config
        guard = OutboundGuard(config.outbound.allow)
        self._stack.push_async_callback(guard.close)
        self._signer = Signer(config.signing_key.get_secret_value())
        self._scripts = ScriptThread()
        self._stack.push_async_callback(asyncio.to_thread, self._scripts.close)
        self._fetcher = Fetcher(guard, self._signer)
        self._stack.push_async_callback(self._fetcher.close)
        self._speech: Espeak | None = None
        if config.speech.engine == "espeak-ng":
            self._speech = Espeak()
            self._stack.push_async_callback(self._speech.close)
            if shutil.which(PROGRAM) is None:
                log.warning("speech.engine: no program of this name is found", program=PROGRAM)
        self._requester = Requester(guard)
        self._stack.push_async_callback(self._requester.close)
        self._web_sockets = WebSockets(guard, config.outbound.allow)
        self._stack.push_async_callback(self._web_sockets.close)
        poster = Poster(guard)
        self._stack.push_async_callback(poster.close)
        schedule = Schedule(config.callbacks.schedule, secrets.SystemRandom().random)
        self._delivery = Delivery(
            self._outbox,
            poster,
            {
                Kind.STATUS: status_manner(self._signer, schedule),
                Kind.QUERY: query_manner(self._signer, schedule),
                Kind.READY: ready_manner(EnfonicaSigner(_enfonica_key(config))),
            },
            self.clock,
            config.callbacks.timeout,
        )

    def _services(self) -> Services:
        config = self.config
        return Services(
            signalling=self._signalling,
            media=self.media,
            journals=self._journals,
            studio=self._studio(),
            outbox=self._outbox,
            calls=self._calls,
            documents=Documents(self._fetcher),
            scripts=self._scripts,
            requester=self._requester,
            rtp_outputs=RtpTaps(
                config.media_host,
                config.media_address,
                AddressRule(config.outbound.allow).permits,
            ),
            web_sockets=self._web_sockets,
            clips=Clips(self._fetcher, self._own_recording, self._speech),
            clock=self.clock,
            identity=Identity(
                project_id=str(config.project_id),
                space_id=str(config.space_id),
                node_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname())),
            ),
            trunk_for=self._dialplan.trunk,
            max_recording=config.recording.default_max_length,
            patience=Patience(talking=config.rtp.timeout, held=config.rtp.hold_timeout),
            conferences=self._conferences,
        )

    def _studio(self) -> Studio:
        links = Links(self._public_url, self.config.signing_key.get_secret_value(), self.clock)
        ledger = Ledger(
            self._recordings,
            self.clock,
            lambda id: download_url(self._public_url, id),
            lambda recording: announced(recording, partial(links.signed, recording.id)),
        )
        return Studio(
            ledger=ledger,
            renderer=self._renderer,
            clock=self.clock,
            data_dir=str(self._data_dir),
            formats=tuple(Format(name) for name in self.config.recording.formats),
            sample_rate=self.config.recording.sample_rate,
            render_timeout=self.config.recording.render_timeout,
        )

    def _renditions(self) -> Renditions:
        renditions = Renditions(
            self._recordings,
            self._renderer,
            self._files,
            self._journal_end,
            data_dir=str(self._data_dir),
            sample_rate=self.config.recording.sample_rate,
        )
        self._stack.push_async_callback(renditions.close)
        return renditions

    def _web_deps(self, services: Services, renditions: Renditions) -> Deps:
        config, studio = self.config, services.studio
        return Deps(
            project_id=str(config.project_id),
            public_url=self._public_url,
            signing_key=config.signing_key.get_secret_value(),
            keys=ApiKeys(
                ApiKey(key.key.get_secret_value(), key.permissions, f"api_keys[{number}]")
                for number, key in enumerate(config.api_keys)
            ),
            recordings=self._recordings,
            eraser=self._eraser,
            files=self._files,
            growing=GrowingRecordings(studio.running, self._journal_end, str(self._data_dir)),
            renditions=renditions,
            calls=Commands(self._registry, services),
            book=CallBook(self._calls, self._registry, str(config.project_id)),
            health=self._health,
            clock=self.clock,
        )

    def _health(self) -> Health:
        """Say "ok" only while a call would be let in, but for a passing overload."""
        if self._ready is None:
            return Health("starting")
        reading = self.media.pulse.read(self.clock.monotonic())
        media = MediaHealth(
            late_p50_ms=1000 * reading.late_p50,
            late_p99_ms=1000 * reading.late_p99,
            busy=reading.busy,
            loop_busy=reading.loop_busy,
        )
        disk = None
        if (room := self._reserve.room) is not None:
            disk = DiskHealth(free_bytes=room.free, reserve_bytes=room.reserve)
        return Health("draining" if self._registry.draining else "ok", media, disk)

    def _admission(self) -> Admission:
        limits = self.config.limits
        return Admission(
            calls=limits.calls(self.config.rtp.ports.pairs),
            calls_per_second=limits.max_calls_per_second,
            max_lateness=limits.max_tick_lateness,
            load=self._load if limits.max_calls is None else None,
            has_room=lambda: not self._reserve.reached,
        )

    def _load(self, now: float) -> Load:
        return self.media.pulse.read(now, LOAD_WINDOW)

    def _journal_end(self, folder: str) -> int:
        """Return how far the journal of a leg goes; `folder` is relative to the data folder."""
        return journal_end(self._data_dir / folder)

    async def _stop_recovery(self) -> None:
        """End it where it stands; the next start goes on with what is left."""
        self._recovery.cancel()
        await asyncio.gather(self._recovery, return_exceptions=True)

    async def _stop_backlog(self) -> None:
        """End it where it stands, as above."""
        self._backlog.cancel()
        await asyncio.gather(self._backlog, return_exceptions=True)

    def _own_recording(self, url: str) -> Path | None:
        """Return the file behind a download address of this server, None for any other address."""
        prefix = download_url(self._public_url, "X").partition("X")[0]
        if not url.startswith(prefix):
            return None
        recording_id = url[len(prefix) :].partition("/")[0]
        for extension in Format:
            try:
                path = self._files.resolve(audio_path(recording_id, extension))
            except LocalError:
                return None
            if path.is_file():
                return path
        return None

    async def _last_callbacks(self) -> None:
        """Give what was announced last a moment to arrive."""
        with contextlib.suppress(LocalError, TimeoutError):
            async with asyncio.timeout(LAST_CALLBACKS):
                # The outbox tells when it gets something, not when it is empty.
                while await self._outbox.due(int(self.clock.time() * 1e6), 1):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


def _enfonica_key(config: Config) -> bytes:
    if config.enfonica_signing_key is not None:
        return config.enfonica_signing_key.get_secret_value()
    return derived_enfonica_key(config.signing_key.get_secret_value())
