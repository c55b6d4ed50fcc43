"""`GET /api/v1/recordings/{id}/peaks`: the waveform of a recording, for whoever draws it.

What it sends is the file that was made with the recording's audio (`recording.peaks`), as it is or
as audiowaveform's JSON. Of a recording that has not come to its end it is made as far as that is.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from mediaserver.recording.peaks import HEADER, PAIRS_PER_SECOND, VERSION, header, pairs
from mediaserver.recording.resource import peaks_path
from mediaserver.recording.states import FINAL
from mediaserver.recording.track import Track

from .downloads import STALL, AudioFiles, open_file
from .errors import ApiError
from .growing import GrowingReader, find_growing, opened
from .pieces import send_pieces
from .recordings import RecordingReader, find_recording, read_query, shown

LONGEST: Final = 4 * 3600
"""Seconds of a growing recording whose peaks are made: by default it ends after so many."""

CHUNK: Final = 64 * 1024
"""Octets of a file read at a time."""

CHUNK_SECONDS: Final = 60
"""Audio of a growing recording read at a time."""

# The text of each octet, as a signed number with a comma, filled up with blanks.
_TEXT: Final = np.array(
    [list(f"{value - 256 if value > 127 else value},".ljust(5).encode()) for value in range(256)],
    np.uint8,
)
_BLANK: Final = 0x20

Read = Callable[[int, int], bytes]
"""Returns octets of the pairs, from one offset to another; blocks."""


@dataclass(frozen=True, slots=True)
class _Peaks:
    """The waveform of a recording, and where its pairs are read."""

    header: bytes
    size: int
    """Octets of all pairs."""
    step: int
    """Octets to be read at a time."""
    read: Read


class PeaksRoutes:
    """The handler. Keys are checked before it runs."""

    def __init__(
        self,
        project_id: str,
        recordings: RecordingReader,
        files: AudioFiles,
        growing: GrowingReader,
        stall: float = STALL,
    ) -> None:
        self._project_id = project_id
        self._recordings = recordings
        self._files = files
        self._growing = growing
        self._stall = stall

    async def peaks(self, request: web.Request) -> web.StreamResponse:
        """Send the peaks of a recording."""
        as_json = _wants_json(read_query(request, ("format",)).get("format"))
        recording = await find_recording(self._recordings, self._project_id, request)
        if recording.state not in FINAL:
            growing = await find_growing(self._growing, recording)
            async with opened(await growing.so_far()) as track:
                return await self._send(request, _made(track), as_json=as_json)
        path = peaks_path(recording.id)
        file = await asyncio.to_thread(lambda: open_file(self._files.resolve(path)))
        if file is None:
            raise ApiError(404, "no peaks were made of this recording")
        try:
            kept = await asyncio.to_thread(_kept, file.fd, file.size)
            return await self._send(request, kept, as_json=as_json)
        finally:
            os.close(file.fd)

    async def _send(
        self, request: web.Request, peaks: _Peaks, *, as_json: bool
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        if as_json:
            response.content_type = "application/json"
            return await send_pieces(request, response, _head(peaks), _json(peaks), self._stall)
        response.content_type = "application/octet-stream"
        response.content_length = len(peaks.header) + peaks.size
        return await send_pieces(request, response, peaks.header, _pieces(peaks), self._stall)


def _wants_json(format: str | None) -> bool:
    if format not in {None, "", "dat", "json"}:
        raise ApiError(400, f"format must be dat or json, not {shown(format or '')}")
    return format == "json"


def _kept(fd: int, size: int) -> _Peaks:
    """Return the peaks in a file."""
    head = os.pread(fd, HEADER.size, 0)

    def read(start: int, end: int) -> bytes:
        octets = os.pread(fd, end - start, HEADER.size + start)
        if len(octets) < end - start:
            raise OSError("the file became shorter")
        return octets

    if len(head) < HEADER.size or HEADER.unpack(head)[0] != VERSION:
        raise ApiError(404, "the peaks of this recording cannot be read")
    return _Peaks(head, size - HEADER.size, CHUNK, read)


def _made(track: Track) -> _Peaks:
    """Return the peaks of a recording's audio so far."""
    samples = min(track.length, LONGEST * track.rate)
    span = track.rate // PAIRS_PER_SECOND
    width = 2 * track.channels

    def read(start: int, end: int) -> bytes:
        audio = track.read(start // width * span, min(end // width * span, samples))
        return pairs(audio, track.rate).tobytes()

    size = -(-samples // span) * width
    step = CHUNK_SECONDS * PAIRS_PER_SECOND * width
    return _Peaks(header(track.rate, track.channels, samples), size, step, read)


async def _pieces(peaks: _Peaks) -> AsyncGenerator[bytes]:
    for start in range(0, peaks.size, peaks.step):
        yield await asyncio.to_thread(peaks.read, start, min(start + peaks.step, peaks.size))


def _head(peaks: _Peaks) -> bytes:
    """Return how audiowaveform's JSON begins."""
    version, _, rate, span, length, channels = HEADER.unpack(peaks.header)
    head = {
        "version": version,
        "channels": channels,
        "sample_rate": rate,
        "samples_per_pixel": span,
        "bits": 8,
        "length": length,
        "data": [],
    }
    return json.dumps(head).removesuffix("]}").encode()


async def _json(peaks: _Peaks) -> AsyncGenerator[bytes]:
    """Yield the rest of it; numbers become text as arrays, for `json` would hold the loop."""
    comma = b""
    async for piece in _pieces(peaks):
        text = await asyncio.to_thread(_numbers, np.frombuffer(piece, np.uint8))
        yield comma + text.removesuffix(b",")
        comma = b","
    yield b"]}"


def _numbers(octets: NDArray[np.uint8]) -> bytes:
    """Return signed octets as numbers, a comma after each."""
    text = _TEXT[octets].reshape(-1)
    numbers: bytes = text[text != _BLANK].tobytes()
    return numbers
