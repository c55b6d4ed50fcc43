"""Calls we place, through `Signalling` on real sockets, to a far end that is not our own stack."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

import pytest

from farend.reported import Reported
from farend.sip_bench import ANSWER, OFFER, tokens
from farend.wire import SipMessage
from mediaserver.calls.ports import Invitation
from mediaserver.errors import LocalError
from mediaserver.net import sip as endpoints
from mediaserver.net.locate import Locator, Pointer, Service
from mediaserver.net.signalling import Signalling, contact_for
from mediaserver.net.sip import ListenAddress, SipEndpoint
from mediaserver.sip.agent import Agent
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import (
    Answered,
    Ended,
    Event,
    ReferAnswered,
    ReferProgressed,
    Refused,
    ReinviteAnswered,
)
from mediaserver.sip.hop import Transport
from mediaserver.sip.session import Session
from mediaserver.sip.uri import SipUri


class Names:
    """A name service that knows `trunk.test`: a dead address, then the live one."""

    async def pointers(self, name: str) -> Sequence[Pointer]:
        return []

    async def services(self, name: str) -> Sequence[Service]:
        return []

    async def addresses(self, host: str) -> Sequence[str]:
        return ["127.0.0.77", "127.0.0.1"] if host == "trunk.test" else []


class Trunk(asyncio.DatagramProtocol):
    """Answers what it is sent; with `password` only who knows that."""

    def __init__(self, password: str | None = None) -> None:
        self.password = password
        self.deaf = 0
        """So many BYEs are not heard."""
        self.heard: list[SipMessage] = []
        self.nonces = 0
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.address: tuple[str, int] = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = SipMessage.parse(data)
        self.heard.append(message)
        self._news.set()
        method = message.start.split()[0]
        if method in ("ACK", "SIP/2.0"):
            return
        if method == "BYE" and self.deaf:
            self.deaf -= 1
            return
        if self.password is not None and not self._knows(message, method):
            self.nonces += 1
            fields = [
                f'WWW-Authenticate: Digest realm="trunk", nonce="n{self.nonces}", '
                'algorithm=SHA3-1, qop="auth"',
                f'WWW-Authenticate: Digest realm="trunk", nonce="n{self.nonces}", '
                'algorithm=SHA-256, qop="auth,auth-int"',
            ]
            self._reply(message, addr, "401 Unauthorized", fields)
        elif method == "REFER":
            self._reply(message, addr, "202 Accepted")
            self._notify(message, addr)
        else:
            self._reply(message, addr, "200 OK", body=ANSWER if method == "INVITE" else b"")

    def _knows(self, message: SipMessage, method: str) -> bool:
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', message.get("authorization")))
        if said.get("nonce") != f"n{self.nonces}":
            return False

        def digest(*parts: str) -> str:
            return hashlib.sha256(":".join(parts).encode()).hexdigest()

        assert message.start.split()[1] == said["uri"]
        secret = digest("alice", "trunk", self.password or "")
        asked = digest(method, said["uri"])
        right = digest(secret, said["nonce"], said["nc"], said["cnonce"], said["qop"], asked)
        return bool(said["response"] == right)

    def _reply(
        self,
        message: SipMessage,
        addr: tuple[str, int],
        status: str,
        fields: Sequence[str] = (),
        body: bytes = b"",
    ) -> None:
        lines = [f"SIP/2.0 {status}"]
        for name in ("via", "from", "call-id", "cseq"):
            lines += [f"{name}: {value}" for value in message.get_all(name)]
        to = message.get("to")
        lines.append(f"To: {to}" if ";tag=" in to else f"To: {to};tag=theirs")
        lines += [f"Contact: <sip:trunk@127.0.0.1:{self.address[1]}>", *fields]
        lines += ["Content-Type: application/sdp"] if body else []
        lines.append(f"Content-Length: {len(body)}")
        self._transport.sendto("\r\n".join([*lines, "", ""]).encode() + body, addr)

    def _notify(self, refer: SipMessage, addr: tuple[str, int]) -> None:
        body = "SIP/2.0 200 OK\r\n"
        target = refer.get("contact").partition("<")[2].partition(">")[0]
        lines = [
            f"NOTIFY {target} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.address[1]};branch=z9hG4bKnews",
            f"From: {refer.get('to')}",
            f"To: {refer.get('from')}",
            f"Call-ID: {refer.get('call-id')}",
            "CSeq: 1 NOTIFY",
            "Max-Forwards: 70",
            "Event: refer",
            "Subscription-State: terminated;reason=noresource",
            "Content-Type: message/sipfrag",
            f"Content-Length: {len(body)}",
        ]
        self._transport.sendto("\r\n".join([*lines, "", body]).encode(), addr)

    async def count(self, method: str, number: int) -> None:
        """Wait until so many requests of a method were heard."""
        async with asyncio.timeout(5):
            while sum(m.start.startswith(f"{method} ") for m in self.heard) < number:
                self._news.clear()
                await self._news.wait()

    def methods(self) -> list[str]:
        return [message.start.split()[0] for message in self.heard]


class Desk(Reported):
    """Whoever places calls, and what it is told."""

    def __init__(self) -> None:
        agent = Agent(contact=contact_for(None), token=tokens("desk"))
        super().__init__()
        self.endpoint = SipEndpoint(agent, self._hear)
        self.signalling = Signalling(
            self.endpoint, Locator(Names(), self.endpoint.hop_to, lambda: 0.0)
        )
        self.story: list[str] = []

    def _hear(self, event: Event) -> None:
        self.story.append(type(event).__name__)
        self.report(event)

    def call(
        self, host: str, port: int, credentials: Credentials | None = None
    ) -> Awaitable[Session]:
        invitation = Invitation(
            from_='"Us" <sip:us@127.0.0.1>',
            headers=(("X-Account", "4711"),),
            credentials=credentials,
            offer=lambda hop: OFFER,
        )
        return self.signalling.invite(
            SipUri.parse(f"sip:bob@{host}:{port}"),
            invitation,
            lambda session: self.story.append("began"),
        )


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    it = Desk()
    # A socket of all addresses, for the dead one of `Names` is on loopback too.
    await it.endpoint.start([ListenAddress(Transport.UDP, "0.0.0.0", 0)])
    try:
        yield it
    finally:
        await it.endpoint.stop()


@asynccontextmanager
async def trunk(password: str | None = None) -> AsyncIterator[Trunk]:
    transport, it = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Trunk(password), ("127.0.0.1", 0)
    )
    try:
        yield it
    finally:
        transport.close()


async def test_a_trunk_that_asks_for_a_password_is_called_to_the_end() -> None:
    async with trunk("secret") as far, desk() as us:
        session = await us.call(*far.address, Credentials("alice", "secret"))
        answered = await us.heard(Answered)
        assert (answered.session, answered.body) == (session, ANSWER)
        assert us.story == ["began", "Answered"]
        us.signalling.reinvite(session, OFFER)
        await us.heard(ReinviteAnswered)
        us.signalling.info(session, "application/dtmf-relay", b"Signal=1")
        await far.count("INFO", 1)
        far.nonces += 1  # the nonce is old now, and the next request is challenged
        us.signalling.refer(session, "sip:carol@127.0.0.1", headers=(("X-Why", "moved"),))
        assert (await us.heard(ReferAnswered)).status == 202
        progress = await us.heard(ReferProgressed)
        assert (progress.status, progress.final) == (200, True)
        us.signalling.hang_up(session)
        await us.heard(Ended)
    wanted = ["INVITE", "ACK", "INVITE", "ACK", "INVITE", "ACK", "INFO", "REFER", "REFER"]
    assert [m for m in far.methods() if m != "SIP/2.0"] == [*wanted, "BYE"]
    invites = [m for m in far.heard if m.start.startswith("INVITE ")]
    assert [m.get("x-account") for m in invites] == ["4711", "4711", ""]
    assert invites[0].get("from").startswith('"Us" <sip:us@127.0.0.1>;tag=')


async def test_the_wrong_password_is_a_refusal() -> None:
    async with trunk("secret") as far, desk() as us:
        await us.call(*far.address, Credentials("alice", "guess"))
        refused = await us.heard(Refused)
        assert refused.status == 401
        assert far.nonces == 2


async def test_a_dead_address_of_a_name_makes_way_for_the_next() -> None:
    async with trunk() as far, desk() as us:
        session = await us.call("trunk.test", far.address[1])
        await us.heard(Answered)
        assert session.hop.remote[0] == "127.0.0.1"
        assert us.story == ["began", "Answered"]
        us.signalling.hang_up(session)
        await us.heard(Ended)


async def test_whoever_calls_knows_the_session_before_it_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        closed: tuple[str, int] = sock.getsockname()
    async with desk() as us:
        await us.call(*closed)
        await us.heard(Refused)
        assert us.story == ["began", "Refused"]


@pytest.mark.parametrize(
    ("from_", "headers", "words"),
    [
        ("no address", (), "cannot be placed: Bad"),
        ("<sip:us@x>", (("X-A", "a\r\nVia: b"),), "must not contain CR"),
    ],
)
async def test_an_invitation_that_cannot_be_written_begins_nothing(
    from_: str, headers: tuple[tuple[str, str], ...], words: str
) -> None:
    began: list[Session] = []
    async with desk() as us:
        with pytest.raises(LocalError, match=words):
            await us.signalling.invite(
                SipUri.parse("sip:bob@127.0.0.1:9"),
                Invitation(from_=from_, headers=headers, offer=lambda hop: OFFER),
                began.append,
            )
        assert began == []
        assert us.endpoint.agent.session_count == 0


@pytest.mark.parametrize("deaf", [1, 99])
async def test_a_bye_is_repeated_while_the_endpoint_stops(
    deaf: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "PART_GRACE", 0.8)
    async with trunk() as far:
        far.deaf = deaf
        async with desk() as us:
            session = await us.call(*far.address)
            await us.heard(Answered)
            us.signalling.hang_up(session)
        assert far.methods().count("BYE") == 2
        assert ("Ended" in us.story) is (deaf == 1)
