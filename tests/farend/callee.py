"""Whoever is called: a phone that takes one call at a time and does what it is told."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from .phone import NUMBERS, Phone
from .wire import SipMessage, open_wire


class Callee(Phone):
    """See the module; after `answer` it is a `Phone` in the middle of a call."""

    invite_heard: SipMessage
    """The INVITE of the present call."""

    @classmethod
    @asynccontextmanager
    async def wait(
        cls,
        server: tuple[str, int],
        *,
        host: str = "127.0.0.1",
        law: str = "PCMU",
        user: str = "callee",
        events: bool = True,
    ) -> AsyncIterator[Callee]:
        """Yield a phone at `uri`; without `events` it takes no telephone-event."""
        callee = cls(await open_wire("udp", server, host), server, host, law, user)
        callee.prepare(events=events)
        try:
            yield callee
        finally:
            await callee.close()

    def prepare(self, *, events: bool = True) -> None:
        """Get ready for a call, the first or another."""
        self.takes_events = events
        self.rings: asyncio.Queue[SipMessage] = asyncio.Queue()
        self.cancelled = asyncio.Event()
        self.acknowledged = asyncio.Event()
        self.ended.clear()
        self.over = False
        self.remote_tag = ""
        self.tag = secrets.token_hex(4)
        self.answer_fields: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """Where it is called."""
        host, port = self.local
        return f"sip:{self.user}@{host}:{port}"

    async def rung(self, timeout: float = 8.0) -> SipMessage:  # noqa: ASYNC109
        """Wait for an INVITE; media may go where it says."""
        message = await asyncio.wait_for(self.rings.get(), timeout)
        self.invite_heard = message
        self._follow(message.body)
        return message

    async def reply(
        self, status: int, reason: str = "X", *, body: bytes = b"", fields: Iterable[str] = ()
    ) -> None:
        """Answer the INVITE that was heard last."""
        message = self.invite_heard
        lines = [f"SIP/2.0 {status} {reason}"]
        for name in ("via", "record-route", "from", "call-id", "cseq"):
            lines += [f"{name.title()}: {value}" for value in message.get_all(name)]
        lines.append(f"To: {message.get('to')};tag={self.tag}")
        host, port = self.local
        lines.append(f"Contact: <sip:{self.user}@{host}:{port}>")
        lines += [*fields]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        await self._wire.send("".join(f"{x}\r\n" for x in lines).encode() + b"\r\n" + body)

    async def answer(self, *, fields: Iterable[str] = ()) -> None:
        """Take the call, and wait for the ACK."""
        await self.accept(fields=fields)
        await asyncio.wait_for(self.acknowledged.wait(), 8)

    async def accept(self, *, fields: Iterable[str] = ()) -> None:
        """Take the call; the ACK is still to come."""
        message = self.invite_heard
        self.remote_tag = message.get("from").partition("tag=")[2].partition(";")[0]
        self.remote_target = message.get("contact").partition("<")[2].partition(">")[0]
        self._to = message.get("from").partition("<")[2].partition(">")[0]
        self.from_ = f"<{message.get('to').partition('<')[2].partition('>')[0]}>"
        self.call_id = message.get("call-id")
        self.answered_at = time.monotonic()
        await self.reply(200, "OK", body=self.answering(), fields=fields)

    async def take(self) -> SipMessage:
        """Wait for a call and take it."""
        message = await self.rung()
        await self.answer()
        return message

    def answering(self, direction: str = "sendrecv") -> bytes:
        """Return SDP that answers in our one law, or the codec we speak."""
        number, name = self.spoken_as, self.law if self.law != "opus" else "opus/48000/2"
        event, rate = self._event_of(self.invite_heard.body.decode())
        events = f" {event}" if self.takes_events else ""
        lines = [
            "v=0",
            f"o=- 77 1 IN IP4 {self.host}",
            "s=-",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            f"m=audio {self.rtp.getsockname()[1]} RTP/AVP {number}{events}",
            f"a=rtpmap:{number} {name if '/' in name else f'{name}/8000'}",
            "a=ptime:20",
            f"a={direction}",
        ]
        if self.takes_events:
            lines += [f"a=rtpmap:{event} telephone-event/{rate}", f"a=fmtp:{event} 0-16"]
        return "".join(f"{line}\r\n" for line in lines).encode()

    async def _asked(self, message: SipMessage) -> None:
        if message.method == "INVITE" and not self.remote_tag:
            if self.rings.empty():
                self.rings.put_nowait(message)
            return
        if message.method == "ACK":
            self.acknowledged.set()
            return
        await super()._asked(message)
        if message.method == "CANCEL":
            self.cancelled.set()
            await self.reply(487, "Request Terminated")

    @property
    def spoken_as(self) -> int:
        """The payload type of what we speak, as it was offered to us."""
        if self.law in NUMBERS:
            return NUMBERS[self.law]
        for line in self.invite_heard.body.decode().splitlines():
            number, _, name = line.removeprefix("a=rtpmap:").partition(" ")
            if name.startswith(f"{self.law}/"):
                return int(number)
        raise AssertionError(f"{self.law} was not offered")

    @staticmethod
    def _event_of(sdp: str) -> tuple[int, int]:
        for line in sdp.splitlines():
            if "telephone-event" in line:
                number, _, name = line.partition(":")[2].partition(" ")
                return int(number), int(name.partition("/")[2])
        return 101, 8000
