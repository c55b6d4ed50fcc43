"""The wav of a recording that has not come to its end: as far as it is, or as it grows.

What there is at a moment is a file like any other, with its length, so that every player opens it;
asked again later, it is longer. Who follows it gets what comes for as long as the recording lasts,
behind a header that says no length. Audio is read, mixed and brought to the sample rate that its
files will have off the loop, a chunk at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from mediaserver.calls.growing import SoFar
from mediaserver.recording.rendering import RenderJob
from mediaserver.recording.resource import Format, Recording
from mediaserver.recording.track import Track, open_track
from mediaserver.recording.wav import WIDTH, wav_header

from .errors import ApiError
from .pieces import send_pieces
from .views import mime_type

if TYPE_CHECKING:
    from mediaserver.recording.encoding import Resampling

CHUNK_SECONDS: Final = 10
"""Audio read and sent at a time: 160 kB of a telephone call in mono."""

LOOK: Final = 0.5
"""Seconds between two looks at a recording that is followed."""

HOLD: Final = 0.5
"""Seconds of audio kept back from who follows: what ends a recording is known a moment later."""

MOST_FOLLOWERS: Final = 64
"""Each has its leg's journal written at every look."""


class Growing(Protocol):
    """A recording in progress, or whose files are being made."""

    async def so_far(self) -> SoFar:
        """Return what there is of it by now; raises `LocalError`."""


class GrowingReader(Protocol):
    """Where they are found."""

    async def find(self, recording: Recording) -> Growing | None:
        """Return one that the database has in no final state; None if it has no audio."""


async def find_growing(reader: GrowingReader, recording: Recording) -> Growing:
    """Return a recording that is in no final state; raises `ApiError` 404 if it has no audio."""
    growing = await reader.find(recording)
    if growing is None:
        raise ApiError(404, "the recording has no audio, or not yet")
    return growing


class GrowingAudio:
    """Answers for recordings that have no file yet."""

    def __init__(self, growing: GrowingReader, stall: float) -> None:
        """`stall` is how many seconds a client may take to accept a chunk."""
        self._growing = growing
        self._stall = stall
        self._followers = 0

    async def answer(
        self, request: web.Request, recording: Recording, wanted: Format | None, *, follow: bool
    ) -> web.StreamResponse:
        """Send the wav of a recording in no final state; raises `ApiError` for another format."""
        format = wanted or recording.format
        if format is not Format.WAV:
            raise ApiError(
                404,
                f"the recording has no {format.value} yet: it is made when the recording has "
                "ended; what there is of it can be had now with format=wav",
            )
        growing = await find_growing(self._growing, recording)
        if not follow:
            return await self._send_so_far(request, await growing.so_far())
        if self._followers >= MOST_FOLLOWERS:
            raise ApiError(
                429, f"{MOST_FOLLOWERS} recordings are being followed", (("Retry-After", "10"),)
            )
        self._followers += 1
        try:
            return await self._send_all(request, growing)
        finally:
            self._followers -= 1

    async def _send_so_far(self, request: web.Request, so_far: SoFar) -> web.StreamResponse:
        async with opened(so_far) as track:
            rate = so_far.sample_rate or track.rate
            resampling = await asyncio.to_thread(
                _resampling, track.rate, rate, track.channels, track.length
            )
            length = resampling.length
            header = wav_header(rate, track.channels, length)
            response = _response(so_far.job)
            response.content_length = len(header) + WIDTH * track.channels * length
            pieces = _whole(track, resampling)
            return await send_pieces(request, response, header, pieces, self._stall)

    async def _send_all(self, request: web.Request, growing: Growing) -> web.StreamResponse:
        so_far = await growing.so_far()
        async with opened(so_far) as track:
            channels, track_rate, wide = track.channels, track.rate, track.factor > 1
        rate = so_far.sample_rate or track_rate
        header = wav_header(rate, channels, None)
        resampling = await asyncio.to_thread(_resampling, track_rate, rate, channels, None)
        pieces = _follow(request, growing, so_far, resampling, wide=wide)
        return await send_pieces(request, _response(so_far.job), header, pieces, self._stall)


@asynccontextmanager
async def opened(so_far: SoFar, *, wide: bool = True) -> AsyncIterator[Track]:
    """Open the audio of a recording so far; raises `LocalError`. Reading it blocks.

    Unless it is `wide`, it has no more than the line.
    """
    job, wanted = so_far.job, so_far.sample_rate
    wide = wide and (wanted is None or wanted > job.rate)
    with ExitStack() as stack:
        opening = open_track(job, over=so_far.over, wide=wide)
        yield await asyncio.to_thread(stack.enter_context, opening)


async def _follow(
    request: web.Request,
    growing: Growing,
    so_far: SoFar,
    resampling: Resampling,
    *,
    wide: bool,
) -> AsyncGenerator[bytes]:
    """Yield a recording's audio as it comes, until it has ended or nobody listens any more.

    All of it has the rate that it began with: `wide` or that of the line.
    """
    done = 0
    while True:
        # As if it went on, to the last: what was sent before is not made anew either.
        async with opened(replace(so_far, over=False), wide=wide) as track:
            held = 0 if so_far.over else round(HOLD * track.rate)
            length = max(done, track.length - held)
            async for piece in _pieces(track, done, length, resampling):
                yield piece
            done = length
        if so_far.over:
            yield resampling.rest().tobytes()
            return
        await asyncio.sleep(LOOK)
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client has gone")
        so_far = await growing.so_far()


async def _whole(track: Track, resampling: Resampling) -> AsyncGenerator[bytes]:
    """Yield all samples of a track as they are in a wav of another sample rate, or the same."""
    async for piece in _pieces(track, 0, track.length, resampling):
        yield piece
    yield resampling.rest().tobytes()


async def _pieces(
    track: Track, begin: int, end: int, resampling: Resampling
) -> AsyncGenerator[bytes]:
    """Yield some samples of a track that way, a chunk at a time."""
    step = CHUNK_SECONDS * track.rate
    for at in range(begin, end, step):
        yield await asyncio.to_thread(_read, track, at, min(at + step, end), resampling)


def _resampling(rate: int, to: int, channels: int, samples: int | None) -> Resampling:
    # Loads FFmpeg, which a server nobody asks for this does without, and takes a while.
    from mediaserver.recording.encoding import Resampling

    return Resampling(rate, to, channels, samples)


def _read(track: Track, begin: int, end: int, resampling: Resampling) -> bytes:
    return resampling.take(track.read(begin, end)).astype("<i2", copy=False).tobytes()


def _response(job: RenderJob) -> web.StreamResponse:
    name = f"{job.recording_id}.{Format.WAV.value}"
    headers = {
        "Accept-Ranges": "none",
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    response = web.StreamResponse(headers=headers)
    response.content_type = mime_type(Format.WAV)
    return response
