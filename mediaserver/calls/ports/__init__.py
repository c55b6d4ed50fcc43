"""What a call needs of the world outside, as the shapes that `net`, `store` and `web` fill.

A call never imports a socket, a database or an HTTP client: it is handed these.
"""

from __future__ import annotations

from .media import (
    FarEnd,
    LegListener,
    LegStatistics,
    Line,
    LiveAudio,
    LiveFrame,
    MediaEngine,
    MediaLeg,
    Mix,
    MixVoice,
    Player,
)
from .signalling import Invitation, Signalling
from .storage import (
    CallStore,
    JournalFile,
    Journals,
    OpenWide,
    Outbox,
    RecordingStore,
    Renderer,
)
from .web import (
    Answered,
    Fetched,
    Fetcher,
    Requester,
    RtpOutput,
    RtpOutputs,
    SpeechEngine,
    WebSocket,
    WebSockets,
)

__all__ = [
    "Answered",
    "CallStore",
    "FarEnd",
    "Fetched",
    "Fetcher",
    "Invitation",
    "JournalFile",
    "Journals",
    "LegListener",
    "LegStatistics",
    "Line",
    "LiveAudio",
    "LiveFrame",
    "MediaEngine",
    "MediaLeg",
    "Mix",
    "MixVoice",
    "OpenWide",
    "Outbox",
    "Player",
    "RecordingStore",
    "Renderer",
    "Requester",
    "RtpOutput",
    "RtpOutputs",
    "Signalling",
    "SpeechEngine",
    "WebSocket",
    "WebSockets",
]
