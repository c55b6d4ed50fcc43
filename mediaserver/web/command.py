"""The commands of `POST /api/calling/calls` and their parameters (contract A4).

The defaults are this surface's own and shared with no other (D3, D4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails

from mediaserver.calls.recording import RecordingOrder
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction, Format, Source
from mediaserver.swml.limits import MAX_SECONDS, MAX_TERMINATORS
from mediaserver.swml.source import web_url

MAX_CONTROL_ID: Final = 256
"""Characters of a control id."""

MAX_FAULTS: Final = 20
"""Faults told of one command: a body can hold thousands of unknown names."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a command, and with which parameter if with one."""

    message: str
    attribute: str | None
    """The parameter as it stands under `params`, such as `record.audio.format`."""
    code: str = "invalid_parameter"


class Faulty(ValueError):
    """A body is no command that could be carried out."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must have printable characters only")
    return text


def _web(text: str) -> str:
    url = web_url(text)
    if url is None:
        raise ValueError("must be a valid http or https url")
    return url


ControlId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_CONTROL_ID),
    AfterValidator(_printable),
]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
Keys = Annotated[str, StringConstraints(max_length=MAX_TERMINATORS, pattern=r"\A[0-9A-Da-d*#]*\z")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Audio(_Part):
    """`record.audio` of `calling.record`. Times are seconds; 0 switches a rule off."""

    beep: bool = False
    format: Literal["mp3", "wav", "mp4"] = "mp3"
    stereo: bool = False
    direction: Literal["listen", "speak", "both"] = "speak"
    initial_timeout: Seconds = 4.0
    end_silence_timeout: Seconds = 0.5
    max_length: Annotated[int, Field(ge=0, le=int(MAX_SECONDS))] = 0
    terminators: Keys = "#"
    input_sensitivity: Annotated[float, Field(ge=0, le=100)] = 44.0


class AudioRecording(_Part):
    """`record` of `calling.record`."""

    audio: Audio


class Record(_Part):
    """`calling.record`."""

    control_id: ControlId
    record: AudioRecording
    status_url: Annotated[str, AfterValidator(_web)] | None = None

    def order(self) -> RecordingOrder:
        """Return what is to be recorded."""
        audio = self.record.audio
        return RecordingOrder(
            rules=StopRules(
                terminators=audio.terminators.upper(),
                initial_timeout=audio.initial_timeout,
                end_silence_timeout=audio.end_silence_timeout,
                max_length=audio.max_length,
                input_sensitivity=audio.input_sensitivity,
            ),
            format=Format(audio.format),
            direction=Direction(audio.direction),
            stereo=audio.stereo,
            status_url=self.status_url,
            source=Source.CALL_RECORDING,
            control_id=self.control_id,
        )


class Pause(_Part):
    """`calling.record.pause`."""

    control_id: ControlId
    behavior: Literal["skip", "silence"] = "skip"


class Resume(_Part):
    """`calling.record.resume`."""

    control_id: ControlId


class Stop(_Part):
    """`calling.record.stop`."""

    control_id: ControlId


class End(_Part):
    """`calling.end`."""

    reason: Literal["hangup", "cancel", "busy", "noAnswer", "decline", "error"] = "hangup"


Command = Record | Pause | Resume | Stop | End

COMMANDS: Final[Mapping[str, type[Command]]] = MappingProxyType(
    {
        "calling.record": Record,
        "calling.record.pause": Pause,
        "calling.record.resume": Resume,
        "calling.record.stop": Stop,
        "calling.end": End,
    }
)


class _Request(_Part):
    id: str
    command: str
    params: dict[str, Any] = {}


def read_command(body: Mapping[str, Any]) -> tuple[str, Command]:
    """Return the id of the call and the command in a body; raises `Faulty` with all its faults."""
    faults: list[Fault] = []
    try:
        _Request.model_validate(body)
    except ValidationError as error:
        faults += map(_fault, error.errors(include_url=False, include_input=False))
    name, params = body.get("command"), body.get("params", {})
    if isinstance(name, str) and name not in COMMANDS:
        known = ", ".join(COMMANDS)
        faults.append(Fault(f"command must be one of {known}", "command"))
    command: Command | None = None
    if isinstance(name, str) and name in COMMANDS and isinstance(params, dict):
        try:
            command = COMMANDS[name].model_validate(params)
        except ValidationError as error:
            faults += map(_fault, error.errors(include_url=False, include_input=False))
    if faults or command is None:
        raise Faulty(tuple(faults[:MAX_FAULTS]))
    return body["id"], command


def _fault(error: ErrorDetails) -> Fault:
    """Return a fault in the words of this API; what was sent is not repeated."""
    attribute = ".".join(str(part)[:MAX_CONTROL_ID] for part in error["loc"])
    match error["type"]:
        case "missing":
            return Fault(f"{attribute} is required", attribute, "missing_required_parameter")
        case "extra_forbidden":
            return Fault(f"{attribute} is not a known parameter", attribute)
        case "value_error":
            return Fault(f"{attribute} {error['ctx']['error']}", attribute)
        case "string_pattern_mismatch":
            return Fault(f"{attribute} must have the keys 0-9, A-D, * and # only", attribute)
        case "model_type":
            return Fault(f"{attribute} must be an object", attribute)
    # pydantic speaks of an input, a string, a value: the parameter has a name.
    must = error["msg"].partition(" should ")[2].replace("dictionary", "object")
    return Fault(f"{attribute} must {must or 'be another'}", attribute)
