"""Where the document of a call comes from: a file, or a web application that is asked for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import PeerError
from ..swml.document import Document, load
from ..swml.errors import ScriptError
from ..swml.tree import read_tree
from .ports import Fetcher

FETCH_TIMEOUT: Final = 5.0
"""Seconds a web application has to answer with a document; the caller hears nothing meanwhile."""

MAX_DOCUMENT: Final = 1 << 20
"""Bytes of a document."""

FRESH: Final = 1.0
"""Seconds for which a file that was looked at counts as unchanged."""

_MAX_STATUS_URLS: Final = 8


class DocumentRefused(PeerError):
    """A document that cannot be run; `status_urls` are the addresses in it that want to know."""

    def __init__(self, error: ScriptError, status_urls: tuple[str, ...]) -> None:
        super().__init__(500, str(error))
        self.error = error
        self.status_urls = status_urls


def origin_of(url: str) -> str:
    """Return scheme and host of a URL, without password, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}"


class Documents:
    """Loads documents; a file is read again only when it has changed, which shows in a second."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._files: dict[str, tuple[tuple[int, int], Document]] = {}
        self._fresh: dict[str, float] = {}

    async def load(self, source: str, request: Mapping[str, Any]) -> Document:
        """Return the document at `source`, a path or an http(s) URL.

        `request` is the body that a web application is sent (contract A10). Raises
        DocumentRefused for a document that is not valid, PeerError when there is none to be had.
        """
        if source.startswith(("http://", "https://")):
            fetched = await self._fetcher.post(
                source,
                body=json.dumps(request, separators=(",", ":")).encode(),
                max_bytes=MAX_DOCUMENT,
                timeout=FETCH_TIMEOUT,
            )
            return await asyncio.to_thread(
                _parse, fetched.body, fetched.content_type, allow_files=False
            )
        now = asyncio.get_running_loop().time()
        if source in self._files and now < self._fresh.get(source, now):
            return self._files[source][1]
        document = await asyncio.to_thread(self._from_file, source)
        self._fresh[source] = now + FRESH
        return document

    def _from_file(self, name: str) -> Document:
        path = Path(name)
        try:
            status = path.stat()
            mark = (status.st_mtime_ns, status.st_size)
            known = self._files.get(name)
            if known is not None and known[0] == mark:
                return known[1]
            text = path.read_bytes()
        except OSError as error:
            raise PeerError(500, f"cannot read the document {name}: {error.strerror}") from None
        document = _parse(text, None, allow_files=True)
        self._files[name] = (mark, document)
        return document


def _parse(text: bytes, content_type: str | None, *, allow_files: bool) -> Document:
    try:
        return load(text, content_type=content_type, allow_files=allow_files)
    except ScriptError as error:
        raise DocumentRefused(error, tuple(_status_urls(text, content_type))) from error


def _status_urls(text: bytes, content_type: str | None) -> list[str]:
    """Return the `status_url`s of a document that is otherwise wrong, as far as it can be read."""
    try:
        tree = read_tree(text, content_type)
    except ScriptError:
        return []
    found: list[str] = []
    for value in _values(tree, "status_url"):
        if isinstance(value, str) and value.startswith(("http://", "https://")):
            if value not in found:
                found.append(value)
            if len(found) == _MAX_STATUS_URLS:
                break
    return found


def _values(tree: object, key: str) -> Iterator[object]:
    """Yield what stands under `key` anywhere in a tree; what is shared is looked at once."""
    seen: set[int] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, dict | list):
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            if key in node:
                yield node[key]
            waiting.extend(node.values())
        else:
            waiting.extend(node)
