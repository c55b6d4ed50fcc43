"""`set` and `unset`: the script's own variables (contract A8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..errors import Code, ScriptError, quoted
from ..limits import MAX_VARIABLES
from .kinds import Anything, Place
from .method import Method, Parameter

if TYPE_CHECKING:
    from ..document import Step
    from ..machine import Machine

_NAME: Final = re.compile(r"(?:vars\.)?([A-Za-z_][A-Za-z0-9_]{0,127})")


class Assignments:
    """A map of names to values."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the values by the bare names."""
        if not isinstance(value, dict):
            raise place.refuse("must be a map of names and values")
        return {
            _name(name, place): Anything().read(given, place.inside(name))
            for name, given in value.items()
        }


class VariableNames:
    """A name, or a list of names."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the bare names."""
        names = value if isinstance(value, list) else [value]
        if not all(isinstance(name, str) for name in names):
            raise place.refuse("must be the name of a variable, or a list of names")
        return tuple(_name(name, place) for name in names)


def _name(name: str, place: Place) -> str:
    found = _NAME.fullmatch(name)
    if found is None or found[1] in {"vars", "call", "envs", "params"}:
        raise place.refuse(f"{quoted(name)} cannot be the name of a variable")
    return found[1]


def _set(values: Mapping[str, Any], step: Step, machine: Machine) -> None:
    machine.variables.update(values["variables"])
    if len(machine.variables) > MAX_VARIABLES:
        message = f"more than {MAX_VARIABLES} variables are set"
        raise ScriptError(Code.METHOD_EXECUTE_FAILED, step.path, message)
    machine.advance()


def _unset(values: Mapping[str, Any], _step: Step, machine: Machine) -> None:
    for name in values["names"]:
        machine.variables.pop(name, None)
    machine.advance()


SET: Final = Method(
    name="set",
    parameters=(Parameter("variables", Assignments(), required=True),),
    whole="variables",
    control=_set,
)
UNSET: Final = Method(
    name="unset",
    parameters=(Parameter("names", VariableNames(), required=True),),
    whole="names",
    control=_unset,
)
