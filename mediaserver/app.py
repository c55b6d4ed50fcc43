"""The composition root: builds, starts, drains and stops every part of a server."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
import uuid
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from .addresses import AddressRule
from .calls.book import CallBook
from .calls.clips import Clips
from .calls.commands import Commands
from .calls.conferences import Conferences
from .calls.documents import Documents
from .calls.espeak import PROGRAM, Espeak
from .calls.growing import GrowingRecordings
from .calls.ledger import Ledger
from .calls.media_timeout import Patience
from .calls.negotiation import CODECS, named_codecs
from .calls.recovery import recover
from .calls.registry import LAST_WORK, Registry
from .calls.rendition import Renditions
from .calls.script_thread import ScriptThread
from .calls.services import Identity, Services
from .calls.studio import Studio
from .clock import Clock, SystemClock, now_us
from .condition import Condition
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
from .net.sip_tls import TlsContexts, TlsFiles
from .net.tap_rtp import RtpTaps
from .recording.resource import Format, Span
from .sdp.crypto import Encryption
from .sip.agent import Agent, AgentLimits
from .sip.events import Event
from .sip.hop import Transport
from .storage import Storage, take_folder
from .store.journals import JournalWriter
from .web.auth import ApiKey, ApiKeys
from .web.health import Health
from .web.links import Links, download_url
from .web.routes import Deps
from .web.server import WebServer, build_app
from .web.views import announced
from .web_clients import WebClients

GRACE: Final = 90.0
"""Seconds that calls are given to end when the server is told to stop."""

SPARE_LEGS: Final = 64
"""Places beyond the calls there may be: for those that are just ending."""

LAST_CALLBACKS: Final = 5.0
"""Seconds that the last callbacks are given to arrive; those that do not go out after a restart."""

RESTART: Final = "restart"
"""How calls ended whose end nobody saw: the server had stopped by then."""

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
        take_folder(self._data_dir, self._stack)
        # Sockets first: a busy port is found before anything is touched.
        web = WebServer(config.http.listen.host, config.http.listen.port)
        self._stack.push_async_callback(web.stop)
        host, port = web.bind()
        self._public_url = config.http.public_url or f"http://{bracketed(host)}:{port}"
        self._open_media()
        await self._open_sip()
        storage = self._storage = await Storage.open(
            config, self._data_dir, self.clock, self._stack
        )
        self._links = Links(self._public_url, config.signing_key.get_secret_value(), self.clock)
        self._clients = WebClients(config, self._links, storage.outbox, self.clock, self._stack)
        self._open_workers()
        services = self._services()
        await storage.calls.give_up(now_us(self.clock), RESTART)
        await services.documents.look_over((key, str(path)) for key, path in config.documents())
        self._condition = Condition(config, self.media.pulse, storage.reserve, self.clock)
        self._registry = Registry(services, self._dialplan.route, self._condition.admission())
        self.sip.agent.ask_before_calls(self._registry.refusal)
        self._eraser, sweeper = storage.open_clearing(self._in_use)
        renditions = self._renditions()
        await web.start(build_app(self._web_deps(services, renditions)))
        self._clients.delivery.start()
        self._stack.push_async_callback(self._clients.delivery.stop)
        self._recovery = asyncio.create_task(
            recover(await storage.recordings.unfinished(), services, storage.journal_end)
        )
        self._stack.push_async_callback(_cancel, self._recovery)
        backlog = asyncio.create_task(
            services.studio.backlog.work_off(storage.recordings, services.studio.render)
        )
        self._stack.push_async_callback(_cancel, backlog)
        sweeper.start()
        self._stack.push_async_callback(sweeper.stop)
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

    async def stop(self, grace: float = GRACE) -> None:
        """Let no new call in, wait for those there are, end the rest, and close everything."""
        log.info("stopping", calls=self._registry.active, grace=grace)
        self.sip.agent.draining = True
        await self._registry.drain(grace)
        await asyncio.wait({self._recovery}, timeout=LAST_WORK if grace else 0.0)
        await _cancel(self._recovery)
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
        tls = await self._open_tls() if config.speaks_tls else None
        self.sip = SipEndpoint(agent, self._hear, clock=self.clock, tls=tls)
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
        agent.ask_before_following(locator.may_follow)
        agent.ask_for_detours(locator.detour)
        self._signalling = Signalling(self.sip, locator)

    async def _open_tls(self) -> TlsContexts:
        tls = self.config.sip.tls
        assert tls.certificate is not None
        assert tls.key is not None
        trunks = self.config.trunks
        cas = {trunk.uri.host: trunk.tls_ca for trunk in trunks if trunk.tls_ca is not None}
        contexts = await TlsContexts.open(
            TlsFiles(tls.certificate, tls.key, tls.ca, tls.client_ca, cas)
        )
        self._stack.push_async_callback(contexts.close)
        return contexts

    def _hear(self, event: Event) -> None:
        if self._ready is not None:
            self._ready.handle(event)

    def _in_use(self) -> dict[str, list[Span]]:
        return self._registry.journals_in_use() | self._conferences.journals_in_use()

    def _open_workers(self) -> None:
        self._scripts = ScriptThread()
        self._stack.push_async_callback(asyncio.to_thread, self._scripts.close)
        self._speech: Espeak | None = None
        if self.config.speech.engine == "espeak-ng":
            self._speech = Espeak()
            self._stack.push_async_callback(self._speech.close)
            if shutil.which(PROGRAM) is None:
                log.warning("speech.engine: no program of this name is found", program=PROGRAM)

    def _services(self) -> Services:
        config = self.config
        return Services(
            signalling=self._signalling,
            media=self.media,
            journals=self._journals,
            studio=self._studio(),
            outbox=self._storage.outbox,
            calls=self._storage.calls,
            documents=Documents(self._clients.fetcher),
            scripts=self._scripts,
            requester=self._clients.requester,
            rtp_outputs=RtpTaps(
                config.media_host,
                config.media_address,
                AddressRule(config.outbound.allow).permits,
            ),
            web_sockets=self._clients.web_sockets,
            clips=Clips(self._clients.fetcher, self._own_recording, self._speech),
            clock=self.clock,
            identity=Identity(
                project_id=str(config.project_id),
                space_id=str(config.space_id),
                node_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname())),
            ),
            trunk_for=self._dialplan.trunk,
            max_recording=config.recording.default_max_length,
            codecs=named_codecs(config.rtp.codecs, CODECS),
            encryption=Encryption(config.rtp.encryption),
            patience=Patience(talking=config.rtp.timeout, held=config.rtp.hold_timeout),
            conferences=self._conferences,
        )

    def _studio(self) -> Studio:
        ledger = Ledger(
            self._storage.recordings,
            self.clock,
            lambda id: download_url(self._public_url, id),
            lambda recording: announced(recording, partial(self._links.signed, recording.id)),
        )
        return Studio(
            ledger=ledger,
            renderer=self._storage.renderer,
            clock=self.clock,
            data_dir=str(self._data_dir),
            formats=tuple(Format(name) for name in self.config.recording.formats),
            sample_rate=self.config.recording.sample_rate,
            render_timeout=self.config.recording.render_timeout,
        )

    def _renditions(self) -> Renditions:
        renditions = Renditions(
            self._storage.recordings,
            self._storage.renderer,
            self._storage.files,
            self._storage.journal_end,
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
            recordings=self._storage.recordings,
            eraser=self._eraser,
            files=self._storage.files,
            growing=GrowingRecordings(
                studio.running,
                self._storage.journal_end,
                data_dir=str(self._data_dir),
                sample_rate=studio.sample_rate,
            ),
            renditions=renditions,
            calls=Commands(self._registry, services),
            book=CallBook(self._storage.calls, self._registry, str(config.project_id)),
            health=self._health,
            clock=self.clock,
        )

    def _health(self) -> Health:
        if self._ready is None:
            return Health("starting")
        return self._condition.health(draining=self._registry.draining)

    def _own_recording(self, url: str) -> Path | None:
        """Return the file behind a download address of this server, None for any other address."""
        prefix = download_url(self._public_url, "X").partition("X")[0]
        if not url.startswith(prefix):
            return None
        return self._storage.audio_file(url[len(prefix) :].partition("/")[0])

    async def _last_callbacks(self) -> None:
        """Give what was announced last a moment to arrive."""
        with contextlib.suppress(LocalError, TimeoutError):
            async with asyncio.timeout(LAST_CALLBACKS):
                # The outbox tells when it gets something, not when it is empty.
                while await self._storage.outbox.due(now_us(self.clock), 1):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def _cancel(work: asyncio.Task[None]) -> None:
    """End it where it stands; the next start goes on with what is left."""
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
