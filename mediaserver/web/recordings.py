"""`projects.recordings` of contract B2: list of a project, list of a call, one recording."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from aiohttp import web

from mediaserver.recording.resource import Audio, Recording

from .auth import GET, ApiKeys
from .erasure import RecordingEraser, erase
from .errors import ApiError, not_found
from .links import Links
from .views import Uri, View, recording_view

DEFAULT_PAGE_SIZE: Final = 10
MAX_PAGE_SIZE: Final = 100
"""More is asked for in vain: the page is this long (contract B2 leaves it open)."""

MAX_NUMBER: Final = 10
"""Digits of a `pageSize`: the field is an int32."""

ANY_CALL: Final = "-"
"""Stands for every call of a project in a path."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

_VIEWS: Final = {"BASIC": View.BASIC, "FULL": View.FULL}


class PageOfRecordings(Protocol):
    """A stretch of a list."""

    @property
    def recordings(self) -> Sequence[Recording]:
        """What is on the page, newest first."""

    @property
    def next_token(self) -> str | None:
        """What the next page is asked with; None after the last."""


class RecordingReader(Protocol):
    """What the routes need of the store."""

    async def get(
        self, project_id: str, call_id: str | None, recording_id: str
    ) -> Recording | None:
        """Return a recording of the project, and of the call unless that is None."""

    async def page(
        self, project_id: str, call_id: str | None, size: int, token: str | None = None
    ) -> PageOfRecordings:
        """Return a page; raises `PeerError` 400 for a token that is not one of this list."""


def is_id(text: str) -> bool:
    """Tell whether this can be an id we made; nothing else is looked for, in whatever store."""
    return _ID.fullmatch(text) is not None


async def find_recording(
    recordings: RecordingReader, project_id: str, request: web.Request, call_id: str | None = None
) -> Recording:
    """Return the recording that a path names, of the call unless that is None; ApiError 404."""
    recording_id = request.match_info["recording"]
    found = None
    if is_id(recording_id):
        found = await recordings.get(project_id, call_id, recording_id)
    if found is None:
        raise not_found("recording")
    return found


class RecordingRoutes:
    """The handlers. Keys are checked before they run; `keys` is for what one of them adds."""

    def __init__(
        self,
        project_id: str,
        recordings: RecordingReader,
        eraser: RecordingEraser,
        links: Links,
        keys: ApiKeys,
    ) -> None:
        self._project_id = project_id
        self._recordings = recordings
        self._eraser = eraser
        self._links = links
        self._keys = keys

    async def list_recordings(self, request: web.Request) -> web.Response:
        """ListRecordings, of a project or of one of its calls."""
        call_id = self._parent(request)
        query = read_query(request, ("pageSize", "pageToken", "view"))
        size = page_size(query.get("pageSize"))
        view = chosen_view(query.get("view"), View.BASIC)
        if view is View.FULL:
            # It holds links that open what only this permission opens.
            self._keys.require(request, GET)
        page = await self._recordings.page(
            self._project_id, call_id, size, query.get("pageToken") or None
        )
        shown = [recording_view(found, self._uri(found, view)) for found in page.recordings]
        body: dict[str, object] = {"recordings": shown}
        if page.next_token is not None:
            body["nextPageToken"] = page.next_token
        return _json(body)

    async def get_recording(self, request: web.Request) -> web.Response:
        """GetRecording."""
        call_id = self._parent(request)
        view = chosen_view(read_query(request, ("view",)).get("view"), View.FULL)
        found = await self._find(request, call_id)
        return _json(recording_view(found, self._uri(found, view)))

    async def delete_recording(self, request: web.Request) -> web.Response:
        """DeleteRecording: the answer is what was deleted, without links to it."""
        call_id = self._parent(request)
        read_query(request, ())
        found = await self._find(request, call_id)
        await erase(request, found, self._eraser, self._keys)
        return _json(recording_view(found, None))

    async def named(self, request: web.Request) -> Recording:
        """Return the recording that a path names, for another route; raises `ApiError` 404."""
        return await self._find(request, self._parent(request))

    def full(self, recording: Recording) -> web.Response:
        """Return the answer that shows a recording with its links."""
        return _json(recording_view(recording, self._uri(recording, View.FULL)))

    async def _find(self, request: web.Request, call_id: str | None) -> Recording:
        return await find_recording(self._recordings, self._project_id, request, call_id)

    def _parent(self, request: web.Request) -> str | None:
        """Return the call asked for, None for any; raises 404 for a parent that is not ours."""
        if request.match_info["project"] != self._project_id:
            raise not_found("project")
        call_id = request.match_info.get("call", ANY_CALL)
        if call_id == ANY_CALL:
            return None
        if not is_id(call_id):
            raise not_found("call")
        return call_id

    def _uri(self, recording: Recording, view: View) -> Uri | None:
        if view is View.BASIC:
            return None

        def uri(audio: Audio) -> str:
            return self._links.signed(recording.id, audio)

        return uri


def read_query(request: web.Request, known: tuple[str, ...]) -> dict[str, str]:
    """Return the query; raises 400 for a key that is not `known`, or is there twice."""
    query: dict[str, str] = {}
    for key, value in request.query.items():
        if key not in known:
            names = f"known are {listed(known)}" if known else "there are none here"
            raise ApiError(400, f"unknown query parameter {shown(key)}: {names}")
        if key in query:
            raise ApiError(400, f"query parameter {key} is given twice")
        query[key] = value
    return query


def page_size(text: str | None) -> int:
    """Return how many recordings a page has; 0 and nothing mean the default, as in proto3."""
    if not text:
        return DEFAULT_PAGE_SIZE
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER):
        raise ApiError(400, f"pageSize must be a number from 0 on, not {shown(text)}")
    return min(int(text), MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


def chosen_view(text: str | None, default: View) -> View:
    """Return the view that was asked for."""
    if not text or text == "RECORDING_VIEW_UNSPECIFIED":
        return default
    if text not in _VIEWS:
        raise ApiError(400, f"view must be BASIC or FULL, not {shown(text)}")
    return _VIEWS[text]


def shown(text: str) -> str:
    """Return a peer's text, short and without control characters, for an error message."""
    return ascii(text if len(text) <= 40 else f"{text[:40]}...")


def listed(names: tuple[str, ...]) -> str:
    """Return names as they stand in a sentence."""
    return ", ".join(names)


def _json(body: dict[str, object]) -> web.Response:
    return web.json_response(body, headers={"Cache-Control": "no-store"})
