"""Which part of a file a request asks for (RFC 9110 13 and 14). One range; several mean all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_POSITION: Final = 18
"""Digits of a byte position: more than any file has."""

MAX_ETAGS: Final = 4096
"""Characters of a list of entity tags that are looked at."""


class RangeError(ValueError):
    """The range asked for begins after the end of the file: 416."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Octets `start` to `end` of a file, the last not included."""

    start: int
    end: int
    partial: bool
    """Whether this was asked for, and the answer is 206 even if it is all."""


def choose_stretch(range_: str | None, if_range: str | None, etag: str, size: int) -> Stretch:
    """Return what to send; raises `RangeError`.

    A Range that cannot be read is ignored, as is one whose If-Range names another version
    (RFC 9110 14.2, 13.1.5). A date in If-Range is never right: we give none out.
    """
    whole = Stretch(0, size, partial=False)
    if range_ is None or (if_range is not None and if_range.strip() != etag):
        return whole
    unit, equals, spec = range_.partition("=")
    first, dash, last = (part.strip() for part in spec.partition("-"))
    if unit.strip().lower() != "bytes" or not equals or not dash:
        return whole
    if not (_is_position(first) and _is_position(last)) or not (first or last):
        return whole
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start = int(first)
        end = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return whole
    if start >= size:
        raise RangeError
    return Stretch(start, end, partial=True)


def matches_etag(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the client has this version already (RFC 9110 13.1.2)."""
    if if_none_match is None or len(if_none_match) > MAX_ETAGS:
        return False
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in {"*", etag} for tag in tags)


def _is_position(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text) <= MAX_POSITION)
