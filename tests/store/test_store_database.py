from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, event, text

from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement
from mediaserver.recording.resource import Recording
from mediaserver.store import database as database_module
from mediaserver.store import schema
from mediaserver.store.database import FILE_NAME, Database
from mediaserver.store.faults import StoreUnavailable
from mediaserver.store.outbox import Outbox
from mediaserver.store.recordings import Recordings

Make = Callable[..., Recording]
Announce = Callable[..., Announcement]


async def test_the_writer_flushes_every_commit_and_readers_cannot_write(
    database: Database,
) -> None:
    with database._engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in (
                *("journal_mode", "synchronous", "foreign_keys", "busy_timeout"),
                "secure_delete",
            )
        ]
    assert pragmas == ["wal", 2, 1, 5000, 1]
    with pytest.raises(StoreUnavailable, match="read-only"):
        await database.read(text("DELETE FROM recordings"))


def _tables(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_autoindex%' "
            "ORDER BY name"
        ).fetchall()
    return [(name, " ".join((sql or "").split())) for name, sql in rows]


def _migrate(path: Path, revision: str) -> None:
    """Let the migrations make a database, up to one of them."""
    from alembic import command
    from alembic.config import Config

    from mediaserver.store.migration import SCRIPTS

    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(SCRIPTS))
        config.set_main_option("path_separator", "os")
        command.upgrade(config, revision)
    engine.dispose()


def _revision(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchall()


async def test_a_new_database_is_as_the_migrations_make_it(tmp_path: Path) -> None:
    await (await Database.open(tmp_path)).dispose()
    _migrate(tmp_path / "migrated.sqlite3", "head")
    made, migrated = tmp_path / FILE_NAME, tmp_path / "migrated.sqlite3"
    assert _tables(made)
    assert _tables(made) == _tables(migrated)
    assert _revision(made) == _revision(migrated) == [(schema.REVISION,)]


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
async def test_a_database_of_an_older_program_is_brought_up_to_date(
    tmp_path: Path, revision: str
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    _migrate(old / FILE_NAME, revision)
    await (await Database.open(old)).dispose()
    await (await Database.open(tmp_path / "new")).dispose()
    assert _tables(old / FILE_NAME) == _tables(tmp_path / "new" / FILE_NAME)
    assert _revision(old / FILE_NAME) == [(schema.REVISION,)]


def test_the_revision_of_the_schema_is_that_of_the_last_migration() -> None:
    from alembic.script import ScriptDirectory

    from mediaserver.store.migration import SCRIPTS

    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == schema.REVISION


def test_neither_a_new_database_nor_one_of_this_revision_loads_alembic(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib\n"
        "from mediaserver.store.database import Database\n"
        "async def main():\n"
        f"    await (await Database.open(pathlib.Path({str(tmp_path)!r}))).dispose()\n"
        "    print({'alembic', 'sqlalchemy.dialects.postgresql'} & sys.modules.keys())\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(2)]
    assert [run.stdout.strip() for run in runs] == [b"set()", b"set()"]
    assert [run.stderr for run in runs] == [b"", b""]


async def test_two_that_open_a_new_database_at_once_both_get_it(tmp_path: Path) -> None:
    folder = tmp_path / "100% new"
    first, second = await asyncio.gather(Database.open(folder), Database.open(folder))
    await first.dispose()
    await second.dispose()


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    await (await Database.open(tmp_path)).dispose()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LocalError, match="newer version"):
        await Database.open(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


async def test_a_file_that_is_no_database_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all\n" * 1000)
    with pytest.raises(StoreUnavailable, match="not a database: restore it") as refused:
        await Database.open(tmp_path)
    assert "\n" not in str(refused.value)
    assert (tmp_path / FILE_NAME).read_bytes().startswith(b"not a database")


async def test_a_read_only_database_is_refused_at_the_start(tmp_path: Path) -> None:
    await (await Database.open(tmp_path)).dispose()
    # By its URL: the rights of a file do not stop root, who may run the tests.
    url = f"sqlite:///file:{tmp_path / FILE_NAME}?mode=ro&uri=true"
    with pytest.raises(StoreUnavailable, match="read-only"):
        await Database.open(url)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalError, match=r"folder .*file/data cannot be made"):
        await Database.open(tmp_path / "file" / "data")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "no url"])
async def test_a_url_that_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(LocalError, match="database"):
        await Database.open(url)


async def test_a_locked_database_is_read_and_reported_and_used_again_once_free(
    tmp_path: Path, make_recording: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.02)
    database = await Database.open(tmp_path)
    recordings = Recordings(database)
    await recordings.add(make_recording(1))
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        tasks = [recordings.add(make_recording(n)) for n in range(2, 300)]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        assert "another process has kept it locked" in str(answers[0])
        assert len((await recordings.page("project", None, 10)).recordings) == 1
        other.execute("ROLLBACK")
    await recordings.add(make_recording(2))
    assert len((await recordings.page("project", None, 10)).recordings) == 2
    await database.dispose()


async def test_a_full_disk_is_reported_and_forgotten_once_there_is_room(
    database: Database, make_recording: Make
) -> None:
    def shrink(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    recordings = Recordings(database)
    await recordings.add(make_recording(0))
    event.listen(database._engine, "begin", shrink)
    long = "x" * 10_000
    tasks = [recordings.add(make_recording(n, error_message=long)) for n in range(1, 50)]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert "its disk is full" in str(answers[0])
    event.remove(database._engine, "begin", shrink)
    assert len(await recordings.unfinished()) == 1
    await recordings.add(make_recording(1, error_message=long))
    assert len(await recordings.unfinished()) == 2


async def test_damaged_pages_are_reported_by_reads_and_writes(
    tmp_path: Path, make_recording: Make
) -> None:
    database = await Database.open(tmp_path)
    recordings = Recordings(database)
    await asyncio.gather(*(recordings.add(make_recording(n)) for n in range(500)))
    await database.dispose()
    content = (tmp_path / FILE_NAME).read_bytes()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        schema_pages = {row[0] for row in connection.execute("SELECT rootpage FROM sqlite_master")}
    # The roots of the tables stay, so that it opens; whatever hangs from them is overwritten.
    pages = [content[at : at + size] for at in range(0, len(content), size)]
    kept = [p if n in schema_pages | {1} else b"\xa5" * size for n, p in enumerate(pages, start=1)]
    (tmp_path / FILE_NAME).write_bytes(b"".join(kept))
    database = await Database.open(tmp_path)
    recordings = Recordings(database)
    with pytest.raises(StoreUnavailable, match="damaged"):
        await recordings.page("project", None, 100)
    with pytest.raises(StoreUnavailable, match="damaged"):
        await recordings.save(make_recording(7))
    await database.dispose()


async def test_dispose_writes_what_waits_and_leaves_one_file(
    tmp_path: Path, make_recording: Make
) -> None:
    database = await Database.open(tmp_path)
    recordings = Recordings(database)
    adding = [asyncio.create_task(recordings.add(make_recording(n))) for n in range(300)]
    await asyncio.sleep(0)
    await database.dispose()
    await asyncio.gather(*adding)
    await database.dispose()
    gc.collect()
    assert os.listdir(tmp_path) == [FILE_NAME]
    with pytest.raises(StoreUnavailable, match="is closed"):
        await recordings.add(make_recording(300))


async def test_a_read_that_is_cancelled_leaves_the_database_usable(
    tmp_path: Path, make_recording: Make
) -> None:
    database = await Database.open(tmp_path)
    recordings = Recordings(database)
    await recordings.add(make_recording(1))
    for turns in range(8):
        reading = asyncio.create_task(recordings.page("project", None, 10))
        for _ in range(turns):
            await asyncio.sleep(0)
        # Whoever reads in a thread of its own may have been quicker.
        cancelled = reading.cancel()
        await asyncio.wait({reading})
        assert reading.cancelled() or not cancelled
    assert await recordings.get("project", None, make_recording(1).id) == make_recording(1)
    await database.dispose()
    gc.collect()


_VICTIM = """
import asyncio, pathlib, sys
sys.path[:0] = [{tests!r}, {beside!r}]
from conftest import make_recording, make_announcement
from mediaserver.store.database import Database
from mediaserver.store.recordings import Recordings
make_recording, make_announcement = (f.__wrapped__() for f in (make_recording, make_announcement))

async def main():
    recordings = Recordings(await Database.open(pathlib.Path({folder!r})))
    async def add(number):
        recording = make_recording(number)
        await recordings.add(recording, [make_announcement(recording.id)])
        print(number, flush=True)
    for start in range(0, 1_000_000, 7):
        await asyncio.gather(*(add(start + n) for n in range(7)))

asyncio.run(main())
"""


def _kill_a_writer(folder: Path) -> list[int]:
    """Start a process that adds recordings, kill it; return the numbers it said were kept."""
    tests = Path(__file__).parent
    script = _VICTIM.format(tests=str(tests), beside=str(tests.parent), folder=str(folder))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        kept = [int(victim.stdout.readline()) for _ in range(60)]
        victim.kill()
        return kept + [int(line) for line in victim.stdout if line.endswith("\n")]


async def test_a_killed_process_leaves_all_it_acknowledged_with_its_announcements(
    tmp_path: Path, make_recording: Make
) -> None:
    acknowledged = await asyncio.to_thread(_kill_a_writer, tmp_path)
    database = await Database.open(tmp_path)
    kept = {recording.id for recording in await Recordings(database).unfinished()}
    announced = {queued.announcement.stream for queued in await Outbox(database).due(1, 10_000)}
    assert (await database.read(text("PRAGMA integrity_check")))[0][0] == "ok"
    await database.dispose()
    assert kept >= {make_recording(number).id for number in acknowledged}
    assert announced == kept
