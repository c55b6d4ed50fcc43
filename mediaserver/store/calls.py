"""Calls: who spoke to whom, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update

from mediaserver.calls.resource import CallRecord
from mediaserver.recording.announcement import Announcement

from . import schema
from .database import Database
from .outbox import enqueue
from .writer import Change, Step

_TABLE: Final = schema.calls
_KEPT: Final = ("answered_at", "ended_at", "end_reason")

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

    async def _write(
        self, change: Change, call: CallRecord, announcements: Sequence[Announcement]
    ) -> None:
        steps = [Step(change, _values(call)), *enqueue(announcements)]
        await self._database.write(steps, announces=bool(announcements))


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
    )
