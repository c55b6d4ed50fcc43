"""The messages of a media stream: JSON texts over a WebSocket (contract A8 `stream`).

What we send, in this order: `connected`, `start`, then `media` a frame and track, `dtmf` for keys,
`mark` when audio of theirs was played, and `stop` at the end. What is taken, if the stream goes
both ways: `media`, `mark` and `clear`. Numbers travel as strings, as is usual for these streams.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..audio.live_codec import LiveCodec

INBOUND: Final = "inbound"
"""The track of what the caller says."""

OUTBOUND: Final = "outbound"
"""The track of what the caller hears."""

MAX_NAME: Final = 256
"""Characters of the name of a mark."""


@dataclass(frozen=True, slots=True)
class Media:
    """Audio to be played to the caller, as the stream's codec writes it."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """To be sent back when all audio before it was played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Play nothing of what was sent so far."""


class StreamMessages:
    """Writes the messages of one stream, and counts them."""

    def __init__(
        self,
        *,
        stream_id: str,
        project_id: str,
        call_id: str,
        tracks: Sequence[str],
        codec: LiveCodec,
        custom_parameters: Mapping[str, Any],
    ) -> None:
        """`tracks` are of `INBOUND` and `OUTBOUND`."""
        self._id = stream_id
        self._owner = {"accountSid": project_id, "callSid": call_id}
        self._codec = codec
        self._custom_parameters = dict(custom_parameters)
        self._chunks = dict.fromkeys(tracks, 0)
        self._sent = 0

    def connected(self) -> str:
        """Return the first message."""
        return _text({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self) -> str:
        """Return what says what the stream is."""
        start = {
            "streamSid": self._id,
            **self._owner,
            "tracks": list(self._chunks),
            "mediaFormat": {
                "encoding": self._codec.media_type,
                "sampleRate": self._codec.rate,
                "channels": 1,
            },
            "customParameters": self._custom_parameters,
        }
        return self._message("start", start)

    def media(self, track: str, number: int, payload: bytes) -> str:
        """Return frame `number` of a track."""
        self._chunks[track] += 1
        media = {
            "track": track,
            "chunk": str(self._chunks[track]),
            "timestamp": str(number * self._codec.ptime),
            "payload": b64encode(payload).decode(),
        }
        return self._message("media", media)

    def dtmf(self, digit: str) -> str:
        """Return a key that the caller pressed."""
        return self._message("dtmf", {"track": f"{INBOUND}_track", "digit": digit})

    def mark(self, name: str) -> str:
        """Return what says that all before a mark was played, or cleared."""
        return self._message("mark", {"name": name})

    def stop(self, reason: str) -> str:
        """Return the last message."""
        return self._message("stop", {**self._owner, "reason": reason})

    def _message(self, event: str, content: Mapping[str, Any]) -> str:
        self._sent += 1
        return _text(
            {
                "event": event,
                "sequenceNumber": str(self._sent),
                "streamSid": self._id,
                event: content,
            }
        )


def read_message(text: str | bytes) -> Media | Mark | Clear | None:
    """Read a message of the server's; None: one that asks for nothing. ValueError if it is none."""
    try:
        message = json.loads(text)
    except RecursionError:
        raise ValueError("the message is nested too deep") from None
    if not isinstance(message, dict):
        raise ValueError("a message is an object")
    event = message.get("event")
    content = message.get(event) if isinstance(event, str) else None
    match event, content:
        case "media", {"payload": str(payload)}:
            return Media(b64decode(payload, validate=True))
        case "mark", {"name": str(name)}:
            return Mark(name[:MAX_NAME])
        case "clear", _:
            return Clear()
        case (("media" | "mark"), _):
            raise ValueError(f"{event} has not what it is about")
        case _:
            return None


def _text(message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
