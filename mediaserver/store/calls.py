"""Calls in the database: who spoke to whom, and how it ended; listed newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    tuple_,
    update,
)

from mediaserver.calls.resource import FINAL, CallPage, CallQuery, CallRecord, Status
from mediaserver.recording.announcement import Announcement

from . import schema
from .database import Database
from .outbox import enqueue
from .page_token import Position, read_token, write_token
from .writer import Change, Step

FORGET_AT_ONCE: Final = 500
"""Calls that are looked at, and forgotten, in one go: others wait while it runs."""

_TABLE: Final = schema.calls
_KEPT: Final = ("sip_call_id", "answered_at", "ended_at", "end_reason")

_ADD: Final = Change(
    20, insert(_TABLE).inline().values({c: bindparam(f"b_{c.name}") for c in _TABLE.c})
)
_SAVE: Final = Change(
    21,
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("b_id"))
    .values({_TABLE.c[name]: bindparam(f"b_{name}") for name in _KEPT}),
    missing="there is no such call to save",
)
_GIVE_UP: Final = Change(
    22,
    update(_TABLE)
    .where(_TABLE.c.ended_at.is_(None))
    .values(ended_at=bindparam("b_ended_at"), end_reason=bindparam("b_end_reason")),
)
_FORGET: Final = Change(
    23,
    delete(_TABLE).where(
        _TABLE.c.id == bindparam("b_id"), _TABLE.c.ended_at <= bindparam("before")
    ),
)

_NEXT_PROJECT: Final = select(func.min(_TABLE.c.project_id)).where(
    _TABLE.c.project_id > bindparam("last")
)
_RECORDED: Final = exists().where(
    schema.recordings.c.project_id == _TABLE.c.project_id,
    schema.recordings.c.call_id == _TABLE.c.id,
)
# Read straight off the index, whatever else there is: calls by the instant they began at.
_OLDEST: Final = (
    select(_TABLE.c.id, _TABLE.c.created_at, _TABLE.c.ended_at, _RECORDED.label("recorded"))
    .where(
        _TABLE.c.project_id == bindparam("project_id"),
        tuple_(_TABLE.c.created_at, _TABLE.c.id) > tuple_(bindparam("at"), bindparam("after")),
        _TABLE.c.created_at <= bindparam("before"),
    )
    .order_by(_TABLE.c.created_at, _TABLE.c.id)
    .limit(bindparam("most"))
)


class Calls:
    """The table of calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, call: CallRecord, announcements: Sequence[Announcement] = ()) -> None:
        """Keep a new call, and what is announced of it; `StoreConflict` if its id is taken."""
        await self._write(_ADD, call, announcements)

    async def save(self, call: CallRecord, announcements: Sequence[Announcement] = ()) -> None:
        """Keep when and how the call was answered or ended; `StoreConflict` if it is unknown."""
        await self._write(_SAVE, call, announcements)

    async def get(self, project_id: str, call_id: str) -> CallRecord | None:
        """Return a project's call."""
        rows = await self._database.read(
            select(_TABLE).where(_TABLE.c.project_id == project_id, _TABLE.c.id == call_id)
        )
        return _call(rows[0]) if rows else None

    async def page(
        self,
        project_id: str,
        query: CallQuery,
        size: int,
        token: str | None = None,
        live: Sequence[CallRecord] = (),
    ) -> CallPage:
        """Return `size` calls of a project, newest first.

        `live` are the calls that are up, which the database does not know yet, or not as they are
        now. `token` is as in `Recordings.page`.
        """
        name = _list_name(query)
        after = None if token is None else read_token(token, project_id, name)
        found = {call.id: call for call in live if query.matches(call) and _follows(call, after)}
        if query.status is None or query.status in FINAL:
            up = {call.id for call in live}
            for row in await self._database.read(page_query(project_id, query, size, after)):
                if row.id not in up:
                    found[row.id] = _call(row)
        calls = sorted(found.values(), key=_position, reverse=True)
        next_token = None
        if len(calls) > size:
            next_token = write_token(_position(calls[size - 1]), project_id, name)
        return CallPage(tuple(calls[:size]), next_token)

    async def give_up(self, ended_at: int, end_reason: str) -> None:
        """Note of all calls whose end is not known that they are over: none is up at a start."""
        step = Step(_GIVE_UP, {"b_ended_at": ended_at, "b_end_reason": end_reason})
        await self._database.write([step])

    async def forget(self, before: int) -> int:
        """Remove calls that ended by `before` microseconds and have no recording any more.

        Returns how many. Reads from the oldest on, until there is none of that age any more.
        """
        forgotten, project = 0, ""
        while (project_id := await self._next_project(project)) is not None:
            forgotten += await self._forget(project_id, before)
            project = project_id
        return forgotten

    async def _forget(self, project_id: str, before: int) -> int:
        forgotten = 0
        where = {"project_id": project_id, "before": before, "most": FORGET_AT_ONCE}
        at, after = -1, ""
        while rows := await self._database.read(_OLDEST, where | {"at": at, "after": after}):
            at, after = rows[-1].created_at, rows[-1].id
            over = [
                Step(_FORGET, {"b_id": row.id, "before": before})
                for row in rows
                if row.ended_at is not None and row.ended_at <= before and not row.recorded
            ]
            if over:
                await self._database.write(over)
                forgotten += len(over)
        return forgotten

    async def _next_project(self, last: str) -> str | None:
        rows = await self._database.read(_NEXT_PROJECT, {"last": last})
        project_id: str | None = rows[0][0]
        return project_id

    async def _write(
        self, change: Change, call: CallRecord, announcements: Sequence[Announcement]
    ) -> None:
        steps = [Step(change, _values(call)), *enqueue(announcements)]
        await self._database.write(steps, announces=bool(announcements))


def page_query(project_id: str, query: CallQuery, size: int, after: Position | None) -> Select[Any]:
    """Return the statement behind `Calls.page`: one row more than asked, to see the end."""
    assert size > 0
    statement = select(_TABLE).where(_TABLE.c.project_id == project_id)
    for column, wanted in (
        (_TABLE.c.direction, query.direction),
        (_TABLE.c.caller, query.from_),
        (_TABLE.c.callee, query.to),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    if query.created_from is not None:
        statement = statement.where(_TABLE.c.created_at >= query.created_from)
    if query.created_before is not None:
        statement = statement.where(_TABLE.c.created_at < query.created_before)
    if query.status is not None:
        statement = statement.where(_has_status(query.status))
    if after is not None:
        key = tuple_(_TABLE.c.created_at, _TABLE.c.id)
        statement = statement.where(key < tuple_(after.created_at, after.id))
    return statement.order_by(_TABLE.c.created_at.desc(), _TABLE.c.id.desc()).limit(size + 1)


def _has_status(status: Status) -> ColumnElement[bool]:
    """Return the condition for one of `FINAL`: see `CallRecord.status`."""
    over, answered = _TABLE.c.ended_at.is_not(None), _TABLE.c.answered_at.is_not(None)
    if status is Status.ENDED:
        return and_(over, answered)
    # What is NULL is not "cancel", either.
    cancelled = func.coalesce(_TABLE.c.end_reason, "") == "cancel"
    return and_(over, ~answered, cancelled if status is Status.CANCELED else ~cancelled)


def _position(call: CallRecord) -> Position:
    return Position(call.created_at, call.id)


def _follows(call: CallRecord, after: Position | None) -> bool:
    """Tell whether a call comes after a place in a list that is newest first."""
    return after is None or _position(call) < after


def _list_name(query: CallQuery) -> str:
    """Return what tells this list from others: a token of one is none of another."""
    return json.dumps(
        [
            "calls",
            query.status,
            query.direction,
            query.from_,
            query.to,
            query.created_from,
            query.created_before,
        ]
    )


def _values(call: CallRecord) -> dict[str, Any]:
    return {
        "b_id": call.id,
        "b_project_id": call.project_id,
        "b_direction": call.direction,
        "b_caller": call.from_,
        "b_callee": call.to,
        "b_sip_call_id": call.sip_call_id,
        "b_created_at": call.created_at,
        "b_answered_at": call.answered_at,
        "b_ended_at": call.ended_at,
        "b_end_reason": call.end_reason,
        "b_parent_id": call.parent_id,
    }


def _call(row: Row[Any]) -> CallRecord:
    return CallRecord(
        id=row.id,
        project_id=row.project_id,
        direction=row.direction,
        from_=row.caller,
        to=row.callee,
        sip_call_id=row.sip_call_id,
        created_at=row.created_at,
        answered_at=row.answered_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        parent_id=row.parent_id,
    )
