"""The types of parameters: what each accepts, where it accepts a variable, and what it becomes.

Contract A1: booleans and numbers may be a variable as a whole (`SWMLVar`); texts may have
variables in them; choices are written out. `read` is used twice: when a document is loaded,
where a value with a variable in it is DEFERRED, and at the step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ..actions import Speech
from ..errors import Code, ScriptError, item, quoted
from ..expression import (
    Scope,
    as_text,
    check,
    check_all,
    has_variable,
    is_variable,
    substitute,
)
from ..limits import MAX_NUMBER, MAX_PLAY_URLS, MAX_SECONDS, MAX_TERMINATORS, MAX_TEXT
from ..source import SourceError, parse_source, web_url

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
    """A whole number from `minimum` to `maximum`, or `also`."""

    minimum: int
    maximum: int = int(MAX_SECONDS)
    also: int | None = None

    def read(self, value: Any, place: Place) -> Any:
        """Return an int."""
        must = f"must be a whole number from {self.minimum} to {self.maximum}"
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
class Text:
    """Any text."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the text."""
        must = f"must be a text of at most {MAX_TEXT} characters"
        given = place.text(value, must)
        if given is not DEFERRED and len(given) > MAX_TEXT:
            raise place.refuse(must)
        return given


@dataclass(frozen=True, slots=True)
class Keys:
    """DTMF keys; small letters are taken for capitals."""

    def read(self, value: Any, place: Place) -> Any:
        """Return each key once."""
        must = "must be a text in quotes of the keys 0-9, A-D, * and #"
        given = place.text(value, must)
        if given is DEFERRED:
            return given
        keys = dict.fromkeys(given.upper())
        if len(given) > MAX_TERMINATORS or not set("0123456789ABCD*#").issuperset(keys):
            raise place.refuse(must)
        return "".join(keys)


@dataclass(frozen=True, slots=True)
class WebUrl:
    """An http or https URL."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the URL."""
        must = "must be an http(s) URL"
        given = place.text(value, must)
        if given is DEFERRED:
            return given
        url = web_url(given)
        if url is None:
            raise place.refuse(must)
        return url


@dataclass(frozen=True, slots=True)
class Names:
    """Some of `known`, separated by commas."""

    known: tuple[str, ...]

    def read(self, value: Any, place: Place) -> Any:
        """Return them as a tuple, spelled as `known` does."""
        must = f"must be a list with commas of {', '.join(self.known)}"
        given = place.text(value, must)
        if given is DEFERRED:
            return given
        names = tuple(dict.fromkeys(name.strip().upper() for name in given.split(",")))
        if not set(self.known).issuperset(names):
            raise place.refuse(must)
        return names


@dataclass(frozen=True, slots=True)
class Playable:
    """Something to play."""

    def read(self, value: Any, place: Place) -> Any:
        """Return a Source; speech is understood, and cannot be carried out yet."""
        given = place.text(value, "must be a text")
        if given is DEFERRED:
            return given
        try:
            source = parse_source(
                given, allow_files=place.allow_files, filled_in=given is not value
            )
        except SourceError as error:
            raise place.refuse(str(error)) from None
        if place.scope is not None and isinstance(source, Speech):
            message = "no speech engine is configured"
            raise ScriptError(Code.METHOD_EXECUTE_FAILED, place.path, message)
        return source


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
    """One or more values of another kind."""

    kind: Kind
    maximum: int = MAX_PLAY_URLS

    def read(self, value: Any, place: Place) -> Any:
        """Return a tuple."""
        if not isinstance(value, list) or not 1 <= len(value) <= self.maximum:
            raise place.refuse(f"must be a list of 1 to {self.maximum} entries")
        places = (
            Place(item(place.path, index), place.allow_files, place.scope)
            for index in range(len(value))
        )
        return tuple(self.kind.read(v, p) for v, p in zip(value, places, strict=True))


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
