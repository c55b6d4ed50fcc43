"""`/api/relay/rest/recordings`: recordings as SignalWire's REST API shows them (contract A5).

The contract leaves the words of `status` open, and what the list is asked with. The words are
those of its compatibility API; `page_size` and `page_token` are ours. Prices are no matter of ours
and are 0. There is no way back in a list, so no `prev`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from mediaserver.errors import PeerError
from mediaserver.recording.failure import Failure
from mediaserver.recording.resource import Direction, Recording
from mediaserver.recording.states import State

from .auth import ApiKeys
from .erasure import RecordingEraser, erase
from .errors import ApiError
from .links import download_url
from .recordings import RecordingReader, find_recording, read_query, shown
from .views import timestamp

PATH: Final = "/api/relay/rest/recordings"

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 100
"""More is asked for in vain: the page is this long."""

MAX_NUMBER: Final = 10
"""Digits of a `page_size`."""

STATUS: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.RECORDING: "in-progress",
        State.PAUSED: "paused",
        State.RENDERING: "processing",
        State.FINISHED: "completed",
        State.NO_INPUT: "absent",
        State.ERROR: "failed",
    }
)

TRACK: Final[Mapping[Direction, str]] = MappingProxyType(
    {Direction.SPEAK: "inbound", Direction.LISTEN: "outbound", Direction.BOTH: "both"}
)


class RelayRecordingRoutes:
    """The handlers. Keys are checked before they run."""

    def __init__(
        self,
        project_id: str,
        public_url: str,
        recordings: RecordingReader,
        eraser: RecordingEraser,
        keys: ApiKeys,
    ) -> None:
        self._project_id = project_id
        self._public_url = public_url
        self._recordings = recordings
        self._eraser = eraser
        self._keys = keys

    async def list_recordings(self, request: web.Request) -> web.Response:
        """List the recordings of the project, newest first."""
        query = _query(request, ("page_size", "page_token"))
        size = _page_size(query.get("page_size"))
        try:
            page = await self._recordings.page(
                self._project_id, None, size, query.get("page_token") or None
            )
        except PeerError as error:
            raise ApiError(422, error.reason) from error
        sized = {name: query[name] for name in ("page_size",) if name in query}
        links = {"self": _link(query), "first": _link(sized)}
        if page.next_token is not None:
            links["next"] = _link(sized | {"page_token": page.next_token})
        data = [relay_view(found, self._public_url) for found in page.recordings]
        return _json({"links": links, "data": data})

    async def get_recording(self, request: web.Request) -> web.Response:
        """Show one recording."""
        _query(request, ())
        return _json(relay_view(await self._find(request), self._public_url))

    async def delete_recording(self, request: web.Request) -> web.Response:
        """Delete a recording; 422 while it is still being recorded."""
        _query(request, ())
        found = await self._find(request)
        try:
            await erase(request, found, self._eraser, self._keys)
        except ApiError as error:
            raise error if error.status == 404 else ApiError(422, error.reason) from error
        return web.Response(status=204, headers={"Cache-Control": "no-store"})

    async def _find(self, request: web.Request) -> Recording:
        return await find_recording(self._recordings, self._project_id, request)


def relay_view(recording: Recording, public_url: str) -> dict[str, Any]:
    """Return the JSON object of a recording; what is not known yet is left out, or 0."""
    view: dict[str, Any] = {
        "id": recording.id,
        "project_id": recording.project_id,
        "created_at": timestamp(recording.created_at),
        # When it was rendered is not written down.
        "updated_at": timestamp(max(recording.created_at, recording.ended_at or 0)),
        "duration_in_seconds": (recording.duration_us or 0) // 1_000_000,
        "price": 0.0,
        "price_unit": "USD",
        "status": STATUS[recording.state],
        "url": download_url(public_url, recording.id),
        "stereo": recording.stereo,
        "track": TRACK[recording.direction],
        "relay_sip_leg_id": recording.call_id,
    }
    # The file behind `url`.
    for audio in recording.audio:
        if audio.format is recording.format and audio.rendition == 0:
            view["byte_size"] = audio.size_bytes
    if recording.state is State.ERROR:
        view["error_code"] = (recording.failure or Failure.INTERNAL).code.value
    return view


def relay_error(error: ApiError) -> bytes:
    """Be the `Shape` of the paths of this API: a list for what is wrong with a request."""
    if error.status != 422:
        return json.dumps({"error": HTTPStatus(error.status).phrase}).encode()
    wrong = {"detail": error.reason, "status": "422", "title": "Invalid Attribute", "code": "422"}
    return json.dumps({"errors": [wrong]}).encode()


def _query(request: web.Request, known: tuple[str, ...]) -> dict[str, str]:
    try:
        return read_query(request, known)
    except ApiError as error:
        raise ApiError(422, error.reason) from error


def _page_size(text: str | None) -> int:
    if not text:
        return DEFAULT_PAGE_SIZE
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER and int(text)):
        raise ApiError(422, f"page_size must be a number from 1 on, not {shown(text)}")
    return min(int(text), MAX_PAGE_SIZE)


def _link(query: Mapping[str, str]) -> str:
    return f"{PATH}?{urlencode(query)}" if query else PATH


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, headers={"Cache-Control": "no-store"})
