"""`GET /api/v1/recordings/{id}/download`: the audio itself, whole or in part (RFC 9110 14).

It opens with an API key that has `voice.recordings.get`, or with the signature of a link that was
handed out (`links`). The file is read off the loop, a chunk at a time, and a reader too slow to
take a chunk in half a minute is cut off: it would keep the file open for ever.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog
from aiohttp import web

from mediaserver.recording.resource import Audio, Format, Recording
from mediaserver.recording.states import FINAL

from .auth import GET, ApiKeys
from .errors import ApiError, not_found
from .growing import GrowingAudio, GrowingReader
from .links import Links
from .ranges import RangeError, Stretch, choose_stretch, matches_etag
from .recordings import RecordingReader, find_recording, listed, read_query, shown
from .views import mime_type

log = structlog.get_logger(__name__)

CHUNK: Final = 256 * 1024
"""Octets read and sent at a time."""

STALL: Final = 30.0
"""Seconds a client may take to accept a chunk."""

_LINK: Final = ("format", "rendition", "expires", "signature")

_WORDS: Final = {"true": True, "false": False}

MAX_RENDITION: Final = 4
"""Digits of a rendition's number."""


class AudioFiles(Protocol):
    """What the route needs of the data directory."""

    def resolve(self, path: str) -> Path:
        """Return the real path of `Audio.path`; raises `LocalError` if it leads elsewhere."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for reading."""

    fd: int
    size: int


class DownloadRoutes:
    """The handler and the check before it."""

    def __init__(
        self,
        project_id: str,
        recordings: RecordingReader,
        files: AudioFiles,
        growing: GrowingReader,
        links: Links,
        keys: ApiKeys,
        stall: float = STALL,
    ) -> None:
        self._project_id = project_id
        self._recordings = recordings
        self._files = files
        self._growing = GrowingAudio(growing, stall)
        self._links = links
        self._keys = keys
        self._stall = stall

    def access(self, request: web.Request) -> None:
        """Let pass who has a link that works, or a key; raises `ApiError` 401 or 403."""
        query = request.query
        if "signature" not in query and "expires" not in query:
            self._keys.require(request, GET)
            return
        link = dict(query)
        whole = len(link) == len(query) and not set(link).difference(_LINK)
        if not whole or not self._links.opens(
            request.match_info["recording"], *(link.get(part, "") for part in _LINK)
        ):
            raise ApiError(403, "the link has expired or was altered")

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Send a recording's audio: in the format it was made in, or the one asked for.

        Of a recording that has not come to its end: what there is of it, or all that comes.
        """
        query = read_query(request, (*_LINK, "follow"))
        wanted, rendition = chosen_format(query.get("format")), chosen_rendition(query)
        follow = asks_to_follow(query)
        recording = await find_recording(self._recordings, self._project_id, request)
        if recording.state not in FINAL and rendition == 0:
            return await self._growing.answer(request, recording, wanted, follow=follow)
        audio = _audio_of(recording, wanted, rendition)
        opened = await asyncio.to_thread(lambda: open_file(self._files.resolve(audio.path)))
        if opened is None:
            log.error("audio is missing", recording_id=recording.id, path=audio.path)
            raise not_found("audio")
        try:
            return await self._answer(request, recording, audio, opened)
        finally:
            os.close(opened.fd)

    async def _answer(
        self, request: web.Request, recording: Recording, audio: Audio, opened: Opened
    ) -> web.StreamResponse:
        etag = f'"{audio.sha256}"'
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f'attachment; filename="{file_name(recording, audio)}"',
        }
        if matches_etag(request.headers.get("If-None-Match"), etag):
            return web.Response(status=304, headers=headers)
        try:
            stretch = choose_stretch(
                request.headers.get("Range"), request.headers.get("If-Range"), etag, opened.size
            )
        except RangeError:
            raise ApiError(
                416,
                f"the file has {opened.size} bytes",
                (("Content-Range", f"bytes */{opened.size}"),),
            ) from None
        if stretch.partial:
            headers["Content-Range"] = f"bytes {stretch.start}-{stretch.end - 1}/{opened.size}"
        response = web.StreamResponse(status=206 if stretch.partial else 200, headers=headers)
        response.content_type = mime_type(audio.format)
        response.content_length = stretch.end - stretch.start
        await response.prepare(request)
        if request.method != "HEAD":
            await self._send(request, response, opened.fd, stretch)
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, fd: int, stretch: Stretch
    ) -> None:
        position = stretch.start
        try:
            while position < stretch.end:
                most = min(CHUNK, stretch.end - position)
                chunk = await asyncio.to_thread(os.pread, fd, most, position)
                if not chunk:
                    raise OSError("the file became shorter")
                async with asyncio.timeout(self._stall):
                    await response.write(chunk)
                position += len(chunk)
            async with asyncio.timeout(self._stall):
                await response.write_eof()
        except (OSError, TimeoutError) as error:
            # The head is out: only a broken connection still says that this is not the whole file.
            log.info("download broken off", sent=position - stretch.start, why=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("download broken off") from error


def chosen_format(text: str | None) -> Format | None:
    """Return the format asked for, None for the recording's own."""
    if not text:
        return None
    try:
        return Format(text)
    except ValueError:
        names = listed(tuple(format.value for format in Format))
        raise ApiError(400, f"format must be one of {names}, not {shown(text)}") from None


def chosen_rendition(query: Mapping[str, str]) -> int:
    """Return the number of the rendition asked for; 0 is what was made when it ended."""
    text = query.get("rendition") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_RENDITION):
        raise ApiError(400, f"rendition must be a number from 0 on, not {shown(text)}")
    return int(text)


def asks_to_follow(query: Mapping[str, str]) -> bool:
    """Return whether all that comes is wanted, and not only what there is."""
    text = query.get("follow") or "false"
    if text not in _WORDS:
        raise ApiError(400, f"follow must be true or false, not {shown(text)}")
    return _WORDS[text]


def file_name(recording: Recording, audio: Audio) -> str:
    """Return what a client is to call the file."""
    number = f"-{audio.rendition}" if audio.rendition else ""
    return f"{recording.id}{number}.{audio.format.value}"


def _audio_of(recording: Recording, wanted: Format | None, rendition: int) -> Audio:
    if not recording.audio:
        raise ApiError(404, "the recording has no audio, or not yet")
    files = [audio for audio in recording.audio if audio.rendition == rendition]
    if not files:
        raise ApiError(404, f"the recording has no rendition {rendition}")
    format = wanted or recording.format
    for audio in files:
        if audio.format is format:
            return audio
    if wanted is None and rendition:
        # A later rendition is what it was asked to be; nobody need say so twice.
        return files[0]
    raise ApiError(404, f"the recording was not made as {format.value}")


def open_file(path: Path) -> Opened | None:
    """Open a regular file; None if there is none. Blocks."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        return None
    return Opened(fd, status.st_size)
