"""What each route does, in the words of the document."""

from __future__ import annotations

from typing import Final

from mediaserver.calls.resource import Status

from ..auth import CONTROL, DELETE, GET, LIST, READ, RENDER
from ..calls import DEFAULT_PAGE_SIZE as CALLS_PAGE
from ..calls import DIRECTIONS
from ..recordings import DEFAULT_PAGE_SIZE as RECORDINGS_PAGE
from ..relay_recordings import DEFAULT_PAGE_SIZE as RELAY_PAGE
from . import shapes
from .operation import BINARY, STRING, Answer, Operation, Parameter, one_of, whole

_ERROR: Final = Answer("What went wrong.", shapes.Error)
_NAMED_ERROR: Final = Answer("What went wrong.", shapes.NamedError)
_FAULTS: Final = Answer("What is wrong with the request.", shapes.Faults)
_RELAY_FAULTS: Final = Answer("What is wrong with the query.", shapes.RelayFaults)

_VIEW: Final = Parameter(
    name="view",
    schema=one_of("BASIC", "FULL"),
    description="FULL adds download links, which need no key.",
)
_RECORDINGS: Final = "recordings"
_RELAY: Final = "relay recordings"
_CALLING: Final = "calling"
_SERVER: Final = "server"

_TOKEN: Final = "What the page before gave."  # noqa: S105


def _list_recordings(name: str, summary: str) -> Operation:
    return Operation(
        id=name,
        summary=summary,
        tag=_RECORDINGS,
        permissions=(LIST,),
        query=(
            Parameter(name="pageSize", schema=whole(0, RECORDINGS_PAGE)),
            Parameter(name="pageToken", schema=STRING, description=_TOKEN),
            _VIEW,
        ),
        answers={"200": Answer("A page.", shapes.RecordingList), "default": _ERROR},
    )


LIST_RECORDINGS: Final = _list_recordings("listRecordings", "The recordings of the project.")
LIST_CALL_RECORDINGS: Final = _list_recordings(
    "listCallRecordings", "The recordings of a call; `-` stands for every call."
)
GET_RECORDING: Final = Operation(
    id="getRecording",
    summary="One recording.",
    tag=_RECORDINGS,
    permissions=(GET,),
    query=(_VIEW,),
    answers={"200": Answer("The recording.", shapes.Recording), "default": _ERROR},
)
DELETE_RECORDING: Final = Operation(
    id="deleteRecording",
    summary="Deletes a recording for good.",
    tag=_RECORDINGS,
    permissions=(DELETE,),
    answers={"200": Answer("What was deleted.", shapes.Recording), "default": _ERROR},
)
RENDER_RECORDING: Final = Operation(
    id="renderRecording",
    summary="Makes a further file of a recording that has ended.",
    tag=_RECORDINGS,
    permissions=(RENDER, GET),
    body=shapes.RenditionOrder,
    answers={
        "200": Answer("The recording, with the file as its last.", shapes.Recording),
        "default": _ERROR,
    },
)
_AUDIO: Final = {"audio/x-wav": BINARY, "audio/mpeg": BINARY, "audio/mp4": BINARY}
DOWNLOAD: Final = Operation(
    id="downloadRecording",
    summary="The audio of a recording, also while it grows.",
    tag=_RECORDINGS,
    permissions=(GET,),
    link=True,
    query=(
        Parameter(name="format", schema=one_of("wav", "mp3", "mp4")),
        Parameter(name="rendition", schema={"type": "integer", "minimum": 0, "maximum": 9999}),
        Parameter(
            name="follow",
            schema={"type": "boolean", "default": False},
            description="Whether all that comes is wanted, and not only what there is.",
        ),
    ),
    answers={
        "200": Answer("The file.", content=_AUDIO),
        "206": Answer("A part of it.", content=_AUDIO),
        "304": Answer("It is the one that is known."),
        "default": _ERROR,
    },
)
PEAKS: Final = Operation(
    id="getPeaks",
    summary="The waveform of a recording.",
    tag=_RECORDINGS,
    permissions=(GET,),
    query=(Parameter(name="format", schema=one_of("dat", "json")),),
    answers={
        "200": Answer("The waveform.", shapes.Peaks, {"application/octet-stream": BINARY}),
        "default": _ERROR,
    },
)
LIST_RELAY_RECORDINGS: Final = Operation(
    id="listRelayRecordings",
    summary="The recordings of the project, as the Relay API shows them.",
    tag=_RELAY,
    permissions=(LIST,),
    query=(
        Parameter(name="page_size", schema=whole(1, RELAY_PAGE)),
        Parameter(name="page_token", schema=STRING, description=_TOKEN),
    ),
    answers={
        "200": Answer("A page.", shapes.RelayRecordingList),
        "422": _RELAY_FAULTS,
        "default": _NAMED_ERROR,
    },
)
GET_RELAY_RECORDING: Final = Operation(
    id="getRelayRecording",
    summary="One recording, as the Relay API shows it.",
    tag=_RELAY,
    permissions=(GET,),
    answers={
        "200": Answer("The recording.", shapes.RelayRecording),
        "422": _RELAY_FAULTS,
        "default": _NAMED_ERROR,
    },
)
DELETE_RELAY_RECORDING: Final = Operation(
    id="deleteRelayRecording",
    summary="Deletes a recording for good.",
    tag=_RELAY,
    permissions=(DELETE,),
    answers={
        "204": Answer("It is deleted."),
        "422": _RELAY_FAULTS,
        "default": _NAMED_ERROR,
    },
)
COMMAND: Final = Operation(
    id="command",
    summary="Places a call, or does something to one that is up.",
    tag=_CALLING,
    permissions=(CONTROL,),
    commands=True,
    answers={
        "200": Answer("The call.", shapes.Call),
        "422": _FAULTS,
        "default": _NAMED_ERROR,
    },
)
LIST_CALLS: Final = Operation(
    id="listCalls",
    summary="The calls of the project, newest first.",
    tag=_CALLING,
    permissions=(READ,),
    query=(
        Parameter(name="status", schema=one_of(*Status)),
        Parameter(name="direction", schema=one_of(*DIRECTIONS)),
        Parameter(name="from", schema=STRING),
        Parameter(name="to", schema=STRING),
        Parameter(name="created_after", schema={"type": "string", "format": "date-time"}),
        Parameter(name="created_before", schema={"type": "string", "format": "date-time"}),
        Parameter(name="page_size", schema=whole(1, CALLS_PAGE)),
        Parameter(name="page_token", schema=STRING, description=_TOKEN),
    ),
    answers={"200": Answer("A page.", shapes.CallList), "422": _FAULTS, "default": _NAMED_ERROR},
)
GET_CALL: Final = Operation(
    id="getCall",
    summary="One call, whether it is up or over.",
    tag=_CALLING,
    permissions=(READ,),
    answers={"200": Answer("The call.", shapes.Call), "422": _FAULTS, "default": _NAMED_ERROR},
)
HEALTH: Final = Operation(
    id="health",
    summary="Whether new calls may be sent here.",
    tag=_SERVER,
    answers={
        "200": Answer("They may.", shapes.Health),
        "503": Answer("They may not.", shapes.Health),
        "default": _ERROR,
    },
)
OPENAPI: Final = Operation(
    id="openapi",
    summary="This document.",
    tag=_SERVER,
    answers={
        "200": Answer("The document.", content={"application/json": {"type": "object"}}),
        "default": _ERROR,
    },
)
