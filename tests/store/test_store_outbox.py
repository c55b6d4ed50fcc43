from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement
from mediaserver.recording.resource import Recording
from mediaserver.store.database import FILE_NAME, Database
from mediaserver.store.faults import StoreConflict
from mediaserver.store.outbox import MAX_BODY, MAX_URL, DeadLetter, Outbox, Queued
from mediaserver.store.recordings import Recordings

Announce = Callable[..., Announcement]
NOW = 2_000_000


async def _due(outbox: Outbox, now: int = NOW) -> list[tuple[str, int]]:
    due = await outbox.due(now, 100)
    return [(queued.announcement.stream, queued.announcement.sequence) for queued in due]


async def _head(outbox: Outbox, now: int = NOW) -> Queued:
    (queued,) = await outbox.due(now, 100)
    return queued


async def test_an_announcement_comes_back_as_it_was(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    given = make_announcement("a", 3, url="HTTPS://u:p@Host.example/x", body=bytes(range(256)))
    await outbox.add([given])
    queued = await _head(outbox)
    assert queued.announcement == given
    assert (queued.attempts, queued.next_attempt_at) == (0, 0)
    assert queued.origin == "https://host.example:443"


async def test_only_the_head_of_each_stream_is_due(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", n) for n in range(3)])
    await outbox.add([make_announcement("b", n) for n in range(2)])
    assert await _due(outbox) == [("a", 0), ("b", 0)]


async def test_the_next_is_due_once_the_head_is_delivered(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", n) for n in range(3)])
    seen = []
    while due := await outbox.due(NOW, 10):
        (queued,) = due
        seen.append(queued.announcement.sequence)
        await outbox.delivered(queued.id, NOW)
    assert seen == [0, 1, 2]
    assert await outbox.next_due() is None


async def test_one_that_comes_after_the_stream_was_emptied_is_due(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", 0)])
    await outbox.delivered((await _head(outbox)).id, NOW)
    await outbox.add([make_announcement("a", 1)])
    assert await _due(outbox) == [("a", 1)]


async def test_one_that_comes_while_the_head_is_being_ended_is_due_exactly_once(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", 0)])
    head = await _head(outbox)
    await asyncio.gather(
        outbox.add([make_announcement("a", 1)]),
        outbox.delivered(head.id, NOW),
        outbox.add([make_announcement("a", 2)]),
    )
    assert await _due(outbox) == [("a", 1)]


async def test_a_failed_head_waits_and_holds_back_its_stream_alone(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", 0), make_announcement("a", 1)])
    await outbox.add([make_announcement("b", 0)])
    head = (await outbox.due(NOW, 1))[0]
    await outbox.failed(head.id, NOW + 5, "connection refused")
    assert await _due(outbox, NOW + 4) == [("b", 0)]
    assert await outbox.next_due(after=NOW + 4) == NOW + 5
    again = (await outbox.due(NOW + 5, 10))[-1]
    assert (again.id, again.attempts, again.next_attempt_at) == (head.id, 1, NOW + 5)


async def test_a_buried_head_is_kept_with_its_reason_and_lets_the_next_pass(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", n) for n in range(2)])
    head = await _head(outbox)
    await outbox.failed(head.id, NOW, "500")
    await outbox.bury(head.id, "x" * 10_000)
    assert await _due(outbox) == [("a", 1)]
    letter = DeadLetter(id=head.id, announcement=head.announcement, attempts=2, why="x" * 500)
    assert await outbox.dead(10) == [letter]


async def test_what_was_never_tried_is_due_although_the_clock_was_set_back(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", 0, created_at=NOW)])
    assert await _due(outbox, now=0) == [("a", 0)]


async def test_neither_those_in_flight_nor_a_busy_origin_fill_the_answer(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add(
        [make_announcement(f"dead {n}", url=f"http://dead.example/{n}") for n in range(50)]
    )
    await outbox.add([make_announcement("alive")])
    flying = {queued.id for queued in await outbox.due(NOW, 10)}
    more = await outbox.due(NOW, 10, skip=flying)
    assert len(more) == 10
    assert not flying & {queued.id for queued in more}
    others = await outbox.due(NOW, 10, skip=flying, avoid={more[0].origin})
    assert [queued.announcement.stream for queued in others] == ["alive"]


async def test_all_of_it_survives_a_reopening(
    tmp_path: Path, database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", n) for n in range(3)])
    buried = await _head(outbox)
    await outbox.bury(buried.id, "410")
    failed = await _head(outbox)
    await outbox.failed(failed.id, NOW + 5, "timeout")
    await database.dispose()
    reopened = await Database.open(tmp_path)
    outbox = Outbox(reopened)
    again = await _head(outbox, NOW + 5)
    assert (again.id, again.attempts) == (failed.id, 1)
    assert [letter.id for letter in await outbox.dead(10)] == [buried.id]
    await outbox.delivered(again.id, NOW)
    assert await _due(outbox) == [("a", 2)]
    await reopened.dispose()


async def test_an_id_is_never_given_twice(database: Database, make_announcement: Announce) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a")])
    first = await _head(outbox)
    await outbox.delivered(first.id, NOW)
    await outbox.forget(before=2**60)
    await outbox.add([make_announcement("a")])
    assert (await _head(outbox)).id > first.id


async def test_forget_removes_what_has_ended_and_is_old_enough(
    tmp_path: Path, database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    for number, stream in enumerate(("delivered", "dead", "waiting", "young")):
        await outbox.add([make_announcement(stream, created_at=number)])
    delivered, dead, _, young = await outbox.due(NOW, 10)
    await outbox.delivered(delivered.id, NOW)
    await outbox.bury(dead.id, "410")
    await outbox.delivered(young.id, NOW)
    await outbox.forget(before=3)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        rows = connection.execute("SELECT stream, body FROM outbox ORDER BY id").fetchall()
    # Of what was delivered the fact stays, the body does not.
    assert rows == [("waiting", b"waiting 0"), ("young", b"")]


async def test_an_announcement_can_be_ended_only_once(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", n) for n in range(2)])
    head = await _head(outbox)
    await outbox.delivered(head.id, NOW)
    for ending in (
        outbox.delivered(head.id, NOW),
        outbox.failed(head.id, NOW, "late"),
        outbox.bury(head.id, "late"),
    ):
        with pytest.raises(StoreConflict, match="no such announcement"):
            await ending
    assert await _due(outbox) == [("a", 1)]


async def test_what_is_larger_than_the_limits_is_refused_before_anything_is_written(
    database: Database, make_announcement: Announce, make_recording: Callable[..., Recording]
) -> None:
    recordings = Recordings(database)
    for excess in ({"body": bytes(MAX_BODY + 1)}, {"url": "http://x/" + "y" * MAX_URL}):
        with pytest.raises(LocalError):
            await recordings.add(make_recording(1), [make_announcement("a", **excess)])
    assert await recordings.unfinished() == []


@pytest.mark.parametrize("url", ["", "http://[", "http://host:port/", "callback"])
async def test_a_url_without_an_origin_is_kept_all_the_same(
    database: Database, make_announcement: Announce, url: str
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", url=url)])
    assert (await _head(outbox)).origin == ""


async def test_due_is_read_off_an_index_that_holds_heads_alone(
    tmp_path: Path, database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement("a", n) for n in range(20)])
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM outbox WHERE next_attempt_at <= 1 "
            "ORDER BY next_attempt_at, id LIMIT 10"
        ).fetchall()
        heads = connection.execute(
            "SELECT count(*) FROM outbox WHERE next_attempt_at IS NOT NULL"
        ).fetchone()
    assert [row[3] for row in plan] == [
        "SEARCH outbox USING INDEX outbox_by_next_attempt (next_attempt_at<?)"
    ]
    assert heads == (1,)


async def test_retries_are_moved_with_the_wall_clock_and_nothing_else_is(
    database: Database, make_announcement: Announce
) -> None:
    outbox = Outbox(database)
    await outbox.add([make_announcement(stream, n) for stream in "abc" for n in range(2)])
    first, second, _ = await outbox.due(NOW, 100)
    await outbox.failed(first.id, 5_000_000, "away")
    await outbox.failed(second.id, 500, "away")
    await outbox.shift(-1_000)
    due = {queued.announcement.stream: queued for queued in await outbox.due(10_000_000, 100)}
    assert {name: queued.next_attempt_at for name, queued in due.items()} == {
        "a": 4_999_000,
        "b": 1,
        "c": 0,
    }
    assert {queued.announcement.sequence for queued in due.values()} == {0}
