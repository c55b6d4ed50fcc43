from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from mediaserver.recording.announcement import Announcement
from mediaserver.recording.resource import Recording
from mediaserver.store import writer as writer_module
from mediaserver.store.database import Database
from mediaserver.store.faults import StoreConflict, StoreUnavailable
from mediaserver.store.outbox import Outbox
from mediaserver.store.recordings import Recordings

Make = Callable[..., Recording]
Announce = Callable[..., Announcement]


@pytest.fixture
def commits(database: Database) -> list[object]:
    seen: list[object] = []
    event.listen(database._engine, "commit", seen.append)
    return seen


async def test_writes_that_wait_together_share_a_transaction(
    database: Database, commits: list[object], make_recording: Make
) -> None:
    recordings = Recordings(database)
    await asyncio.gather(*(recordings.add(make_recording(n)) for n in range(100)))
    assert len(commits) == 1
    assert len((await recordings.page("project", None, 1000)).recordings) == 100


async def test_a_group_has_a_largest_size(tmp_path: Path, make_recording: Make) -> None:
    database = await Database.open(tmp_path, max_group=10)
    commits: list[object] = []
    event.listen(database._engine, "commit", commits.append)
    recordings = Recordings(database)
    await asyncio.gather(*(recordings.add(make_recording(n)) for n in range(100)))
    assert len(commits) == 10
    await database.dispose()


async def test_writes_at_fault_are_refused_and_their_neighbours_are_kept(
    database: Database, commits: list[object], make_recording: Make, make_announcement: Announce
) -> None:
    recordings = Recordings(database)
    await recordings.add(make_recording(50))
    del commits[:]

    async def add(number: int) -> None:
        recording = make_recording(number)
        await recordings.add(recording, [make_announcement(recording.id)])

    async def save_unknown() -> None:
        unknown = make_recording(1000)
        await recordings.save(unknown, [make_announcement(unknown.id)])

    tasks = [*(add(number) for number in range(100)), save_unknown()]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [n for n, answer in enumerate(answers) if answer is not None] == [50, 100]
    assert isinstance(answers[50], StoreConflict)
    assert isinstance(answers[100], StoreConflict)
    assert "no such recording" in str(answers[100])
    assert len(commits) == 1
    kept = {recording.id for recording in await recordings.unfinished()}
    assert kept == {make_recording(number).id for number in range(100)}
    # What was refused announces nothing either.
    announced = {queued.announcement.stream for queued in await Outbox(database).due(1, 1000)}
    assert announced == kept - {make_recording(50).id}


async def test_a_refusal_names_no_value_of_the_row(
    database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    recording = make_recording(1, status_url="http://user:secret@application.example/")
    await recordings.add(recording)
    for fault in (recording, make_recording(2, started_at=2**70, status_url=recording.status_url)):
        with pytest.raises(StoreConflict) as refused:
            await recordings.add(fault)
        assert "secret" not in str(refused.value)


async def test_an_announcement_number_given_twice_undoes_the_save_it_came_with(
    database: Database, make_recording: Make, make_announcement: Announce
) -> None:
    recordings = Recordings(database)
    recording = make_recording(1)
    await recordings.add(recording, [make_announcement(recording.id, 0)])
    changed = make_recording(1, error_message="changed")
    with pytest.raises(StoreConflict):
        await recordings.save(changed, [make_announcement(recording.id, 0)])
    assert await recordings.get("project", None, recording.id) == recording


async def test_a_write_whose_caller_is_cancelled_is_written(
    database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    adding = asyncio.create_task(recordings.add(make_recording(1)))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    await recordings.add(make_recording(2))
    assert len(await recordings.unfinished()) == 2


async def test_more_writes_than_may_wait_are_refused_at_once(
    database: Database, make_recording: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING", 3)
    recordings = Recordings(database)
    tasks = [recordings.add(make_recording(n)) for n in range(5)]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None)] * 3 + [StoreUnavailable] * 2


async def test_the_outbox_wakes_its_reader_only_after_the_commit(
    database: Database, make_recording: Make, make_announcement: Announce
) -> None:
    recordings, outbox = Recordings(database), Outbox(database)
    await recordings.add(make_recording(1))
    assert not outbox.changed.is_set()
    event.listen(database._engine, "commit", lambda _: seen.append(outbox.changed.is_set()))
    seen: list[bool] = []
    await recordings.save(make_recording(1), [make_announcement("stream")])
    assert seen == [False]
    assert outbox.changed.is_set()
