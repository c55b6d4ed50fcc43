"""Variables in texts: `${path}`, `${expression}`, and the same with `%` (contract A9).

A path is names and zero-based indexes: `call.headers[0].value`. It begins with a root (`call`,
`params`, `vars`, `envs`) or with a name that is looked for in `vars`, then `envs`, then `call`
(D12). What is not set is an empty text (D13). A text that is one path alone keeps the variable's
type; among other text the value is written out. What was filled in is never read again as a
path, so a caller's header cannot name a variable. What is no path is JavaScript.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .errors import Code, ScriptError, item, member
from .javascript import JavaScript, check_syntax
from .javascript import check as refuse_early
from .limits import MAX_EXPRESSION, MAX_PATH_PARTS, MAX_TEXT

_START: Final = re.compile(r"[$%]\{")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]{1,9})\]")

_JAVASCRIPT_WORDS: Final = frozenset(
    {"true", "false", "null", "undefined", "this", "NaN", "Infinity"}
)
"""They look like paths and are expressions: an empty text in their place would mislead."""

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Script:
    """What stands between braces and is no path."""

    text: str


_Piece = str | _Path | _Script


@dataclass(frozen=True, slots=True)
class Scope:
    """What paths are looked up in."""

    call: Mapping[str, Any] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    envs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    javascript: JavaScript = field(default_factory=JavaScript, compare=False)

    def value(self, piece: _Path | _Script, path: str) -> Any:
        """Return what stands for a piece of a text, an empty text for nothing."""
        if not isinstance(piece, _Script):
            return self.look_up(piece)
        found = self.javascript.evaluate(piece.text, self, path)
        return "" if found is None else found

    def look_up(self, path: _Path) -> Any:
        """Return the value at `path`, an empty text if it is not set."""
        first = path[0]
        roots = {"call": self.call, "params": self.params, "vars": self.vars, "envs": self.envs}
        if isinstance(first, str) and first in roots:
            return _descend(roots[first], path[1:])
        holder = next((m for m in (self.vars, self.envs, self.call) if first in m), None)
        return "" if holder is None else _descend(holder, path)


def has_variable(text: str) -> bool:
    """Whether something would be filled in."""
    start = _START.search(text)
    return start is not None and _closing(text, start.end()) >= 0


def is_variable(text: str) -> bool:
    """Whether the text as a whole is what the contract calls an SWMLVar."""
    return text.startswith(("${", "%{")) and text.endswith("}")


def check(text: str, path: str) -> None:
    """Raise ScriptError if anything between braces is neither a path nor JavaScript.

    `path` is where the text stands.
    """
    for piece in _pieces(text, path):
        if isinstance(piece, _Script):
            check_syntax(piece.text, path)


def check_all(value: Any, path: str) -> None:
    """Do as `check` for every text in maps and lists."""
    if isinstance(value, str):
        check(value, path)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            check_all(inner, member(path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            check_all(inner, item(path, index))


def read_path(text: str, where: str) -> _Path | None:
    """Return the path that a text is, None if it is none."""
    found = _path(text, where)
    return None if isinstance(found, _Script) else found


def substitute(value: Any, scope: Scope, path: str = "") -> Any:
    """Return `value` with variables filled in, in the texts of maps and lists too."""
    if isinstance(value, str):
        return _fill(value, scope, path)
    if isinstance(value, Mapping):
        return {k: substitute(v, scope, member(path, k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [substitute(v, scope, item(path, i)) for i, v in enumerate(value)]
    return value


def as_text(value: Any) -> str:
    """Write a value out as JavaScript would in a text; maps and lists as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, default=str)


def _fill(text: str, scope: Scope, path: str) -> Any:
    pieces = _pieces(text, path)
    if len(pieces) == 1:
        return pieces[0] if isinstance(pieces[0], str) else scope.value(pieces[0], path)
    written, length = [], 0
    for piece in pieces:
        part = piece if isinstance(piece, str) else as_text(scope.value(piece, path))
        length += len(part)
        if length > MAX_TEXT:
            message = f"is longer than {MAX_TEXT} characters with its variables filled in"
            raise ScriptError(Code.METHOD_PARAMETER_INVALID_VALUE, path, message)
        written.append(part)
    return "".join(written)


def _pieces(text: str, where: str) -> list[_Piece]:
    """Cut a text into plain stretches and what stands in braces. Those never closed are plain."""
    pieces: list[_Piece] = []
    position = 0
    while start := _START.search(text, position):
        end = _closing(text, start.end())
        if end < 0:
            break
        if start.start() > position:
            pieces.append(text[position : start.start()])
        pieces.append(_path(text[start.end() : end], where))
        position = end + 1
    if position < len(text) or not pieces:
        pieces.append(text[position:])
    return pieces


def _closing(text: str, start: int) -> int:
    """Return where the brace before `start` is closed, past texts and inner braces; -1: nowhere."""
    depth, quote = 1, ""
    position = start
    while position < len(text):
        char = text[position]
        if quote:
            if char == "\\":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "'\"`":
            quote = char
        elif char in "{}":
            depth += 1 if char == "{" else -1
            if not depth:
                return position
        position += 1
    # A quote that is none of JavaScript's: the first brace will do.
    return text.find("}", start)


def _path(expression: str, where: str) -> _Path | _Script:
    """Read what stands between the braces."""
    if len(expression) > MAX_EXPRESSION:
        refuse_early(expression, where)
    text = expression.strip()
    first = _NAME.match(text)
    if first is None or first[0] in _JAVASCRIPT_WORDS:
        return _javascript(expression, where)
    parts: list[str | int] = [first[0]]
    position = first.end()
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or len(parts) == MAX_PATH_PARTS:
            return _javascript(expression, where)
        parts.append(int(part[2]) if part[1] is None else part[1])
        position = part.end()
    return tuple(parts)


def _javascript(expression: str, where: str) -> _Script:
    refuse_early(expression, where)
    return _Script(expression)


def _descend(value: Any, path: _Path) -> Any:
    for part in path:
        if isinstance(part, str):
            if not isinstance(value, Mapping) or part not in value:
                return ""
            value = value[part]
        else:
            if isinstance(value, str) or not isinstance(value, Sequence) or part >= len(value):
                return ""
            value = value[part]
    return "" if value is None else value
