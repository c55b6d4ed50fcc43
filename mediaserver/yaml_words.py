"""What a YAML parser complains of, in the words of whoever wrote the file."""

from __future__ import annotations

from typing import Final

_STAR: Final = "a value that begins with * or & must be in quotes"

_HINTS: Final = (
    ("mapping values are not allowed", "check the indentation, or put the value in quotes"),
    ("alphabetic or numeric character", _STAR),
    ("undefined alias", _STAR),
    ("unexpected end of stream", "a quote is not closed"),
    ("document", "there must be one document alone, without --- between two"),
    ("expected ','", "a comma is missing, or a bracket is not closed"),
    ("block end", "check the indentation"),
    ("expected key", "check the indentation"),
    ("'-' indicator", "check the indentation"),
)
"""By what the parsers, Python's and libyaml's, say; the first that is in it."""


def in_plain_words(problem: str, text: str, line: int, column: int) -> str:
    """Return a parser's problem and what may be meant; its place is counted from 0."""
    hint = next((hint for said, hint in _HINTS if said in problem), None)
    if "cannot start any token" in problem:
        lines = text.splitlines()
        char = lines[line][column : column + 1] if line < len(lines) else ""
        hint = "a tab; indent with spaces" if char == "\t" else _of_character(char)
    return problem if hint is None else f"{problem} ({hint})"


def _of_character(char: str) -> str:
    return f"a value that begins with {char} must be in quotes" if char else "put it in quotes"
