"""The journal: a leg's samples on disk as they come, readable whatever happens to the writer.

A leg has a folder with `speak.journal` (what the party says) and `listen.journal` (what it hears;
made with its first sample, so a leg that was sent nothing has none: silence). What is
said in G.722 or Opus is more than the line has: `speak-wide.journal` holds it at 16 kHz, at the
same instants, and `listen-wide.journal` such of it as was passed on to the party (`wide`).
A journal is a header block of 4096 bytes, JSON padded with spaces, and then int16 little-endian
samples: the sample at position p of the leg's line lies at byte 4096 + 2 * (p - first). Writers
only ever `pwrite` samples at their place; there is no length to refresh and nothing to close, so
a journal of a process that was killed is as good as any other. What was never written, a gap in
the middle or what lies past the end, reads as silence. An odd last byte is half a sample and
counts as not written.

Beside them `spans` says why the line is silent where it is (`rtp.spans`); a leg of which there is
nothing to say has no such file.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import LocalError
from ..rtp.spans import unpack
from .failure import Failure, RecordingFailed
from .resource import Direction

HEADER_SIZE: Final = 4096
NOTES: Final = "spans"
"""Name of the file, in the leg's folder, that its spans are in."""
SUFFIX: Final = ".journal"
MAGIC: Final = "mediaserver-journal-1"
MAX_RATE: Final = 384_000
"""A header that claims a higher rate in Hz is damaged."""
MAX_NUMBER: Final = 1 << 56
"""Nor does any line get this long, or any clock this late; byte offsets stay within 63 bits."""

_READ_SAMPLES: Final = 1 << 30  # one pread returns at most 2 GiB

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_SAMPLE: Final = np.dtype("<i2")


def journal_name(direction: Direction, *, wide: bool = False) -> str:
    """Return what a journal is called in its leg's folder."""
    return f"{direction.value}{'-wide' if wide else ''}{SUFFIX}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHeader:
    """What a journal says about itself."""

    leg_id: str
    direction: Direction
    """`SPEAK` or `LISTEN`."""
    rate: int
    """Samples per second."""
    first: int
    """Position on the leg's line of the first sample kept."""
    wall_us: int
    """When `first` was, in microseconds since 1970-01-01 UTC."""

    def pack(self) -> bytes:
        """Return the header block."""
        fields = {
            "magic": MAGIC,
            "leg_id": self.leg_id,
            "direction": self.direction,
            "rate": self.rate,
            "first": self.first,
            "wall_us": self.wall_us,
        }
        text = json.dumps(fields, separators=(",", ":"))
        block = text.encode().ljust(HEADER_SIZE - 1) + b"\n"
        assert len(block) == HEADER_SIZE, "a leg id of four thousand letters"
        return block

    @classmethod
    def unpack(cls, block: bytes) -> JournalHeader:
        """Return the header in a block; ValueError when it is not one."""
        if len(block) < HEADER_SIZE:
            raise ValueError(f"the header is cut short at {len(block)} of {HEADER_SIZE} bytes")
        try:
            fields: Any = json.loads(block)  # bad UTF-8 and bad JSON are both ValueErrors
        except RecursionError:
            raise ValueError("the header is nested too deep") from None
        if not isinstance(fields, dict) or fields.pop("magic", None) != MAGIC:
            raise ValueError("the header is not that of a journal")
        numbers = ("rate", "first", "wall_us")
        if set(fields) != {"leg_id", "direction", *numbers}:
            raise ValueError("the header lacks a field or has one too many")
        if any(type(fields[name]) is not int for name in numbers):
            raise ValueError("a number in the header is none")
        if max(abs(fields["first"]), abs(fields["wall_us"])) > MAX_NUMBER:
            raise ValueError("a number in the header is out of range")
        if not isinstance(fields["leg_id"], str) or not 0 < fields["rate"] <= MAX_RATE:
            raise ValueError("a field of the header is out of range")
        return cls(**{**fields, "direction": Direction(fields["direction"])})


def create(path: Path, header: JournalHeader) -> int:
    """Make a new journal and its folders; return a descriptor to `pwrite` samples through.

    LocalError when the file exists or cannot be made. Blocks on the disk, but does not fsync.
    """
    try:
        try:
            fd = os.open(path, _NEW, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, _NEW, 0o600)
    except OSError as error:
        raise LocalError(f"cannot create the journal {path}: {error.strerror}") from error
    block = header.pack()
    try:
        written = os.pwrite(fd, block, 0)
        if written != len(block):
            raise OSError(errno.ENOSPC, "the disk took only part of the header")
    except OSError as error:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise LocalError(f"cannot write the journal {path}: {error.strerror}") from error
    return fd


def offset(header: JournalHeader, position: int) -> int:
    """Return the byte of the file at which the sample at `position` lies."""
    assert position >= header.first, (position, header.first)
    return HEADER_SIZE + 2 * (position - header.first)


def read_notes(folder: Path) -> NDArray[np.int64]:
    """Return what is noted in a leg's folder (`rtp.spans.unpack`); nothing if there is no file."""
    try:
        return unpack((folder / NOTES).read_bytes())
    except OSError:
        return unpack(b"")


def open_journal(path: Path) -> Journal:
    """Open a journal for reading; LocalError naming the file when that cannot be done."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LocalError(f"cannot open the journal {path}: {error.strerror}") from error
    try:
        return Journal(path, fd, JournalHeader.unpack(os.pread(fd, HEADER_SIZE, 0)))
    except ValueError as error:
        os.close(fd)
        problem = f"the journal {path} is damaged: {error}"
        raise RecordingFailed(problem, Failure.JOURNAL_UNUSABLE) from error
    except OSError as error:
        os.close(fd)
        raise LocalError(f"cannot read the journal {path}: {error.strerror}") from error


class Journal:
    """A journal open for reading; it may still be growing. A context manager."""

    def __init__(self, path: Path, fd: int, header: JournalHeader) -> None:
        self.path = path
        self.header = header
        self._fd = fd

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def end(self) -> int:
        """Position after the last whole sample written so far."""
        size = max(0, os.fstat(self._fd).st_size - HEADER_SIZE)
        return self.header.first + size // 2

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        """Return the samples from `start` to before `end`, exactly so many; zeros where none are.

        LocalError when the disk fails.
        """
        assert start <= end, (start, end)
        samples = np.zeros(end - start, _SAMPLE)
        position = max(start, self.header.first)
        while position < end:
            count = min(end - position, _READ_SAMPLES)
            try:
                data = os.pread(self._fd, 2 * count, offset(self.header, position))
            except OSError as error:
                raise LocalError(
                    f"cannot read the journal {self.path}: {error.strerror}"
                ) from error
            got = len(data) // 2
            if got == 0:
                break
            samples[position - start : position - start + got] = np.frombuffer(data, _SAMPLE, got)
            position += got
        return samples.astype(np.int16, copy=False)
