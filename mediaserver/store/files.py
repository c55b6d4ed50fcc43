"""The files of recordings: where they really are, and how much room is left for more.

Paths in the database were made by us. They are checked all the same before anything is opened or
sent: a database can be restored from elsewhere, and a folder can be replaced by a link.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Final

from mediaserver.errors import LocalError
from mediaserver.recording.resource import Format

_SUFFIXES: Final = frozenset(f".{format.value}" for format in Format)


class UnsafePath(LocalError):
    """A stored path leads somewhere that no recording is kept."""


class Files:
    """The data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def resolve(self, path: str) -> Path:
        """Return the real path of `Audio.path`; the file need not exist.

        Raises `UnsafePath` for an absolute path, for "..", for what a link leads out of the data
        directory, and for what is not an audio file (the database lives there too). Looks at the
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

    def free_bytes(self) -> int:
        """Return how many octets this process may still write under the data directory.

        Raises `LocalError` when the directory cannot be asked. A system call, not a wait: unless
        the directory is on a network that has gone.
        """
        try:
            space = os.statvfs(self._data_dir)
        except OSError as error:
            raise LocalError(
                f"the free space of {self._data_dir} is unknown: {error.strerror}"
            ) from error
        return space.f_bavail * space.f_frsize
