from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from mediaserver.calls.resource import CallRecord
from mediaserver.recording.announcement import Announcement
from mediaserver.store.calls import Calls
from mediaserver.store.database import Database
from mediaserver.store.faults import StoreConflict
from mediaserver.store.outbox import Outbox

_CALL = CallRecord(
    id="call",
    project_id="project",
    direction="inbound",
    from_="sip:alice@example.com",
    to="sip:bob@example.com",
    sip_call_id="../../etc/passwd",
    created_at=1_700_000_000_000_001,
)


async def test_a_call_comes_back_as_it_was(database: Database) -> None:
    calls = Calls(database)
    await calls.add(_CALL)
    assert await calls.get("project", "call") == _CALL
    ended = dataclasses.replace(
        _CALL, answered_at=2**53 + 1, ended_at=2**53 + 3, end_reason="hangup"
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
