"""A recording as Enfonica's REST API shows it (contract B1), in the proto3 JSON mapping.

What the contract says is set in some states only is left out in the others. `readyUri` is left
out always: what we announce goes to SignalWire's `status_url`, whose URL may hold a password.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mediaserver.recording.resource import Audio, Format, Recording
from mediaserver.recording.states import ENFONICA_STATE, ErrorCode, State


class View(StrEnum):
    """How much of a recording is shown (contract B1 RecordingView)."""

    BASIC = "BASIC"
    """Everything but `audio[].uri`."""
    FULL = "FULL"


class _Encoding(NamedTuple):
    mime_type: str
    name: str


_ENCODINGS: Final[Mapping[Format, _Encoding]] = MappingProxyType(
    {
        Format.WAV: _Encoding("audio/x-wav", "AUDIO_ENCODING_PCM_16BIT"),
        Format.MP3: _Encoding("audio/mpeg", "AUDIO_ENCODING_MP3"),
        # The contract's enum knows no AAC.
        Format.MP4: _Encoding("audio/mp4", "AUDIO_ENCODING_UNSPECIFIED"),
    }
)

Uri = Callable[[Format], str]
"""Gives the ephemeral URL of one file of a recording."""


def mime_type(format: Format) -> str:
    """Return the media type of a file, the same in a view and in a download."""
    return _ENCODINGS[format].mime_type


def recording_view(recording: Recording, uri: Uri | None) -> dict[str, Any]:
    """Return the JSON object of a recording; with `uri` its FULL view, else its BASIC view."""
    succeeded = recording.state is State.FINISHED
    view: dict[str, Any] = {
        "name": (
            f"projects/{recording.project_id}/calls/{recording.call_id}/recordings/{recording.id}"
        ),
        "state": ENFONICA_STATE[recording.state],
        "source": recording.source.value,
        "channelCount": recording.channels,
        "postProcessing": [],
        "audio": [_audio_view(audio, uri) for audio in recording.audio] if succeeded else [],
        "createTime": timestamp(recording.created_at),
    }
    if succeeded:
        view["duration"] = duration(recording.duration_us or 0)
        view["startTime"] = timestamp(recording.started_at)
    if recording.state is State.ERROR:
        view["errorCode"] = (recording.error_code or ErrorCode.INTERNAL_ERROR).value
    return view


def _audio_view(audio: Audio, uri: Uri | None) -> dict[str, Any]:
    encoding = _ENCODINGS[audio.format]
    view: dict[str, Any] = {
        "mimeType": encoding.mime_type,
        "encoding": encoding.name,
        "sampleRate": audio.sample_rate,
        "sizeBytes": audio.size_bytes,
    }
    if uri is not None:
        view["uri"] = uri(audio.format)
    return view


def duration(microseconds: int) -> str:
    """Return a proto3 Duration: decimal seconds with three or six places, and `s`."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{seconds}.{_places(fraction)}s"


def timestamp(microseconds: int) -> str:
    """Return a proto3 Timestamp: RFC 3339 in UTC with three or six places, and `Z`."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    # Whole seconds only: a float of microseconds since 1970 is not exact.
    instant = datetime.fromtimestamp(seconds, UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{_places(fraction)}Z"


def _places(microseconds: int) -> str:
    text = f"{microseconds:06d}"
    return text[:3] if text.endswith("000") else text
