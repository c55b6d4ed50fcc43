"""What goes by itself, when its time has come, and what never does."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from mediaserver.calls.resource import CallRecord
from mediaserver.recording.announcement import Announcement
from mediaserver.recording.resource import Format, Recording, Span, audio_path
from mediaserver.recording.states import FINAL, State
from mediaserver.store import calls as calls_module
from mediaserver.store import sweeper as sweeping
from mediaserver.store.calls import Calls
from mediaserver.store.database import FILE_NAME, Database
from mediaserver.store.erase import Eraser
from mediaserver.store.faults import StoreUnavailable
from mediaserver.store.files import Files
from mediaserver.store.journal_folders import JournalFolders
from mediaserver.store.outbox import Outbox
from mediaserver.store.recordings import Recordings
from mediaserver.store.sweeper import ORPHANED, REMEMBERED, Sweeper
from mediaserver.store.tombstones import Tombstones

Make = Callable[..., Recording]
Announce = Callable[..., Announcement]

DAWN = 1_700_000_000
DAY = 86_400
KEEP = 7 * DAY


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = float(DAWN)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class House:
    """A data directory and its sweeper."""

    def __init__(self, data_dir: Path, database: Database, make: Make) -> None:
        self.data_dir = data_dir
        self.database = database
        self.clock = Hand()
        self.recordings = Recordings(database)
        self.outbox = Outbox(database)
        self.calls = Calls(database)
        self.in_use: dict[str, Sequence[Span]] = {}
        self.journals = JournalFolders(data_dir)
        self.eraser = Eraser(
            database, Files(data_dir), self.journals, self.clock, self._in_use, lambda _: False
        )
        self.sweeper = Sweeper(
            self.eraser,
            Tombstones(database),
            self.journals,
            self.outbox,
            self.calls,
            self.clock,
            keep_journal=KEEP,
            keep_calls=90 * DAY,
            in_use=self._in_use,
        )
        self._make = make

    def _in_use(self) -> Mapping[str, Sequence[Span]]:
        return self.in_use

    async def add(self, number: int, ended: float = 0.0, **changes: Any) -> Recording:
        """Keep a recording that ended so many seconds after dawn, with a file and a journal."""
        leg = changes.pop("leg", f"leg-{number}")
        fields: dict[str, Any] = {
            "state": State.FINISHED,
            "ended_at": round((DAWN + ended) * 1e6),
            "span": Span(journal=f"journals/{leg}", rate=8000, start=0, end=8000),
        }
        recording = replace(self._make(number), **fields | changes)
        await self.recordings.add(recording)
        path = self.data_dir / audio_path(recording.id, Format.WAV)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"audio")
        self.make_journal(leg)
        return recording

    async def add_call(self, id: str, ended: float | None, project: str = "project") -> None:
        """Keep a call that began at dawn and ended so many seconds later, or has not."""
        await self.calls.add(
            CallRecord(
                id=id,
                project_id=project,
                direction="inbound",
                from_=f"sip:caller-of-{id}@example.com",
                to="sip:bob@example.com",
                sip_call_id="",
                created_at=at(0),
                ended_at=None if ended is None else at(ended),
            )
        )

    def files_with(self, needle: bytes) -> list[Path]:
        files = [path for path in self.data_dir.rglob("*") if path.is_file()]
        return [path for path in files if needle in path.read_bytes()]

    async def call_ids(self) -> list[str]:
        rows = await self.database.read(text("SELECT id FROM calls ORDER BY id"))
        return [row.id for row in rows]

    def make_journal(self, leg: str, made: float = 0.0) -> Path:
        folder = self.data_dir / "journals" / leg
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "speak.journal").write_bytes(b"audio")
        os.utime(folder, (DAWN + made, DAWN + made))
        return folder

    async def there(self) -> list[int]:
        """Return the numbers of the recordings there are; each has its file."""
        page = await self.recordings.page("project", None, 1000)
        numbers = sorted(int(recording.id[:8], 16) for recording in page.recordings)
        files = sorted(int(p.name[:8], 16) for p in (self.data_dir / "recordings").rglob("*.wav"))
        assert files == numbers
        return numbers

    def legs(self) -> list[str]:
        return sorted(path.name for path in (self.data_dir / "journals").iterdir())


@pytest.fixture
def house(tmp_path: Path, database: Database, make_recording: Make) -> House:
    return House(tmp_path, database, make_recording)


def at(seconds: float) -> int:
    return round((DAWN + seconds) * 1e6)


async def test_all_that_has_expired_is_erased_and_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 4)
    for number in range(10):
        await house.add(number, expires_at=at(100))
    await house.add(10, expires_at=at(101))
    await house.add(11)
    for number, state in enumerate(sorted(set(State) - FINAL), 12):
        await house.add(number, state=state, expires_at=at(1))
    house.clock.now += 99.9
    await house.sweeper.sweep()
    assert await house.there() == list(range(15))
    house.clock.now += 0.1
    for _ in range(2):  # the second time there is nothing to do
        await house.sweeper.sweep()
        assert await house.there() == list(range(10, 15))
    assert house.legs() == sorted(f"leg-{number}" for number in range(10, 15))
    rows = await house.database.read(text("SELECT reason, deleted_by, deleted_at FROM tombstones"))
    assert [tuple(row) for row in rows] == [("retention", None, at(100))] * 10


async def test_one_that_cannot_be_erased_keeps_none_of_its_neighbours(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await house.add(number, expires_at=at(number))
    delete = house.eraser.delete

    async def stumble(deletion: Any, *more: Any) -> bool:
        if deletion.id.startswith("00000002"):
            raise RuntimeError("nobody thought of this")
        return await delete(deletion, *more)

    house.clock.now += 10
    with monkeypatch.context() as broken:
        broken.setattr(house.eraser, "delete", stumble)
        await house.sweeper.sweep()
    assert await house.there() == [2]
    await house.sweeper.sweep()
    assert await house.there() == []


async def test_a_row_that_makes_no_sense_is_erased_all_the_same(house: House) -> None:
    await house.add(1, expires_at=at(1))
    with closing(sqlite3.connect(house.data_dir / FILE_NAME)) as connection:
        connection.execute("UPDATE recordings SET audio = '[{}]', format = 'tape'")
        connection.commit()
    house.clock.now += 10
    await house.sweeper.sweep()
    assert await house.there() == []


async def test_a_journal_goes_when_the_last_of_its_recordings_ended_long_enough_ago(
    house: House,
) -> None:
    await house.add(1, ended=0, leg="one")
    await house.add(2, ended=0, leg="two")
    await house.add(3, ended=100, leg="two")
    await house.add(4, ended=0, leg="running")
    await house.add(5, leg="running", state=State.RECORDING, ended_at=None)
    await house.add(6, leg="no-end", ended_at=None, state=State.ERROR)
    await house.add(7, ended=0, leg="in-use")
    house.in_use["journals/in-use"] = []
    house.clock.now += KEEP - 1
    await house.sweeper.sweep_all()
    assert len(house.legs()) == 5
    house.clock.now += 1.1
    await house.sweeper.sweep_all()
    assert house.legs() == ["in-use", "running", "two"]
    house.clock.now += 100
    house.in_use.clear()
    await house.sweeper.sweep_all()
    assert house.legs() == ["running"]
    house.clock.now += 100 * KEEP
    await house.sweeper.sweep_all()
    assert house.legs() == ["running"]
    # Their files are another matter.
    assert await house.there() == [1, 2, 3, 4, 5, 6, 7]


async def test_a_journal_of_no_recording_goes_after_a_day(house: House) -> None:
    await house.add(1)
    house.make_journal("orphan", 10)
    house.make_journal("in-use", 10)
    house.in_use["journals/in-use"] = []
    house.clock.now += ORPHANED + 9
    await house.sweeper.sweep_all()
    assert house.legs() == ["in-use", "leg-1", "orphan"]
    house.clock.now += 1
    await house.sweeper.sweep_all()
    assert house.legs() == ["in-use", "leg-1"]


async def test_journals_older_than_all_the_database_knows_are_left_alone(house: House) -> None:
    """Whoever put an empty database in the place of a damaged one still has the audio."""
    house.make_journal("before", -10)
    house.clock.now += 10 * DAY
    await house.sweeper.sweep_all()
    assert house.legs() == ["before"]
    recording = await house.add(1)
    house.make_journal("since", 10)
    await house.sweeper.sweep_all()
    assert house.legs() == ["before"]
    await house.eraser.erase(recording)
    house.make_journal("since", 10)
    await house.sweeper.sweep_all()
    assert house.legs() == ["before"]


async def test_callbacks_are_forgotten_after_thirty_days(
    house: House, make_announcement: Announce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediaserver.store.outbox.FORGET_AT_ONCE", 3)
    for number in range(20):
        said = make_announcement(f"stream-{number}", created_at=at(number))
        await house.outbox.add([said])
    for queued in await house.outbox.due(1, 20):
        stream = int(queued.announcement.stream.partition("-")[2])
        if stream % 3 == 0:
            await house.outbox.delivered(queued.id, at(1))
        elif stream % 3 == 1:
            await house.outbox.bury(queued.id, "why")
    house.clock.now += REMEMBERED + 10
    await house.sweeper.sweep_all()
    rows = await house.database.read(text("SELECT stream FROM outbox ORDER BY id"))
    left = [int(row.stream.partition("-")[2]) for row in rows]
    assert left == [number for number in range(20) if number >= 10 or number % 3 == 2]


async def test_a_database_that_is_away_is_no_reason_to_stop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.add(1, expires_at=at(1))
    house.clock.now += 10
    monkeypatch.setattr(sweeping, "EVERY", 0.01)
    read, away = house.database.read, 3

    async def flaky(*args: Any) -> Any:
        nonlocal away
        if away:
            away -= 1
            raise StoreUnavailable("the database is not available")
        return await read(*args)

    monkeypatch.setattr(house.database, "read", flaky)
    house.sweeper.start()
    async with asyncio.timeout(5):
        while any((house.data_dir / "recordings").rglob("*.wav")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await house.sweeper.stop()
    assert away == 0
    assert await house.there() == []


async def test_calls_are_forgotten_in_their_time_but_not_while_they_last_or_have_recordings(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "FORGET_AT_ONCE", 3)
    for number in range(8):
        await house.add_call(f"old-{number}", 60)
        await house.add_call(f"old-{number}-of-another", 60, "other")
    await house.add_call("later", 3600)
    await house.add_call("up", None)
    await house.add_call("recorded", 60)
    kept = await house.add(1, ended=60, call_id="recorded", leg="leg-of-it")
    house.clock.now += 90 * DAY + 60
    await house.sweeper.sweep_all()
    assert await house.call_ids() == ["later", "recorded", "up"]
    # Not even in what the database wrote on the way.
    assert house.files_with(b"caller-of-old") == []
    await house.eraser.erase(kept)
    house.clock.now += 3600
    await house.sweeper.sweep_all()
    assert await house.call_ids() == ["up"]


async def test_calls_are_kept_for_ever_where_a_setting_says_so(
    database: Database, house: House
) -> None:
    await house.add_call("old", 60)
    sweeper = Sweeper(
        house.eraser,
        Tombstones(database),
        house.journals,
        house.outbox,
        house.calls,
        house.clock,
        keep_journal=KEEP,
        keep_calls=None,
        in_use=dict,
    )
    house.clock.now += 10_000 * DAY
    await sweeper.sweep_all()
    assert await house.call_ids() == ["old"]
