"""The few pieces of RFC 3261 25.1 that every header shares: tokens, quotes, lists, parameters.

Every function reads its text once from left to right. A scan never goes back over what it has
read, so the time for hostile text grows with its length and no faster.
"""

from __future__ import annotations

from mediaserver.errors import PeerError
from mediaserver.sip.limits import MAX_PARAMS

ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
TOKEN = ALPHANUMERIC | frozenset("-.!%*_+`'~")
_HEX = frozenset("0123456789abcdefABCDEF")
_NOT_IN_VALUE = ' \t",;<>\\'
# The largest number of digits worth converting; every field of SIP is below 2**32.
_MAX_DIGITS = 10

Param = tuple[str, str | None]
Params = tuple[Param, ...]


def bad(what: str) -> PeerError:
    """The error for text outside the grammar: 400 with a phrase that says what was wrong."""
    return PeerError(400, f"Bad {what}")


def is_token(text: str) -> bool:
    """True for one or more token characters."""
    return bool(text) and TOKEN.issuperset(text)


def has_any(text: str, chars: str) -> bool:
    """True when one of `chars` is in `text`; each is looked for at the speed of `in`."""
    for char in chars:  # noqa: SIM110  a generator costs more than all the searches
        if char in text:
            return True
    return False


def read_number(text: str, what: str) -> int:
    """The value of one or more ASCII digits, leading zeros allowed; 400 beyond ten digits."""
    if not (text.isascii() and text.isdigit()):
        raise bad(what)
    digits = text.lstrip("0")
    if len(digits) > _MAX_DIGITS:
        raise bad(what)
    return int(digits or "0")


def has_bad_escape(text: str) -> bool:
    """True when a percent sign is not followed by two hexadecimal digits."""
    at = text.find("%")
    while at >= 0:
        pair = text[at + 1 : at + 3]
        if len(pair) != 2 or not _HEX.issuperset(pair):
            return True
        at = text.find("%", at + 3)
    return False


def has_control(text: str) -> bool:
    """True when `text` has a control character, tab included, or a byte that was not UTF-8."""
    return not (text.isprintable() or all(_is_harmless(char) for char in text))


def _is_harmless(char: str) -> bool:
    code = ord(char)
    return not (code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000)


def readable(text: str) -> str:
    """`text` fit for a log, JSON or a header: controls and undecodable bytes become U+FFFD."""
    if text.isprintable():
        return text
    return "".join(char if _is_harmless(char) else "\ufffd" for char in text)


def end_of_quote(text: str, start: int) -> int:
    """The position after the quoted string that opens at `start`; 400 when it never closes."""
    at = start + 1
    quote = text.find('"', at)
    while quote >= 0:
        escape = text.find("\\", at, quote)
        if escape < 0:
            return quote + 1
        at = escape + 2
        if at > quote:
            quote = text.find('"', at)
    raise bad("Quoted String")


def quote(text: str) -> str:
    """`text` as a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """What a quoted string says; text without quotes comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    pieces: list[str] = []
    at = 0
    escape = inner.find("\\")
    while escape >= 0:
        pieces.append(inner[at:escape])
        pieces.append(inner[escape + 1 : escape + 2])
        at = escape + 2
        escape = inner.find("\\", at)
    pieces.append(inner[at:])
    return "".join(pieces)


def split_outside(text: str, separator: str, limit: int) -> list[str]:
    """`text` split at each `separator` that is neither quoted nor inside angle brackets.

    The parts are stripped of white space. 400 for an open quote or bracket, and for more than
    `limit` parts.
    """
    if '"' not in text and "<" not in text:
        parts = text.split(separator, limit)
    else:
        parts = _split_with_care(text, separator, limit)
    if len(parts) > limit:
        raise PeerError(400, "Too Many Values")
    return [part.strip(" \t") for part in parts]


def _split_with_care(text: str, separator: str, limit: int) -> list[str]:
    parts: list[str] = []
    start = at = 0
    while at < len(text):
        char = text[at]
        if char == '"':
            at = end_of_quote(text, at)
        elif char == "<":
            at = text.find(">", at) + 1
            if at == 0:
                raise bad("Angle Bracket")
        else:
            at += 1
            if char == separator:
                parts.append(text[start : at - 1])
                start = at
                if len(parts) > limit:
                    break
    parts.append(text[start:])
    return parts


def read_params(text: str, what: str) -> Params:
    """The parameters of an address or Via, from text after the first semicolon.

    Names keep their case, values stay as written, quotes included. An empty one is a 400.
    """
    params: list[Param] = []
    for part in split_outside(text, ";", MAX_PARAMS):
        name, equals, value = part.partition("=")
        name = name.rstrip(" \t")
        if not is_token(name):
            raise bad(what)
        if not equals:
            params.append((name, None))
            continue
        value = value.lstrip(" \t")
        _check_value(value, what)
        params.append((name, value))
    return tuple(params)


def _check_value(value: str, what: str) -> None:
    if value.startswith('"'):
        if end_of_quote(value, 0) != len(value):
            raise bad(what)
    elif has_any(value, _NOT_IN_VALUE):
        raise bad(what)


def write_params(params: Params) -> str:
    """The parameters as they go on the wire, each with its leading semicolon."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def find_param(params: Params, name: str) -> str | None:
    """The first value of a parameter, unquoted; "" when it has none, None when it is absent."""
    wanted = name.lower()
    for key, value in params:
        if key.lower() == wanted:
            return unquote(value) if value is not None else ""
    return None
