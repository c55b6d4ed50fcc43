"""Talking with several (contract A8)."""

from __future__ import annotations

from dataclasses import dataclass

from .streams import StreamTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConference:
    """Become a member of a conference and wait until that is over."""

    name: str
    muted: bool
    beep: str
    """`true` (when somebody comes and when somebody goes), `false`, `onEnter` or `onExit`."""
    start_on_enter: bool
    end_on_exit: bool
    wait_url: str | None
    """What is heard until it starts."""
    max_participants: int
    """2 to 100,000."""
    record: str
    """`do-not-record` or `record-from-start`."""
    trim: str
    """`trim-silence` or `do-not-trim`."""
    region: str | None
    """`global`, `us`, `eu` or `ch`."""
    coach: str | None
    """The call that alone hears this member."""
    status_callback: str | None
    status_callback_method: str
    """`GET` or `POST`."""
    status_callback_event: frozenset[str]
    """Of start, end, join, leave, mute, hold, modify, speaker and announcement; empty: not said."""
    recording_status_callback: str | None
    recording_status_callback_method: str
    recording_status_callback_event: frozenset[str]
    """Of in-progress, completed and absent; empty: not said."""
    stream: StreamTarget | None
