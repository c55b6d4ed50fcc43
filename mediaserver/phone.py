"""A phone on the server's own stack: the composition behind `mediaserver call` and the demo."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import mediaserver

from .calls.caller import Caller, CallOutcome, CallPlan
from .clock import SystemClock
from .errors import LocalError
from .net.locate import DnsLookup, Locator
from .net.media import MediaEngine
from .net.ports import PortPool
from .net.signalling import Signalling, contact_for
from .net.sip import ListenAddress, SipEndpoint
from .sip.agent import Agent
from .sip.events import Event
from .sip.hop import Transport
from .sip.uri import SipUri

PORTS = (40_000, 49_999)
"""UDP ports the phone takes for media, away from a server's default ones."""

LEGS = 4


class Phone:
    """Calls somebody."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def call(self, target: SipUri, from_: str, plan: CallPlan) -> CallOutcome:
        """See `Caller.call`."""
        return await self._caller.call(target, from_, plan)

    @classmethod
    @asynccontextmanager
    async def towards(cls, target: SipUri, say: Callable[[str], None]) -> AsyncIterator[Phone]:
        """Yield a phone on the local address from which `target` can be reached.

        LocalError when there is none. `say` is told how a call is going.
        """
        clock = SystemClock()
        callers: list[Caller] = []
        host = await _local_host(target)

        def hear(event: Event) -> None:
            for caller in callers:
                caller.handle(event)

        agent = Agent(
            contact=contact_for(None),
            token=lambda: secrets.token_hex(8),
            user_agent=f"mediaserver/{mediaserver.__version__}",
        )
        endpoint = SipEndpoint(agent, hear, clock=clock)
        engine = MediaEngine(PortPool(host, *PORTS), clock, advertise=host, capacity=LEGS)
        await endpoint.start(
            [ListenAddress(transport, host, 0) for transport in (Transport.UDP, Transport.TCP)]
        )
        engine.start()
        locator = Locator(DnsLookup(), endpoint.hop_to, secrets.SystemRandom().random)
        callers.append(Caller(Signalling(endpoint, locator), engine, say))
        try:
            yield cls(callers[0])
        finally:
            engine.stop()
            await endpoint.stop()


async def _local_host(target: SipUri) -> str:
    """Return the address of ours that packets to `target` leave from."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            target.host.strip("[]"), target.port or 5060, type=socket.SOCK_DGRAM
        )
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise LocalError(f"cannot reach {target.host}: {error.strerror}") from None
