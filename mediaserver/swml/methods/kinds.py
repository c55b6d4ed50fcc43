"""The types of parameters: what each accepts, where it accepts a variable, and what it becomes.

Those that are texts are in `texts` and `addresses`.

Contract A1: booleans and numbers may be a variable as a whole (`SWMLVar`); texts may have
variables in them; choices are written out. `read` is used twice: when a document is loaded,
where a value with a variable in it is DEFERRED, and at the step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..errors import Code, ScriptError, item, member, quoted
from ..expression import (
    Scope,
    as_text,
    check,
    check_all,
    has_variable,
    is_variable,
    substitute,
)
from ..limits import MAX_NUMBER, MAX_PLAY_URLS, MAX_SECONDS

if TYPE_CHECKING:
    from ..document import Step

DEFERRED: Final = object()
"""Stands for a value that is known at the step only."""

_HUGE: Final = 10**15
"""Beyond any limit of a parameter; below it integers and floats convert without loss."""

_NUMBER: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and what is known there."""

    path: str
    allow_files: bool
    scope: Scope | None
    """None when the document is loaded."""
    blocks: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    """The steps written within the step, by path; empty when the document is loaded."""
    nested: list[tuple[str, Any]] = field(default_factory=list)
    """Filled when the document is loaded: what is written within the step, to become `blocks`."""

    def inside(self, key: str | int) -> Place:
        """Return the place of an entry of the map or list that stands here."""
        path = item(self.path, key) if isinstance(key, int) else member(self.path, key)
        return Place(path, self.allow_files, self.scope, self.blocks, self.nested)

    def refuse(self, message: str) -> ScriptError:
        """Return the error for a value that does not fit."""
        return ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, self.path, message)

    def variable(self, value: Any, must: str) -> Any:
        """Fill in a value that is one variable as a whole; `must` says what it has to be."""
        if not (isinstance(value, str) and is_variable(value)):
            return value
        check(value, self.path)
        if self.scope is None:
            return DEFERRED
        filled = substitute(value, self.scope, self.path)
        if filled == "":
            raise self.refuse(f"{must}, and {quoted(value)} is not set")
        return filled

    def text(self, value: Any, must: str) -> Any:
        """Fill in the variables of a text."""
        if not isinstance(value, str):
            raise self.refuse(must)
        if not has_variable(value):
            return value
        check(value, self.path)
        if self.scope is None:
            return DEFERRED
        return as_text(substitute(value, self.scope, self.path))

    def meant(self, value: Any, must: str, meaning: Callable[[str], Any | None]) -> Any:
        """Fill in the variables of a text; return its `meaning`, which is None if it has none."""
        given = self.text(value, must)
        if given is DEFERRED:
            return given
        found = meaning(given)
        if found is None:
            raise self.refuse(must)
        return found


class Kind(Protocol):
    """A type of parameter."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the value checked and typed, or DEFERRED; raises ScriptError."""


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false; a variable may say it as a text, since environments hold only texts."""

    def read(self, value: Any, place: Place) -> Any:
        """Return a bool."""
        must = "must be true or false"
        given = place.variable(value, must)
        if given is not value and given in ("true", "false"):
            return given == "true"
        if given is DEFERRED or isinstance(given, bool):
            return given
        raise place.refuse(must)


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `minimum` to `maximum`; greater than `above` if that is given."""

    minimum: float = 0.0
    maximum: float = MAX_SECONDS
    above: float | None = None

    def read(self, value: Any, place: Place) -> Any:
        """Return a float."""
        must = self._must()
        given = place.variable(value, must)
        if given is DEFERRED:
            return given
        number = _number(given, loose=given is not value)
        if number is None or not self.minimum <= number <= self.maximum:
            raise place.refuse(must)
        if self.above is not None and number <= self.above:
            raise place.refuse(must)
        return float(number)

    def _must(self) -> str:
        if self.above is not None:
            return f"must be a number greater than {self.above:g}"
        if self.maximum == MAX_SECONDS:
            return f"must be a number, {self.minimum:g} or more"
        return f"must be a number from {self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `minimum` to `maximum` in steps of `every`, or `also`."""

    minimum: int
    maximum: int = int(MAX_SECONDS)
    also: int | None = None
    every: int = 1

    def read(self, value: Any, place: Place) -> Any:
        """Return an int."""
        must = f"must be a whole number from {self.minimum} to {self.maximum}"
        if self.every != 1:
            must += f" in steps of {self.every}"
        if self.also is not None:
            must += f", or {self.also}"
        given = place.variable(value, must)
        if given is DEFERRED:
            return given
        number = _number(given, loose=given is not value)
        if number is None or number != int(number):
            raise place.refuse(must)
        if not self.minimum <= number <= self.maximum and number != self.also:
            raise place.refuse(must)
        if number != self.also and (number - self.minimum) % self.every:
            raise place.refuse(must)
        return int(number)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words, written out: the contract takes no variable here."""

    words: tuple[str, ...]

    def read(self, value: Any, place: Place) -> Any:
        """Return the word."""
        if isinstance(value, str) and value in self.words:
            return value
        raise place.refuse(f"must be {' or '.join(self.words)}")


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value, with the variables in it filled in; of one type, if `of` says so."""

    of: type | None = None

    def read(self, value: Any, place: Place) -> Any:
        """Return the value."""
        if self.of is not None and not isinstance(value, self.of):
            raise place.refuse("must be a map")
        if place.scope is not None:
            return substitute(value, place.scope, place.path)
        check_all(value, place.path)
        return value


@dataclass(frozen=True, slots=True)
class ListOf:
    """Values of another kind."""

    kind: Kind
    maximum: int = MAX_PLAY_URLS
    minimum: int = 1

    def read(self, value: Any, place: Place) -> Any:
        """Return a tuple."""
        if not isinstance(value, list) or not self.minimum <= len(value) <= self.maximum:
            raise place.refuse(f"must be a list of {self.minimum} to {self.maximum} entries")
        return tuple(self.kind.read(entry, place.inside(i)) for i, entry in enumerate(value))


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """A value of another kind, or a list of such."""

    kind: Kind

    def read(self, value: Any, place: Place) -> Any:
        """Return a tuple."""
        if isinstance(value, list):
            return ListOf(self.kind).read(value, place)
        found = self.kind.read(value, place)
        return found if found is DEFERRED else (found,)


def _number(value: Any, *, loose: bool) -> float | int | None:
    """Return a number, from a variable's text too when `loose`; None for anything else."""
    if isinstance(value, str) and loose and len(value) <= MAX_NUMBER:
        text = value.strip()
        value = float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_HUGE < value < _HUGE else None  # False for NaN too
