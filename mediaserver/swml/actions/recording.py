"""Recordings: one the script waits for, one beside it, the end of that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Record until something stops it; the script waits (contract A1). Times are seconds."""

    stereo: bool
    format: str
    """`wav`, `mp3` or `mp4`."""
    direction: str
    """`speak` or `listen`."""
    terminators: str
    """DTMF keys in upper case, each once; empty for none."""
    beep: bool
    input_sensitivity: float
    """0 to 100."""
    initial_timeout: float
    """0 waits for ever."""
    end_silence_timeout: float
    """0 is never."""
    max_length: float | None
    """None is no limit of the script's own."""
    status_url: str | None
    post_processing: tuple[str, ...]
    """What is done to the audio afterwards; empty: what the route says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCall(Record):
    """Record beside the script, which goes on at once; `direction` may be `both`."""

    control_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecordCall:
    """End a recording that runs beside the script."""

    control_id: str | None
    """None: the one that was started last."""
