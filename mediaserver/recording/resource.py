"""A recording as the rest of the server, the database and the public APIs know it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from .failure import Failure
from .states import State, StopReason, check_transition


class Format(StrEnum):
    """The container a recording is rendered to (contract A1 `format`)."""

    WAV = "wav"
    MP3 = "mp3"
    MP4 = "mp4"


class Direction(StrEnum):
    """Which side is recorded: what the party says, what it hears, or both (contract D5)."""

    SPEAK = "speak"
    LISTEN = "listen"
    BOTH = "both"


class Source(StrEnum):
    """What started the recording, as Enfonica's `source` spells it (contract B1)."""

    RECORD_ACTION = "RECORD_ACTION"
    CALL_RECORDING = "CALL_RECORDING"


class PostProcessing(StrEnum):
    """What is done to the audio once it is recorded, as Enfonica spells it (contract B1)."""

    TRIM_SILENCE = "TRIM_SILENCE"
    """Silence at the beginning and at the end is left out."""


class PauseBehavior(StrEnum):
    """What becomes of the time a recording is paused (contract A4)."""

    SKIP = "skip"
    """It is left out of the file."""
    SILENCE = "silence"
    """It is silent in the file, which keeps its timing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A stretch of a recording that is not heard, in samples of the leg's line."""

    start: int
    behavior: PauseBehavior
    end: int | None = None
    """First sample that is recorded again; None while it lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """One rendered file of a recording."""

    format: Format
    rendition: int = 0
    """0 for what was made when the recording ended; each later render of it has its own."""
    path: str
    """Relative to the data directory; made from the recording's id alone."""
    size_bytes: int
    sample_rate: int
    """Hz."""
    channels: int
    sha256: str
    direction: Direction | None = None
    """What is heard in it; None: what the recording says."""
    trimmed: bool = False
    """Whether silence was left out at its beginning and end."""
    duration_us: int | None = None
    """Length in microseconds; None: the recording's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The stretch of a leg's journal that a recording covers, in samples of the leg's line."""

    journal: str
    """The leg's journal folder, relative to the data directory."""
    rate: int
    """Samples per second of the line."""
    start: int
    end: int | None = None
    """First sample that is no longer part of the recording; None while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording resource. Instants are integer microseconds since 1970-01-01 UTC."""

    id: str
    project_id: str
    call_id: str
    control_id: str
    source: Source
    state: State
    format: Format
    direction: Direction
    stereo: bool
    status_url: str | None
    created_at: int
    started_at: int
    span: Span
    ended_at: int | None = None
    duration_us: int | None = None
    """Length of the rendered audio in microseconds, once it is known."""
    stop_reason: StopReason | None = None
    stop_digit: str | None = None
    failure: Failure | None = None
    """Why it is in `State.ERROR`."""
    error_message: str | None = None
    """The same for the operator: with files and what the system said."""
    audio: tuple[Audio, ...] = ()
    pauses: tuple[Pause, ...] = ()
    """In the order of the line; none touches another."""
    post_processing: tuple[PostProcessing, ...] = ()
    ready_uri: str | None = None
    """Where Enfonica's RECORDING_READY goes (contract B6)."""
    recovered: bool = False
    """Whether it was completed from its journal after the server had been cut off."""
    expires_at: int | None = None
    """When it is erased because its route says so; None: never."""
    account: dict[str, Any] | None = None
    """Where every millisecond came from, once it is known (`recording.account`)."""
    sequence: int = 0
    """Number of announcements made so far; the next one carries `sequence + 1`."""

    def become(self, state: State, **changes: Any) -> Recording:
        """Return the recording in its next state; the table in `states` must allow it."""
        check_transition(self.state, state)
        return replace(self, state=state, **changes)

    @property
    def channels(self) -> int:
        """How many channels its files have."""
        return 2 if self.stereo else 1


def audio_path(recording_id: str, format: Format, rendition: int = 0) -> str:
    """Return where a recording's file is, relative to the data folder: made of its id alone."""
    number = f"-{rendition}" if rendition else ""
    return f"recordings/{recording_id[:2]}/{recording_id}{number}.{format.value}"


def peaks_path(recording_id: str) -> str:
    """Return where the peaks of a recording are, relative to the data folder."""
    return f"recordings/{recording_id[:2]}/{recording_id}.peaks"
