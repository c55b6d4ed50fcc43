"""Tables of parameters, and the one way all of them are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..errors import Code, ScriptError, member, quoted
from ..limits import MAX_QUOTED
from .kinds import Kind, Place


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method, or of a map within one."""

    name: str
    kind: Kind
    default: Any = None
    required: bool = False
    used: bool = True
    """Whether it is carried out; False: it is checked, and ignored or refused at the step."""


@dataclass(frozen=True, slots=True)
class Table:
    """A map whose entries are parameters."""

    what: str
    """What the map is, for errors: a method's name, `a destination`."""
    parameters: tuple[Parameter, ...]

    def read(self, value: Any, place: Place) -> dict[str, Any]:
        """Return every parameter by name, defaults where none is given."""
        if not isinstance(value, dict):
            raise place.refuse(f"the parameters of {self.what} must be a map")
        self.check_names(value, place)
        return self.read_given(value, place)

    def check_names(self, given: Mapping[str, Any], place: Place) -> None:
        """Raise ScriptError for what is no parameter."""
        names = [parameter.name for parameter in self.parameters]
        for name in given:
            if name not in names:
                message = f"{self.what} has no parameter {quoted(name)}{suggestion(name, names)}"
                code = Code.METHOD_PARAMETER_UNDEFINED
                raise ScriptError(code, member(place.path, name), message)

    def read_given(self, given: Mapping[str, Any], place: Place) -> dict[str, Any]:
        """Return every parameter by name; those of `given` are known to be some."""
        for parameter in self.parameters:
            if parameter.required and parameter.name not in given:
                missing = member(place.path, parameter.name)
                raise ScriptError(Code.METHOD_PARAMETER_MISSING, missing, "must be given")
        known = {parameter.name: parameter for parameter in self.parameters}
        values = {parameter.name: parameter.default for parameter in self.parameters}
        for name, value in given.items():
            values[name] = known[name].kind.read(value, place.inside(name))
        return values


def suggestion(name: str, names: list[str]) -> str:
    """Return "; did you mean ...?" if one of `names` is close to a misspelled one."""
    close = get_close_matches(name, names, 1) if len(name) <= MAX_QUOTED else []
    return f"; did you mean {close[0]}?" if close else ""
