"""Recordings to be kept and shown: all of them alike, but for their numbers."""

from __future__ import annotations

from typing import Any

from mediaserver.recording.resource import Direction, Format, Recording, Source, Span
from mediaserver.recording.states import State


def numbered(number: int, **changes: Any) -> Recording:
    """Return a recording in progress, whose id is its `number`."""
    fields: dict[str, Any] = {
        "id": f"{number:08x}-0000-4000-8000-000000000000",
        "project_id": "project",
        "call_id": "call",
        "control_id": "control",
        "source": Source.RECORD_ACTION,
        "state": State.RECORDING,
        "format": Format.WAV,
        "direction": Direction.SPEAK,
        "stereo": False,
        "status_url": None,
        "created_at": 0,
        "started_at": 0,
        "span": Span(journal="journal/leg", rate=8000, start=0),
    }
    return Recording(**fields | changes)
