"""What is said of a recording, to whom, in which order (contracts A2, A3, B6).

SignalWire's `status_url` is told every state, in the stream of the recording's id. Enfonica's
`readyUri` is told the final one, in a stream of its own: neither waits for the other's receiver.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

from .failure import Failure
from .resource import Recording
from .states import State

EXTENSION: Final = "x-mediaserver"
"""What holds all that a contract does not know."""


class Kind(StrEnum):
    """What is announced; it decides how it is signed and how often delivery is tried."""

    STATUS = "status"
    """A state, to SignalWire's `status_url` (contract A2)."""
    QUERY = "query"
    """The same, to one that asks for a GET: what is said is in the query."""
    READY = "ready"
    """RECORDING_READY, to Enfonica's `readyUri` (contract B6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One callback on its way to an application, kept in the outbox until it is delivered.

    `stream` names the thing announced (a recording's id): announcements of one stream are
    delivered in the order of `sequence`, those of different streams wait for nobody.
    """

    stream: str
    sequence: int
    url: str
    body: bytes
    created_at: int
    """Microseconds since 1970-01-01 UTC."""
    kind: Kind = Kind.STATUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every calling event carries around its `params`."""

    project_id: str
    space_id: str
    node_id: str
    session_id: str
    """The SWML session; `event_channel` is `swml:` and this."""

    def wrap(self, event_type: str, params: dict[str, Any], at: int) -> bytes:
        """Return the JSON body of an event generated at `at` microseconds."""
        event = self._about(event_type, at) | {"params": params}
        return json.dumps(event, separators=(",", ":")).encode()

    def ask(self, event_type: str, params: dict[str, Any], at: int, url: str) -> str:
        """Return `url` with an event in its query, for a GET: params beside the rest, flat.

        What is no text or number is written as JSON.
        """
        fields = {
            name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            for name, value in (self._about(event_type, at) | params).items()
        }
        address = url.partition("#")[0]
        return f"{address}{'&' if '?' in address else '?'}{urlencode(fields)}"

    def _about(self, event_type: str, at: int) -> dict[str, Any]:
        """Return what is said beside the `params`."""
        return {
            "event_type": event_type,
            "event_channel": f"swml:{self.session_id}",
            "timestamp": at / 1e6,
            "project_id": self.project_id,
            "space_id": self.space_id,
        }


def record_params(recording: Recording, node_id: str, url: str) -> dict[str, Any]:
    """Return the flat `params` of contract A2 (D1) for the state the recording is in."""
    params: dict[str, Any] = {
        "call_id": recording.call_id,
        "node_id": node_id,
        "control_id": recording.control_id,
        "state": recording.state.value,
        "url": url,
        "recording_id": recording.id,
        "record": {
            "audio": {
                "format": recording.format.value,
                "direction": recording.direction.value,
                "stereo": recording.stereo,
            }
        },
    }
    if recording.state is State.PAUSED and recording.pauses:
        params["pause_behavior"] = recording.pauses[-1].behavior.value
    if recording.ended_at is not None:
        params["start_time"] = recording.started_at / 1e6
        params["end_time"] = recording.ended_at / 1e6
    if recording.state in {State.FINISHED, State.NO_INPUT}:
        params["duration"] = (recording.duration_us or 0) // 1_000_000
        params["size"] = next(
            (a.size_bytes for a in recording.audio if a.format == recording.format), 0
        )
    if (failure := failure_view(recording)) is not None:
        params[EXTENSION] = {"failure": failure}
    return params


def failure_view(recording: Recording) -> dict[str, str] | None:
    """Return why a recording is an error: a word that stays the same, and a sentence."""
    if recording.state is not State.ERROR:
        return None
    failure = recording.failure or Failure.INTERNAL
    return {"reason": failure.value, "message": failure.sentence}


def announce(recording: Recording, envelope: Envelope, url: str, at: int) -> Announcement | None:
    """Return the announcement of the recording's present state, or None if nobody asked.

    The caller stores `recording.sequence` as the announcement's own number, in one transaction.
    """
    if recording.status_url is None or recording.state is State.RENDERING:
        return None
    return Announcement(
        stream=recording.id,
        sequence=recording.sequence,
        url=recording.status_url,
        body=envelope.wrap(
            "calling.call.record", record_params(recording, envelope.node_id, url), at
        ),
        created_at=at,
    )


def announce_ready(recording: Recording, body: bytes, at: int) -> Announcement:
    """Return RECORDING_READY for a recording that has ended; `body` is its resource's JSON."""
    assert recording.ready_uri is not None
    return Announcement(
        stream=ready_stream(recording.id),
        sequence=1,
        url=recording.ready_uri,
        body=body,
        created_at=at,
        kind=Kind.READY,
    )


def ready_stream(recording_id: str) -> str:
    """Return the stream that a recording's RECORDING_READY is in, alone."""
    return f"{recording_id}-ready"
