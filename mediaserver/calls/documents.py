"""Where the document of a call comes from: a file, or a web application that is asked for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from ..addresses import Network
from ..errors import PeerError
from ..swml.document import Document, load
from ..swml.errors import Code, ScriptError
from ..swml.loose_ends import loose_ends
from ..swml.tree import read_tree
from .document_source import FETCH_TIMEOUT, DocumentSource, Fault, Found, Method, NoDocument, is_url
from .ports import Fetched, Fetcher

MAX_DOCUMENT: Final = 1 << 20
"""Bytes of a document."""

MAX_REQUEST: Final = 1 << 20
"""Bytes, about, of what a web application is told when it is asked for one."""

FRESH: Final = 1.0
"""Seconds for which a file that was looked at counts as unchanged."""

CONTENT_TYPES: Final = frozenset(
    {
        "application/json",
        "application/yaml",
        "application/x-yaml",
        "text/yaml",
        "text/x-yaml",
        "text/plain",
    }
)
"""Of a document (contract A6); none at all is taken too."""

CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1"})

_MAX_STATUS_URLS: Final = 8
_MAX_LOOSE_ENDS: Final = 8
_MAX_NAMED: Final = 64
_MEMBER: Final = 8
"""Bytes that a member of a list or a map is counted as, beside its texts."""

log = structlog.get_logger(__name__)


class DocumentRefused(PeerError):
    """A document that cannot be run; `status_urls` are the addresses in it that want to know."""

    def __init__(self, error: ScriptError, status_urls: tuple[str, ...]) -> None:
        super().__init__(500, str(error))
        self.error = error
        self.status_urls = status_urls


def origin_of(url: str) -> str:
    """Return scheme and host of a URL, without password, path and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that cannot be read"
    return f"{parts.scheme}://{parts.hostname or ''}"


class Documents:
    """Loads documents; a file is read again only when it has changed, which shows in a second."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._files: dict[str, tuple[tuple[int, int], Document]] = {}
        self._fresh: dict[str, float] = {}
        self._parsing = asyncio.Lock()
        """Reading a large document takes a while; many at once would take turns with the loop."""

    def at_hand(self, source: DocumentSource) -> Found | None:
        """Return the document of a source that is a file, if that was looked at just now."""
        name = source.url
        if source.is_url or asyncio.get_running_loop().time() >= self._fresh.get(name, 0.0):
            return None
        return Found(self._files[name][1], Path(name).parent)

    async def fetch(self, source: DocumentSource, request: Mapping[str, Any]) -> Found:
        """Return the document of a source, or the one that it has for when there is none.

        `request` is told to web applications that are asked by POST (contract A10). Raises
        NoDocument, within twice `timeout`.
        """
        if not source.is_url:
            try:
                return Found(await self._file(source.url), Path(source.url).parent)
            except PeerError as error:
                raise NoDocument(500, (_fault(source.url, error),)) from error
        faults: list[Fault] = []
        for url, method in (
            (source.url, source.method),
            (source.fallback_url, source.fallback_method),
        ):
            if url is None:
                continue
            try:
                document = await self._asked(url, method, request, source.timeout, source.allow)
            except PeerError as error:
                faults.append(_fault(url, error))
            else:
                return Found(document, None, tuple(faults))
        if source.on_failure is not None:
            try:
                document = await self._file(source.on_failure)
            except PeerError as error:
                faults.append(_fault(source.on_failure, error))
            else:
                return Found(document, Path(source.on_failure).parent, tuple(faults))
        raise NoDocument(source.status, tuple(faults))

    async def load(
        self, url: str, request: Mapping[str, Any], allow: tuple[Network, ...] | None = None
    ) -> Document:
        """Return the document at an http(s) URL that a document names, asked by POST.

        `request` and `allow` are as for `fetch`. Raises DocumentRefused for a document that is not
        valid, PeerError when there is none to be had. A path is not looked at.
        """
        return await self._asked(url, "POST", request, FETCH_TIMEOUT, allow)

    async def look_over(self, files: Iterable[tuple[str, str]]) -> None:
        """Read documents that are files before a call needs them; the log hears what is wrong.

        Each comes after the key of its setting.
        """
        for key, name in files:
            try:
                await self._file(name)
            except PeerError as error:
                log.error("document cannot be run", setting=key, document=name, error=error.reason)

    async def _asked(
        self,
        url: str,
        method: Method,
        request: Mapping[str, Any],
        seconds: float,
        allow: tuple[Network, ...] | None,
    ) -> Document:
        fetched = await self._fetcher.ask(
            url,
            body=_body(request) if method == "POST" else None,
            max_bytes=MAX_DOCUMENT,
            timeout=seconds,
            allow=allow,
        )
        text = _as_utf8(fetched)
        async with self._parsing:
            return await asyncio.to_thread(
                _parse, text, fetched.content_type, source=origin_of(url), allow_files=False
            )

    async def _file(self, name: str) -> Document:
        now = asyncio.get_running_loop().time()
        if name in self._files and now < self._fresh.get(name, now):
            return self._files[name][1]
        document = await asyncio.to_thread(self._from_file, name)
        self._fresh[name] = now + FRESH
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
        document = _parse(text, None, source=name, allow_files=True)
        self._files[name] = (mark, document)
        return document


def _fault(source: str, error: PeerError) -> Fault:
    if isinstance(error, DocumentRefused):
        return Fault(error.error, error.status_urls)
    message = error.reason
    if is_url(source):
        message = f"there is no document at {origin_of(source)}: {message}"
    return Fault(ScriptError(Code.METHOD_EXECUTE_FAILED, "", message))


def _body(request: Mapping[str, Any]) -> bytes:
    """Return what is sent; 413 if that is so much that making it would hold up other calls."""
    weight = 0
    waiting: list[Any] = [request]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            weight += len(node)
        elif isinstance(node, Mapping):
            weight += _MEMBER * len(node) + sum(map(len, node))
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            weight += _MEMBER * len(node)
            waiting.extend(node)
        if weight > MAX_REQUEST:
            raise PeerError(413, f"the call's variables have more than {MAX_REQUEST} bytes")
    return json.dumps(request, separators=(",", ":")).encode()


def _as_utf8(fetched: Fetched) -> bytes:
    """Return the text of an answer that can be a document; 415 for any other."""
    kind, charset = fetched.content_type, fetched.charset
    if kind is not None and kind not in CONTENT_TYPES:
        named = ascii(kind[:_MAX_NAMED])[1:-1]
        raise PeerError(415, f"the answer is {named}, which is neither JSON nor YAML")
    if charset is not None and charset not in CHARSETS:
        named = ascii(charset[:_MAX_NAMED])[1:-1]
        raise PeerError(415, f"the answer is in {named}, not in UTF-8")
    if charset in {"iso-8859-1", "latin1"}:
        return fetched.body.decode("latin-1").encode()
    return fetched.body


def _parse(text: bytes, content_type: str | None, *, source: str, allow_files: bool) -> Document:
    """Return the document that a text is; the log hears what will fail at a step of it."""
    try:
        document = load(text, content_type=content_type, allow_files=allow_files)
        for path, why in islice(loose_ends(document), _MAX_LOOSE_ENDS):
            log.warning("document leads nowhere", document=source, path=path, why=why)
        return document
    except ScriptError as error:
        readable = error.code not in {Code.PARSE_ERROR, Code.NESTED_TOO_DEEP}
        urls = _status_urls(text, content_type) if readable else []
        raise DocumentRefused(error, tuple(urls)) from error


def _status_urls(text: bytes, content_type: str | None) -> list[str]:
    """Return the `status_url`s of a document that is otherwise wrong, as far as it can be read."""
    try:
        tree = read_tree(text, content_type)
    except ScriptError:
        return []
    found: list[str] = []
    for value in _values(tree, "status_url"):
        if isinstance(value, str) and is_url(value):
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
