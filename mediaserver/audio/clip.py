"""A clip: an audio file that someone supplied, decoded to samples the line can play.

Clips come from scripts and from the network, so nothing about them is believed: their bytes and
their length have limits, only containers that hold plain audio are opened (a playlist would have
FFmpeg fetch what it names, from the network or from this machine's files), and whatever is wrong
is one sentence. Decoding blocks; it is called off the event loop.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

from ..errors import PeerError

MAX_SECONDS: Final = 3600.0
"""Longest clip played, 58 MB of samples at 8000 Hz."""
MAX_BYTES: Final = 128 * 1024 * 1024
"""Largest clip read: an hour of CD audio is about five times this, an hour of mp3 half."""
CONTAINERS: Final = (
    "wav,w64,aiff,au,caf,mp3,aac,ogg,flac,mov,mp4,m4a,3gp,3g2,matroska,webm,amr,amrnb,amrwb"
)
"""FFmpeg's names of the containers accepted; all others, playlists above all, are refused."""

_OPTIONS: Final = {
    "format_whitelist": CONTAINERS,
    "protocol_whitelist": "none",  # the file is handed over open; nothing else is to be opened
}

# FFmpeg's log callback takes the GIL from its own threads and has deadlocked processes.
av.logging.set_level(None)


def decode_clip(
    source: str | Path | bytes,
    rate: int = 8000,
    max_seconds: float = MAX_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> NDArray[np.int16]:
    """Return the first audio track of a file (a path) or its bytes as int16 mono at `rate`.

    A clip of that very form is returned bit for bit; others go through libswresample. PeerError
    404 when there is no such file, 413 when it has too many bytes or seconds, 415 when it is not
    audio that can be decoded.
    """
    with _opened(source, max_bytes) as file:
        try:
            with av.open(file, "r", options=_OPTIONS) as container:
                if not container.streams.audio:
                    raise PeerError(415, "the clip holds no audio")
                parts = list(_decoded(container, rate, max_seconds))
        except (av.error.FFmpegError, ValueError) as error:
            raise PeerError(415, "the clip is not audio that can be decoded") from error
    if not parts:
        raise PeerError(415, "the clip holds no audio")
    return np.concatenate(parts)


@contextlib.contextmanager
def _opened(source: str | Path | bytes, max_bytes: int) -> Iterator[BinaryIO]:
    """Yield the clip as a file at its beginning, once it is known not to be too large."""
    with contextlib.ExitStack() as stack:
        file: BinaryIO
        if isinstance(source, bytes):
            file, size = io.BytesIO(source), len(source)
        else:
            try:
                path = Path(source)
                if not path.is_file():  # a pipe or a device would never end
                    raise PeerError(404, "there is no such clip")
                file = stack.enter_context(path.open("rb"))
                size = path.stat().st_size
            except (OSError, ValueError) as error:
                raise PeerError(404, "the clip cannot be read") from error
        if size == 0:
            raise PeerError(415, "the clip is empty")
        if size > max_bytes:
            raise PeerError(413, f"the clip has {size} bytes; {max_bytes} are the most")
        yield file


def _decoded(
    container: av.container.InputContainer, rate: int, max_seconds: float
) -> Iterator[NDArray[np.int16]]:
    """Yield the samples piece by piece; a packet that cannot be decoded is left out."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    left = round(max_seconds * rate)
    for frame in _frames(container):
        # A clip may not be cut at the limit: half a prompt is worse than a clear refusal.
        for piece in resampler.resample(frame):
            samples = np.asarray(piece.to_ndarray(), np.int16).reshape(-1)
            left -= len(samples)
            if left < 0:
                raise PeerError(413, f"the clip is longer than {max_seconds:g} s")
            yield samples


def _frames(container: av.container.InputContainer) -> Iterator[av.AudioFrame | None]:
    """Yield the frames of the first audio track, then None to flush what follows."""
    for packet in container.demux(container.streams.audio[0]):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            assert isinstance(frame, av.AudioFrame)
            frame.pts = None  # a clip is what it holds, end to end, whatever its clock claims
            yield frame
    yield None
