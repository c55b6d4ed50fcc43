"""Deleted recordings in the database: what is left of them, and what is still on the disk.

One transaction deletes a recording, takes back its callbacks that were not delivered, puts up a
tombstone for the audit, and notes down as *owed* what is to be removed from the disk. From then
on nobody finds the recording. What is owed is settled by the bytes being gone, if need be after
a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import bindparam, case, delete, func, insert, or_, select

from mediaserver.recording.announcement import ready_stream
from mediaserver.recording.resource import Recording
from mediaserver.recording.states import FINAL

from . import schema
from .database import Database
from .faults import StoreConflict
from .outbox import withdraw
from .writer import Change, Step

NEVER: Final = (1 << 63) - 1
"""An instant, or a position on a line, that is not reached."""


class Reason(StrEnum):
    """Why a recording was deleted."""

    REQUEST = "request"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What is needed of a recording to delete it."""

    id: str
    project_id: str
    call_id: str
    created_at: int
    journal: str
    """See `Span.journal`."""
    end: int | None
    """See `Span.end`."""

    @classmethod
    def of(cls, recording: Recording) -> Deletion:
        """Return what is needed of this recording."""
        return cls(
            id=recording.id,
            project_id=recording.project_id,
            call_id=recording.call_id,
            created_at=recording.created_at,
            journal=recording.span.journal,
            end=recording.span.end,
        )


@dataclass(frozen=True, slots=True)
class Owed:
    """A deleted recording of which something may be on the disk."""

    id: str
    journal: str
    end: int | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Positions on a leg's line, `end` not included."""

    start: int
    end: int = NEVER


_RECORDINGS: Final = schema.recordings
_TOMBSTONES: Final = schema.tombstones
_ERASURES: Final = schema.erasures
_FINAL: Final = sorted(FINAL)

_DELETE: Final = Change(
    12,
    delete(_RECORDINGS).where(
        _RECORDINGS.c.id == bindparam("b_id"),
        or_(*(_RECORDINGS.c.state == state for state in _FINAL)),
    ),
    missing="there is no such recording to delete",
)
_PUT_UP: Final = Change(
    13, insert(_TOMBSTONES).inline().values({c: bindparam(f"b_{c.name}") for c in _TOMBSTONES.c})
)
_OWE: Final = Change(
    14, insert(_ERASURES).inline().values({c: bindparam(f"b_{c.name}") for c in _ERASURES.c})
)
_SETTLE: Final = Change(15, delete(_ERASURES).where(_ERASURES.c.id == bindparam("b_id")))

_EXPIRED: Final = (
    select(_RECORDINGS)
    .with_only_columns(
        _RECORDINGS.c.id,
        _RECORDINGS.c.project_id,
        _RECORDINGS.c.call_id,
        _RECORDINGS.c.created_at,
        _RECORDINGS.c.span_journal,
        _RECORDINGS.c.span_end,
    )
    .where(_RECORDINGS.c.expires_at <= bindparam("now"), _RECORDINGS.c.state.in_(_FINAL))
    .order_by(_RECORDINGS.c.expires_at)
    .limit(bindparam("most"))
)
_OWED: Final = (
    select(_ERASURES)
    .where(_ERASURES.c.id > bindparam("after"))
    .order_by(_ERASURES.c.id)
    .limit(bindparam("most"))
)
_NEEDED: Final = select(_RECORDINGS.c.span_start, _RECORDINGS.c.span_end).where(
    _RECORDINGS.c.span_journal == bindparam("journal")
)
_LAST_END: Final = func.max(
    case(
        (
            _RECORDINGS.c.state.in_(_FINAL),
            func.coalesce(_RECORDINGS.c.ended_at, _RECORDINGS.c.created_at),
        ),
        else_=NEVER,
    )
).label("last_end")


class Tombstones:
    """The tables of what was deleted, and of whom it still concerns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bury(
        self, deletion: Deletion, reason: Reason, at: int, by: str | None = None
    ) -> bool:
        """Delete a recording that is in a final state, at `at` microseconds; `by` says who.

        Returns False if it is deleted already, or not in a final state. Raises
        `StoreUnavailable`.
        """
        steps = [
            Step(_DELETE, {"b_id": deletion.id}),
            Step(
                _PUT_UP,
                {
                    "b_id": deletion.id,
                    "b_project_id": deletion.project_id,
                    "b_call_id": deletion.call_id,
                    "b_created_at": deletion.created_at,
                    "b_deleted_at": at,
                    "b_reason": reason,
                    "b_deleted_by": by,
                },
            ),
            Step(
                _OWE,
                {
                    "b_id": deletion.id,
                    "b_span_journal": deletion.journal,
                    "b_span_end": deletion.end,
                },
            ),
            *withdraw([deletion.id, ready_stream(deletion.id)]),
        ]
        try:
            await self._database.write(steps)
        except StoreConflict:
            return False
        return True

    async def owed(self, limit: int, after: str = "") -> list[Owed]:
        """Return what is still to be removed from the disk, by id, from the one after `after`."""
        rows = await self._database.read(_OWED, {"after": after, "most": limit})
        return [Owed(row.id, row.span_journal, row.span_end) for row in rows]

    async def settle(self, id: str) -> None:
        """Note that nothing of a recording is on the disk any more."""
        await self._database.write([Step(_SETTLE, {"b_id": id})])

    async def expired(self, now: int, limit: int) -> list[Deletion]:
        """Return recordings to be erased at `now` microseconds: ended ones, the oldest first."""
        rows = await self._database.read(_EXPIRED, {"now": now, "most": limit})
        return [
            Deletion(
                id=row.id,
                project_id=row.project_id,
                call_id=row.call_id,
                created_at=row.created_at,
                journal=row.span_journal,
                end=row.span_end,
            )
            for row in rows
        ]

    async def needed(self, journal: str) -> list[Stretch]:
        """Return what of a journal belongs to recordings that were not deleted."""
        rows = await self._database.read(_NEEDED, {"journal": journal})
        return [
            Stretch(row.span_start, NEVER if row.span_end is None else row.span_end) for row in rows
        ]

    async def last_ends(self, journals: Sequence[str]) -> dict[str, int]:
        """Return when the last recording of each of these journals ended, in microseconds.

        `NEVER` where one has not come to its final state; no entry where there is no recording.
        """
        statement = (
            select(_RECORDINGS.c.span_journal, _LAST_END)
            .where(_RECORDINGS.c.span_journal.in_(journals))
            .group_by(_RECORDINGS.c.span_journal)
        )
        rows = await self._database.read(statement)
        return {row.span_journal: row.last_end for row in rows}

    async def oldest(self) -> int | None:
        """Return when the first recording was made that the database knows of, deleted or not."""
        found = [
            rows[0][0]
            for table in (_RECORDINGS, _TOMBSTONES)
            if (rows := await self._database.read(select(func.min(table.c.created_at))))
        ]
        return min((at for at in found if at is not None), default=None)
