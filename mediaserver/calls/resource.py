"""A call as the database keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """Who spoke to whom, and how it ended. Instants are integer microseconds since 1970 UTC."""

    id: str
    project_id: str
    direction: str
    """`inbound` or `outbound`."""
    from_: str
    to: str
    sip_call_id: str
    """As the peer sent it: for people and logs, never part of a path."""
    created_at: int
    answered_at: int | None = None
    ended_at: int | None = None
    end_reason: str | None = None
