"""The SIP agent on real sockets: the ring of I/O around `mediaserver.sip.agent`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from mediaserver.clock import Clock, SystemClock
from mediaserver.errors import PeerError
from mediaserver.net.sip_listen import ListenAddress
from mediaserver.net.sip_tcp import TcpConnections, TcpLimits, TcpUser
from mediaserver.net.sip_tls import TlsContexts
from mediaserver.net.sip_udp import UdpSocket
from mediaserver.sip.agent import Agent
from mediaserver.sip.events import Event
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import SipParseError

__all__ = ["ListenAddress", "SipEndpoint", "TcpLimits"]

T = TypeVar("T")

CLOSE_GRACE = 1.0
"""Seconds for last messages to leave when the endpoint stops."""

PART_GRACE = 2.0
"""Seconds for peers to confirm that their calls have ended: time for two more copies of a BYE."""


class SipEndpoint:
    """One agent, its sockets and its timer, on the running event loop.

    `on_event` is called for every event, in order. It may call `command`.
    """

    def __init__(
        self,
        agent: Agent,
        on_event: Callable[[Event], None],
        *,
        tcp_limits: TcpLimits = TcpLimits(),  # noqa: B008  frozen, so safe to share
        clock: Clock | None = None,
        tls: TlsContexts | None = None,
    ) -> None:
        """`tls` is needed to listen with TLS, and to connect so."""
        self.agent = agent
        self._on_event = on_event
        self._tcp_limits = tcp_limits
        self._clock = clock or SystemClock()
        self._tls = tls
        self._udp: dict[tuple[str, int], UdpSocket] = {}
        self._tcp: TcpConnections | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._failures: list[tuple[Hop, str]] = []
        self._flushing = False
        self._parted: asyncio.Event | None = None
        self._log = structlog.get_logger("sip")
        self.bound: tuple[ListenAddress, ...] = ()
        """What is listened on, with the real ports."""

    async def start(self, listen: Sequence[ListenAddress]) -> None:
        """Open every address; LocalError, and none open, when one of them cannot be had."""
        user = TcpUser(self._receive, self._broken, self._failed, self.agent.uses)
        self._tcp = TcpConnections(user, self._tcp_limits, self._tls)
        try:
            for address in listen:
                host, port = await self._listen(address, self._tcp)
                self.bound += (ListenAddress(address.transport, host, port),)
        except BaseException:
            await self.stop()
            raise
        self.flush()

    async def _listen(self, address: ListenAddress, tcp: TcpConnections) -> tuple[str, int]:
        if address.transport.reliable:
            return await tcp.listen(address)
        udp = await UdpSocket.open(address, self._receive, self._failed)
        self._udp[udp.local] = udp
        return udp.local

    async def stop(self) -> None:
        """Send what is due and close every socket. Calls should have been ended before.

        Peers that have not confirmed the end of their call get some time and more copies for it.
        """
        self.flush()
        await self._part()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for udp in self._udp.values():
            udp.close()
        self._udp.clear()
        tcp, self._tcp = self._tcp, None
        if tcp is not None:
            await tcp.close(CLOSE_GRACE)
        self.bound = ()
        await asyncio.sleep(0)  # a turn of the loop, in which asyncio closes the sockets

    async def _part(self) -> None:
        if not self.agent.parting:
            return
        self._parted = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PART_GRACE):
                await self._parted.wait()
        self._parted = None

    def command(self, do: Callable[[Agent, float], T]) -> T:
        """Let `do` command the agent at the present time, and send what comes of it."""
        result = do(self.agent, self._clock.monotonic())
        self.flush()
        return result

    def flush(self) -> None:
        """Send what the agent wants sent, report its events, set the timer."""
        if self._flushing:
            return  # called by `on_event`: the loop below goes on until nothing is left
        self._flushing = True
        try:
            while self._drain():
                pass
        finally:
            self._flushing = False
        if self._parted is not None and not self.agent.parting:
            self._parted.set()
        self._arm()

    def _drain(self) -> bool:
        outgoing = self.agent.outgoing()
        for hop, data in outgoing:
            self._send(hop, data)
        failures, self._failures = self._failures, []
        for hop, why in failures:
            self.agent.transport_failed(hop, self._clock.monotonic(), why)
        events = self.agent.events()
        for event in events:
            self._report(event)
        return bool(outgoing or failures or events)

    def _report(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:
            # One call's fault must not take the others' signalling with it.
            self._log.exception("sip_event_failed", sip_event=type(event).__name__)

    def _send(self, hop: Hop, data: bytes) -> None:
        if hop.transport.reliable:
            if self._tcp is not None:
                self._tcp.send(hop, data)
            return
        udp = self._udp.get(hop.local)
        if udp is not None:
            udp.send(hop.remote, data)

    def hop_to(self, transport: Transport, remote: tuple[str, int]) -> Hop | None:
        """A hop to an address from a socket of ours that fits; None when there is none."""
        wide = ":" in remote[0]
        for address in self.bound:
            if address.transport is transport and (":" in address.host) == wide:
                return Hop(transport, (address.host, address.port), remote)
        return None

    @property
    def connection_count(self) -> int:
        """Connections over TCP and TLS that are open or being opened."""
        return len(self._tcp) if self._tcp is not None else 0

    # What the sockets report

    def _receive(self, data: bytes, hop: Hop) -> None:
        self.agent.receive(data, hop, self._clock.monotonic())
        self.flush()

    def _broken(self, error: PeerError, hop: Hop) -> None:
        if isinstance(error, SipParseError):
            self.agent.refuse(error, hop)
            self.flush()

    def _failed(self, hop: Hop, why: str = "") -> None:
        if why:
            self._log.warning("TLS connection failed", why=why)
        # A send may fail in the middle of `_drain`, which then takes care of it.
        self._failures.append((hop, why))
        self.flush()

    # The timer

    def _arm(self) -> None:
        at = self.agent.next_timer()
        if at == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at is not None and self._tcp is not None:
            delay = max(0.0, at - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.agent.handle_timer(self._clock.monotonic())
        self.flush()
