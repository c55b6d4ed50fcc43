from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from mediaserver.calls.call_state import CallState
from mediaserver.calls.resource import CallQuery, CallRecord, Status
from mediaserver.errors import PeerError
from mediaserver.recording.announcement import Announcement
from mediaserver.store.calls import Calls, page_query
from mediaserver.store.database import FILE_NAME, Database
from mediaserver.store.faults import StoreConflict
from mediaserver.store.outbox import Outbox
from mediaserver.store.page_token import Position

_CALL = CallRecord(
    id="call",
    project_id="project",
    direction="inbound",
    from_="sip:alice@example.com",
    to="sip:bob@example.com",
    sip_call_id="../../etc/passwd",
    created_at=1_700_000_000_000_001,
    parent_id="parent",
)


async def test_a_call_comes_back_as_it_was(database: Database) -> None:
    calls = Calls(database)
    await calls.add(_CALL)
    assert await calls.get("project", "call") == _CALL
    ended = dataclasses.replace(
        _CALL,
        sip_call_id="known later",
        answered_at=2**53 + 1,
        ended_at=2**53 + 3,
        end_reason="hangup",
    )
    await calls.save(ended)
    assert await calls.get("project", "call") == ended


async def test_a_call_is_found_only_under_its_own_project(database: Database) -> None:
    calls = Calls(database)
    await calls.add(_CALL)
    assert await calls.get("stranger", "call") is None


async def test_a_name_that_no_database_can_hold_does_not_cost_the_call(
    database: Database,
) -> None:
    calls = Calls(database)
    await calls.add(dataclasses.replace(_CALL, from_="\udce4\0"))
    kept = await calls.get("project", "call")
    assert kept is not None
    assert kept.from_ == "?\N{REPLACEMENT CHARACTER}"


async def test_a_call_and_its_announcement_are_kept_or_refused_together(
    database: Database, make_announcement: Callable[..., Announcement]
) -> None:
    calls, outbox = Calls(database), Outbox(database)
    await calls.add(_CALL, [make_announcement("call", 0)])
    with pytest.raises(StoreConflict):
        await calls.add(_CALL, [make_announcement("call", 1)])
    with pytest.raises(StoreConflict, match="no such call"):
        await calls.save(dataclasses.replace(_CALL, id="x"), [make_announcement("x", 0)])
    due = await outbox.due(1, 10)
    assert [queued.announcement.stream for queued in due] == ["call"]
    await outbox.delivered(due[0].id, 1)
    assert await outbox.due(1, 10) == []


def _made(number: int, **changes: Any) -> CallRecord:
    fields: dict[str, Any] = {
        "id": f"call {number}",
        "direction": "inbound" if number % 2 else "outbound",
        "created_at": number,
        "answered_at": 100,
        "ended_at": 200,
        "end_reason": "hangup",
    }
    return dataclasses.replace(_CALL, **fields | changes)


async def _listed(calls: Calls, size: int = 10, **wanted: Any) -> list[str]:
    """Return the ids of all pages of a list."""
    live = wanted.pop("live", ())
    found: list[str] = []
    token = None
    while True:
        page = await calls.page("project", CallQuery(**wanted), size, token, live)
        assert len(page.calls) <= size
        found += [call.id for call in page.calls]
        token = page.next_token
        if token is None:
            return found


async def test_calls_are_listed_newest_first_page_by_page(database: Database) -> None:
    calls = Calls(database)
    for number in (3, 1, 2, 5, 4):
        await calls.add(_made(number))
    await calls.add(_made(9, project_id="another"))
    newest = [f"call {number}" for number in (5, 4, 3, 2, 1)]
    for size in (1, 2, 5, 10):
        assert await _listed(calls, size) == newest
    page = await calls.page("project", CallQuery(), 2)
    await calls.add(_made(6))  # what comes meanwhile moves nothing
    following = await calls.page("project", CallQuery(), 2, page.next_token)
    assert [call.id for call in following.calls] == ["call 3", "call 2"]
    with pytest.raises(PeerError, match="token"):
        await calls.page("project", CallQuery(direction="inbound"), 2, page.next_token)


async def test_a_list_has_what_was_asked_for(database: Database) -> None:
    calls = Calls(database)
    for call in (
        _made(1),
        _made(2, from_="sip:carol@example.com"),
        _made(3, answered_at=None, end_reason="busy"),
        _made(4, answered_at=None, end_reason="cancel"),
        _made(5, answered_at=None, end_reason=None),
        _made(6, to="sip:dave@example.com", ended_at=None, end_reason=None),
    ):
        await calls.add(call)
    for wanted, numbers in (
        ({"status": Status.ENDED}, (2, 1)),
        ({"status": Status.FAILED}, (5, 3)),
        ({"status": Status.CANCELED}, (4,)),
        ({"status": Status.ANSWERED}, ()),
        ({"direction": "inbound"}, (5, 3, 1)),
        ({"from_": "sip:carol@example.com"}, (2,)),
        ({"to": "sip:dave@example.com"}, (6,)),
        ({"created_from": 2, "created_before": 4}, (3, 2)),
        ({"direction": "inbound", "status": Status.FAILED}, (5, 3)),
    ):
        found = await _listed(calls, 1, **wanted)
        assert found == [f"call {number}" for number in numbers], wanted


async def test_calls_that_are_up_are_listed_as_they_are_now(database: Database) -> None:
    calls = Calls(database)
    for number in (1, 3):
        await calls.add(_made(number))
    await calls.add(_made(2, answered_at=None, ended_at=None, end_reason=None))
    live = [
        _made(2, ended_at=None, end_reason=None, progress=CallState.ANSWERED),
        # Not in the database yet.
        _made(4, ended_at=None, answered_at=None, end_reason=None, progress=CallState.RINGING),
    ]
    everything = ["call 4", "call 3", "call 2", "call 1"]
    for size in (1, 2, 3):
        assert await _listed(calls, size, live=live) == everything
    assert await _listed(calls, live=live, status=Status.ANSWERED) == ["call 2"]
    assert await _listed(calls, live=live, status=Status.ENDED) == ["call 3", "call 1"]
    assert await _listed(calls, live=live, direction="inbound") == ["call 3", "call 1"]
    page = await calls.page("project", CallQuery(), 4, None, live)
    assert [call.status for call in page.calls] == [
        Status.RINGING,
        Status.ENDED,
        Status.ANSWERED,
        Status.ENDED,
    ]


async def test_calls_whose_end_nobody_saw_are_over_after_a_restart(database: Database) -> None:
    calls = Calls(database)
    await calls.add(_made(1))
    await calls.add(_made(2, answered_at=None, ended_at=None, end_reason=None))
    await calls.give_up(777, "restart")
    over = await calls.get("project", "call 2")
    assert over is not None
    assert (over.ended_at, over.end_reason, over.status) == (777, "restart", Status.FAILED)
    known = await calls.get("project", "call 1")
    assert known is not None
    assert known.ended_at == 200


async def test_the_list_of_calls_is_read_off_its_index(tmp_path: Path) -> None:
    await (await Database.open(tmp_path)).dispose()
    query = CallQuery(created_from=5, status=Status.FAILED, direction="inbound")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        for after in (None, Position(10, "x")):
            statement = page_query("p", query, 100, after).compile(
                dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
            )
            rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            plan = " ".join(row[3] for row in rows)
            assert "SEARCH calls USING INDEX calls_of_project " in plan
            assert "TEMP B-TREE" not in plan
        rows = connection.execute(
            "EXPLAIN QUERY PLAN UPDATE calls SET ended_at = 1 WHERE ended_at IS NULL"
        ).fetchall()
        assert "calls_not_ended" in " ".join(row[3] for row in rows)
