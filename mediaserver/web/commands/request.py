"""The body that a command comes in: for which call it is, what it is, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from . import COMMANDS
from .dialling import Dial
from .fault import MAX_FAULTS, MISSING, Fault, Faulty, faults_of
from .part import Params, Part
from .unsupported import UNSUPPORTED
from .updating import Update


class Envelope(Part):
    """What stands around the parameters of a command."""

    id: str | None = None
    command: str
    params: dict[str, Any] = Field(default_factory=dict)


class Commanded(NamedTuple):
    """What is to be done, and to which call."""

    call_id: str | None
    """None for `dial`."""
    order: Any
    """An order of `mediaserver.calls.commands`."""


def read_command(body: Mapping[str, Any]) -> Commanded:
    """Return the command in a body; raises `Faulty` with all that is wrong with it."""
    faults: list[Fault] = []
    try:
        Envelope.model_validate(body)
    except ValidationError as error:
        faults += [_astray(fault, body) for fault in faults_of(error)]
    name, params = body.get("command"), body.get("params", {})
    kind = COMMANDS.get(name) if isinstance(name, str) else None
    if isinstance(name, str) and kind is None:
        faults.append(_unknown(name))
    call_id, given = body.get("id"), None
    if kind is not None and isinstance(params, dict):
        try:
            given = kind.model_validate(params)
        except ValidationError as error:
            faults += faults_of(error, params)
    if isinstance(given, Update):
        call_id = given.id if call_id is None else call_id
    faults += _faults_of_id(call_id, kind, params, given)
    if faults or given is None:
        raise Faulty(tuple(faults[:MAX_FAULTS]))
    return Commanded(call_id, given.order())


def _faults_of_id(
    call_id: Any, kind: type[Params] | None, params: Any, given: Params | None
) -> list[Fault]:
    """Return what is wrong with which call a command is for."""
    if kind is Dial:
        return [] if call_id is None else [Fault("id is not a known parameter", "id")]
    if isinstance(given, Update) and given.id not in {None, call_id}:
        return [Fault("id must be the same beside command and in params", "id")]
    elsewhere = kind is Update and isinstance(params, dict) and "id" in params
    if call_id is None and not elsewhere:
        return [Fault("id is required", "id", MISSING)]
    return []


def _astray(fault: Fault, body: Mapping[str, Any]) -> Fault:
    """Return a fault of the envelope, with where a parameter belongs that stands beside it."""
    name = body.get("command")
    kind = COMMANDS.get(name) if isinstance(name, str) else None
    fields = kind.model_fields.items() if kind is not None else ()
    if fault.attribute in {field.alias or name for name, field in fields}:
        return Fault(f"{fault.message} here; it belongs into params", fault.attribute, fault.code)
    return fault


def _unknown(name: str) -> Fault:
    why = UNSUPPORTED.get(name)
    if why is not None:
        return Fault(f"command {name} cannot be carried out: {why}", "command")
    return Fault(f"command must be one of {', '.join(COMMANDS)}", "command")
