"""An agent on a bench: a clock moved by hand, a peer that speaks in raw messages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, TypeVar

from mediaserver.sip.agent import Agent, AgentLimits
from mediaserver.sip.events import Event
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.message import Request, Response, parse_message
from mediaserver.sip.session import Session
from mediaserver.sip.uri import SipUri

E = TypeVar("E", bound=Event)

US = ("192.0.2.1", 5060)
PEER = ("192.0.2.9", 5060)
UDP_HOP = Hop(Transport.UDP, US, PEER)
TCP_HOP = Hop(Transport.TCP, US, ("192.0.2.9", 40_000))
BOB = SipUri.parse("sip:bob@192.0.2.9")
"""Whom we call."""
OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n"
ANSWER = b"v=0\r\no=- 2 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"


def tokens(seed: str) -> Callable[[], str]:
    """Random text, the same in every run."""
    numbers = count()
    return lambda: hashlib.sha256(f"{seed}{next(numbers)}".encode()).hexdigest()[:20]


def request(
    method: str,
    *,
    branch: str | None = "z9hG4bK-a",
    call_id: str = "call-1",
    cseq: int = 1,
    from_tag: str | None = "theirs",
    to_tag: str | None = None,
    uri: str = "sip:100@192.0.2.1",
    transport: str = "UDP",
    via: str = "192.0.2.9:5060;rport",
    contact: str | None = "<sip:peer@192.0.2.9:5060>",
    headers: Iterable[str] = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
    cseq_method: str | None = None,
) -> bytes:
    """A request as the peer writes it."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {via}" + (f";branch={branch}" if branch else ""),
        "Max-Forwards: 70",
        "From: Peer <sip:peer@example.org>" + (f";tag={from_tag}" if from_tag else ""),
        "To: <sip:100@example.com>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {cseq_method or method}",
        *headers,
    ]
    if contact:
        lines.append(f"Contact: {contact}")
    if body:
        lines.append(f"Content-Type: {content_type}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def response(
    to: Request,
    status: int,
    *,
    to_tag: str | None = "theirs",
    headers: Iterable[str] = (),
    body: bytes = b"",
    contact: str | None = "<sip:peer@192.0.2.9:5060>",
) -> bytes:
    """The peer's response to a request of ours."""
    head = to.headers
    tag = f";tag={to_tag}" if to_tag and to.to.tag is None else ""
    lines = [
        f"SIP/2.0 {status} Because",
        *(f"Via: {value}" for value in head.get_all("Via")),
        f"From: {head.get('From')}",
        f"To: {head.get('To')}{tag}",
        f"Call-ID: {head.get('Call-ID')}",
        f"CSeq: {head.get('CSeq')}",
        *headers,
    ]
    if contact:
        lines.append(f"Contact: {contact}")
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Bench:
    """An agent, what it sent and what it reported, and the time."""

    def __init__(self, *, limits: AgentLimits | None = None, seed: str = "ours") -> None:
        self.agent = Agent(
            contact=lambda hop: f"sip:mediaserver@{hop.local[0]}:{hop.local[1]}",
            token=tokens(seed),
            limits=limits or AgentLimits(),
        )
        self.now = 1000.0
        self.sent: list[tuple[float, Hop, Request | Response]] = []
        self.events: list[Event] = []

    def receive(self, data: bytes, hop: Hop = UDP_HOP) -> list[Request | Response]:
        """Hand in a message and return what goes out at once."""
        self.agent.receive(data, hop, self.now)
        return self.drain()

    def drain(self) -> list[Request | Response]:
        """Take what the agent has, keep all of it and return the messages."""
        self.events += self.agent.events()
        messages: list[Request | Response] = []
        for hop, data in self.agent.outgoing():
            message = parse_message(data)
            messages.append(message)
            self.sent.append((self.now, hop, message))
        return messages

    def wait(self, seconds: float) -> list[Request | Response]:
        """Let time pass, every deadline at its very moment; return what was sent meanwhile."""
        end = self.now + seconds
        messages = self.drain()
        while (at := self.agent.next_timer()) is not None and at <= end:
            self.now = max(self.now, at)
            self.agent.handle_timer(self.now)
            messages += self.drain()
        self.now = end
        return messages

    def call(
        self,
        *hops: Hop,
        offer: Callable[[Hop], bytes] = lambda _hop: OFFER,
        from_: str = "<sip:us@example.com>",
        **options: Any,
    ) -> tuple[Session, Request]:
        """Place a call, with `options` as `Agent.invite` has them; return it and its INVITE."""
        session = self.agent.invite(
            BOB, hops or (UDP_HOP,), offer, self.now, from_=from_, **options
        )
        return session, only_request(self.drain(), "INVITE")

    def statuses(self) -> list[int]:
        """The status of every response sent so far."""
        return [message.status for _, _, message in self.sent if isinstance(message, Response)]

    def last(self, kind: type[E]) -> E:
        """The latest event, which must be of this kind."""
        event = self.events[-1]
        assert isinstance(event, kind), self.events
        return event

    def kinds(self) -> list[str]:
        """The names of all events so far."""
        return [type(event).__name__ for event in self.events]


def only_response(messages: list[Request | Response]) -> Response:
    """The one response among what was sent, and nothing else."""
    assert len(messages) == 1, messages
    message = messages[0]
    assert isinstance(message, Response)
    return message


def only_request(messages: list[Request | Response], method: str) -> Request:
    """The one request among what was sent, and nothing else."""
    assert len(messages) == 1, messages
    message = messages[0]
    assert isinstance(message, Request)
    assert message.method == method
    return message
