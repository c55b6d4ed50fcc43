"""A recording as Enfonica's REST API shows it (contract B1), in the proto3 JSON mapping.

What the contract says is set in some states only is left out in the others. What it does not know
is in one object, `x-mediaserver`, and there, too, what is not known yet is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mediaserver.recording.announcement import EXTENSION, failure_view
from mediaserver.recording.failure import Failure
from mediaserver.recording.resource import Audio, Format, Pause, Recording
from mediaserver.recording.states import ENFONICA_STATE, State


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

Uri = Callable[[Audio], str]
"""Gives the ephemeral URL of one file of a recording."""

MAX_ANNOUNCED: Final = 128 * 1024
"""Octets of a recording that is announced; the outbox takes twice as many."""


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
        "postProcessing": [step.value for step in recording.post_processing],
        "audio": [_audio_view(audio, uri) for audio in recording.audio] if succeeded else [],
        "createTime": timestamp(recording.created_at),
    }
    if succeeded:
        view["duration"] = duration(recording.duration_us or 0)
        view["startTime"] = timestamp(recording.started_at)
    if recording.state is State.ERROR:
        view["errorCode"] = (recording.failure or Failure.INTERNAL).code.value
    if recording.ready_uri is not None:
        view["readyUri"] = without_user(recording.ready_uri)
    view[EXTENSION] = _extension(recording)
    return view


def announced(recording: Recording, uri: Uri) -> bytes:
    """Return the body of RECORDING_READY: the FULL view, nothing around it (contract B6).

    One of extreme length, by thousands of pauses, goes without the extension: no announcement may
    ever be too large to be written down with its state.
    """
    view = recording_view(recording, uri)
    body = _written(view)
    if len(body) > MAX_ANNOUNCED:
        del view[EXTENSION]
        body = _written(view)
    return body


def announced_again(body: bytes, renew: Callable[[str], str]) -> bytes:
    """Return the body of RECORDING_READY with every `audio[].uri` renewed, else as it was."""
    view = json.loads(body)
    for audio in view.get("audio", ()):
        audio["uri"] = renew(audio["uri"])
    return _written(view)


def without_user(url: str) -> str:
    """Return a URL without the user and password in it."""
    scheme, mark, rest = url.partition("://")
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    return scheme + mark + rest[:end].rpartition("@")[2] + rest[end:]


def _written(view: dict[str, Any]) -> bytes:
    return json.dumps(view, separators=(",", ":")).encode()


def _audio_view(audio: Audio, uri: Uri | None) -> dict[str, Any]:
    encoding = _ENCODINGS[audio.format]
    view: dict[str, Any] = {
        "mimeType": encoding.mime_type,
        "encoding": encoding.name,
        "sampleRate": audio.sample_rate,
        "sizeBytes": audio.size_bytes,
    }
    if uri is not None:
        view["uri"] = uri(audio)
    return view


def _extension(recording: Recording) -> dict[str, Any]:
    expiry = recording.expires_at
    known: dict[str, Any] = {
        "controlId": recording.control_id,
        "direction": recording.direction.value,
        "stopReason": recording.stop_reason and recording.stop_reason.value,
        "stopDigit": recording.stop_digit,
        "failure": failure_view(recording),
        "recovered": recording.recovered,
        "pauses": [_pause_view(pause, recording) for pause in recording.pauses],
        "audio": [_file_view(audio, recording) for audio in recording.audio]
        if recording.state is State.FINISHED
        else [],
        "expiresAt": None if expiry is None else timestamp(expiry),
        "account": recording.account,
        "sequence": recording.sequence,
    }
    return {name: value for name, value in known.items() if value is not None}


def _pause_view(pause: Pause, recording: Recording) -> dict[str, Any]:
    """Return a pause in milliseconds from the recording's start, pauses before it included."""
    span = recording.span
    view: dict[str, Any] = {
        "behavior": pause.behavior.value,
        "startMs": (pause.start - span.start) * 1000 // span.rate,
    }
    if pause.end is not None:
        view["endMs"] = (pause.end - span.start) * 1000 // span.rate
    return view


def _file_view(audio: Audio, recording: Recording) -> dict[str, Any]:
    """Return what tells one file from another, in the order of the contract's `audio`."""
    length = recording.duration_us if audio.duration_us is None else audio.duration_us
    return {
        "rendition": audio.rendition,
        "format": audio.format.value,
        "direction": (audio.direction or recording.direction).value,
        "channelCount": audio.channels,
        "trimmed": audio.trimmed,
        "duration": duration(length or 0),
    }


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
