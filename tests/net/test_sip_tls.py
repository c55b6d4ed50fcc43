"""SIP over TLS on real sockets: calls, who has to prove what, and what strangers may do."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog

from farend.certificates import Authority
from farend.reported import Reported
from farend.sip_bench import ANSWER, OFFER, tokens
from mediaserver.errors import LocalError
from mediaserver.net.signalling import contact_for
from mediaserver.net.sip import ListenAddress, SipEndpoint, TcpLimits
from mediaserver.net.sip_door import Handshakes
from mediaserver.net.sip_tls import TlsContexts, TlsFiles, objection
from mediaserver.sip.agent import Agent
from mediaserver.sip.events import Answered, Ended, Established, Event, Invited, Refused
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.uri import SipUri

LIMITS = TcpLimits(
    message_timeout=0.3,
    connect_timeout=1.0,
    max_connections=40,
    handshakes=Handshakes(at_a_time=6, of_one_host=4, timeout=0.3),
)
SEEDS = count()


class Station(Reported):
    """An endpoint over TLS that answers every call."""

    def __init__(self, tls: TlsContexts) -> None:
        super().__init__()
        agent = Agent(contact=contact_for(None), token=tokens(f"secure{next(SEEDS)}"))
        self.tls = tls
        self.endpoint = SipEndpoint(agent, self._on_event, tcp_limits=LIMITS, tls=tls)

    def _on_event(self, event: Event) -> None:
        self.report(event)
        if isinstance(event, Invited):
            session = event.session
            self.endpoint.command(lambda agent, now: agent.answer(session, ANSWER, now))

    @property
    def address(self) -> tuple[str, int]:
        (bound,) = self.endpoint.bound
        return bound.host, bound.port

    def call(self, called: Station, name: str = "", scheme: str = "sip") -> None:
        hop = self.endpoint.hop_to(Transport.TLS, called.address)
        assert hop is not None
        hop = Hop(hop.transport, hop.local, hop.remote, name)
        target = SipUri.parse(f"{scheme}:x@{called.address[0]}:{called.address[1]}")
        self.endpoint.command(
            lambda agent, now: agent.invite(
                target, [hop], lambda _: OFFER, now, from_="sip:caller@127.0.0.1"
            )
        )


@asynccontextmanager
async def station(files: TlsFiles, look_every: float = 60.0) -> AsyncIterator[Station]:
    async with AsyncExitStack() as stack:
        tls = await TlsContexts.open(files, look_every=look_every)
        stack.push_async_callback(tls.close)
        it = Station(tls)
        stack.push_async_callback(it.endpoint.stop)
        await it.endpoint.start([ListenAddress(Transport.TLS, "127.0.0.1", 0)])
        yield it


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what a peer does sets no event here
            await asyncio.sleep(0.005)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    return TlsFiles(*authority.vouch("station"), ca=authority.ca)


@pytest.mark.parametrize("scheme", ["sip", "sips"])
async def test_a_whole_call_goes_over_one_connection(files: TlsFiles, scheme: str) -> None:
    async with station(files) as caller, station(files) as called:
        caller.call(called, scheme=scheme)
        answered = await caller.heard(Answered)
        established = await called.heard(Established)
        invite = established.session.invite
        assert invite.via.transport == "TLS"
        for contact, where in (
            (invite.contact, caller.address),
            (answered.response.contact, called.address),
        ):
            end = "" if scheme == "sips" else ";transport=tls"
            assert contact is not None
            assert str(contact.uri) == f"{scheme}:mediaserver@{where[0]}:{where[1]}{end}"
        called.endpoint.command(lambda agent, now: agent.bye(established.session, now))
        await caller.heard(Ended)
        await called.heard(Ended)
        assert (caller.endpoint.connection_count, called.endpoint.connection_count) == (1, 1)


async def test_who_answers_must_prove_the_name_that_was_asked_for(
    authority: Authority, files: TlsFiles, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    others = {
        "other": authority.vouch("other", ["elsewhere.example"]),
        "expired": authority.vouch("expired", days=-1.0),
        "unknown": stranger.vouch("unknown"),
    }
    sentences = {
        "other": "is for elsewhere.example, not for 127.0.0.1",
        "expired": "has expired",
        "unknown": "is from an authority that is not known here",
    }
    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(station(files))
        for what, pair in others.items():
            called = await stack.enter_async_context(station(TlsFiles(*pair, ca=authority.ca)))
            caller.call(called)
            refused = await caller.heard(Refused)
            assert refused.status == 503
            assert sentences[what] in refused.reason
            assert not called.events
            caller.events.clear()


async def test_a_trunk_may_have_an_authority_of_its_own(files: TlsFiles, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    pair = stranger.vouch("trunk", ["trunk.example"])
    own = TlsFiles(files.certificate, files.key, files.ca, None, {"trunk.example": stranger.ca})
    async with station(own) as caller, station(TlsFiles(*pair)) as called:
        caller.call(called, "trunk.example")
        await caller.heard(Answered)


async def test_callers_must_present_a_certificate_where_that_is_asked_for(
    authority: Authority, files: TlsFiles, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    strict = TlsFiles(files.certificate, files.key, files.ca, authority.ca)
    unknown = TlsFiles(*stranger.vouch("unknown"), ca=authority.ca)
    async with station(strict) as called, station(files) as known, station(unknown) as other:
        known.call(called)
        await known.heard(Answered)
        other.call(called)
        refused = await other.heard(Refused)
        assert refused.status == 503
        assert len([event for event in called.events if isinstance(event, Invited)]) == 1


async def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(
    authority: Authority, files: TlsFiles
) -> None:
    async with station(files, look_every=0.02) as it:
        before = it.tls.server
        key = files.key.read_bytes()
        files.key.write_bytes(b"no key")
        await asyncio.sleep(0.2)
        assert it.tls.server is before
        files.key.write_bytes(key)
        await until(lambda: it.tls.server is not before)
        before = it.tls.server
        for path, new in zip(
            (files.certificate, files.key), authority.vouch("renewed"), strict=True
        ):
            os.replace(new, path)
        await until(lambda: it.tls.server is not before)


async def test_what_strangers_do_at_the_door_is_bounded_and_told_once(files: TlsFiles) -> None:
    with structlog.testing.capture_logs() as logged:
        async with station(files) as caller, station(files) as called:
            where = called.address
            reader, writer = await asyncio.open_connection(*where)
            writer.write(b"OPTIONS sip:x SIP/2.0\r\n\r\n" * 40)
            assert b"SIP" not in await _rest(reader)
            writer.close()
            stalled = [await asyncio.open_connection(*where) for _ in range(10)]
            ends = await asyncio.gather(*(_rest(reader) for reader, _ in stalled))
            assert len(ends) == 10
            for _, writer in stalled:
                writer.close()
            assert called.endpoint.connection_count == 0
            caller.call(called)
            await caller.heard(Answered)
    told = [line for line in logged if line["event"] == "TLS handshakes failed"]
    assert len(told) == 1


async def test_a_thousand_handshakes_leave_room_for_a_call(files: TlsFiles) -> None:
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    async with station(files) as caller, station(files) as called:

        async def knock(times: int) -> int:
            done = 0
            for _ in range(times):
                try:
                    _, writer = await asyncio.open_connection(*called.address, ssl=trusting)
                except OSError:
                    continue
                done += 1
                writer.transport.abort()
            return done

        done = await asyncio.gather(*(knock(500) for _ in range(2)))
        assert sum(done) >= 500
        await until(lambda: called.endpoint.connection_count == 0)
        caller.call(called)
        await caller.heard(Answered)


async def test_tls_below_1_2_is_refused(files: TlsFiles) -> None:
    async with station(files) as called:
        assert called.tls.server.minimum_version is ssl.TLSVersion.TLSv1_2
        assert called.tls.client("").minimum_version is ssl.TLSVersion.TLSv1_2
        assert called.tls.server.options & ssl.OP_NO_RENEGOTIATION


async def test_files_that_will_not_do_are_named(files: TlsFiles, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(LocalError, match="missing cannot be read: No such file"):
        await TlsContexts.open(TlsFiles(missing, files.key))
    with pytest.raises(LocalError, match="no certificate and its key"):
        await TlsContexts.open(TlsFiles(files.certificate, files.certificate))
    with pytest.raises(LocalError, match="holds no certificates"):
        await TlsContexts.open(TlsFiles(files.certificate, files.key, files.key))


@pytest.mark.parametrize(
    ("names", "good"),
    [
        ((("IP Address", "192.0.2.9"),), True),
        ((("URI", "sip:192.0.2.9"),), True),
        ((("DNS", "192.0.2.9"),), False),
        ((("DNS", "*.0.2.9"),), False),
    ],
)
def test_an_address_is_proved_as_an_address(names: Any, good: bool) -> None:
    hop = Hop(Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.9", 5061))
    assert (not objection({"subjectAltName": names}, hop)) is good


@pytest.mark.parametrize(
    ("names", "good"),
    [
        ((("DNS", "sip.example.org"),), True),
        ((("DNS", "SIP.Example.org."),), True),
        ((("DNS", "*.example.org"),), True),
        ((("DNS", "*.org"),), False),
        ((("DNS", "example.org"),), False),
        ((("DNS", "*"),), False),
        ((("URI", "sip:sip.example.org"),), True),
        ((("URI", "sip:other.example"), ("DNS", "sip.example.org")), False),
        ((("URI", "sip:x@sip.example.org"), ("DNS", "sip.example.org")), True),
        ((("IP Address", "192.0.2.1"),), False),
        ((), False),
    ],
)
def test_the_names_of_a_certificate_are_read_as_sip_does(names: Any, good: bool) -> None:
    hop = Hop(Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.9", 5061), "sip.example.org")
    assert (not objection({"subjectAltName": names}, hop)) is good


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the far end closes."""
    try:
        return await asyncio.wait_for(reader.read(), 5.0)
    except ConnectionError:
        return b""
