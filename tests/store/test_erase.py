"""An erased recording leaves no byte, whatever happens meanwhile, and nothing else is lost."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import text

from mediaserver.clock import SystemClock
from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement, ready_stream
from mediaserver.recording.announcement import Kind as Told
from mediaserver.recording.journal import NOTES, JournalHeader, create, offset, open_journal
from mediaserver.recording.resource import (
    Audio,
    Direction,
    Format,
    Recording,
    Span,
    audio_path,
    peaks_path,
)
from mediaserver.recording.states import FINAL, State
from mediaserver.rtp.spans import Kind, pack
from mediaserver.store.database import FILE_NAME, Database
from mediaserver.store.erase import Eraser
from mediaserver.store.files import Files
from mediaserver.store.journal_folders import JournalFolders
from mediaserver.store.outbox import Outbox
from mediaserver.store.recordings import Recordings

Make = Callable[..., Recording]
Announce = Callable[..., Announcement]

LENGTH = 8000
WORDS = b"whatever-was-said-of-it"


class Shelf:
    """A data directory with recordings in it, and what erases them."""

    def __init__(self, data_dir: Path, database: Database, make: Make) -> None:
        self.data_dir = data_dir
        self.recordings = Recordings(database)
        self.outbox = Outbox(database)
        self.database = database
        self.in_use: dict[str, Sequence[Span]] = {}
        self.rendering: set[str] = set()
        self.files = Files(data_dir)
        self.journals = JournalFolders(data_dir)
        self.eraser = Eraser(
            database,
            self.files,
            self.journals,
            SystemClock(),
            self._in_use,
            lambda id: id in self.rendering,
        )
        self._make = make

    def _in_use(self) -> Mapping[str, Sequence[Span]]:
        return self.in_use

    def recording(
        self,
        number: int,
        start: int = 0,
        end: int | None = LENGTH,
        leg: str = "leg",
        **changes: Any,
    ) -> Recording:
        """Return a recording that ended, with files in every place there is for one."""
        recording = self._make(number)
        audio = Audio(
            format=Format.WAV,
            path=audio_path(recording.id, Format.WAV),
            size_bytes=4,
            sample_rate=8000,
            channels=1,
            sha256="",
        )
        span = Span(journal=f"journals/{leg}", rate=8000, start=start, end=end)
        fields: dict[str, Any] = {"state": State.FINISHED, "span": span, "audio": (audio,)}
        return replace(recording, **fields | changes)

    def make_files(self, recording: Recording) -> None:
        folder = self.data_dir / Path(audio_path(recording.id, Format.WAV)).parent
        folder.mkdir(parents=True, exist_ok=True)
        names = [audio_path(recording.id, f, r) for f in Format for r in (0, 1, 12)]
        for path in (*names, peaks_path(recording.id)):
            (self.data_dir / path).write_bytes(recording.id.encode())
        (folder / f".{recording.id}.wav.part").write_bytes(recording.id.encode())

    def make_journal(self, leg: str = "leg", length: int = LENGTH) -> NDArray[np.int16]:
        samples = (np.arange(length) % 30_000 + 1).astype(np.int16)
        for side in (Direction.SPEAK, Direction.LISTEN):
            header = JournalHeader(leg_id=leg, direction=side, rate=8000, first=0, wall_us=0)
            file = create(self.data_dir / f"journals/{leg}/{side}.journal", header)
            os.pwrite(file, samples.tobytes(), offset(header, 0))
            os.close(file)
        return samples

    def journal(self, leg: str = "leg") -> NDArray[np.int16]:
        with open_journal(self.data_dir / f"journals/{leg}/speak.journal") as journal:
            return journal.read(0, journal.end)

    async def add(self, *recordings: Recording) -> None:
        for recording in recordings:
            self.make_files(recording)
            await self.recordings.add(recording)

    def left(self, needle: str | bytes) -> list[str]:
        """Return the files that hold the needle, or are named for it."""
        wanted = needle.encode() if isinstance(needle, str) else needle
        return [
            str(path.relative_to(self.data_dir))
            for path in self.data_dir.rglob("*")
            if wanted in os.fsencode(path.name) or (path.is_file() and wanted in path.read_bytes())
        ]

    async def owed(self) -> int:
        return len(await self.database.read(text("SELECT id FROM erasures")))

    async def tombstones(self) -> list[tuple[Any, ...]]:
        statement = text("SELECT id, call_id, reason, deleted_by FROM tombstones ORDER BY id")
        return [tuple(row) for row in await self.database.read(statement)]


@pytest.fixture
def shelf(tmp_path: Path, database: Database, make_recording: Make) -> Shelf:
    return Shelf(tmp_path, database, make_recording)


async def test_nothing_is_left_but_a_tombstone(shelf: Shelf, make_announcement: Announce) -> None:
    secret = "https://user:hidden@app.example.com/"
    gone = shelf.recording(1, status_url=secret, control_id="my-own-name", error_message="hush")
    other = shelf.recording(2, leg="other")
    shelf.make_journal("leg")
    kept = shelf.make_journal("other")
    await shelf.add(other)
    shelf.make_files(gone)
    said = [
        make_announcement(gone.id, 1, url=secret, body=WORDS),
        make_announcement(gone.id, 2, url=secret, body=WORDS * 1000),
        make_announcement(ready_stream(gone.id), 1, url=secret, body=WORDS, kind=Told.READY),
        make_announcement(other.id, 1),
    ]
    await shelf.recordings.add(gone, said)
    (head, *_) = [q for q in await shelf.outbox.due(1, 9) if q.announcement.stream == gone.id]
    await shelf.outbox.bury(head.id, "no such host")

    assert await shelf.eraser.erase(gone, "api_keys[0]")
    assert await shelf.recordings.get("project", None, gone.id) is None
    assert await shelf.tombstones() == [(gone.id, "call", "request", "api_keys[0]")]
    assert [q.announcement.stream for q in await shelf.outbox.due(1, 9)] == [other.id]
    assert await shelf.outbox.dead(9) == []
    assert not (shelf.data_dir / "journals/leg").exists()
    assert await shelf.owed() == 0
    await shelf.eraser.clear_log()
    for needle in (WORDS, b"hidden", b"my-own-name", b"hush"):
        assert shelf.left(needle) == []
    # The id is the tombstone's.
    assert set(shelf.left(gone.id)) <= {FILE_NAME, f"{FILE_NAME}-wal"}

    assert (await shelf.recordings.get("project", None, other.id)) == other
    assert len(shelf.left(other.id)) >= 11
    assert np.array_equal(shelf.journal("other"), kept)


async def test_what_was_delivered_stays_as_a_note_without_its_body(
    shelf: Shelf, make_announcement: Announce
) -> None:
    gone = shelf.recording(1)
    await shelf.recordings.add(gone, [make_announcement(gone.id, 1, body=WORDS)])
    (head,) = await shelf.outbox.due(1, 9)
    await shelf.outbox.delivered(head.id, 5)
    await shelf.eraser.erase(gone)
    rows = await shelf.database.read(text("SELECT state, length(body) FROM outbox"))
    assert [tuple(row) for row in rows] == [("delivered", 0)]


async def test_a_second_time_it_is_gone_already(shelf: Shelf) -> None:
    gone = shelf.recording(1)
    await shelf.add(gone)
    answers = await asyncio.gather(*(shelf.eraser.erase(gone) for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]
    assert len(await shelf.tombstones()) == 1


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
async def test_what_has_not_come_to_its_end_is_never_touched(shelf: Shelf, state: State) -> None:
    running = shelf.recording(1, state=state)
    await shelf.add(running)
    samples = shelf.make_journal()
    before = shelf.left(running.id)
    assert not await shelf.eraser.erase(running)
    assert await shelf.recordings.get("project", None, running.id) == running
    assert shelf.left(running.id) == before
    assert np.array_equal(shelf.journal(), samples)
    assert await shelf.tombstones() == []


async def test_of_a_shared_journal_only_what_others_need_is_kept(shelf: Shelf) -> None:
    samples = shelf.make_journal()
    early, middle, late = (
        shelf.recording(1, 1000, 4000),
        shelf.recording(2, 3000, 5000),
        shelf.recording(3, 6000, None, state=State.RENDERING),
    )
    await shelf.add(early, middle, late)
    await shelf.eraser.erase(early)
    expected = np.zeros_like(samples)
    expected[3000:5000] = samples[3000:5000]
    expected[6000:] = samples[6000:]
    assert np.array_equal(shelf.journal(), expected)
    await shelf.eraser.erase(middle)
    expected[3000:5000] = 0
    assert np.array_equal(shelf.journal(), expected)
    await shelf.recordings.save(replace(late, state=State.FINISHED))
    await shelf.eraser.erase(late)
    assert not (shelf.data_dir / "journals/leg").exists()


async def test_of_a_shared_journal_what_is_noted_of_the_erased_stretch_is_gone(
    shelf: Shelf,
) -> None:
    """When keys were pressed and the line was silent: times, but of a call that was erased."""
    first, second = shelf.recording(1, 0, 4000), shelf.recording(2, 6000, 8000)
    await shelf.add(first, second)
    shelf.make_journal()
    key, other = pack([(Kind.KEY, 1234, 1567)]), pack([(Kind.KEY, 6234, 6567)])
    (shelf.data_dir / "journals/leg" / NOTES).write_bytes(key + other)
    positions = [np.int64(at).tobytes() for at in (1234, 1567)]
    assert await shelf.eraser.erase(first)
    assert [shelf.left(position) for position in positions] == [[], []]
    assert (shelf.data_dir / "journals/leg" / NOTES).read_bytes() == bytes(24) + other
    assert await shelf.eraser.erase(second)
    assert shelf.left(np.int64(6234).tobytes()) == []
    assert not (shelf.data_dir / "journals/leg").exists()


async def test_recordings_of_one_leg_erased_at_once_leave_nothing_of_it(shelf: Shelf) -> None:
    shelf.make_journal()
    all_ = [shelf.recording(n, 500 * n, 500 * n + 800) for n in range(15)]
    await shelf.add(*all_)
    assert all(await asyncio.gather(*map(shelf.eraser.erase, all_)))
    assert not (shelf.data_dir / "journals/leg").exists()
    assert await shelf.owed() == 0


async def test_the_journal_of_a_leg_that_goes_on_is_left_to_it_but_for_what_is_over(
    shelf: Shelf,
) -> None:
    samples = shelf.make_journal()
    gone = shelf.recording(1, 1000, 4000)
    await shelf.add(gone)
    # One that began before the other ended, and is not in the database yet.
    running = Span(journal="journals/leg", rate=8000, start=3500)
    shelf.in_use["journals/leg"] = [running]
    await shelf.eraser.erase(gone)
    expected = samples.copy()
    expected[:3500] = 0
    assert np.array_equal(shelf.journal(), expected)
    # What comes late for it is written after all.
    with (shelf.data_dir / "journals/leg/speak.journal").open("r+b") as file:
        file.seek(4096 + 2 * 2000)
        file.write(WORDS)
    assert await shelf.owed() == 1
    await shelf.eraser.go_on()
    assert await shelf.owed() == 1
    shelf.in_use.clear()
    await shelf.recordings.add(shelf.recording(2, 3500, 6000))
    await shelf.eraser.go_on()
    expected[6000:] = 0
    assert np.array_equal(shelf.journal(), expected)
    assert await shelf.owed() == 0


async def test_what_an_encoder_makes_afterwards_is_removed_too(shelf: Shelf) -> None:
    gone = shelf.recording(1)
    await shelf.add(gone)
    shelf.rendering.add(gone.id)
    await shelf.eraser.erase(gone)
    shelf.make_files(gone)
    shelf.rendering.clear()
    await shelf.eraser.go_on()
    assert await shelf.owed() == 0
    assert not list((shelf.data_dir / "recordings").rglob("*.*"))


async def test_a_disk_that_fails_delays_the_erasing_and_does_not_undo_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = shelf.recording(1, leg="first"), shelf.recording(2, leg="second")
    await shelf.add(first, second)
    for leg in ("first", "second"):
        shelf.make_journal(leg)

    def fail(_journal: str) -> None:
        raise LocalError("cannot remove the journal: Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(shelf.journals, "remove", fail)
        assert await shelf.eraser.erase(first)
        assert await shelf.eraser.erase(second)
        await shelf.eraser.go_on()
    assert await shelf.recordings.get("project", None, first.id) is None
    assert await shelf.owed() == 2
    await shelf.eraser.go_on()
    assert await shelf.owed() == 0
    assert list((shelf.data_dir / "journals").iterdir()) == []


async def test_what_is_left_of_many_is_all_found(shelf: Shelf) -> None:
    many = [shelf.recording(n, leg=f"leg-{n}") for n in range(250)]
    shelf.in_use = {recording.span.journal: [] for recording in many}
    await asyncio.gather(*map(shelf.recordings.add, many))
    await asyncio.gather(*map(shelf.eraser.erase, many))
    assert await shelf.owed() == 250
    shelf.in_use = {}
    await shelf.eraser.go_on()
    assert await shelf.owed() == 0


async def test_the_log_of_changes_is_emptied_once_nobody_reads_it(shelf: Shelf) -> None:
    log = shelf.data_dir / f"{FILE_NAME}-wal"
    await shelf.eraser.clear_log()
    assert log.stat().st_size == 0
    gone = shelf.recording(1)
    await shelf.add(gone)
    await shelf.eraser.erase(gone)
    reader = sqlite3.connect(shelf.data_dir / FILE_NAME)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM recordings").fetchone()
    await shelf.recordings.add(shelf.recording(2))
    await shelf.eraser.clear_log()
    assert log.stat().st_size > 0
    reader.close()
    await shelf.eraser.clear_log()
    assert log.stat().st_size == 0
    # And writing goes on.
    await shelf.recordings.add(shelf.recording(3))


_ERASING = """
import asyncio, pathlib, sys
sys.path[:0] = {path!r}
from conftest import make_recording
from test_erase import Shelf
from mediaserver.store.database import Database

async def main():
    folder = pathlib.Path({folder!r})
    shelf = Shelf(folder, await Database.open(folder), make_recording.__wrapped__())
    async def one(number):
        recording = shelf.recording(number, leg=f"leg-{{number}}")
        print("begun", number, flush=True)
        await shelf.eraser.erase(recording)
        print("done", number, flush=True)
    for start in range(0, {count}, 5):
        await asyncio.gather(*(one(number) for number in range(start, start + 5)))

asyncio.run(main())
"""


def _kill_an_eraser(folder: Path, count: int, after: float) -> tuple[set[int], set[int]]:
    """Kill a process that erases; return the numbers it had begun, and those it was done with."""
    path = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    script = _ERASING.format(path=path, folder=str(folder), count=count)
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        lines = [victim.stdout.readline()]
        time.sleep(after)
        victim.kill()
        lines += list(victim.stdout)
    # Beside them there are lines of the log.
    words = [line.split() for line in lines if line.endswith("\n") and line.count(" ") == 1]
    begun = {int(number) for word, number in words if word == "begun"}
    return begun, {int(number) for word, number in words if word == "done"}


@pytest.mark.parametrize("after", [0.005, 0.05, 0.12, 0.2])
async def test_killed_in_the_middle_it_is_completed_after_the_restart(
    tmp_path: Path, make_recording: Make, after: float
) -> None:
    """Each recording is there with every byte, or gone with every byte."""
    count = 100
    database = await Database.open(tmp_path)
    shelf = Shelf(tmp_path, database, make_recording)
    recordings = [shelf.recording(number, leg=f"leg-{number}") for number in range(count)]
    await asyncio.gather(*map(shelf.recordings.add, recordings))
    for number, recording in enumerate(recordings):
        shelf.make_files(recording)
        shelf.make_journal(f"leg-{number}", 100)
    await database.dispose()
    begun, done = await asyncio.to_thread(_kill_an_eraser, tmp_path, count, after)
    assert 0 < len(begun) < count

    database = await Database.open(tmp_path)
    shelf = Shelf(tmp_path, database, make_recording)
    await shelf.eraser.go_on()
    assert await shelf.owed() == 0
    [None async for _ in shelf.journals.batches()]
    buried = {id for id, *_ in await shelf.tombstones()}
    for number, recording in enumerate(recordings):
        there = await shelf.recordings.get("project", None, recording.id) is not None
        assert there is (recording.id not in buried)
        files = [p for p in (tmp_path / "recordings").rglob("*") if recording.id in p.name]
        assert len(files) == (11 if there else 0)
        assert (tmp_path / f"journals/leg-{number}").exists() is there
        assert there or number in begun
        assert not there or number not in done
    names = {path.name for path in (tmp_path / "journals").iterdir()}
    assert all(not name.endswith(".erased") for name in names)
    await database.dispose()
