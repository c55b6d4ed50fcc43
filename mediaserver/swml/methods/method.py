"""A method as data, and the one way all of them check their parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ..actions import Action
from ..errors import Code, ScriptError, member, quoted
from ..expression import Scope
from ..limits import MAX_QUOTED
from .kinds import Kind, Place

if TYPE_CHECKING:
    from ..document import Step
    from ..machine import Machine


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method."""

    name: str
    kind: Kind
    default: Any = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method: its parameter table and the action it becomes."""

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[[Mapping[str, Any]], Action] | None = None
    """Makes the action of all parameters, by name, checked and typed."""
    shorthand: str | None = None
    """The parameter that a bare value stands for: `sleep: 5000`."""
    whole: str | None = None
    """The parameter that the whole map stands for: `set: {name: value}`."""
    exactly_one: tuple[str, ...] = ()
    """Parameters of which one and only one must be given."""

    nested: Callable[[Any, str], Iterator[tuple[str, Any]]] | None = None
    """Yields the path and the steps of each block within it."""
    control: Callable[[Mapping[str, Any], Step, Machine], Action | None] | None = None
    """Of a method that moves the script instead of doing something to the call: makes the move.
    What it returns is an action after all: a document to be fetched."""

    def blocks(self, params: Any, path: str) -> Iterator[tuple[str, Any]]:
        """Yield the path and the steps, as they are written, of each block within it."""
        if self.nested is not None:
            yield from self.nested(params, path)

    def values(self, params: Any, path: str, scope: Scope, *, allow_files: bool) -> dict[str, Any]:
        """Return the parameters with variables filled in; raises ScriptError."""
        return self._read(params, path, allow_files, scope)

    def check(self, params: Any, path: str, *, allow_files: bool) -> None:
        """Check what can be known before the script runs; raises ScriptError."""
        self._read(params, path, allow_files, None)

    def action(self, params: Any, path: str, scope: Scope, *, allow_files: bool) -> Action:
        """Return the action with variables filled in; raises ScriptError."""
        assert self.build is not None
        return self.build(self._read(params, path, allow_files, scope))

    def _read(
        self, params: Any, path: str, allow_files: bool, scope: Scope | None
    ) -> dict[str, Any]:
        bare = self.whole or (self.shorthand if not isinstance(params, dict | None) else None)
        given = self._given(params, path) if bare is None else {bare: params}
        known = {parameter.name: parameter for parameter in self.parameters}
        values = {parameter.name: parameter.default for parameter in self.parameters}
        for name, value in given.items():
            parameter = known[name]
            place = Place(member(path, name) if bare is None else path, allow_files, scope)
            values[name] = parameter.kind.read(value, place)
        return values

    def _given(self, params: Any, path: str) -> dict[str, Any]:
        """Return the parameters that are there, if they may be there together."""
        given = {} if params is None else params
        if not isinstance(given, dict):
            message = f"the parameters of {self.name} must be a map"
            raise ScriptError(Code.ELEMENT_WRONG_TYPE, path, message)
        names = [parameter.name for parameter in self.parameters]
        for name in given:
            if name not in names:
                message = f"{self.name} has no parameter {quoted(name)}{suggestion(name, names)}"
                code = Code.METHOD_PARAMETER_UNDEFINED
                raise ScriptError(code, member(path, name), message)
        together = [name for name in self.exactly_one if name in given]
        choice = " or ".join(self.exactly_one)
        if len(together) > 1:
            message = f"{choice} may be given, not both"
            raise ScriptError(Code.METHOD_PARAMETER_CONFLICT, path, message)
        if self.exactly_one and not together:
            missing = member(path, self.exactly_one[0])
            raise ScriptError(Code.METHOD_PARAMETER_MISSING, missing, f"{choice} must be given")
        for parameter in self.parameters:
            if parameter.required and parameter.name not in given:
                missing = member(path, parameter.name)
                raise ScriptError(Code.METHOD_PARAMETER_MISSING, missing, "must be given")
        return given


def suggestion(name: str, names: list[str]) -> str:
    """Return "; did you mean ...?" if one of `names` is close to a misspelled one."""
    close = get_close_matches(name, names, 1) if len(name) <= MAX_QUOTED else []
    return f"; did you mean {close[0]}?" if close else ""
