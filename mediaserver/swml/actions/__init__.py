"""What the interpreter asks the call to do, with every value resolved and checked."""

from __future__ import annotations

from .calling import (
    Answer,
    DetectMachine,
    Hangup,
    HttpRequest,
    Play,
    Prompt,
    SendDigits,
    SipRefer,
    Sleep,
    UserEvent,
)
from .conference import JoinConference
from .connect import Confirm, Connect, Destination, DestinationKind
from .recording import Record, RecordCall, StopRecordCall
from .script import FetchDocument, Finished
from .sources import FileAudio, Ringing, Silence, Source, Speaker, Speech, WebAudio
from .streams import StopStream, StopTap, Stream, StreamTarget, Tap

Action = (
    Answer
    | Connect
    | DetectMachine
    | FetchDocument
    | Finished
    | Hangup
    | HttpRequest
    | JoinConference
    | Play
    | Prompt
    | Record
    | RecordCall
    | SendDigits
    | SipRefer
    | Sleep
    | StopRecordCall
    | StopStream
    | StopTap
    | Stream
    | Tap
    | UserEvent
)

__all__ = [
    "Action",
    "Answer",
    "Confirm",
    "Connect",
    "Destination",
    "DestinationKind",
    "DetectMachine",
    "FetchDocument",
    "FileAudio",
    "Finished",
    "Hangup",
    "HttpRequest",
    "JoinConference",
    "Play",
    "Prompt",
    "Record",
    "RecordCall",
    "Ringing",
    "SendDigits",
    "Silence",
    "SipRefer",
    "Sleep",
    "Source",
    "Speaker",
    "Speech",
    "StopRecordCall",
    "StopStream",
    "StopTap",
    "Stream",
    "StreamTarget",
    "Tap",
    "UserEvent",
    "WebAudio",
]
