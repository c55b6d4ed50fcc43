"""What is wrong with a command, in the words of this API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from ..errors import ApiError

MAX_FAULTS: Final = 20
"""Faults told of one command: a body can hold thousands of unknown names."""

MAX_NAME: Final = 256
"""Characters of a name that is repeated in a fault."""

ABSENT: Final = "absent"
CONFLICT: Final = "conflict"
SCRIPT: Final = "script"
"""Types of errors of our own, beside pydantic's."""

_KINDS: Final = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "float_type": "a number, not in quotes",
    "int_from_float": "a whole number",
    "int_type": "a whole number, not in quotes",
    "list_type": "a list",
    "string_type": "a text, in quotes",
}
"""What a parameter must be, by pydantic's types of errors."""

MISSING: Final = "missing_required_parameter"
INVALID: Final = "invalid_parameter"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a command, and with which parameter if with one."""

    message: str
    attribute: str | None
    """The parameter as it stands under `params`, such as `record.audio.format`."""
    code: str = INVALID


class Faulty(ValueError):
    """A body is no command that could be carried out."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(faults)
        self.faults = faults


class Unprocessable(ApiError):
    """A request with faults in it, 422."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(422, "; ".join(fault.message for fault in faults[:MAX_FAULTS]))
        self.faults = faults[:MAX_FAULTS]


def absent(name: str, message: str) -> PydanticCustomError:
    """Return the error for a parameter that is missing; `message` goes on after its name."""
    return PydanticCustomError(ABSENT, "{name} {message}", {"name": name, "message": message})


def conflict(name: str, message: str) -> PydanticCustomError:
    """Return the error for a parameter that does not go with another; likewise."""
    return PydanticCustomError(CONFLICT, "{name} {message}", {"name": name, "message": message})


def faults_of(error: ValidationError, given: Any = None) -> list[Fault]:
    """Return the faults that pydantic found in what was `given`; that is not repeated."""
    details = error.errors(include_url=False, include_input=False)
    return [_fault(detail, given) for detail in details[:MAX_FAULTS]]


def _attribute(place: tuple[int | str, ...], given: Any) -> str:
    """Return a place as it stands in what was given: pydantic adds the `type` of an object."""
    names = []
    for name in place:
        if isinstance(given, dict) and name not in given and given.get("type") == name:
            continue
        names.append(str(name)[:MAX_NAME])
        if isinstance(given, dict):
            given = given.get(name)
        elif isinstance(given, list) and isinstance(name, int) and name < len(given):
            given = given[name]
        else:
            given = None
    return ".".join(names)


def _fault(error: ErrorDetails, given: Any) -> Fault:
    attribute = _attribute(error["loc"], given)
    match error["type"]:
        case "union_tag_not_found":
            return Fault(f"{attribute}.type is required", f"{attribute}.type", MISSING)
        case "union_tag_invalid":
            must = f"must be one of {error['ctx']['expected_tags']}"
            return Fault(f"{attribute}.type {must}", f"{attribute}.type")
        case "model_attributes_type":
            return Fault(f"{attribute} must be an object", attribute)
        case "absent" | "conflict" as kind:
            name, message = error["ctx"]["name"], error["ctx"]["message"]
            return Fault(f"{name} {message}", name, MISSING if kind == ABSENT else INVALID)
        case "script":
            path = error["ctx"]["path"]
            place = f"{attribute}.{path}" if path else attribute
            return Fault(f"{place}: {error['ctx']['message']}", place)
        case "missing":
            return Fault(f"{attribute} is required", attribute, MISSING)
        case "extra_forbidden":
            return Fault(f"{attribute} is not a known parameter", attribute)
        case "value_error":
            return Fault(f"{attribute} {error['ctx']['error']}", attribute)
        case "string_pattern_mismatch":
            return Fault(f"{attribute} must have the keys 0-9, A-D, * and # only", attribute)
        case "model_type":
            return Fault(f"{attribute} must be an object", attribute)
    if error["type"] in _KINDS:
        return Fault(f"{attribute} must be {_KINDS[error['type']]}", attribute)
    # pydantic speaks of an input, a string, a value: the parameter has a name.
    must = error["msg"].partition(" should ")[2].replace("dictionary", "object")
    must = must.replace(" after validation", "")
    return Fault(f"{attribute} must {must or 'be another'}", attribute)
