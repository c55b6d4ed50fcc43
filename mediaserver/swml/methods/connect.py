"""`connect`: call somebody else and join the two calls (contract A8)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..actions import Action, Confirm, Connect, Destination, StreamTarget
from ..document_source import document_of
from ..errors import Code, ScriptError, item, member
from ..limits import MAX_DESTINATIONS
from ..source import web_url
from .addresses import Callee, CallerId, SipHeaders
from .branches import RESULT, Steps, follow
from .flow import transfer_to
from .kinds import DEFERRED, Choice, Flag, ListOf, Place, Whole
from .method import Method, Parameter
from .streams import STREAM_PARAMETERS
from .table import Table
from .texts import Line, Playable, Text, WebUrl, listed_names

if TYPE_CHECKING:
    from ..document import Step
    from ..machine import Machine

CALL_STATES: Final = ("created", "ringing", "answered", "ended")

CONFIRM_METHODS: Final = frozenset(
    (
        "cond",
        "denoise",
        "hangup",
        "play",
        "prompt",
        "record",
        "record_call",
        "send_digits",
        "send_sms",
        "set",
        "stop_denoise",
        "stop_record_call",
        "stop_stream",
        "stop_tap",
        "stream",
        "tap",
        "unset",
    )
)
"""What may be done to the one who answers before he is joined: nothing that leads elsewhere."""

_CODEC: Final = re.compile(
    r"(?:PCMU|PCMA|G722|G729|OPUS|VP8|H264|AMR-WB)(?:@[0-9]{4,6}H)?(?:@[0-9]{1,3}I)?"
)


class Codecs:
    """Names of codecs with commas between them, perhaps with rate and ptime: `OPUS@16000H@20I`."""

    def read(self, value: Any, place: Place) -> Any:
        """Return them as a tuple, in capitals, each once."""
        must = "must be a list with commas of PCMU, PCMA, G722, G729, OPUS, VP8, H264, AMR-WB"
        return place.meant(value, must, _codecs)


def _codecs(text: str) -> tuple[str, ...] | None:
    names = listed_names(text)
    return names if all(_CODEC.fullmatch(name) for name in names) else None


class Confirmation:
    """A URL, or a list of steps."""

    def read(self, value: Any, place: Place) -> Any:
        """Return a Confirm."""
        if isinstance(value, list):
            return _confirm_steps(value, place)
        must = "must be an http(s) URL or a list of steps"
        url = place.meant(value, must, web_url)
        return url if url is DEFERRED else Confirm(url=url)


def _confirm_steps(value: list[Any], place: Place) -> Any:
    if not value:
        raise place.refuse("must be an http(s) URL or a list of steps, at least one")
    for path, name in _methods(value, place.path):
        if name not in CONFIRM_METHODS:
            message = f"{name} cannot be used here, but {', '.join(sorted(CONFIRM_METHODS))}"
            raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, path, message)
    steps = Steps().read(value, place)
    if steps is DEFERRED:
        return steps
    return Confirm(document=document_of(steps, allow_files=place.allow_files))


def _methods(steps: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield path and name of every known method in steps that may not be right yet."""
    from .registry import METHODS  # which has this method in it

    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        for name, params in (step if isinstance(step, dict) else {}).items():
            here = member(item(path, index), name)
            if name in METHODS:
                yield here, name
            if name == "cond" and isinstance(params, list):
                for number, branch in enumerate(params):
                    for key in ("then", "else"):
                        if isinstance(branch, dict):
                            yield from _methods(branch.get(key), member(item(here, number), key))


def _seconds() -> Whole:
    return Whole(minimum=1)


OVERRIDABLE: Final = (
    Parameter("from", CallerId()),
    Parameter("from_name", Line()),
    Parameter("headers", SipHeaders(), default=()),
    Parameter("codecs", Codecs(), default=()),
    Parameter("webrtc_media", Flag(), default=False, used=False),
    Parameter("session_timeout", _seconds()),
    Parameter("username", Line()),
    Parameter("password", Line()),
    Parameter("timeout", _seconds(), default=60),
    Parameter("max_duration", _seconds(), default=14_400),
    Parameter("confirm", Confirmation()),
    Parameter("confirm_timeout", _seconds()),
    Parameter("encryption", Choice(("mandatory", "optional", "forbidden")), default="optional"),
    Parameter("call_state_url", WebUrl()),
    Parameter(
        "call_state_events", ListOf(Choice(CALL_STATES), len(CALL_STATES), 0), default=("ended",)
    ),
    Parameter("status_url", WebUrl()),
)
"""Of all destinations, unless one says otherwise."""

DESTINATION: Final = Table(
    "a destination",
    (
        Parameter("to", Callee(), required=True),
        *(Parameter(p.name, p.kind) for p in OVERRIDABLE),
        *STREAM_PARAMETERS,
    ),
)
_OWN: Final = frozenset(p.name for p in STREAM_PARAMETERS)

SEVERAL: Final = ("serial", "parallel", "serial_parallel")


def _rule(given: Mapping[str, Any], path: str) -> None:
    """Refuse what belongs to one destination where there are several, and a queue without end."""
    if "to" not in given:
        for name in given:
            if name in _OWN:
                message = f"{name} belongs to a destination, not to all of them"
                raise ScriptError(Code.METHOD_PARAMETER_CONFLICT, member(path, name), message)
    if "transfer_after_bridge" not in given and any(map(_is_queue, _callees(given))):
        missing = member(path, "transfer_after_bridge")
        message = "must be given where a queue is called"
        raise ScriptError(Code.METHOD_PARAMETER_MISSING, missing, message)


def _callees(value: Any) -> Iterator[Any]:
    """Yield whatever stands under `to`, in a form that may not be right yet."""
    if isinstance(value, Mapping):
        yield value.get("to")
        for name in SEVERAL:
            yield from _callees(value.get(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _callees(inner)


def _is_queue(to: Any) -> bool:
    return isinstance(to, str) and to.lstrip().lower().startswith("queue:")


def _build(values: Mapping[str, Any]) -> Connect:
    if values["to"] is not None:
        one = {"to": values["to"], **{name: values[name] for name in _OWN}}
        groups: tuple[tuple[dict[str, Any], ...], ...] = ((one,),)
    elif values["serial"] is not None:
        groups = tuple((one,) for one in values["serial"])
    elif values["parallel"] is not None:
        groups = (values["parallel"],)
    else:
        groups = values["serial_parallel"]
    return Connect(
        groups=tuple(tuple(_destination(one, values) for one in group) for group in groups),
        answer_on_bridge=values["answer_on_bridge"],
        ringback=values["ringback"],
    )


def _destination(own: Mapping[str, Any], common: Mapping[str, Any]) -> Destination:
    """Return a destination with what it does not say itself taken from all of them."""
    names = [p.name for p in OVERRIDABLE]
    said: dict[str, Any] = {
        name: common[name] if own.get(name) is None else own[name] for name in names
    }
    kind, address = own["to"]
    stream = None
    if kind == "stream":
        stream = StreamTarget(
            url=address, status_url=said["status_url"], **{name: own[name] for name in _OWN}
        )
    return Destination(
        kind=kind,
        address=address,
        from_=said.pop("from"),
        max_duration=float(said.pop("max_duration")),
        session_timeout=_float(said.pop("session_timeout")),
        confirm_timeout=float(said.pop("confirm_timeout") or said["timeout"]),
        timeout=float(said.pop("timeout")),
        call_state_events=frozenset(said.pop("call_state_events")),
        stream=stream,
        **said,
    )


def _float(value: int | None) -> float | None:
    return None if value is None else float(value)


def _after(values: Mapping[str, Any], step: Step, machine: Machine) -> Action | None:
    machine.advance()
    onward = values["transfer_after_bridge"]
    if onward is not None and machine.variables.get("connect_result") == "connected":
        return transfer_to(onward, "transfer_after_bridge", {}, step, machine)
    follow(values["result"], machine, step.path, "connect_result")
    return None


CONNECT: Final = Method(
    name="connect",
    parameters=(
        Parameter("to", Callee()),
        Parameter("serial", ListOf(DESTINATION, MAX_DESTINATIONS)),
        Parameter("parallel", ListOf(DESTINATION, MAX_DESTINATIONS)),
        Parameter(
            "serial_parallel",
            ListOf(ListOf(DESTINATION, MAX_DESTINATIONS), MAX_DESTINATIONS),
        ),
        *OVERRIDABLE,
        Parameter("answer_on_bridge", Flag(), default=False),
        Parameter("ringback", ListOf(Playable(), minimum=0), default=()),
        Parameter("transfer_after_bridge", Text()),
        RESULT,
        *STREAM_PARAMETERS,
    ),
    exactly_one=("to", *SEVERAL),
    rule=_rule,
    build=_build,
    after=_after,
    outcome="connect_result",
)
