"""Which path is answered by whom, and who may ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from mediaserver.clock import Clock

from .auth import Access, ApiKeys, open_to_all
from .calling import CallControl, CallingRoutes
from .calls import PATH as CALLS
from .calls import CallReader, CallRoutes
from .downloads import AudioFiles, DownloadRoutes
from .erasure import RecordingEraser
from .errors import Handler
from .growing import GrowingReader
from .health import HealthCheck, health_handler
from .links import Links
from .openapi import operations
from .openapi.document import openapi_document
from .openapi.operation import Operation
from .peaks import PeaksRoutes
from .recordings import RecordingReader, RecordingRoutes
from .relay_recordings import PATH as RELAY
from .relay_recordings import RelayRecordingRoutes
from .renditions import RenditionMaker, RenditionRoutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """What the server is built from."""

    project_id: str
    public_url: str
    """Begins every URL that is handed out."""
    signing_key: str
    """Download links are signed with a key derived from it."""
    keys: ApiKeys
    recordings: RecordingReader
    eraser: RecordingEraser
    files: AudioFiles
    growing: GrowingReader
    renditions: RenditionMaker
    calls: CallControl
    book: CallReader
    health: HealthCheck
    clock: Clock


@dataclass(frozen=True, slots=True)
class Route:
    """A path and what is behind it."""

    path: str
    handler: Handler
    operation: Operation
    """What it does; it says who may use it, too."""
    access: Access
    method: str = "GET"
    """GET answers HEAD, too."""


def routes(deps: Deps) -> list[Route]:
    """Return all routes, with the one that describes them."""
    found = list(_routes(deps))
    document = b""
    making = asyncio.Lock()

    async def describe(_request: web.Request) -> web.Response:
        nonlocal document
        async with making:
            # Takes as long as many ticks of the media, and few ever ask.
            document = document or await asyncio.to_thread(_described, found, deps.public_url)
        return web.Response(
            body=document, content_type="application/json", headers={"Cache-Control": "no-cache"}
        )

    found.append(Route("/openapi.json", describe, operations.OPENAPI, open_to_all))
    return found


def _described(found: list[Route], public_url: str) -> bytes:
    return json.dumps(openapi_document(found, public_url)).encode()


def _routes(deps: Deps) -> Iterator[Route]:
    yield from _recordings(deps)
    yield from _relay(deps)
    yield from _calling(deps)
    yield Route("/health", health_handler(deps.health), operations.HEALTH, open_to_all)


def _recordings(deps: Deps) -> Iterator[Route]:
    links = Links(deps.public_url, deps.signing_key, deps.clock)
    recordings = RecordingRoutes(deps.project_id, deps.recordings, deps.eraser, links, deps.keys)
    renditions = RenditionRoutes(recordings, deps.renditions)
    downloads = DownloadRoutes(
        deps.project_id, deps.recordings, deps.files, deps.growing, links, deps.keys
    )
    peaks = PeaksRoutes(deps.project_id, deps.recordings, deps.files, deps.growing)
    project = "/v1beta1/projects/{project}"
    call = project + "/calls/{call}"
    one = f"{call}/recordings/{{recording}}"
    for path, handler, operation, method in (
        (f"{project}/recordings", recordings.list_recordings, operations.LIST_RECORDINGS, "GET"),
        (f"{call}/recordings", recordings.list_recordings, operations.LIST_CALL_RECORDINGS, "GET"),
        (one, recordings.get_recording, operations.GET_RECORDING, "GET"),
        (one, recordings.delete_recording, operations.DELETE_RECORDING, "DELETE"),
        # Its answer holds links, which open what only `voice.recordings.get` opens.
        (f"{one}:render", renditions.render, operations.RENDER_RECORDING, "POST"),
        ("/api/v1/recordings/{recording}/peaks", peaks.peaks, operations.PEAKS, "GET"),
    ):
        yield _keyed(deps, path, handler, operation, method)
    download = "/api/v1/recordings/{recording}/download"
    yield Route(download, downloads.download, operations.DOWNLOAD, downloads.access)


def _relay(deps: Deps) -> Iterator[Route]:
    relay = RelayRecordingRoutes(
        deps.project_id, deps.public_url, deps.recordings, deps.eraser, deps.keys
    )
    one = RELAY + "/{recording}"
    yield _keyed(deps, RELAY, relay.list_recordings, operations.LIST_RELAY_RECORDINGS)
    yield _keyed(deps, one, relay.get_recording, operations.GET_RELAY_RECORDING)
    delete = operations.DELETE_RELAY_RECORDING
    yield _keyed(deps, one, relay.delete_recording, delete, "DELETE")


def _calling(deps: Deps) -> Iterator[Route]:
    calling, calls = CallingRoutes(deps.calls), CallRoutes(deps.book)
    yield _keyed(deps, CALLS, calling.command, operations.COMMAND, "POST")
    yield _keyed(deps, CALLS, calls.list_calls, operations.LIST_CALLS)
    yield _keyed(deps, CALLS + "/{call}", calls.get_call, operations.GET_CALL)


def _keyed(
    deps: Deps, path: str, handler: Handler, operation: Operation, method: str = "GET"
) -> Route:
    """Return a route for keys that have the permissions of its operation."""
    assert operation.permissions
    return Route(path, handler, operation, deps.keys.demanding(*operation.permissions), method)
