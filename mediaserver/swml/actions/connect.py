"""Calling somebody else and joining the two calls (contract A8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .sources import Source
from .streams import StreamTarget

if TYPE_CHECKING:
    from ..document import Document

DestinationKind = Literal["sip", "phone", "resource", "queue", "stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """What the one who answers hears before the two are joined; either a URL or a document."""

    url: str | None = None
    """Of a document, to be fetched as contract A10 says."""
    document: Document | None = None
    """With its steps in `main`, for an interpreter on the peer's leg."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Somebody to be called: what `connect` says for all of them is filled in."""

    kind: DestinationKind
    address: str
    """A SIP URI; a number as written; `/public/name`; a queue's name; a WebSocket URL."""
    from_: str | None = None
    """Number or SIP URI to call from; None: the caller's."""
    from_name: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Header fields of the INVITE, checked by `sip.extra_headers`."""
    codecs: tuple[str, ...] = ()
    """Names in order of preference, as `OPUS` or `OPUS@16000H@20I`; empty: what the server has."""
    timeout: float = 60.0
    """Seconds until it has to be answered."""
    max_duration: float | None = 14_400.0
    """Seconds the two may be joined; None: no limit of the script's own."""
    session_timeout: float | None = None
    """Seconds of the INVITE's Session-Expires (RFC 4028)."""
    encryption: str = "optional"
    """`mandatory`, `optional` or `forbidden`."""
    webrtc_media: bool = False
    username: str | None = field(default=None, repr=False)
    """For a challenge of this destination, and of nobody else."""
    password: str | None = field(default=None, repr=False)
    confirm: Confirm | None = None
    confirm_timeout: float = 60.0
    """Seconds `confirm` may take."""
    call_state_url: str | None = None
    call_state_events: frozenset[str] = frozenset({"ended"})
    """Of created, ringing, answered and ended."""
    status_url: str | None = None
    stream: StreamTarget | None = None
    """Of a destination of the kind `stream`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Call destinations until one answers, join it with this call, wait until it has gone.

    What the script says for all of them is in each. `result` and `transfer_after_bridge` are the
    interpreter's: it goes on with them when the action is completed.
    """

    groups: tuple[tuple[Destination, ...], ...]
    """Tried one after the other; the members of one at the same time."""
    answer_on_bridge: bool = False
    """Answer this call only when a destination has answered."""
    ringback: tuple[Source, ...] = ()
    """What is played meanwhile; empty: what the destination sends."""
