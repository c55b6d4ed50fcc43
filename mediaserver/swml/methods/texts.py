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
        return place.meant(value, must, self._line)

    def _line(self, text: str) -> str | None:
        return text if 0 < len(text) <= self.maximum and text.isprintable() else None


@dataclass(frozen=True, slots=True)
class Keys:
    """DTMF keys; small letters are taken for capitals."""

    def read(self, value: Any, place: Place) -> Any:
        """Return each key once."""
        must = "must be a text in quotes of the keys 0-9, A-D, * and #"
        return place.meant(value, must, _keys)


def _keys(text: str) -> str | None:
    keys = dict.fromkeys(text.upper())
    known = len(text) <= MAX_TERMINATORS and set("0123456789ABCD*#").issuperset(keys)
    return "".join(keys) if known else None


@dataclass(frozen=True, slots=True)
class WebUrl:
    """An http or https URL."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the URL."""
        return place.meant(value, "must be an http(s) URL", web_url)


@dataclass(frozen=True, slots=True)
class Names:
    """Some of `known`, separated by commas."""

    known: tuple[str, ...]

    def read(self, value: Any, place: Place) -> Any:
        """Return them as a tuple, spelled as `known` does."""
        must = f"must be a list with commas of {', '.join(self.known)}"
        return place.meant(value, must, self._names)

    def _names(self, text: str) -> tuple[str, ...] | None:
        names = listed_names(text)
        return names if set(self.known).issuperset(names) else None


def listed_names(text: str) -> tuple[str, ...]:
    """Return what stands between the commas of a text, in capitals, each once."""
    return tuple(dict.fromkeys(name.strip().upper() for name in text.split(",")))


@dataclass(frozen=True, slots=True)
class Words:
    """Some of `known`, at least one, with commas or spaces between them."""

    known: tuple[str, ...]
    commas: bool = True

    def read(self, value: Any, place: Place) -> Any:
        """Return them as a frozenset."""
        between = "commas" if self.commas else "spaces"
        must = f"must be a list with {between} of {', '.join(self.known)}"
        return place.meant(value, must, self._words)

    def _words(self, text: str) -> frozenset[str] | None:
        listed = text.split("," if self.commas else None)
        words = frozenset(word.strip() for word in listed)
        return words if words and words <= set(self.known) else None


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
