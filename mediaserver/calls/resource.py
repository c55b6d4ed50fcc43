"""A call as applications and the database see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .call_state import CallState


class Status(StrEnum):
    """How far a call is, or what it came to, as the REST API spells it (contract A4)."""

    QUEUED = "queued"
    """To be placed: nobody was sent an INVITE yet."""
    CREATED = "created"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"
    """It was answered, and is over."""
    CANCELED = "canceled"
    """The one who called gave up before an answer."""
    FAILED = "failed"
    """It was never answered, for any other reason."""


FINAL: Final = frozenset({Status.ENDED, Status.CANCELED, Status.FAILED})
"""What a call that is over can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """Who spoke to whom, and how it ended. Instants are integer microseconds since 1970 UTC."""

    id: str
    project_id: str
    direction: str
    """`inbound`, `outbound`, or `outbound-api` where an application dialled."""
    from_: str
    to: str
    sip_call_id: str
    """As it stands in SIP: for people and logs, never part of a path. Empty until an INVITE."""
    created_at: int
    answered_at: int | None = None
    ended_at: int | None = None
    end_reason: str | None = None
    parent_id: str | None = None
    """The call that this one was placed for."""
    progress: CallState | None = None
    """How far it is; None where only the database knows of it, which is not told."""

    @property
    def status(self) -> Status | None:
        """How far it is, or what it came to; None: it is over, and nobody noted how."""
        if self.ended_at is not None:
            if self.answered_at is not None:
                return Status.ENDED
            return Status.CANCELED if self.end_reason == "cancel" else Status.FAILED
        if self.progress is None:
            return None
        if self.progress is CallState.CREATED and not self.sip_call_id:
            return Status.QUEUED
        return Status(self.progress.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQuery:
    """Which calls of a project are wanted: all that have what is not None here."""

    status: Status | None = None
    direction: str | None = None
    from_: str | None = None
    to: str | None = None
    created_from: int | None = None
    """Microseconds since 1970 UTC, from which on they were created."""
    created_before: int | None = None

    def matches(self, call: CallRecord) -> bool:
        """Tell whether a call is one of them."""
        wanted = (self.status, self.direction, self.from_, self.to)
        has = (call.status, call.direction, call.from_, call.to)
        return (
            all(a is None or a == b for a, b in zip(wanted, has, strict=True))
            and (self.created_from is None or call.created_at >= self.created_from)
            and (self.created_before is None or call.created_at < self.created_before)
        )


@dataclass(frozen=True, slots=True)
class CallPage:
    """A stretch of a list of calls, newest first."""

    calls: tuple[CallRecord, ...]
    next_token: str | None
    """What the next page is asked with; None after the last."""
