"""A network without sockets, and agents on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TypeVar

from mediaserver.sip.agent import Agent
from mediaserver.sip.events import Event
from mediaserver.sip.hop import Hop

from ..sip_bench import tokens

T = TypeVar("T")


class Wire:
    """Carries datagrams between agents."""

    def __init__(self, random: Random) -> None:
        self.delay = random.choice([0.0, 0.02, 0.3])
        self.loss = random.choice([0.0, 0.0, 0.1])
        self.double = random.choice([0.0, 0.0, 0.1])
        self.ends: dict[tuple[str, int], Endpoint] = {}
        self._random = random

    def send(self, hop: Hop, data: bytes) -> None:
        """Let a datagram travel; to where nobody is, it is lost."""
        random = self._random
        end = self.ends.get(hop.remote)
        if end is None or random.random() < self.loss:
            return
        back = Hop(hop.transport, hop.remote, hop.local)
        for _ in range(2 if random.random() < self.double else 1):
            delay = self.delay * random.random()
            asyncio.get_running_loop().call_later(delay, end.receive, data, back)


class Endpoint:
    """An agent on the wire: `net.sip.SipEndpoint` without sockets."""

    def __init__(
        self, wire: Wire, at: tuple[str, int], seed: str, on_event: Callable[[Event], None]
    ) -> None:
        self.agent = Agent(
            contact=lambda hop: f"sip:ms@{hop.local[0]}:{hop.local[1]}", token=tokens(seed)
        )
        self._wire = wire
        self._on_event = on_event
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        wire.ends[at] = self

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def command(self, do: Callable[[Agent, float], T]) -> T:
        result = do(self.agent, self.now)
        self.flush()
        return result

    def receive(self, data: bytes, hop: Hop) -> None:
        self.agent.receive(data, hop, self.now)
        self.flush()

    def flush(self) -> None:
        if self._flushing:
            return
        self._flushing = True
        try:
            while self._drain():
                pass
        finally:
            self._flushing = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self.agent.next_timer()
        if at is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self._fire)

    def _drain(self) -> bool:
        outgoing, events = self.agent.outgoing(), self.agent.events()
        for hop, data in outgoing:
            self._wire.send(hop, data)
        for event in events:
            self._on_event(event)
        return bool(outgoing or events)

    def _fire(self) -> None:
        self._timer = None
        self.agent.handle_timer(self.now)
        self.flush()
