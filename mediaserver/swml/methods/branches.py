"""Steps within a step, and which of them are gone through (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import Code, ScriptError, member, quoted
from ..expression import as_text, read_path
from ..javascript import check_syntax
from .kinds import DEFERRED, Place
from .table import Parameter, Table
from .texts import Text

if TYPE_CHECKING:
    from ..document import Step
    from ..machine import Machine


class JavaScriptText:
    """An expression as it is, without braces."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the expression."""
        if not isinstance(value, str):
            raise place.refuse("must be a JavaScript expression, in quotes")
        if place.scope is None:
            check_syntax(value, place.path)
        return value


class Steps:
    """A list of steps, which is read with the document."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the steps."""
        if place.scope is not None:
            return place.blocks[place.path]
        if not isinstance(value, list):
            raise place.refuse("must be a list of steps")
        place.nested.append((place.path, value))
        return DEFERRED


@dataclass(frozen=True, slots=True)
class Branch:
    """Steps that are gone through when an expression holds."""

    when: str | None
    """None: when no other does."""
    steps: tuple[Step, ...]


class Branches:
    """What `cond` takes: maps of `when` and `then`, and `else` in one of them or alone."""

    def read(self, value: Any, place: Place) -> Any:
        """Return a tuple of Branch, that of `else` last."""
        if not isinstance(value, list) or not value:
            raise place.refuse("must be a list of when and then")
        found: list[Branch] = []
        otherwise: list[Branch] = []
        for index, branch in enumerate(value):
            here = place.inside(index)
            keys = set(branch) if isinstance(branch, dict) else set()
            if keys - {"else"} != {"when", "then"} and keys != {"else"}:
                raise here.refuse("must have when and then, or else alone")
            if "when" in keys:
                when = JavaScriptText().read(branch["when"], here.inside("when"))
                found.append(Branch(when, Steps().read(branch["then"], here.inside("then"))))
            if "else" in keys:
                if otherwise:
                    raise here.refuse("there is an else before this one")
                otherwise.append(Branch(None, Steps().read(branch["else"], here.inside("else"))))
        return (*found, *otherwise)


class Cases:
    """The branches of `switch`: a map of steps."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the steps by value."""
        if not isinstance(value, dict):
            raise place.refuse("must be a map of values, each with a list of steps")
        return {name: Steps().read(steps, place.inside(name)) for name, steps in value.items()}


def selection(*, variable_required: bool) -> tuple[Parameter, ...]:
    """Return the parameters of a `switch`."""
    return (
        Parameter("variable", Text(), required=variable_required),
        Parameter("case", Cases(), required=True),
        Parameter("default", Steps()),
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What is done when an action is over: a `switch`, or the branches of a `cond`."""

    variable_required: bool = False

    def read(self, value: Any, place: Place) -> Any:
        """Return the parameters of the one or the other."""
        if isinstance(value, list):
            return Branches().read(value, place)
        if not isinstance(value, dict):
            raise place.refuse("must be a switch (variable, case, default) or a list of when, then")
        return Table("result", selection(variable_required=self.variable_required)).read(
            value, place
        )


def choose(branches: tuple[Branch, ...], machine: Machine, path: str) -> None:
    """Go through the steps of the first branch that holds."""
    for branch in branches:
        if branch.when is None or holds(branch.when, machine, path):
            machine.enter(branch.steps)
            return


def pick(
    values: Mapping[str, Any], machine: Machine, path: str, variable: str = "return_value"
) -> None:
    """Go through the steps for what a variable holds; `variable` where none is given."""
    name = values["variable"] or variable
    found = as_text(machine.scope.value(_path_of(name, path), path))
    steps = values["case"].get(found, values["default"])
    if steps is None:
        message = f"{name} is {quoted(found)}, for which there is no case and no default"
        raise ScriptError(Code.METHOD_NO_MATCHING_CONDITION, path, message)
    machine.enter(steps)


def follow(result: Any, machine: Machine, path: str, variable: str = "return_value") -> None:
    """Go through what a `result` says, if there is one."""
    if isinstance(result, tuple):
        choose(result, machine, path)
    elif result is not None:
        pick(result, machine, path, variable)


def holds(expression: str, machine: Machine, path: str) -> bool:
    """Tell whether JavaScript takes the value of an expression for true."""
    value = machine.scope.javascript.evaluate(expression, machine.scope, path)
    return isinstance(value, dict | list) or (bool(value) and value != "NaN")


def _path_of(name: str, path: str) -> Any:
    found = read_path(name, path)
    if found is None:
        message = f"{quoted(name)} is not the name of a variable"
        raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, member(path, "variable"), message)
    return found


RESULT: Final = Parameter("result", Result())
