"""A method as data, and what becomes of a step that names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..actions import Action
from ..errors import Code, ScriptError, member
from ..expression import Scope
from .kinds import Place
from .table import Parameter, Table, suggestion

if TYPE_CHECKING:
    from ..document import Step
    from ..machine import Machine

__all__ = ["Control", "Method", "Parameter", "suggestion"]

_TOLD: Final = 6
"""Parameters that are named where there are none."""

Control = Callable[[Mapping[str, Any], "Step", "Machine"], Action | None]
"""Moves the script on, with the parameters of a step. What it returns is an action after all: a
document to be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method: its parameter table and the action it becomes."""

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[[Mapping[str, Any]], Action] | None = None
    """Makes the action of all parameters, by name, checked and typed."""
    control: Control | None = None
    """Of a method that moves the script instead of doing something to the call: makes the move.
    A method with neither is understood and not carried out."""
    after: Control | None = None
    """Moves the script on when the action has been completed, instead of to the next step."""
    outcome: str | None = None
    """The variable of the result, which becomes `return_value` too."""
    shorthand: str | None = None
    """The parameter that a bare value stands for: `sleep: 5000`."""
    whole: str | None = None
    """The parameter that the whole map stands for: `set: {name: value}`."""
    exactly_one: tuple[str, ...] = ()
    """Parameters of which one and only one must be given."""
    rule: Callable[[Mapping[str, Any], str], None] | None = None
    """Raises ScriptError for parameters, as they are written, that do not go together."""

    @property
    def carried_out(self) -> bool:
        """Whether this server can do it."""
        return self.build is not None or self.control is not None

    def check(self, params: Any, path: str, *, allow_files: bool) -> list[tuple[str, Any]]:
        """Check what can be known before the script runs; raises ScriptError.

        Returns the path and the steps, as they are written, of each block within it.
        """
        place = Place(path, allow_files, None)
        self._read(params, place)
        return place.nested

    def values(self, step: Step, scope: Scope, *, allow_files: bool) -> dict[str, Any]:
        """Return the parameters with variables filled in; raises ScriptError."""
        return self._read(step.params, Place(step.path, allow_files, scope, step.blocks))

    def _read(self, params: Any, place: Place) -> dict[str, Any]:
        bare = self.whole or (self.shorthand if not isinstance(params, dict | None) else None)
        if bare is not None:
            (parameter,) = (p for p in self.parameters if p.name == bare)
            defaults = {parameter.name: parameter.default for parameter in self.parameters}
            return {**defaults, bare: parameter.kind.read(params, place)}
        given = {} if params is None else params
        if not isinstance(given, dict):
            names = [parameter.name for parameter in self.parameters]
            message = f"the parameters of {self.name} must be a map"
            if names:
                more = ", ..." if len(names) > _TOLD else ""
                message += f" of {', '.join(names[:_TOLD])}{more}"
            raise ScriptError(Code.ELEMENT_WRONG_TYPE, place.path, message)
        table = Table(self.name, self.parameters)
        table.check_names(given, place)
        self._check_choice(given, place.path)
        if self.rule is not None:
            self.rule(given, place.path)
        return table.read_given(given, place)

    def _check_choice(self, given: Mapping[str, Any], path: str) -> None:
        """Raise ScriptError unless just one of `exactly_one` is given."""
        together = [name for name in self.exactly_one if name in given]
        choice = " or ".join(self.exactly_one)
        if len(together) > 1:
            message = f"only one of {choice} may be given"
            raise ScriptError(Code.METHOD_PARAMETER_CONFLICT, path, message)
        if self.exactly_one and not together:
            missing = member(path, self.exactly_one[0])
            raise ScriptError(Code.METHOD_PARAMETER_MISSING, missing, f"{choice} must be given")
