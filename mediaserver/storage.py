"""What a server keeps, put together: its data folder, its database, and what clears both up."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from .clock import Clock
from .config import Config
from .errors import LocalError
from .recording.journal_end import journal_end
from .recording.resource import Format, audio_path
from .store.calls import Calls
from .store.database import Database
from .store.erase import Eraser, InUse
from .store.files import Files
from .store.journal_folders import JournalFolders
from .store.outbox import Outbox
from .store.recordings import Recordings
from .store.renderer import Renderer
from .store.reserve import Reserve
from .store.sweeper import Sweeper
from .store.tombstones import Tombstones


def take_folder(folder: Path, stack: contextlib.AsyncExitStack) -> None:
    """Make the data folder one's own until `stack` is closed; LocalError when that cannot be.

    A second server would take recordings in progress for crashed ones.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LocalError(
            f"data_dir: {folder} must be a folder that the server may write to: "
            f"{(error.strerror or str(error)).lower()}"
        ) from None
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LocalError(
            f"data_dir: {folder} is in use by another mediaserver; give each its own"
        ) from None


class Storage:
    """The database, the files and their renderer. `open` makes one."""

    def __init__(self, config: Config, folder: Path, clock: Clock, database: Database) -> None:
        self.recordings = Recordings(database)
        self.calls = Calls(database)
        self.outbox = Outbox(database)
        self.files = Files(folder)
        self.reserve = Reserve(self.files, config.limits.min_free_disk)
        self.renderer = Renderer(config.recording.encoders)
        self._config = config
        self._folder = folder
        self._clock = clock
        self._database = database

    @classmethod
    async def open(
        cls, config: Config, folder: Path, clock: Clock, stack: contextlib.AsyncExitStack
    ) -> Storage:
        """Open what is kept in the data folder until `stack` is closed; LocalError if it fails."""
        database = await Database.open(folder)
        stack.push_async_callback(database.dispose)
        storage = cls(config, folder, clock, database)
        await storage.reserve.start()
        stack.push_async_callback(storage.reserve.stop)
        stack.push_async_callback(storage.renderer.close)
        return storage

    def open_clearing(self, in_use: InUse) -> tuple[Eraser, Sweeper]:
        """Return what erases recordings, and what sweeps up; `in_use` tells what they may not."""
        journals = JournalFolders(self._folder)
        eraser = Eraser(
            self._database,
            self.files,
            journals,
            self._clock,
            in_use,
            self.renderer.is_rendering,
        )
        sweeper = Sweeper(
            eraser,
            Tombstones(self._database),
            journals,
            self.outbox,
            self.calls,
            self._clock,
            keep_journal=self._config.recording.keep_journal,
            keep_calls=self._config.calls.retention or None,
            in_use=in_use,
        )
        return eraser, sweeper

    def journal_end(self, folder: str) -> int:
        """Return how far the journal of a leg goes; `folder` is relative to the data folder."""
        return journal_end(self._folder / folder)

    def audio_file(self, recording_id: str) -> Path | None:
        """Return a file that was made of a recording, None if there is none."""
        for extension in Format:
            try:
                path = self.files.resolve(audio_path(recording_id, extension))
            except LocalError:
                return None
            if path.is_file():
                return path
        return None
