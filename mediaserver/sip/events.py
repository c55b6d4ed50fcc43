"""What an agent tells the application, in the order it happened."""

from __future__ import annotations

from dataclasses import dataclass

from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Request, Response
from mediaserver.sip.session import EndCause, Session


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a session."""

    session: Session
    at: float
    """Monotonic seconds, as they were passed in with what caused the event."""


@dataclass(frozen=True, slots=True)
class Invited(Event):
    """A new call; 100 Trying is sent. Wanted: `ring`, `answer` or `reject`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Cancelled(Event):
    """They gave up before our final answer; it was 487, and nothing more is wanted."""


@dataclass(frozen=True, slots=True)
class Established(Event):
    """Our 200 was acknowledged; `body` is the answer to a delayed offer, else b""."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Reinvited(Event):
    """A re-INVITE, or an UPDATE with an offer. Wanted: `answer` or `reject`."""

    request: Request


@dataclass(frozen=True, slots=True)
class ReinviteAcknowledged(Event):
    """Our 200 to a re-INVITE was acknowledged; `body` as in `Established`."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Progressed(Event):
    """Our INVITE got a 101-199, a reliable one once; its To tag tells the branch of a fork."""

    response: Response


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """Our INVITE got its 2xx. Acknowledged unless the offer is in it: then `acknowledge`."""

    response: Response
    body: bytes
    """Its SDP; if it has none, the latest that the same branch brought before (RFC 3262 5)."""


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """Our INVITE failed: their 300-699, or without `response` 408, 487 or 503 of our own."""

    status: int
    reason: str
    response: Response | None


@dataclass(frozen=True, slots=True)
class ReinviteAnswered(Event):
    """Our re-INVITE got its 2xx; acknowledged as with `Answered`."""

    response: Response


@dataclass(frozen=True, slots=True)
class ReinviteRefused(Event):
    """Our re-INVITE failed and the session stays as it was."""

    status: int


@dataclass(frozen=True, slots=True)
class ReferAnswered(Event):
    """Our REFER got its final answer, or 408 or 503 of our own for none; a 2xx accepts it."""

    status: int


@dataclass(frozen=True, slots=True)
class ReferProgressed(Event):
    """The peer told how far it is with what our REFER asked for; it may do so before its 2xx."""

    status: int
    """The answer it got itself; 100 when it never said, 408 when no news came at all."""
    final: bool
    """True once, for the last event about this REFER."""


@dataclass(frozen=True, slots=True)
class TargetRefused(Event):
    """The peer wants our requests where they must not go; `spoken` takes them instead.

    Comes once a session, which need not be known yet: it may come before `Invited`.
    """

    spoken: Hop
    """Over which the peer speaks."""
    target: Hop
    """What its Contact or Record-Route leads to."""


@dataclass(frozen=True, slots=True)
class InfoReceived(Event):
    """An INFO came and was answered 200."""

    content_type: str
    """Lower case, without parameters; "" when there was none."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """An answered session is over. Comes exactly once, after every other event."""

    cause: EndCause
