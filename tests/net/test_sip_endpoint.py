"""SIP endpoints on real sockets of loopback, port 0, over UDP and TCP (robustness S10)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest

from farend.reported import Reported
from farend.sip_bench import ANSWER, OFFER, request, tokens
from mediaserver.errors import LocalError
from mediaserver.net import sip_udp
from mediaserver.net.sip import ListenAddress, SipEndpoint, TcpLimits
from mediaserver.sip.agent import Agent
from mediaserver.sip.events import Answered, Ended, Established, Event, Invited, Refused
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Response, parse_message
from mediaserver.sip.uri import SipUri

LOOPBACK = [
    ListenAddress(Transport.UDP, "127.0.0.1", 0),
    ListenAddress(Transport.TCP, "127.0.0.1", 0),
]
SHORT = TcpLimits(message_timeout=0.3, idle_timeout=0.4, connect_timeout=0.5, max_connections=20)
SEEDS = count()


def offer(_hop: Hop) -> bytes:
    """The offer of every call."""
    return OFFER


class Station(Reported):
    """An endpoint that answers every call, and what it heard."""

    def __init__(self, limits: TcpLimits = SHORT) -> None:
        agent = Agent(
            contact=lambda hop: (
                f"sip:station@{hop.local[0]}:{hop.local[1]};transport={hop.transport.lower()}"
            ),
            token=tokens(f"station{next(SEEDS)}"),
        )
        super().__init__()
        self.endpoint = SipEndpoint(agent, self._on_event, tcp_limits=limits)

    def _on_event(self, event: Event) -> None:
        self.report(event)
        if isinstance(event, Invited):
            session = event.session
            self.endpoint.command(lambda agent, now: agent.ring(session, now))
            self.endpoint.command(lambda agent, now: agent.answer(session, ANSWER, now))

    def address(self, transport: Transport) -> tuple[str, int]:
        """Where it listens."""
        found = next(bound for bound in self.endpoint.bound if bound.transport is transport)
        return (found.host, found.port)


@asynccontextmanager
async def station(limits: TcpLimits = SHORT) -> AsyncIterator[Station]:
    """A station that listens, until the end of the block."""
    it = Station(limits)
    await it.endpoint.start(LOOPBACK)
    try:
        yield it
    finally:
        await it.endpoint.stop()


async def call(caller: Station, called: Station, transport: Transport) -> None:
    """One whole call, hung up by the caller."""
    remote = called.address(transport)
    hop = caller.endpoint.hop_to(transport, remote)
    assert hop is not None
    target = SipUri.parse(f"sip:x@{remote[0]}:{remote[1]}")
    caller.endpoint.command(
        lambda agent, now: agent.invite(target, [hop], offer, now, from_="sip:caller@127.0.0.1")
    )
    answered = await caller.heard(Answered)
    await called.heard(Established)
    caller.endpoint.command(lambda agent, now: agent.bye(answered.session, now))
    await caller.heard(Ended)
    await called.heard(Ended)


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    """Wait for something the sockets will bring about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what a peer does sets no event here
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_two_endpoints_call_each_other(transport: Transport) -> None:
    async with station() as caller, station() as called:
        await call(caller, called, transport)
        assert [type(event).__name__ for event in called.events] == [
            "Invited",
            "Established",
            "Ended",
        ]


async def test_other_work_of_the_loop_comes_between_the_datagrams_of_a_burst() -> None:
    order: list[str] = []

    def slow(data: bytes, hop: Hop) -> None:
        order.append("datagram")
        until = time.monotonic() + sip_udp.TURN
        while time.monotonic() < until:
            pass

    def tick() -> None:
        order.append("tick")
        if order.count("datagram") < 20:
            asyncio.get_running_loop().call_soon(tick)

    heard = await sip_udp.UdpSocket.open(LOOPBACK[0], slow, lambda hop: None)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(20):
                sender.sendto(b"x", heard.local)
        tick()
        await until(lambda: order.count("datagram") == 20)
    finally:
        heard.close()
    assert "datagram datagram" not in " ".join(order)


async def test_small_datagrams_are_read_many_at_a_turn() -> None:
    got: list[bytes] = []
    heard = await sip_udp.UdpSocket.open(
        LOOPBACK[0], lambda data, hop: got.append(data), lambda hop: None
    )
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(5):
                sender.sendto(bytes([number]) * 60_000, heard.local)
        await until(lambda: len(got) == 5)
    finally:
        heard.close()
    assert [(data[0], len(data)) for data in got] == [(n, 60_000) for n in range(5)]


async def test_a_call_over_ipv6() -> None:
    listen = [ListenAddress(Transport.UDP, "::1", 0), ListenAddress(Transport.TCP, "::1", 0)]
    it = Station()
    try:
        await it.endpoint.start(listen)
    except LocalError:
        pytest.skip("this machine has no IPv6 loopback")
    hop = it.endpoint.hop_to(Transport.UDP, ("::1", 9))
    assert hop is not None
    assert it.endpoint.hop_to(Transport.UDP, ("127.0.0.1", 9)) is None
    await it.endpoint.stop()


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_an_address_that_is_taken_is_told_in_one_sentence(transport: Transport) -> None:
    async with station() as first:
        host, port = first.address(transport)
        second = Station()
        with pytest.raises(LocalError) as caught:
            await second.endpoint.start([ListenAddress(transport, host, port)])
        assert str(caught.value) == (
            f"sip.listen: cannot listen on {transport.lower()}:127.0.0.1:{port}: "
            "address already in use; stop the other program, or choose another port"
        )
        assert second.endpoint.bound == ()


async def test_an_address_of_another_machine_is_told_with_what_would_be_right() -> None:
    with pytest.raises(LocalError, match=r"no address of this machine.* sip\.advertise"):
        await Station().endpoint.start([ListenAddress(Transport.UDP, "192.0.2.77", 0)])


async def test_a_name_that_does_not_exist_is_told_in_one_sentence() -> None:
    with pytest.raises(LocalError, match=r"cannot listen on udp:256\.0\.0\.1:5060"):
        await Station().endpoint.start([ListenAddress(Transport.UDP, "256.0.0.1", 5060)])


def invite(caller: Station, transport: Transport, remote: tuple[str, int]) -> None:
    """Have a call placed there."""
    hop = caller.endpoint.hop_to(transport, remote)
    assert hop is not None
    target = SipUri.parse("sip:x@127.0.0.1")
    caller.endpoint.command(
        lambda agent, now: agent.invite(target, [hop], offer, now, from_="sip:c@127.0.0.1")
    )


async def test_a_closed_udp_port_is_a_transport_failure_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        remote: tuple[str, int] = sock.getsockname()
    async with station() as caller:
        invite(caller, Transport.UDP, remote)
        refused = await caller.heard(Refused)
        assert refused.status == 503


async def test_an_icmp_error_of_one_peer_costs_another_nothing() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        closed: tuple[str, int] = sock.getsockname()
    async with station() as caller, station() as called:
        invite(caller, Transport.UDP, closed)
        # The kernel holds the error by now, and the next send to anybody would meet it.
        await call(caller, called, Transport.UDP)


async def test_a_closed_tcp_port_is_a_transport_failure() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        remote: tuple[str, int] = sock.getsockname()
    async with station() as caller:
        invite(caller, Transport.TCP, remote)
        refused = await caller.heard(Refused)
        assert refused.status == 503
        assert caller.endpoint.connection_count == 0


async def test_a_connection_that_cannot_be_opened_in_time_is_given_up() -> None:
    async def never(*_args: object, **_more: object) -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    async with station() as caller:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "create_connection", never)
            hop = caller.endpoint.hop_to(Transport.TCP, ("127.0.0.1", 9))
            assert hop is not None
            target = SipUri.parse("sip:x@127.0.0.1")
            caller.endpoint.command(
                lambda agent, now: agent.invite(target, [hop], offer, now, from_="sip:c@127.0.0.1")
            )
            await caller.heard(Refused)


async def test_an_application_that_fails_on_one_event_hears_the_next() -> None:
    heard: list[str] = []

    def fail(event: Event) -> None:
        heard.append(type(event).__name__)
        raise RuntimeError("a fault of the application")

    agent = Agent(contact=lambda hop: "sip:x@127.0.0.1", token=tokens("failing"))
    endpoint = SipEndpoint(agent, fail)
    await endpoint.start(LOOPBACK)
    hop = Hop(Transport.UDP, ("127.0.0.1", endpoint.bound[0].port), ("127.0.0.1", 9))
    for number in range(2):
        data = request("INVITE", body=OFFER, call_id=f"c{number}", branch=f"z9hG4bK-{number}")
        endpoint.command(lambda agent, now, data=data: agent.receive(data, hop, now))  # type: ignore[misc]
    assert heard == ["Invited", "Invited"]
    await endpoint.stop()


# What strangers do with connections


@asynccontextmanager
async def connection(
    it: Station,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection to a station."""
    reader, writer = await asyncio.open_connection(*it.address(Transport.TCP))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_response(reader: asyncio.StreamReader) -> Response:
    async with asyncio.timeout(2):
        head = await reader.readuntil(b"\r\n\r\n")
    message = parse_message(head)
    assert isinstance(message, Response)
    return message


def options(number: int = 0, more: str = "") -> bytes:
    call_id = f"o{number}{more}"
    return request("OPTIONS", transport="TCP", branch=f"z9hG4bK-o{number}", call_id=call_id)


async def test_responses_go_out_on_the_connection_the_request_came_on() -> None:
    async with station() as it, connection(it) as (reader, writer):
        writer.write(options(1) + options(2))
        assert (await read_response(reader)).call_id == "o1"
        assert (await read_response(reader)).call_id == "o2"


async def test_a_keepalive_is_answered() -> None:
    async with station() as it, connection(it) as (reader, writer):
        writer.write(b"\r\n\r\n")
        async with asyncio.timeout(2):
            assert await reader.readexactly(2) == b"\r\n"
        writer.write(options())
        assert (await read_response(reader)).status == 200


@pytest.mark.parametrize(
    ("length", "answer"),
    [
        (b"-999", 400),  # RFC 4475 3.1.2.8 ncl
        (b"1\r\nContent-Length: 2", 400),  # like 3.3.9 mcl01
        (b"abc", 400),
        (b"1000000000", None),
        (b"99999999999999999999", None),
    ],
)
async def test_a_stream_that_cannot_be_framed_is_closed(length: bytes, answer: int | None) -> None:
    async with station() as it, connection(it) as (reader, writer):
        bad = options().replace(b"Content-Length: 0", b"Content-Length: " + length)
        writer.write(bad)
        if answer is not None:
            assert (await read_response(reader)).status == answer
        async with asyncio.timeout(2):
            await reader.read()
        await until(lambda: it.endpoint.connection_count == 0)


async def test_a_body_shorter_than_its_content_length_ends_with_the_connection() -> None:
    async with station() as it, connection(it) as (reader, writer):
        writer.write(options().replace(b"Content-Length: 0", b"Content-Length: 50"))
        started = time.monotonic()
        async with asyncio.timeout(2):
            assert await reader.read() == b""
        assert time.monotonic() - started > 0.25


async def test_a_header_section_without_end_is_cut_off_at_64_kib() -> None:
    async with station(TcpLimits()) as it, connection(it) as (reader, writer):
        writer.write(b"OPTIONS sip:x@y SIP/2.0\r\n" + b"X: " + b"y" * 100_000)
        async with asyncio.timeout(2):
            with suppress(ConnectionError):
                await reader.read()
        await until(lambda: it.endpoint.connection_count == 0)


async def test_slow_senders_are_closed_while_a_normal_call_goes_on() -> None:
    async with station(TcpLimits(message_timeout=0.5)) as called, station() as caller:
        address = called.address(Transport.TCP)
        slow = [await asyncio.open_connection(*address) for _ in range(100)]
        started = time.monotonic()

        async def drip(writer: asyncio.StreamWriter) -> None:
            for byte in options():
                if writer.is_closing():
                    return
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

        drips = [asyncio.create_task(drip(writer)) for _, writer in slow]
        await call(caller, called, Transport.TCP)
        assert time.monotonic() - started < 1.0
        await until(lambda: called.endpoint.connection_count <= 1)
        assert time.monotonic() - started < 2.0
        for task in drips:
            task.cancel()
        await asyncio.gather(*drips, return_exceptions=True)
        for _, writer in slow:
            writer.transport.abort()


async def test_an_idle_connection_is_closed_and_one_in_use_is_not() -> None:
    async with station() as it, connection(it) as (reader, writer), connection(it) as (idle, _):
        port = writer.get_extra_info("sockname")[1]
        invite = request(
            "INVITE",
            transport="TCP",
            body=OFFER,
            via=f"127.0.0.1:{port}",
            contact="<sip:peer@127.0.0.1:5060;transport=tcp>",
        )
        writer.write(invite)
        assert (await read_response(reader)).status == 100
        async with asyncio.timeout(2):
            assert await idle.read() == b""
        await asyncio.sleep(0.5)
        assert it.endpoint.connection_count == 1


async def test_no_more_connections_than_allowed() -> None:
    limits = TcpLimits(max_connections=2)
    async with station(limits) as it, connection(it) as (r1, w1), connection(it) as (r2, w2):
        for reader, writer in ((r1, w1), (r2, w2)):
            writer.write(options())
            await read_response(reader)
        async with connection(it) as (third, _):
            async with asyncio.timeout(2):
                with suppress(ConnectionError):
                    assert await third.read() == b""
        assert it.endpoint.connection_count == 2


async def test_a_peer_that_never_reads_is_cut_off() -> None:
    async with station(TcpLimits()) as it:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, it.address(Transport.TCP))

            async def pour() -> None:
                wide = "x" * 4000  # comes back in each answer, none of which is read
                batch = b"".join(options(number, wide) for number in range(100))
                while True:
                    await loop.sock_sendall(sock, batch)

            with pytest.raises(ConnectionError):
                async with asyncio.timeout(20):
                    await pour()
        await until(lambda: it.endpoint.connection_count == 0)


async def test_stopping_leaves_nothing_open() -> None:
    it = Station()
    await it.endpoint.start(LOOPBACK)
    address = it.address(Transport.TCP)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(options())
    await read_response(reader)
    await it.endpoint.stop()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
    assert it.endpoint.connection_count == 0
