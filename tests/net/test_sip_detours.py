"""Calls whose INVITE is too large for UDP, on real sockets (RFC 3261 18.1.1)."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

import pytest

from farend.ports import free_port
from farend.sip_bench import ANSWER, OFFER, tokens
from farend.zone import name_server
from mediaserver.calls.ports import Invitation
from mediaserver.net.locate import DnsLookup, Locator, Lookup
from mediaserver.net.name_service import NameService
from mediaserver.net.signalling import Signalling, contact_for
from mediaserver.net.sip import ListenAddress, SipEndpoint
from mediaserver.sip.agent import Agent
from mediaserver.sip.events import Answered, Ended, Event, InfoReceived, Invited
from mediaserver.sip.hop import Transport
from mediaserver.sip.uri import SipUri

BOTH = (Transport.UDP, Transport.TCP)
WIDE = (("X-Wide", "w" * 1300),)
SEEDS = count()


class Side:
    """An endpoint that answers every call and hangs up what it has placed."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        agent = Agent(contact=contact_for(None), token=tokens(f"side{next(SEEDS)}"))
        self.endpoint = SipEndpoint(agent, self._hear)
        locator = Locator(lookup or DnsLookup(), self.endpoint.hop_to, lambda: 0.0)
        agent.ask_for_detours(locator.detour)
        self.signalling = Signalling(self.endpoint, locator)
        self.tells = b""
        """What it says in an INFO before it hangs up."""
        self.told: list[bytes] = []
        self.invited: list[str] = []
        """The transport of each call that came."""
        self._over = asyncio.Event()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Invited):
            self.invited.append(event.session.invite.via.transport)
            self.signalling.answer(event.session, ANSWER)
        elif isinstance(event, Answered):
            if self.tells:
                self.signalling.info(event.session, "text/plain", self.tells)
            else:
                self.signalling.hang_up(event.session)
        elif isinstance(event, InfoReceived):
            self.told.append(event.body)
            self.signalling.hang_up(event.session)
        elif isinstance(event, Ended):
            self._over.set()

    async def call(self, uri: str, headers: tuple[tuple[str, str], ...]) -> None:
        """One whole call."""
        invitation = Invitation(
            from_="<sip:us@127.0.0.1>",
            headers=headers,
            credentials=None,
            offer=lambda _hop: OFFER,
        )
        self._over.clear()
        async with asyncio.timeout(8):
            await self.signalling.invite(SipUri.parse(uri), invitation, lambda _: None)
            await self._over.wait()


@asynccontextmanager
async def side(
    transports: Sequence[Transport], port: int = 0, lookup: Lookup | None = None
) -> AsyncIterator[Side]:
    it = Side(lookup)
    await it.endpoint.start([ListenAddress(kind, "127.0.0.1", port) for kind in transports])
    try:
        yield it
    finally:
        await it.endpoint.stop()


@pytest.mark.parametrize(
    ("headers", "more", "expected"),
    [
        (WIDE, "", "TCP"),
        ((), "", "UDP"),
        (WIDE, ";transport=udp", "UDP"),
        ((), ";transport=tcp", "TCP"),
    ],
)
async def test_size_alone_takes_a_call_to_tcp(
    headers: tuple[tuple[str, str], ...], more: str, expected: str
) -> None:
    port = free_port()
    async with side(BOTH, port) as peer, side(BOTH) as us:
        await us.call(f"sip:bob@127.0.0.1:{port}{more}", headers)
        assert peer.invited == [expected]


@pytest.mark.parametrize(("transports", "connections"), [(BOTH, 1), ([Transport.UDP], 0)])
async def test_a_large_request_in_a_call_arrives_whatever_the_peer_has(
    transports: Sequence[Transport], connections: int
) -> None:
    port = free_port()
    async with side(transports, port) as peer, side(BOTH) as us:
        us.tells = b"x" * 1400
        await us.call(f"sip:bob@127.0.0.1:{port}", ())
        assert peer.invited == ["UDP"]
        assert peer.told == [us.tells]
        assert us.endpoint.connection_count == connections


async def test_a_peer_without_tcp_gets_it_over_udp() -> None:
    port = free_port()
    async with side([Transport.UDP], port) as peer, side(BOTH) as us:
        for _ in range(2):
            await us.call(f"sip:bob@127.0.0.1:{port}", WIDE)
        assert peer.invited == ["UDP", "UDP"]
        assert us.endpoint.connection_count == 0


async def test_without_a_tcp_socket_of_our_own_it_goes_over_udp() -> None:
    port = free_port()
    async with side(BOTH, port) as peer, side([Transport.UDP]) as us:
        await us.call(f"sip:bob@127.0.0.1:{port}", WIDE)
        assert peer.invited == ["UDP"]


async def test_a_domain_that_prefers_tcp_and_has_none_is_called_over_udp() -> None:
    port = free_port()
    zone = textwrap.dedent(f"""\
        far IN NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.far
        far IN NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.far
        _sip._tcp.far IN SRV 1 1 {port} host
        _sip._udp.far IN SRV 1 1 {port} host
        host IN A 127.0.0.1
        """)
    async with name_server(zone) as (_, resolver):
        async with side(BOTH, port) as peer, side(BOTH, lookup=NameService(resolver)) as us:
            await us.call("sip:bob@far.test", ())
            assert peer.invited == ["TCP"]
        async with (
            side([Transport.UDP], port) as peer,
            side(BOTH, lookup=NameService(resolver)) as us,
        ):
            await us.call("sip:bob@far.test", ())
            assert peer.invited == ["UDP"]
