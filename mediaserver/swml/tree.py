"""From text to maps, lists and scalars, YAML or JSON, within limits.

Scalars are read by the core schema of YAML 1.2, which is JSON's: `yes` and `off` are texts, and
nothing becomes a date. Anchors and aliases work as long as what they spread out to is small.
Keys are texts and occur once. The numbers are finite.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import yaml

from ..yaml_words import in_plain_words
from .errors import Code, ScriptError, item, member
from .limits import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES, MAX_NUMBER

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Only its parser is used, which returns events; the objects are built here. libyaml's is taken
where PyYAML came with it: it is some twenty times faster."""

_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAG: Final = "tag:yaml.org,2002:"
_NO_ANCHOR: Final = (
    "this alias has no anchor before it; a text that begins with * must be in quotes"
)
_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?+|[\[\]{},]', re.DOTALL)
"""A text, or what begins or ends a value; possessive, so that the scan is linear."""


def read_tree(text: bytes | str, content_type: str | None = None) -> Any:
    """Return what `text` says; raises ScriptError.

    With `application/json` it must be JSON, with a YAML type YAML. Without either, or with
    another type, text that begins with `{` is tried as JSON first.
    """
    decoded = _decode(text)
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind.endswith("json"):
        return _read_json(decoded)
    if "yaml" not in kind and decoded.lstrip().startswith("{"):
        try:
            return _read_json(decoded)
        except _NotJson:
            pass  # `{version: 1.0.0}` is YAML all the same
    return _read_yaml(decoded)


def _decode(text: bytes | str) -> str:
    """Return the text without a byte order mark, if it is UTF-8 and not too long."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > MAX_DOCUMENT_BYTES:
            raise _unreadable(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
        decoded = raw.decode("utf-8-sig")
    except UnicodeError:
        raise _unreadable("the document is not UTF-8 text") from None
    if not decoded.strip():
        raise _unreadable("the document is empty")
    return decoded


class _Bounds:
    """Counts what a document has, and refuses what no script needs."""

    def __init__(self) -> None:
        self._nodes = 0

    def enter(self, path: str, depth: int) -> None:
        """Count one value that stands in `depth` maps and lists."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _unreadable(f"the document has more than {MAX_NODES} values")
        if depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} maps and lists are nested here"
            raise ScriptError(Code.NESTED_TOO_DEEP, path, message)

    def walk(self, value: Any, path: str, depth: int) -> None:
        """Count a value with all that is in it, and check its texts and numbers."""
        self.enter(path, depth)
        if isinstance(value, dict):
            if isinstance(value, _Repeated):
                raise _repeated(member(path, value.key))
            for key, inner in value.items():
                self.scalar(key, member(path, key))
                self.walk(inner, member(path, key), depth + 1)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self.walk(inner, item(path, index), depth + 1)
        else:
            self.scalar(value, path)

    def scalar(self, value: Any, path: str) -> None:
        """Check that a text can be sent on as UTF-8 and that a number is finite."""
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                message = "has half a surrogate pair in it"
                raise ScriptError(Code.ELEMENT_INVALID_VALUE, path, message) from None
        if isinstance(value, float) and not math.isfinite(value):
            message = f"must be a finite number of at most {MAX_NUMBER} characters"
            raise ScriptError(Code.ELEMENT_INVALID_VALUE, path, message)


class _NotJson(ScriptError):
    """The text does not follow JSON's grammar."""


class _Repeated(dict[str, Any]):
    """A JSON object in which `key` occurs twice; refused where its path is known."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated, seen = _Repeated(found), set[str]()
    for key, _ in pairs:
        if key in seen:
            repeated.key = key
            break
        seen.add(key)
    return repeated


def _json_integer(text: str) -> int | float:
    return int(text) if len(text) <= MAX_NUMBER else math.nan


def _json_float(text: str) -> float:
    return float(text) if len(text) <= MAX_NUMBER else math.nan


def _check_json_size(text: str) -> None:
    """Refuse early what surely is too much: Python's reader makes all of it in one go.

    Nobody else runs meanwhile, and half a million empty lists take it a third of a second.
    """
    if text.count(",") + text.count("[") + text.count("{") <= MAX_NODES:
        return
    # There are more values than commas, and as many at least as there are lists and maps.
    commas = containers = depth = 0
    for found in _JSON_TOKEN.finditer(text):
        match text[found.start()]:
            case ",":
                commas += 1
            case "[" | "{":
                containers += 1
                depth += 1
            case "]" | "}":
                depth -= 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        if max(commas, containers) > MAX_NODES:
            raise _unreadable(f"the document has more than {MAX_NODES} values")


def _read_json(text: str) -> Any:
    _check_json_size(text)
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_json_integer,
            parse_float=_json_float,
            parse_constant=float,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _NotJson(Code.PARSE_ERROR, "", f"this is not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise _too_deep() from None
    _Bounds().walk(tree, "", 0)
    return tree


def _read_yaml(text: str) -> Any:
    try:
        return _YamlReader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = error.problem or ""
        if mark is not None:
            problem = in_plain_words(problem, text, mark.line, mark.column)
        problem = ascii(problem)[1:-1][:200]
        raise _unreadable(f"this is not YAML: {problem}{place}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The last two are how PyYAML's own scanner takes characters beyond Unicode.
        raise _unreadable(f"this is not YAML: {ascii(str(error))[1:-1][:200]}") from None


class _YamlReader:
    """Builds the tree from parser events. Depth is limited, so recursion is."""

    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, Loader=_LOADER)
        self._bounds = _Bounds()
        self._anchors: dict[str, Any] = {}

    def document(self) -> Any:
        """Return the one document of the stream."""
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _unreadable("the document is empty")
        tree = self._node(next(self._events), "", 0)
        next(self._events)  # the document's end
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise _unreadable("there is more than one YAML document")
        return tree

    def _node(self, event: Any, path: str, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:  # an anchor counts once its node is complete
                raise ScriptError(Code.PARSE_ERROR, path, _NO_ANCHOR)
            value = self._anchors[event.anchor]
            self._bounds.walk(value, path, depth)
            return value
        self._bounds.enter(path, depth)
        if isinstance(event, yaml.MappingStartEvent):
            self._tagged(event, path, "map")
            value = self._map(path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._tagged(event, path, "seq")
            value = self._list(path, depth)
        else:
            value = self._scalar(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _map(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = None
            if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                key = self._node(event, path, depth + 1)
            if not isinstance(key, str):
                odd = "" if key is None else f", and {json.dumps(str(key))} is one in quotes"
                message = f"every key must be a text{odd}"
                raise ScriptError(Code.ELEMENT_WRONG_TYPE, path, message)
            inner = member(path, key)
            if key in found:
                raise _repeated(inner)
            found[key] = self._node(next(self._events), inner, depth + 1)
        return found

    def _list(self, path: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._node(event, item(path, len(found)), depth + 1))
        return found

    def _scalar(self, event: Any, path: str) -> Any:
        """Read a scalar by the core schema of YAML 1.2 (section 10.3)."""
        text: str = event.value
        self._bounds.scalar(text, path)
        if event.tag is not None:
            if event.tag not in {"!", f"{_TAG}str"}:
                raise _odd_tag(path)
            return text
        plain = not event.style  # neither quoted nor a block
        if not plain or len(text) > MAX_NUMBER:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
        elif _NOT_FINITE.fullmatch(text):
            number = math.nan
        else:
            return text
        self._bounds.scalar(number, path)
        return number

    @staticmethod
    def _tagged(event: Any, path: str, name: str) -> None:
        if event.tag not in {None, "!", f"{_TAG}{name}"}:
            raise _odd_tag(path)


def _odd_tag(path: str) -> ScriptError:
    return ScriptError(Code.PARSE_ERROR, path, "tags such as !this have no meaning in a script")


def _repeated(path: str) -> ScriptError:
    return ScriptError(Code.ELEMENT_DUPLICATED, path, "stands here twice")


def _too_deep() -> ScriptError:
    message = f"more than {MAX_DEPTH} maps and lists are nested"
    return ScriptError(Code.NESTED_TOO_DEEP, "", message)


def _unreadable(message: str) -> ScriptError:
    return ScriptError(Code.PARSE_ERROR, "", message)
