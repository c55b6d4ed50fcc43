"""What `play` can name: URLs, tones, silence, speech, files (contract A8)."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from .actions import FileAudio, Ringing, Silence, Source, Speech, WebAudio
from .limits import MAX_TEXT, MAX_TONE_SECONDS, MAX_URL

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}):")
_SECONDS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}")
_COUNTRY: Final = re.compile(r"[a-zA-Z]{2}")

SPELLINGS: Final = "an http(s) URL, ring:[SECONDS:]COUNTRY, silence:SECONDS or say:TEXT"


class SourceError(ValueError):
    """A text names nothing that can be played; the message says what would be right."""


def web_url(text: str, schemes: Collection[str] = ("http", "https")) -> str | None:
    """Return an http or https URL with its scheme in lower case; None if it is none."""
    if len(text) > MAX_URL or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # reading a port checks it
    except ValueError:
        return None
    if parts.scheme not in schemes or not host:
        return None
    return parts.scheme + text[len(parts.scheme) :]


def parse_source(text: str, *, allow_files: bool, filled_in: bool) -> Source:
    """Return what `text` names; raises SourceError.

    `filled_in`: parts of it came from variables, perhaps from the caller, so a file must then be
    relative. No file path may climb with `..`.
    """
    named = _SCHEME.match(text)
    scheme = named[1].lower() if named else ""
    rest = text[named.end() :] if named else text
    match scheme:
        case "http" | "https":
            url = web_url(text)
            if url is None:
                raise SourceError("is not a valid http(s) URL")
            return WebAudio(url)
        case "silence":
            return Silence(_seconds(rest.strip() or "0"))
        case "ring":
            return _ring(rest)
        case "say":
            if len(rest) > MAX_TEXT:
                raise SourceError(f"is longer than {MAX_TEXT} characters")
            return Speech(rest.strip())
        case "":
            return _file(text, allow_files=allow_files, filled_in=filled_in)
    raise SourceError(f"must be {SPELLINGS}")


def _ring(rest: str) -> Ringing:
    duration, colon, country = rest.rpartition(":")
    country = country.strip()
    if not _COUNTRY.fullmatch(country):
        raise SourceError("must be ring:[SECONDS:]COUNTRY, the country in two letters")
    timed = colon and duration.strip()
    return Ringing(country.lower(), _seconds(duration.strip()) if timed else None)


def _seconds(text: str) -> float:
    if not _SECONDS.fullmatch(text) or float(text) > MAX_TONE_SECONDS:
        raise SourceError(f"must have a number of seconds from 0 to {MAX_TONE_SECONDS:g}")
    return float(text)


def _file(text: str, *, allow_files: bool, filled_in: bool) -> FileAudio:
    if not allow_files:
        raise SourceError(f"must be {SPELLINGS}; files are for scripts that are files themselves")
    if not text.strip() or len(text) > MAX_URL or not text.isprintable() or "\\" in text:
        raise SourceError(f"must be a file name, {SPELLINGS}")
    if ".." in text.split("/"):
        raise SourceError("must be a file name without '..' in it")
    if filled_in and text.startswith("/"):
        raise SourceError("must be a relative file name when variables are filled in")
    return FileAudio(text)
