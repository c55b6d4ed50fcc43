"""A caller on raw sockets: SIP and RTP written out by hand, with every fault one could wish for.

One `Phone` makes one call at a time. It answers what comes in the call by itself: a repeated 2xx
with the ACK, BYE and OPTIONS with 200.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from .talker import Timed
from .waveform import Samples, decode
from .wire import SipMessage, Wire, open_wire

NUMBERS = {"PCMU": 0, "PCMA": 8}


@dataclass(frozen=True)
class Heard:
    """An RTP packet that came."""

    at: float
    source: tuple[str, int]
    data: bytes

    @property
    def kind(self) -> int:
        """Its payload type."""
        return self.data[1] & 0x7F

    @property
    def sequence(self) -> int:
        """Its sequence number."""
        return int.from_bytes(self.data[2:4], "big")

    @property
    def timestamp(self) -> int:
        """Its timestamp."""
        return int.from_bytes(self.data[4:8], "big")


class Phone:
    """See the module."""

    def __init__(self, wire: Wire, server: tuple[str, int], host: str, law: str, user: str) -> None:
        self.law = law
        self.user = user
        self.host = host
        self.events = (101, 8000)
        """Payload type and clock rate of telephone-event in our offers."""
        self.call_id = f"{secrets.token_hex(8)}@{host}"
        self.tag = secrets.token_hex(4)
        self.from_ = f"<sip:{user}@{host}>"
        """Our From, without the tag."""
        self.number = 0
        """CSeq of our last request."""
        self.invited = b""
        """Our last INVITE."""
        self.remote_tag = ""
        self.remote_target = ""
        self.remote_rtp = ("", 0)
        self.ended = asyncio.Event()
        """Set when the far end has hung up."""
        self.ended_at = 0.0
        self.over = False
        """Whether we have hung up."""
        self.answered_at = 0.0
        self.heard: list[Heard] = []
        self.requests: list[SipMessage] = []
        """Requests that came."""
        self.everything: list[bytes] = []
        """Every SIP message that came."""
        self.rtp, self.rtcp = _port_pair(host)
        self._wire = wire
        self._server = server
        self._to = ""
        self._answers: dict[tuple[int, str], asyncio.Queue[SipMessage]] = {}
        self._acks: dict[int, bytes] = {}
        self._reader = asyncio.create_task(self._read())
        asyncio.get_running_loop().add_reader(self.rtp, self._hear)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        server: tuple[str, int],
        *,
        transport: str = "udp",
        host: str = "127.0.0.1",
        law: str = "PCMU",
        user: str = "caller",
    ) -> AsyncIterator[Phone]:
        """Yield a phone that speaks from `host`; close it in the end."""
        phone = cls(await open_wire(transport, server, host), server, host, law, user)
        try:
            yield phone
        finally:
            await phone.close()

    async def close(self) -> None:
        """Hang up if the call is still on, and give every port back."""
        if self.remote_tag and not self.over and not self.ended.is_set():
            self.number += 1
            await self._wire.send(self.compose("BYE"))
        asyncio.get_running_loop().remove_reader(self.rtp)
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        self.rtp.close()
        self.rtcp.close()
        await self._wire.close()

    @property
    def local(self) -> tuple[str, int]:
        """Where our SIP comes from."""
        return self._wire.local

    # Signalling.

    def offer(self, direction: str = "sendrecv", version: int = 1) -> bytes:
        """Return SDP that offers our one law and telephone-event."""
        number = NUMBERS[self.law]
        event, rate = self.events
        lines = (
            "v=0",
            f"o=- 20518 {version} IN IP4 {self.host}",
            "s=-",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            f"m=audio {self.rtp.getsockname()[1]} RTP/AVP {number} {event} 13",
            f"a=rtpmap:{number} {self.law}/8000",
            f"a=rtpmap:{event} telephone-event/{rate}",
            f"a=fmtp:{event} 0-16",
            "a=rtpmap:13 CN/8000",
            "a=ptime:20",
            f"a={direction}",
        )
        return "".join(f"{line}\r\n" for line in lines).encode()

    def compose(
        self,
        method: str,
        *,
        uri: str | None = None,
        body: bytes = b"",
        number: int | None = None,
        fields: Iterable[str] = (),
        drop: Iterable[str] = (),
        branch: str = "",
        version: str = "SIP/2.0",
    ) -> bytes:
        """Return a request of the present dialog; `fields` are added, names in `drop` left out.

        A field among `fields` takes the place of ours of the same name.
        """
        host, port = self._wire.local
        number = self.number if number is None else number
        tag = f";tag={self.remote_tag}" if self.remote_tag else ""
        uri = uri or self.remote_target or self._to
        own = [
            f"Via: SIP/2.0/{self._wire.name} {host}:{port}"
            f";branch={branch or 'z9hG4bK' + secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: {self.from_};tag={self.tag}",
            f"To: <{self._to or uri}>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:{self.user}@{host}:{port}"
            f"{'' if self._wire.name == 'UDP' else f';transport={self._wire.name.lower()}'}>",
        ]
        if body:
            own.append("Content-Type: application/sdp")
        own.append(f"Content-Length: {len(body)}")
        more = list(fields)
        gone = {name.lower() for name in drop} | {f.partition(":")[0].lower() for f in more}
        kept = [field for field in own if field.partition(":")[0].lower() not in gone]
        lines = [f"{method} {uri} {version}", *kept, *more]
        return (
            "".join(f"{x}\r\n" for x in lines).encode("utf-8", "surrogateescape") + b"\r\n" + body
        )

    async def ask(self, request: bytes, timeout: float = 8.0) -> SipMessage:  # noqa: ASYNC109
        """Send a request, over UDP again and again; return its final answer.

        A refused INVITE is acknowledged.
        """
        message = SipMessage.parse(request)
        key = message.number, message.method
        queue = self._answers.setdefault(key, asyncio.Queue())
        deadline = time.monotonic() + timeout
        wait = 0.5 if self._wire.name == "UDP" else timeout
        await self._wire.send(request)
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"no answer to {message.start}"
            try:
                answer = await asyncio.wait_for(queue.get(), min(wait, left))
            except TimeoutError:
                wait *= 2
                await self._wire.send(request)
                continue
            if answer.status >= 200:
                break
            wait = timeout
        if message.method == "INVITE" and answer.status >= 300:
            branch = message.get("via").partition("branch=")[2].partition(";")[0]
            ack = self.compose(
                "ACK",
                uri=message.start.split(" ")[1],
                number=message.number,
                branch=branch,
                fields=[f"To: {answer.get('to')}"],
            )
            await self._wire.send(ack)
        return answer

    async def send(self, data: bytes) -> None:
        """Send octets as they are."""
        await self._wire.send(data)

    async def invite(
        self,
        user: str,
        *,
        body: bytes | None = None,
        fields: Iterable[str] = (),
        drop: Iterable[str] = (),
    ) -> SipMessage:
        """Call `user`; return the final answer. A 2xx is acknowledged, and media may begin."""
        self.number += 1
        if not self.remote_tag:
            host, port = self._server
            self._to = f"sip:{user}@{host}:{port}"
        sdp = self.offer(version=self.number) if body is None else body
        self.invited = self.compose("INVITE", body=sdp, fields=fields, drop=drop)
        answer = await self.ask(self.invited)
        if answer.status < 300:
            self.answered_at = time.monotonic()
            self.remote_tag = answer.get("to").partition("tag=")[2].partition(";")[0]
            self.remote_target = answer.get("contact").partition("<")[2].partition(">")[0]
            self._follow(answer.body)
            ack = self._acks[answer.number] = self.compose("ACK", body=b"" if sdp else self.offer())
            await self._wire.send(ack)
        return answer

    async def call(self, user: str) -> Phone:
        """Call `user`, who must answer."""
        answer = await self.invite(user)
        assert answer.status == 200, answer
        return self

    async def give_up(self, user: str) -> SipMessage:
        """Call `user` and cancel at once; return the final answer to the INVITE."""
        self.number += 1
        host, port = self._server
        self._to = f"sip:{user}@{host}:{port}"
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        asking = asyncio.create_task(
            self.ask(self.compose("INVITE", body=self.offer(), branch=branch))
        )
        heard = len(self.everything)
        while len(self.everything) == heard:  # noqa: ASYNC110 - nothing is cancelled before a 100
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)
        if not asking.done():
            answer = await self.ask(self.compose("CANCEL", branch=branch))
            assert answer.status in {200, 481}, answer  # 481: it was refused just then
        return await asking

    async def hang_up(self) -> None:
        """End the call."""
        self.number += 1
        self.over = True
        answer = await self.ask(self.compose("BYE"))
        assert answer.status == 200, answer

    async def until_ended(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Wait until the far end hangs up."""
        await asyncio.wait_for(self.ended.wait(), timeout)

    # Media.

    async def say(self, packets: Iterable[Timed], *, source: socket.socket | None = None) -> float:
        """Send packets at their instants, the first of them now; return when the last left."""
        ordered = sorted(packets, key=lambda timed: timed.arrival)
        start = time.monotonic() - (ordered[0].arrival if ordered else 0)
        for timed in ordered:
            delay = start + timed.arrival - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            (source or self.rtp).sendto(timed.packet, self.remote_rtp)
        return time.monotonic()

    def listened(self) -> Samples:
        """Return what was heard as samples, in the order of sequence numbers, gaps as silence."""
        packets = {h.sequence: h for h in self.heard if h.kind == NUMBERS[self.law]}
        if not packets:
            return np.zeros(0, np.int16)
        first = self.heard[0]
        parts = [
            (((h.timestamp - first.timestamp) & 0xFFFFFFFF), decode(self.law, h.data[12:]))
            for h in packets.values()
        ]
        parts = [(at, part) for at, part in parts if at < 1 << 31]
        out = np.zeros(max(at + part.size for at, part in parts), np.int16)
        for at, part in parts:
            out[at : at + part.size] = part
        return out

    def received(self) -> Samples:
        """Return what was heard as samples, one packet after the other, whenever they came."""
        packets = {h.sequence: h for h in self.heard if h.kind == NUMBERS[self.law]}
        ordered = sorted(packets.values(), key=lambda h: h.timestamp - self.heard[0].timestamp)
        return decode(self.law, b"".join(h.data[12:] for h in ordered))

    def _follow(self, sdp: bytes) -> None:
        """Send media where an answer says."""
        host, port = self.remote_rtp
        for line in sdp.decode().splitlines():
            if line.startswith("c="):
                host = line.split()[2]
            elif line.startswith("m=audio"):
                port = int(line.split()[1])
        self.remote_rtp = host, port

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                data, source = self.rtp.recvfrom(2048)
                self.heard.append(Heard(time.monotonic(), source, data))

    async def _read(self) -> None:
        while True:
            data = await self._wire.inbox.get()
            self.everything.append(data)
            message = SipMessage.parse(data)
            if message.status:
                await self._answered(message)
            else:
                self.requests.append(message)
                await self._asked(message)

    async def _answered(self, message: SipMessage) -> None:
        key = message.number, message.method
        if message.method == "INVITE" and message.number in self._acks and message.status >= 200:
            await self._wire.send(self._acks[message.number])
            return
        self._answers.setdefault(key, asyncio.Queue()).put_nowait(message)

    async def _asked(self, message: SipMessage) -> None:
        if message.method == "ACK":
            return
        if message.method == "BYE" and not self.ended.is_set():
            self.ended_at = time.monotonic()
            self.ended.set()
        names = ("via", "from", "to", "call-id", "cseq")
        lines = ["SIP/2.0 200 OK"]
        lines += [f"{n.title()}: {v}" for n in names for v in message.get_all(n)]
        lines += ["Content-Length: 0"]
        await self._wire.send("".join(f"{x}\r\n" for x in lines).encode() + b"\r\n")


def _port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Return sockets bound to an even port and the next."""
    for _ in range(200):
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        with contextlib.suppress(OSError):
            rtp.bind((host, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0 and port < 65535:
                rtcp.bind((host, port + 1))
                rtp.setblocking(False)
                rtcp.setblocking(False)
                return rtp, rtcp
        rtp.close()
        rtcp.close()
    raise AssertionError("no pair of ports is free")
