"""From journal to files: one stretch of a leg's line as wav, mp3 and mp4, and its peaks.

`render` runs in a worker process, behind the call. It goes through the journals once for all files,
ten seconds at a time, so that a recording of hours needs no more memory than one of seconds. The
files get their names when all of them are whole on disk (`claim`). A render can be killed and begun
anew at any time, and rendering the same job again gives the same files.

Before that it looks for sound: a silent recording is made in the format that was asked for and in
no other. The look ends with the first sound, which in nearly all recordings is in the first chunk,
unless silence is to be trimmed: then every frame is measured, for a hundredth of what mp3 takes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import LocalError
from .bookkeeping import account_for
from .claim import Claim, claim
from .encoding import Encoding, Resampling
from .failure import RecordingFailed, encoding_failure, failure_of
from .peaks import header, pairs
from .rendering import Rendered, RenderJob, Target
from .resource import Audio, Format, peaks_path
from .track import Track, open_track
from .trim import Levels, bounds

SILENT_PEAK: Final = 32
"""A recording whose every sample is within this of zero, about -60 dBov, is silent."""

_ID: Final = re.compile(r"[0-9a-f-]{36}")

Progress = Callable[[], None]


def render(job: RenderJob, progress: Progress = lambda: None) -> Rendered:
    """Make the files of a job, or find that they are there already.

    `progress` is called whenever a part of the work is done. LocalError, with a sentence that names
    the file, when a journal is missing or damaged, when the disk fails or is full, or when a file
    of that name holds something else. No file of a job that fails is left behind.
    """
    if not _ID.fullmatch(job.recording_id):
        raise LocalError(f"{job.recording_id!r} is not a recording's id")
    if job.start > job.end:
        raise LocalError(f"recording {job.recording_id} ends before it begins")
    try:
        with open_track(job, wide=job.wide) as track:
            return _render(job, track, progress)
    except (OSError, av.error.FFmpegError) as error:
        final = Path(job.data_dir).absolute() / job.path(job.targets[0])
        reason = error.strerror or str(error)
        encoding = isinstance(error, av.error.FFmpegError)
        failure = encoding_failure(error) if encoding else failure_of(error)
        raise RecordingFailed(f"cannot render {final}: {reason}", failure) from error


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The part of a track that goes into the files."""

    begin: int
    end: int
    silent: bool
    trimmed: bool = False


def _render(job: RenderJob, track: Track, progress: Progress) -> Rendered:
    stretch = _trimmed(track, progress) if job.trim else _whole(track, progress)
    targets = job.targets[:1] if stretch.silent else job.targets
    with contextlib.ExitStack() as stack:
        claims = _claim(job, targets, stack)
        _write(job, track, stretch, targets, claims, progress)
        for made in claims.values():
            made.finish(progress)
        for made in claims.values():
            made.publish()
    samples = stretch.end - stretch.begin
    audio = tuple(
        Audio(
            format=target.format,
            rendition=target.rendition,
            path=job.path(target),
            size_bytes=claims[job.path(target)].size,
            sample_rate=target.sample_rate or track.rate,
            channels=track.channels,
            sha256=claims[job.path(target)].sha256,
            trimmed=stretch.trimmed,
            duration_us=samples * 1_000_000 // track.rate,
        )
        for target in targets
    )
    kept = stretch.begin // track.factor, stretch.end // track.factor
    return Rendered(audio, kept[1] - kept[0], stretch.silent, account_for(job, kept, progress))


def _whole(track: Track, progress: Progress) -> _Stretch:
    for chunk in track.chunks(0, track.length):
        if _is_sound(chunk):
            return _Stretch(0, track.length, silent=False)
        progress()
    return _Stretch(0, track.length, silent=True)


def _trimmed(track: Track, progress: Progress) -> _Stretch:
    """Return the stretch around the sound; a silent track stays whole: it has no beginning."""
    levels, loud = Levels(track), False
    for chunk in track.chunks(0, track.length):
        levels.take(chunk)
        loud = loud or _is_sound(chunk)
        progress()
    sound = levels.sound() if loud else None
    if sound is None:
        return _Stretch(0, track.length, silent=True)
    begin, end = bounds(track, sound)
    return _Stretch(begin, end, silent=False, trimmed=True)


def _is_sound(chunk: NDArray[np.int16]) -> bool:
    return int(chunk.max()) > SILENT_PEAK or int(chunk.min()) < -SILENT_PEAK


def _claim(
    job: RenderJob, targets: tuple[Target, ...], stack: contextlib.ExitStack
) -> dict[str, Claim]:
    """Claim every file of a job, in one order for all: no two jobs wait for each other."""
    paths = {job.path(target) for target in targets}
    if job.peaks:
        paths.add(peaks_path(job.recording_id))
    folder = Path(job.data_dir).absolute()
    return {path: stack.enter_context(claim(folder / path)) for path in sorted(paths)}


def _write(
    job: RenderJob,
    track: Track,
    stretch: _Stretch,
    targets: tuple[Target, ...],
    claims: dict[str, Claim],
    progress: Progress,
) -> None:
    """Go through the track once, and write every file of it."""
    samples = stretch.end - stretch.begin
    with contextlib.ExitStack() as stack:
        outlets = []
        for rate in dict.fromkeys(target.sample_rate or track.rate for target in targets):
            outlet = _Outlet(Resampling(track.rate, rate, track.channels, samples))
            outlets.append(outlet)
            for target in targets:
                if (target.sample_rate or track.rate) == rate:
                    stack.callback(outlet.open(claims[job.path(target)].path, target.format).close)
        peaks = None
        if job.peaks:
            peaks = stack.enter_context(claims[peaks_path(job.recording_id)].path.open("wb"))
            peaks.write(header(track.rate, track.channels, samples))
        for chunk in track.chunks(stretch.begin, stretch.end):
            if peaks is not None:
                peaks.write(pairs(chunk, track.rate).tobytes())
            for outlet in outlets:
                outlet.write(chunk, progress)
            for made in claims.values():
                made.keep_up()
        for outlet in outlets:
            outlet.finish(progress)


class _Outlet:
    """All files of one sample rate."""

    def __init__(self, resampling: Resampling) -> None:
        self._resampling = resampling
        self._encodings: list[Encoding] = []

    def open(self, path: Path, form: Format) -> Encoding:
        """Begin a file."""
        resampling = self._resampling
        encoding = Encoding(path, form, resampling.to, resampling.channels, resampling.length)
        self._encodings.append(encoding)
        return encoding

    def write(self, chunk: NDArray[np.int16], progress: Progress) -> None:
        """Add audio of the track's rate to all of them."""
        ready = self._resampling.take(chunk)
        for encoding in self._encodings:
            encoding.write(ready)
            progress()

    def finish(self, progress: Progress) -> None:
        """Write what is left."""
        rest = self._resampling.rest()
        for encoding in self._encodings:
            encoding.write(rest)
            encoding.finish()
            progress()
