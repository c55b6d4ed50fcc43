"""The log: structlog for everything, one line an event, with secrets and phone numbers taken out.

Records of the standard library (aiohttp, SQLAlchemy) come out of the same processors. Redaction is
the last step before the text is made, so that it sees everything: bound context, arguments and
tracebacks. What it removes (robustness S20): the values of keys that name a secret or a digit, and
in any text the credentials of HTTP and SIP, SDES keys of SDP, passwords and signatures in URLs,
long digit strings that could be a card number, and phone numbers unless they were asked for.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache, partial
from typing import IO, Any, Final, Literal

import structlog

REDACTED: Final = "[redacted]"
MAX_TEXT: Final = 16_384
"""Characters of one value that are kept: a peer's message must not fill the disk."""
MAX_DEPTH: Final = 8
"""Levels of nested values that are looked into; what is deeper is left out."""

REMEMBERED: Final = 2048
"""Texts of which it is remembered what they look like redacted: names of events and loggers, ids
and origins come again and again, and eleven searches through each are most of a line's cost."""
MAX_REMEMBERED: Final = 128
"""Characters of the longest such text."""

SECRET_KEYS: Final = frozenset(
    {
        *("api_key", "api_keys", "key", "keys", "signing_key", "secret", "token", "password"),
        *("authorization", "proxy-authorization", "proxy_authorization", "credentials"),
        "enfonica_signing_key",
        *("cookie", "set-cookie", "signature", "crypto", "digit", "digits", "dtmf"),
    }
)
"""Names whose values are never written, whatever they are."""

NUMBER_KEYS: Final = frozenset({"called", "caller", "callee", "from", "from_", "number", "to"})
"""Names of phone numbers, which may be short or oddly spelled."""

# Each pattern is a literal beginning and then one run of characters, so a scan stays linear.
_SECRETS: Final = (
    (
        re.compile(
            r"(?i)(authorization|cookie|(?:webhook|x-(?:enfonica|signalwire(?:-sha256)?))-signature)"
            r"""(['"]?[:=] ?)[^\r\n]+"""
        ),
        rf"\1\2{REDACTED}",
    ),
    (re.compile(r"(?i)(bearer|basic) +[^\s,;'\"]+"), rf"\1 {REDACTED}"),
    (re.compile(r"(?i)(\bresponse=)[^\s,]+"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)a=crypto:[^\r\n]*"), f"a=crypto:{REDACTED}"),
    (re.compile(r"(?i)inline:[^\s'\"|]+"), f"inline:{REDACTED}"),
    (
        re.compile(
            r"(?i)([?&;](?:[a-z_-]{0,20}(?:signature|token|key|secret|password))=)[^\s&'\"]+"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(://|sips?:)[^\s/@:]{1,256}:[^\s/@]{1,256}@"), rf"\1{REDACTED}@"),
    (re.compile(r"(?i)signal *= *[0-9*#a-d]"), f"Signal={REDACTED}"),
)
_CARD: Final = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-])")
_NUMBER: Final = re.compile(
    r"(?<![\w.-])(?<![\d\]]:)(?:\+\d[\d ()./-]{3,24}\d|\d{5,19})(?![\w-])(?!\.\d)"
)
_UUID: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_QUIET: Final = {
    "sqlalchemy": logging.WARNING,  # its statements carry every value that is stored
    "alembic": logging.WARNING,
    "asyncio": logging.INFO,
    "aiohttp.access": logging.WARNING,
}
"""Libraries whose ordinary chatter is not ours to show, at any level."""

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console", "auto"]


def configure(
    level: Level = "info",
    format: Format = "auto",
    show_numbers: bool = False,
    stream: IO[str] | None = None,
) -> None:
    """Send every log event of the process to `stream` (None: standard error), once redacted."""
    stream = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and stream.isatty())
    begin: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    finish: list[structlog.typing.Processor] = [
        Redactor(show_numbers=show_numbers),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _console(stream) if console else structlog.processors.JSONRenderer(),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *begin],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[*begin, *finish],
        # Our own events do not pass through the standard library, which costs as much again.
        logger_factory=partial(_Lines, handler),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        # Not cached: tests set up the log again, and capture it.
        cache_logger_on_first_use=False,
    )
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, root.level))


def mask_number(text: str) -> str:
    """Return `text` with the middle of every phone number in it starred: `+49*******56`.

    Numbers of up to four digits are extensions, which identify nobody outside, and are kept.
    """
    return _NUMBER.sub(lambda found: _starred(found[0]), text)


class Redactor:
    """A structlog processor that takes secrets, and phone numbers unless shown, out of an event."""

    def __init__(self, *, show_numbers: bool) -> None:
        self._show_numbers = show_numbers
        self._remembered = lru_cache(REMEMBERED)(self._redacted)

    def __call__(
        self, logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return a redacted copy of `event`; only a traceback may still have several lines."""
        return {
            str(key): self._field(str(key), value, MAX_DEPTH, lines=key in {"exception", "stack"})
            for key, value in event.items()
        }

    def _field(self, key: str, value: Any, depth: int, lines: bool = False) -> Any:
        name = key.lower()
        if name in SECRET_KEYS:
            return value if value is None else REDACTED
        if name in NUMBER_KEYS and not self._show_numbers and value is not None:
            text = self._text(str(value), lines)
            return _starred(text) if _spelled_as_number(text) else text
        return self._value(value, depth, lines)

    def _value(self, value: Any, depth: int, lines: bool = False) -> Any:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self._text(value, lines)
        if isinstance(value, (bytes, bytearray)):
            return self._text(bytes(value[:MAX_TEXT]).decode("utf-8", "replace"), lines)
        if depth == 0:
            return "..."
        if isinstance(value, Mapping):
            return {
                self._text(str(k), False): self._field(str(k), v, depth - 1)
                for k, v in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._value(item, depth - 1) for item in value]
        if isinstance(value, BaseException):
            return self._text(f"{type(value).__name__}: {value}", lines)
        return self._text(repr(value), lines)

    def _text(self, text: str, lines: bool) -> str:
        if len(text) > MAX_REMEMBERED:
            return self._redacted(text, lines)
        # No rule touches a random UUID: its digits are in runs too short, or go on in letters.
        return text if _UUID.fullmatch(text) else self._remembered(text, lines)

    def _redacted(self, text: str, lines: bool) -> str:
        if len(text) > MAX_TEXT:
            text = f"{text[:MAX_TEXT]}... ({len(text)} characters)"
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
        text = _CARD.sub(lambda found: _starred(found[0]), text)
        if not self._show_numbers:
            text = mask_number(text)
        return text if lines else _CONTROLS.sub(_escaped, text)


class _Lines:
    """Where one logger's finished lines go: between those of the standard library's handler."""

    __slots__ = ("_handler", "name")

    def __init__(self, handler: logging.StreamHandler[IO[str]], name: str = "") -> None:
        self._handler = handler
        self.name = name

    def info(self, line: str) -> None:
        """Write a line at once. That it cannot be written is no fault of whoever logs."""
        handler = self._handler
        assert handler.lock is not None
        with handler.lock, contextlib.suppress(OSError, ValueError):
            handler.stream.write(line + handler.terminator)
            handler.stream.flush()

    debug = warning = error = critical = info


def _console(stream: IO[str]) -> structlog.typing.Processor:
    """Make lines for a person; tracebacks without local variables, which may hold secrets."""
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _starred(number: str) -> str:
    """Keep the plus, two leading and two final digits; separators stay where they are."""
    total = sum(char.isdigit() for char in number)
    if total <= 4:
        return number
    seen, out = 0, []
    for char in number:
        seen += char.isdigit()
        hidden = char.isdigit() and 2 < seen <= total - 2
        out.append("*" if hidden else char)
    return "".join(out)


def _spelled_as_number(text: str) -> bool:
    return bool(text) and all(c.isdigit() or c in "+ ()./-*#" for c in text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
