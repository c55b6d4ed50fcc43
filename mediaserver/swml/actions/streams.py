"""Audio of the call sent elsewhere beside the script (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """Send what is said and heard to an RTP port or a WebSocket."""

    uri: str
    """`rtp://address:port`, `ws://...` or `wss://...`."""
    control_id: str | None
    """None: a new one."""
    direction: str
    """`speak`, `listen` or `both`."""
    codec: str
    """`PCMU` or `PCMA`."""
    ptime: int
    """Milliseconds of audio in a packet."""
    status_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTap:
    """End a tap."""

    control_id: str | None
    """None: the one that was started last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Send audio in messages to a WebSocket."""

    url: str
    """`wss://...` or `ws://...`."""
    control_id: str | None
    """None: a new one."""
    name: str | None
    track: str
    """`inbound_track`, `outbound_track` or `both_tracks`."""
    codec: str | None
    """As written, `PCMU` or `L16@24000h@40i`; None: what the server sends by itself."""
    status_url: str | None
    status_url_method: str
    """`GET` or `POST`."""
    authorization_bearer_token: str | None = field(repr=False)
    custom_parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStream:
    """End a stream."""

    control_id: str | None
    """None: the one that was started last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTarget:
    """A WebSocket that is a party of its own: of `connect`, or of a conference."""

    url: str
    """`wss://...` or `ws://...`."""
    name: str | None = None
    codec: str | None = None
    """`PCMU`, `PCMA`, `G722` or `L16`, perhaps with rate and ptime: `L16@24000h@40i`."""
    realtime: bool = False
    """Whether audio comes back."""
    status_url: str | None = None
    status_url_method: str = "POST"
    authorization_bearer_token: str | None = field(default=None, repr=False)
    custom_parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
