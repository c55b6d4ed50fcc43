"""A file that is made under a temporary name, and has its own only when every byte is on disk.

A process can be killed and its work begun anew at any time: nothing half done ever bears the name,
what is left under the temporary one is taken over, and a file that is there is never overwritten.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ..errors import LocalError

SYNC_EVERY: Final = 32 << 20
"""Bytes after which what is written is brought to disk: at the end that would take too long."""

_BLOCK: Final = 1 << 20


class Claim:
    """The right to make a file; see `claim`."""

    def __init__(self, final: Path, temporary: Path, fd: int) -> None:
        self.path = temporary
        """Where to write it."""
        self.size = 0
        """Bytes, once it is `finished`."""
        self.sha256 = ""
        self._final = final
        self._fd = fd
        self._synced = 0

    def keep_up(self) -> None:
        """Bring to disk what was written so far, if it is much."""
        size = os.fstat(self._fd).st_size
        if size - self._synced >= SYNC_EVERY:
            os.fdatasync(self._fd)
            self._synced = size

    def finish(self, progress: Callable[[], None]) -> None:
        """Bring all of it to disk, and take its measure; `progress` is called now and then.

        LocalError when a file of that name holds something else already.
        """
        os.fsync(self._fd)
        self.size = os.fstat(self._fd).st_size
        self.sha256 = _digest(self.path, progress)
        if self._final.exists() and _digest(self._final, progress) != self.sha256:
            raise LocalError(
                f"{self._final} exists already and holds something else; it was not touched"
            )

    def publish(self) -> None:
        """Give the finished file its name; one that is there already is the same, and stays."""
        if not self._final.exists():
            self.path.rename(self._final)
        sync_folder(self._final.parent)


@contextlib.contextmanager
def claim(final: Path) -> Iterator[Claim]:
    """Yield the right to make `final`, which no other process has at the same time.

    A worker can outlive a server that was killed, and the next server renders the same job: the
    second waits for the first. What is left under the temporary name at the end is removed.
    """
    _make_folder(final.parent)
    temporary = final.with_name(f".{final.name}.part")
    while True:
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not _is_named(fd, temporary):
                continue  # the other one finished and took the name away
            try:
                yield Claim(final, temporary, fd)
            finally:
                if _is_named(fd, temporary):
                    temporary.unlink()
            return
        finally:
            os.close(fd)


def _make_folder(folder: Path) -> None:
    """Make the two folders above a file, and make that last."""
    for one in (folder.parent, folder):
        if not one.is_dir():
            one.mkdir(mode=0o700, exist_ok=True)
            sync_folder(one.parent)


def _is_named(fd: int, path: Path) -> bool:
    """Return whether the open file is the one `path` names."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _digest(path: Path, progress: Callable[[], None]) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            progress()
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Have the disk keep which names there are in a folder; OSError if it cannot. Blocks."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
