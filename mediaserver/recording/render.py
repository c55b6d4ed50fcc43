"""From journal to file: one stretch of a leg's line as wav, mp3 or mp4.

`render` runs in a worker process, behind the call. It reads the journals ten seconds at a time, so
a recording of hours needs no more memory than one of seconds, and writes under a temporary name;
the final name appears only when every byte is on disk. A render can be killed and begun anew at
any time, and rendering the same job again gives the same file.

======  ===========================  ==========================================
format  audio                        because
======  ===========================  ==========================================
wav     16-bit PCM                   bit for bit what the journal holds; RF64 beyond 4 GiB
mp3     32 kbit/s a channel, fixed   the encoder's own default at 8 kHz is 8 kbit/s
mp4     AAC, ~32 kbit/s a channel    index in front, so that it plays while it loads
======  ===========================  ==========================================

Stereo: what the party says is on the left, what it hears on the right; a recording of one
direction in stereo has silence on the other side. Mono: the two are added and saturate.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

from ..errors import LocalError
from .journal import Journal, open_journal
from .rendering import Rendered, RenderJob, Target
from .resource import Audio, Direction, Format

SILENT_PEAK: Final = 32
"""A recording whose every sample is within this of zero, about -60 dBov, is silent."""
CHUNK_SECONDS: Final = 10
"""Read, mixed and encoded at a time; short chunks cost the encoders twice as much."""
BITS_PER_CHANNEL: Final = 32_000
RF64_FROM: Final = (1 << 32) - 4096
"""Bytes of audio from which a wav is RF64 (EBU Tech 3306): RIFF sizes are 32 bits wide."""

_SIDES: Final = (Direction.SPEAK, Direction.LISTEN)
_ID = re.compile(r"[0-9a-f-]{36}")
_CODECS: Final = MappingProxyType(
    {Format.WAV: "pcm_s16le", Format.MP3: "libmp3lame", Format.MP4: "aac"}
)
# Half the encoder's time for mp3 and a quarter for AAC; at 4 bits a sample nobody hears it.
_CHEAP: Final = MappingProxyType(
    {Format.MP3: {"compression_level": "7"}, Format.MP4: {"aac_coder": "fast"}}
)

# FFmpeg's log callback takes the GIL from its own threads and has deadlocked processes.
av.logging.set_level(None)


def render(job: RenderJob) -> Rendered:
    """Make the file of a job, or find that it is there already.

    LocalError, with a sentence that names the file, when a journal is missing or damaged, when the
    disk fails or is full, or when a file of that name holds something else. Nothing is left behind.
    """
    if not _ID.fullmatch(job.recording_id):
        raise LocalError(f"{job.recording_id!r} is not a recording's id")
    if job.start > job.end:
        raise LocalError(f"recording {job.recording_id} ends before it begins")
    audio, peak = [], 0
    for target in job.targets:
        one, loudest = _render(job, target)
        audio.append(one)
        peak = max(peak, loudest)
    return Rendered(tuple(audio), job.end - job.start, peak <= SILENT_PEAK)


def _render(job: RenderJob, target: Target) -> tuple[Audio, int]:
    """Make one file; return it and the loudest sample."""
    final = Path(job.data_dir).absolute() / job.path(target)
    try:
        with contextlib.ExitStack() as stack:
            source = _Source(job, stack)
            _make_folder(final.parent)
            temporary = stack.enter_context(_claim(final))
            _encode(job, target.format, temporary, source)
            digest = _sync(temporary)
            size = temporary.stat().st_size
            _publish(temporary, final, digest)
    except (OSError, av.error.FFmpegError) as error:
        reason = error.strerror or str(error)
        raise LocalError(f"cannot render {final}: {reason}") from error
    audio = Audio(
        format=target.format,
        rendition=target.rendition,
        path=job.path(target),
        size_bytes=size,
        sample_rate=job.rate,
        channels=2 if job.stereo else 1,
        sha256=digest,
    )
    return audio, source.peak


class _Source:
    """The samples of a job, mixed as it asks, and the loudest of them so far."""

    def __init__(self, job: RenderJob, stack: contextlib.ExitStack) -> None:
        self._job = job
        self.peak = 0
        wanted = {side for side in _SIDES if job.direction in (side, Direction.BOTH)}
        self._journals = {
            side: stack.enter_context(journal)
            for side in wanted
            if (journal := self._open(side)) is not None
        }
        # Beside what the party said, nothing of what it heard means that nothing was sent to it.
        if not self._journals and not self._path(Direction.SPEAK).exists():
            folder = Path(job.data_dir) / job.journal
            raise LocalError(f"recording {job.recording_id} has no journal in {folder}")

    def chunks(self) -> Iterator[NDArray[np.int16]]:
        """Yield the audio, shape (1, n) or for stereo (1, 2 n) with the channels interleaved."""
        step = CHUNK_SECONDS * self._job.rate
        for at in range(self._job.start, self._job.end, step):
            end = min(at + step, self._job.end)
            mixed = self._mix(
                {side: journal.read(at, end) for side, journal in self._journals.items()}, end - at
            )
            self.peak = max(self.peak, int(mixed.max()), -int(mixed.min()))
            yield mixed.reshape(1, -1)

    def _open(self, side: Direction) -> Journal | None:
        """Return the journal of one side, or None when nothing was ever kept of it.

        What the party hears is created with its first sample: a server that is killed right then
        leaves an empty file, and that is no damage.
        """
        path = self._path(side)
        if not path.exists() or (side is Direction.LISTEN and path.stat().st_size == 0):
            return None
        journal = open_journal(path)
        if journal.header.rate != self._job.rate:
            journal.close()
            raise LocalError(
                f"the journal {path} is of {journal.header.rate} Hz, not {self._job.rate} Hz"
            )
        return journal

    def _path(self, side: Direction) -> Path:
        return Path(self._job.data_dir) / self._job.journal / f"{side.value}.journal"

    def _mix(self, sides: dict[Direction, NDArray[np.int16]], count: int) -> NDArray[np.int16]:
        if self._job.stereo:
            mixed = np.zeros((count, 2), np.int16)
            for side, samples in sides.items():
                mixed[:, 0 if side is Direction.SPEAK else 1] = samples
            return mixed
        if not sides:
            return np.zeros(count, np.int16)
        first, *others = sides.values()
        if not others:
            return first
        total = first.astype(np.int32) + others[0]
        mono: NDArray[np.int16] = np.clip(total, -32768, 32767).astype(np.int16)
        return mono


def _encode(job: RenderJob, form: Format, path: Path, source: _Source) -> None:
    """Write the whole file at `path`."""
    channels = 2 if job.stereo else 1
    layout = "stereo" if job.stereo else "mono"
    # Without "bitexact" a version string is written in; the same job is to give the same file.
    options = {"fflags": "+bitexact"}
    if form is Format.WAV:
        long = 2 * channels * (job.end - job.start) >= RF64_FROM
        options["rf64"] = "always" if long else "never"
    elif form is Format.MP4:
        options["movflags"] = "+faststart"
    with av.open(str(path), "w", format=form.value, options=options) as container:
        stream = container.add_stream(_CODECS[form], rate=job.rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        if form is not Format.WAV:
            stream.codec_context.bit_rate = BITS_PER_CHANNEL * channels
        stream.codec_context.options = {"flags": "+bitexact", **_CHEAP.get(form, {})}
        container.start_encoding()  # the header, also of a recording without a sample
        done = 0
        for chunk in source.chunks():
            frame = av.AudioFrame.from_ndarray(chunk, format="s16", layout=layout)
            frame.sample_rate = job.rate
            frame.pts = done
            done += frame.samples
            container.mux(stream.encode(frame))
        if done == 0 and form is not Format.WAV:
            # Players take a wav of nothing, but no mp3 or mp4 without a frame: one silent sample.
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, channels), np.int16), format="s16", layout=layout
            )
            frame.sample_rate = job.rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _make_folder(folder: Path) -> None:
    """Make the two folders above a file, and make that last."""
    for one in (folder.parent, folder):
        if not one.is_dir():
            one.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(one.parent)


@contextlib.contextmanager
def _claim(final: Path) -> Iterator[Path]:
    """Yield a temporary name beside `final` that no other process writes to at the same time.

    A worker can outlive a server that was killed, and the next server renders the same job: the
    second waits for the first. What is left under the name when the context ends is removed.
    """
    temporary = final.with_name(f".{final.name}.part")
    while True:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not _is_named(fd, temporary):
                continue  # the other one finished and took the name away
            try:
                yield temporary
            finally:
                if _is_named(fd, temporary):
                    temporary.unlink()
            return
        finally:
            os.close(fd)


def _is_named(fd: int, path: Path) -> bool:
    """Return whether the open file is the one `path` names."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _sync(path: Path) -> str:
    """Bring a file's bytes to disk and return their SHA-256 in hex."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _publish(temporary: Path, final: Path, digest: str) -> None:
    """Give the finished file its name; a file already there stays, and must be the same."""
    if not final.exists():
        temporary.rename(final)
    elif _sync(final) != digest:
        raise LocalError(f"{final} exists already and holds something else; it was not touched")
    _sync_folder(final.parent)
