"""The types of parameters that are texts, in which variables may stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..limits import MAX_ENTRIES, MAX_LINE, MAX_TERMINATORS, MAX_TEXT
from ..source import SourceError, parse_source, web_url
from .kinds import DEFERRED, Place


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
class Line:
    """A text of one line, not empty: a name, an identifier."""

    maximum: int = MAX_LINE

    def read(self, value: Any, place: Place) -> Any:
        """Return the text."""
        must = f"must be a text of 1 to {self.maximum} characters on one line"
        given = place.text(value, must)
        if given is DEFERRED:
            return given
        if not 0 < len(given) <= self.maximum or not given.isprintable():
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
class Words:
    """Some of `known`, at least one, with commas or spaces between them."""

    known: tuple[str, ...]
    commas: bool = True

    def read(self, value: Any, place: Place) -> Any:
        """Return them as a frozenset."""
        between = "commas" if self.commas else "spaces"
        must = f"must be a list with {between} of {', '.join(self.known)}"
        given = place.text(value, must)
        if given is DEFERRED:
            return given
        listed = given.split("," if self.commas else None)
        words = frozenset(word.strip() for word in listed)
        if not words or not words <= set(self.known):
            raise place.refuse(must)
        return words


@dataclass(frozen=True, slots=True)
class Texts:
    """A map of texts to texts, of the script's own."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the map; numbers and the like in variables are written out."""
        must = f"must be a map of at most {MAX_ENTRIES} texts"
        if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
            raise place.refuse(must)
        found = {key: place.inside(key).text(inner, must) for key, inner in value.items()}
        known = [inner for inner in found.values() if inner is not DEFERRED]
        if sum(map(len, (*found, *known))) > MAX_TEXT:
            raise place.refuse(f"is longer than {MAX_TEXT} characters")
        return found


@dataclass(frozen=True, slots=True)
class Playable:
    """Something to play."""

    def read(self, value: Any, place: Place) -> Any:
        """Return a Source."""
        given = place.text(value, "must be a text")
        if given is DEFERRED:
            return given
        try:
            return parse_source(given, allow_files=place.allow_files, filled_in=given is not value)
        except SourceError as error:
            raise place.refuse(str(error)) from None
