"""A server without sockets, and everybody it talks to, in the time of `quick_time`.

Calls, documents, signalling and the SIP agent are the real ones; the far ends have an agent of
their own behind a network that delays, loses and doubles. What each of them does, and when, is
drawn from one seed, so that a flow can be had again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, cast

from mediaserver.calls.admission import Admission
from mediaserver.calls.call import Call
from mediaserver.calls.clips import Clips
from mediaserver.calls.commands import Commands
from mediaserver.calls.commands.ending import EndCall
from mediaserver.calls.document_source import DocumentSource
from mediaserver.calls.ledger import Ledger
from mediaserver.calls.registry import Registry, Route
from mediaserver.calls.script_thread import ScriptThread
from mediaserver.calls.services import Identity, Services
from mediaserver.calls.studio import Studio as RecordingStudio
from mediaserver.errors import LocalError, PeerError
from mediaserver.net.locate import Locator
from mediaserver.net.signalling import Signalling
from mediaserver.net.sip import SipEndpoint
from mediaserver.sip.events import Event
from mediaserver.sip.session import Session

from ..archive import CallBook, NoRequester, OutboxOf
from ..quick_time import QuickClock
from .documents import APP
from .far_ends import SERVER, FarEnds, sdp
from .media import PaperDesk, PaperEngine
from .orders import dial, order
from .services import Library, Names, Outside, Scripts, SlowArchive, SlowCopyist, SlowWeb
from .wire import Endpoint, Wire

PLACES = 10
"""Calls at a time."""


class CountingRegistry(Registry):
    """Remembers every call there was."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: list[Call] = []

    def _run(self, call: Call) -> None:
        self.seen.append(call)
        super()._run(call)


class Town:
    """See the module."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random = Random(seed)
        self.story: list[str] = []
        self.faults: list[str] = []
        self._grid = random.choice([0.0, 0.0, 0.5])
        self.clock = QuickClock()
        self._began = self.clock.monotonic()
        self.wire = Wire(random)
        self.server = Endpoint(self.wire, SERVER, f"us{seed}", self._report)
        self.far = FarEnds(self.wire, self)
        self.engine = PaperEngine(self.clock, PLACES)
        self.desk = PaperDesk()
        self.archive = SlowArchive()
        self.outside = Outside(random)
        self.library = Library(random, self)
        self.services = Services(
            signalling=Signalling(cast(SipEndpoint, self.server), cast(Locator, Names(random))),
            media=self.engine,
            journals=self.desk,
            studio=RecordingStudio(
                ledger=Ledger(self.archive, self.clock, lambda id: f"x/{id}", lambda _: b"{}"),
                renderer=SlowCopyist(random),
                clock=self.clock,
                data_dir="data",
                formats=(),
                sample_rate=None,
                render_timeout=20.0,
            ),
            outbox=OutboxOf(self.archive),
            calls=CallBook(self.archive),
            documents=self.library,
            scripts=cast(ScriptThread, Scripts(random)),
            requester=NoRequester(),
            rtp_outputs=self.outside,
            web_sockets=self.outside,
            clips=Clips(SlowWeb(random), lambda url: None),
            clock=self.clock,
            identity=Identity(project_id="p", space_id="s", node_id="n"),
            trunk_for=lambda number: None,
            max_recording=30.0,
        )
        self.registry = CountingRegistry(
            self.services,
            lambda to, from_: Route(DocumentSource(url=f"{APP}/random"), f"{APP}/faults"),
            Admission(calls=PLACES, calls_per_second=100),
        )
        self.server.agent.ask_before_calls(self.registry.refusal)
        self.commands = Commands(self.registry, self.services)
        self._orders: set[asyncio.Task[None]] = set()
        self._closing = False

    def after(self, wait: float, do: Callable[..., object], *args: object) -> None:
        """Have something done later; in some flows, much happens in one turn of the loop."""
        at = self.clock.monotonic() + wait
        if self._grid:
            at = math.ceil(at / self._grid) * self._grid
        asyncio.get_running_loop().call_at(at, do, *args)

    def note(self, what: str) -> None:
        """Remember what happened, for whoever has to find out why."""
        self.story.append(f"{self.clock.monotonic() - self._began:8.3f} {what}")

    def voice(self, session: Session, what: str) -> None:
        """Let a far end press a key, talk or be silent."""
        for call in self.registry.seen:
            if call.session is not None and call.session.invite.call_id == session.invite.call_id:
                leg = call.media
                if leg is not None and not call.ended:
                    if what == "key" and leg.listener is not None:
                        leg.listener.on_key(self.random.choice("1234#*"), leg.now())
                    leg.talking = what != "hush"  # type: ignore[attr-defined]

    def _report(self, event: Event) -> None:
        self.note(f"{type(event).__name__} {event.session.id[:4]}")
        try:
            self.registry.handle(event)
        except Exception as error:
            self.faults.append(f"{type(event).__name__} raised {error!r}")

    # What an application does.

    def order(self) -> None:
        """Command something of some call."""
        if self._closing:
            return
        calls = [call for call in self.registry.seen if not call.ended]
        if self.random.random() < 0.15:
            self._ask(self.commands.dial(dial(self.random)), "dial")
        elif calls:
            call, what = self.random.choice(calls), order(self.random)
            self._ask(self.commands.carry_out(call.id, what), f"{call.id[:4]} {what}")

    def _ask(self, work: Coroutine[Any, Any, Any], what: str) -> None:
        task = asyncio.ensure_future(self._asked(work, what))
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    async def _asked(self, work: Coroutine[Any, Any, Any], what: str) -> None:
        try:
            await work
        except (PeerError, LocalError) as error:
            self.note(f"order {what}: {error}")
        except Exception as error:
            self.faults.append(f"order {what} raised {error!r}")
        else:
            self.note(f"order {what}")

    # The flow.

    async def live(self) -> None:
        """Let one flow happen, from its first call to the last timer."""
        random = self.random
        for _ in range(random.choice([1, 1, 2, 3])):
            self.after(random.random() * random.choice([0, 5]), self._call)
        for _ in range(random.choice([0, 0, 2, 10, 20])):
            self.after(random.random() * 25, self.order)
        await asyncio.sleep(random.choice([5, 20, 40]))
        await self._end()
        await self.empty()

    async def empty(self) -> None:
        """End what is left, and wait until no timer runs any more."""
        async with asyncio.timeout(2000):
            while self.registry.active or self._orders or self._timers():
                await self._end_calls()  # some may have come since
                if not self.registry.active:
                    self.far.end_all()
                await asyncio.sleep(1.0)

    def _timers(self) -> bool:
        """Tell whether an agent waits for something."""
        ends = (self.server, self.far)
        return any(end.agent.next_timer() is not None for end in ends)

    def _call(self) -> None:
        if self._closing:
            return
        body = sdp(self.random) if self.random.random() < 0.9 else b""
        session = self.far.call(body)
        self.note(f"far end {session.id[:4]} calls")
        if self.random.random() < 0.15:
            wait = self.random.random() * self.random.choice([0.05, 5])
            self.after(wait, self.far._do, session, "hang up")

    async def _end(self) -> None:
        random = self.random
        how = random.choice(["far ends", "application", "shutdown"])
        self.note(f"the {how} ends all")
        if how == "shutdown":
            await self.registry.drain(random.choice([0.0, 3.0]))
        elif how == "far ends":
            self.far.end_all()
        self._closing = True
        await self._end_calls()

    async def _end_calls(self) -> None:
        for call in self.registry.seen:
            if not call.ended:
                self._ask(self.commands.carry_out(call.id, EndCall()), "last end")
        await asyncio.sleep(0.1)
