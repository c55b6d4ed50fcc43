"""The header fields of one message: ordered, many of a name, names without case (RFC 3261 7.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, TypeVar

from mediaserver.errors import LocalError
from mediaserver.sip.grammar import has_any, is_token

T = TypeVar("T")

# RFC 3261 20, RFC 3265, 3515, 3841, 3891, 3892, 4028, 4474: the one-letter names.
_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

# How the names this server reads or writes are spelled; a compact name is written long.
_SPELLING = {
    name.lower(): name
    for name in (
        "Accept",
        "Accept-Contact",
        "Accept-Encoding",
        "Accept-Language",
        "Alert-Info",
        "Allow",
        "Allow-Events",
        "Authorization",
        "Call-ID",
        "Call-Info",
        "Contact",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Length",
        "Content-Type",
        "CSeq",
        "Date",
        "Event",
        "Expires",
        "From",
        "Identity",
        "Max-Forwards",
        "MIME-Version",
        "Min-Expires",
        "Min-SE",
        "P-Asserted-Identity",
        "P-Preferred-Identity",
        "Privacy",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Require",
        "RAck",
        "Reason",
        "Record-Route",
        "Refer-To",
        "Referred-By",
        "Reject-Contact",
        "Replaces",
        "Request-Disposition",
        "Require",
        "Retry-After",
        "Route",
        "RSeq",
        "Server",
        "Session-Expires",
        "Subject",
        "Subscription-State",
        "Supported",
        "Timestamp",
        "To",
        "Unsupported",
        "User-Agent",
        "Via",
        "Warning",
        "WWW-Authenticate",
    )
}

_UNSAFE = "\r\n\0"
_LONGEST_NAME = 64
_UNREAD: Final[Any] = object()


@lru_cache(1024)
def _names(name: str) -> tuple[str, str]:
    key = name.lower()
    key = _COMPACT.get(key, key)
    return key, _SPELLING.get(key, name)


def _both_names(name: str) -> tuple[str, str]:
    """The key of a header name, and the name as we write it; remembered unless it is odd."""
    return _names(name) if len(name) <= _LONGEST_NAME else _names.__wrapped__(name)


def header_key(name: str) -> str:
    """The one key of a header name: long form, lower case."""
    names = _names(name) if len(name) <= _LONGEST_NAME else _names.__wrapped__(name)
    return names[0]


def check_safe(text: str) -> str:
    """Return `text` when it can be written in a message.

    LocalError on CR, LF or NUL, which could begin another line, and on what has no bytes.
    """
    if has_any(text, _UNSAFE):
        raise LocalError("a SIP header or start line must not contain CR, LF or NUL")
    try:
        if not text.isascii():
            text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise LocalError("a SIP header or start line must be text") from None
    return text


class Headers:
    """An ordered multi-map of header fields, one row for each line of the message.

    Values are unfolded and stripped. A byte that is not UTF-8 is kept as a surrogate escape, so
    that what must be echoed is echoed byte for byte; `grammar.readable` makes it fit to show.
    """

    __slots__ = ("_rows", "_typed")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._rows: list[tuple[str, str, str]] = []
        self._typed: dict[str, Any] = {}
        for name, value in items:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append one row; LocalError when it could not be written safely."""
        if not is_token(name):
            raise LocalError(f"not a SIP header name: {name!r}")
        self.add_received(name, check_safe(value))

    def add_received(self, name: str, value: str) -> None:
        """Append a row a peer sent and the parser has checked; it may hold an escaped NUL."""
        key, written = _both_names(name)
        self._rows.append((key, written, value))
        self._typed.pop(key, None)

    def set(self, name: str, value: str) -> None:
        """Replace all rows of a name by one, in the place of the first; append when there is none.

        LocalError when it could not be written safely.
        """
        key = header_key(name)
        at = next((i for i, row in enumerate(self._rows) if row[0] == key), len(self._rows))
        self.add(name, value)
        row = self._rows.pop()
        kept = [old for old in self._rows if old[0] != key]
        self._rows = [*kept[:at], row, *kept[at:]]

    def remove(self, name: str) -> None:
        """Drop every row of a name; nothing happens when there is none."""
        key = header_key(name)
        self._rows = [row for row in self._rows if row[0] != key]
        self._typed.pop(key, None)

    def get(self, name: str) -> str | None:
        """The first value of a name, or None."""
        key = header_key(name)
        for row in self._rows:
            if row[0] == key:
                return row[2]
        return None

    def get_all(self, name: str) -> list[str]:
        """Every value of a name in order, comma lists not split."""
        key = header_key(name)
        return [row[2] for row in self._rows if row[0] == key]

    def tokens(self, name: str) -> list[str]:
        """The values of a list of plain tokens such as Require, Supported or Allow."""
        return [
            token
            for value in self.get_all(name)
            for part in value.split(",")
            if (token := part.strip(" \t"))
        ]

    def copy_from(self, other: Headers, *names: str, first: bool = False) -> None:
        """Append the rows of these names, name by name, from a received message as they came.

        With `first` only the first row of each name, so that a message with two of what there
        must be one of is answered with one.
        """
        for name in names:
            key = header_key(name)
            rows = [row for row in other._rows if row[0] == key]
            self._rows.extend(rows[:1] if first else rows)
            self._typed.pop(key, None)

    def items(self) -> Iterator[tuple[str, str]]:
        """Name and value of every row in order; known names in their usual spelling."""
        return ((name, value) for _, name, value in self._rows)

    def copy(self) -> Headers:
        """An independent copy."""
        twin = Headers()
        twin._rows = list(self._rows)
        return twin

    def typed(self, key: str, read: Callable[[], T]) -> T:
        """What `read` makes of the rows of `key` (see `header_key`), kept until they change."""
        found: T = self._typed.get(key, _UNREAD)
        if found is _UNREAD:
            found = self._typed[key] = read()
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Headers({list(self.items())!r})"
