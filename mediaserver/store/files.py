"""The files of recordings: where they really are, and how much room is left for more.

Paths in the database were made by us. They are checked all the same before anything is opened or
sent: a database can be restored from elsewhere, and a folder can be replaced by a link.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from mediaserver.errors import LocalError
from mediaserver.recording.claim import sync_folder
from mediaserver.recording.resource import Format, audio_path

_SUFFIXES: Final = frozenset({".peaks", *(f".{format.value}" for format in Format)})
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Space:
    """How large a file system is, in octets."""

    free: int
    """What this process may still write."""
    total: int


class UnsafePath(LocalError):
    """A stored path leads somewhere that no recording is kept."""


class Files:
    """The data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def resolve(self, path: str) -> Path:
        """Return the real path of `Audio.path`; the file need not exist.

        Raises `UnsafePath` for an absolute path, for "..", for what a link leads out of the data
        directory, and for what is no recording's file (the database lives there too). Looks at the
        disk, for a few microseconds.
        """
        relative = PurePosixPath(path)
        if (
            "\0" in path
            or "\\" in path
            or relative.is_absolute()
            or ".." in relative.parts
            or relative.suffix not in _SUFFIXES
        ):
            raise UnsafePath(f"{path!r} is not the path of a recording")
        try:
            root = self._data_dir.resolve()
            real = (root / relative).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise UnsafePath(f"{path!r} cannot be followed: {type(error).__name__}") from error
        if not real.is_relative_to(root) or real.suffix not in _SUFFIXES:
            raise UnsafePath(f"{path!r} leads out of the data directory")
        return real

    def has_rendition(self, recording_id: str, rendition: int) -> bool:
        """Tell whether there is a file of this number, of whatever format. Blocks."""
        paths = (audio_path(recording_id, format, rendition) for format in Format)
        return any(self.resolve(path).exists() for path in paths)

    def discard(self, path: str) -> None:
        """Remove one file; `path` is as for `resolve`. LocalError if it stays. Blocks."""
        real = self.resolve(path)
        try:
            real.unlink(missing_ok=True)
        except OSError as error:
            raise LocalError(f"cannot remove {real}: {error.strerror}") from error

    def remove(self, recording_id: str) -> None:
        """Remove every file of a recording, temporary ones too; LocalError if one stays.

        Blocks. What is being downloaded is removed once the download is over.
        """
        if _ID.fullmatch(recording_id) is None:
            raise UnsafePath(f"{recording_id!r} is not the id of a recording")
        folder = (self._data_dir / audio_path(recording_id, Format.WAV)).parent
        try:
            # `ID.wav`, `ID-2.mp3`, `ID.peaks`, and while they are made `.ID.wav.part`.
            its = re.compile(rf"\.?{recording_id}(-[0-9]+)?\.")
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if its.match(entry.name)]
            for name in names:
                (folder / name).unlink(missing_ok=True)
            if names:
                sync_folder(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LocalError(
                f"cannot remove recording {recording_id} from {folder}: {error.strerror}"
            ) from error

    def space(self) -> Space:
        """Return how much room there is under the data directory.

        Raises `LocalError` when the directory cannot be asked. Blocks if it is on a network that
        has gone.
        """
        try:
            space = os.statvfs(self._data_dir)
        except OSError as error:
            raise LocalError(
                f"the free space of {self._data_dir} is unknown: {error.strerror}"
            ) from error
        return Space(space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize)
