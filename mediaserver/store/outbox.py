"""Announcements on their way to applications, kept until a receiver has taken them.

Each stream (a recording) is a queue of its own: only its first waiting announcement, the *head*,
has a time at which it is due, and the next becomes head in the transaction that ends it. Nothing
is removed then: a delivered row stays as the answer to "was my application told?", a dead one
stays with the reason, until `forget`.

=========  =============================================================  ===================
state      means                                                          `next_attempt_at`
=========  =============================================================  ===================
waiting    not yet taken                                                  heads only
delivered  a receiver answered 2xx; the body is gone                      none
dead       given up, the body is kept                                     none
=========  =============================================================  ===================
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import (
    Row,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    null,
    select,
    update,
)

from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement, Kind

from . import schema
from .database import Database
from .writer import Change, Step

MAX_BODY: Final = 256 * 1024
"""Octets of one announcement. Ours are about one kilobyte; this is where a fault is suspected."""

MAX_URL: Final = 8 * 1024
"""Characters of a callback URL: what HTTP servers commonly take in a request line."""

FORGET_AT_ONCE: Final = 500
"""Announcements that are forgotten in one transaction: others wait while it runs."""

MAX_WHY: Final = 500
"""Characters kept of the reason an attempt failed: it may quote what the receiver said."""

AT_ONCE: Final = 0
"""`next_attempt_at` of what was not tried yet: due even if the wall clock is set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """The head of a stream."""

    id: int
    """Constant over all attempts; never given to another announcement."""
    announcement: Announcement
    attempts: int
    """Attempts that failed so far."""
    next_attempt_at: int
    """Microseconds since 1970-01-01 UTC; 0 before the first attempt."""
    origin: str
    """Whose server it is: the URL's scheme, host and port; "" if the URL has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An announcement that was given up."""

    id: int
    announcement: Announcement
    attempts: int
    why: str


_TABLE: Final = schema.outbox
_WAITING, _DELIVERED, _DEAD = "waiting", "delivered", "dead"

_earlier: Final = _TABLE.alias("earlier")
_has_head: Final = exists().where(
    _earlier.c.stream == bindparam("b_stream"), _earlier.c.state == _WAITING
)
_GIVEN: Final = ("stream", "sequence", "url", "origin", "body", "created_at", "kind")
_ENQUEUE: Final = Change(
    30,
    insert(_TABLE)
    .inline()
    .values(
        {_TABLE.c[name]: bindparam(f"b_{name}") for name in _GIVEN}
        | {
            _TABLE.c.state: _WAITING,
            _TABLE.c.attempts: 0,
            _TABLE.c.next_attempt_at: case((_has_head, null()), else_=AT_ONCE),
        }
    ),
)

_this: Final = (_TABLE.c.id == bindparam("b_id"), _TABLE.c.state == _WAITING)
_GONE: Final = "there is no such announcement waiting"
_DELIVER: Final = Change(
    31,
    update(_TABLE)
    .where(*_this)
    .values(
        state=_DELIVERED,
        attempts=_TABLE.c.attempts + 1,
        next_attempt_at=None,
        delivered_at=bindparam("b_at"),
        last_error=None,
        body=b"",
    ),
    missing=_GONE,
)
_FAIL: Final = Change(
    32,
    update(_TABLE)
    .where(*_this)
    .values(
        attempts=_TABLE.c.attempts + 1,
        next_attempt_at=bindparam("b_at"),
        last_error=bindparam("b_why"),
    ),
    missing=_GONE,
)
_BURY: Final = Change(
    33,
    update(_TABLE)
    .where(*_this)
    .values(
        state=_DEAD,
        attempts=_TABLE.c.attempts + 1,
        next_attempt_at=None,
        last_error=bindparam("b_why"),
    ),
    missing=_GONE,
)

_ended: Final = _TABLE.alias("ended")
_waiting: Final = _TABLE.alias("waiting")
_next_of_stream: Final = (
    select(_waiting.c.id)
    .where(
        _waiting.c.stream
        == select(_ended.c.stream).where(_ended.c.id == bindparam("b_id")).scalar_subquery(),
        _waiting.c.state == _WAITING,
    )
    .order_by(_waiting.c.sequence)
    .limit(1)
    .scalar_subquery()
)
# If a head was enqueued between, in the same group, it has its time already.
_PROMOTE: Final = Change(
    34,
    update(_TABLE)
    .where(_TABLE.c.id == _next_of_stream, _TABLE.c.next_attempt_at.is_(None))
    .values(next_attempt_at=AT_ONCE),
)
_FORGET: Final = Change(
    35, delete(_TABLE).where(_TABLE.c.id == bindparam("b_id"), _TABLE.c.state != _WAITING)
)
_WITHDRAW: Final = Change(
    36,
    delete(_TABLE).where(_TABLE.c.stream == bindparam("b_stream"), _TABLE.c.state != _DELIVERED),
)
_moved: Final = _TABLE.c.next_attempt_at + bindparam("b_by")
_SHIFT: Final = Change(
    37,
    update(_TABLE)
    .where(_TABLE.c.next_attempt_at > AT_ONCE)
    .values(next_attempt_at=case((_moved > AT_ONCE, _moved), else_=AT_ONCE + 1)),
)

_DUE: Final = (
    select(_TABLE)
    .where(_TABLE.c.next_attempt_at <= bindparam("now"))
    .order_by(_TABLE.c.next_attempt_at, _TABLE.c.id)
    .limit(bindparam("most"))
)
_OLDEST: Final = (
    select(_TABLE.c.id, _TABLE.c.state, _TABLE.c.created_at)
    .where(_TABLE.c.id > bindparam("after"))
    .order_by(_TABLE.c.id)
    .limit(bindparam("most"))
)
_NEXT_DUE: Final = select(func.min(_TABLE.c.next_attempt_at)).where(
    _TABLE.c.next_attempt_at > bindparam("after")
)


def enqueue(announcements: Sequence[Announcement]) -> list[Step]:
    """Return the steps that add announcements to the outbox, to be part of a larger write."""
    return [Step(_ENQUEUE, _values(announcement)) for announcement in announcements]


def withdraw(streams: Sequence[str]) -> list[Step]:
    """Return the steps that take back what of these streams was not delivered."""
    return [Step(_WITHDRAW, {"b_stream": stream}) for stream in streams]


class Outbox:
    """The table of announcements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def changed(self) -> asyncio.Event:
        """Set after every commit that changed the outbox; whoever waits for it clears it."""
        return self._database.announced

    async def add(self, announcements: Sequence[Announcement]) -> None:
        """Keep announcements that no change of state goes with."""
        if announcements:
            await self._database.write(enqueue(announcements), announces=True)

    async def due(
        self,
        now_us: int,
        limit: int,
        *,
        skip: Collection[int] = (),
        avoid: Collection[str] = (),
    ) -> list[Queued]:
        """Return up to `limit` heads due at `now_us`, never tried ones first, then by time.

        Leaves out the ids in `skip` (being delivered now) and the origins in `avoid` (already
        given all the attempts they may have at once): so neither fills the answer for others.
        """
        statement = _DUE
        if avoid:
            statement = statement.where(_TABLE.c.origin.not_in(sorted(avoid)))
        rows = await self._database.read(statement, {"now": now_us, "most": limit + len(skip)})
        return [_queued(row) for row in rows if row.id not in skip][:limit]

    async def next_due(self, after: int = -1) -> int | None:
        """Return the earliest instant later than `after` at which a head is due.

        With `after` the `now_us` of the last `due`: when to ask again, unless `changed` is set.
        """
        rows = await self._database.read(_NEXT_DUE, {"after": after})
        instant: int | None = rows[0][0]
        return instant

    async def delivered(self, id: int, at: int) -> None:
        """A receiver took it at `at` microseconds; the next of its stream is due."""
        await self._end(Step(_DELIVER, {"b_id": id, "b_at": at}))

    async def failed(self, id: int, next_attempt_at: int, why: str) -> None:
        """An attempt failed, the next is to be made at `next_attempt_at` microseconds."""
        values = {"b_id": id, "b_at": next_attempt_at, "b_why": why[:MAX_WHY]}
        await self._database.write([Step(_FAIL, values)], announces=True)

    async def shift(self, by: int) -> None:
        """All that was tried is due `by` microseconds later: the wall clock was set by as much."""
        await self._database.write([Step(_SHIFT, {"b_by": by})])

    async def bury(self, id: int, why: str) -> None:
        """The last attempt failed: kept as a dead letter, the next of its stream is due."""
        await self._end(Step(_BURY, {"b_id": id, "b_why": why[:MAX_WHY]}))

    async def dead(self, limit: int) -> list[DeadLetter]:
        """Return the newest dead letters."""
        statement = select(_TABLE).where(_TABLE.c.state == _DEAD).order_by(_TABLE.c.id.desc())
        return [_dead_letter(row) for row in await self._database.read(statement.limit(limit))]

    async def forget(self, before: int) -> None:
        """Remove what was created before `before` microseconds and is delivered or dead.

        Reads from the oldest on, until there is nothing of that age any more.
        """
        last = -1
        while True:
            rows = await self._database.read(_OLDEST, {"after": last, "most": FORGET_AT_ONCE})
            old = [row for row in rows if row.created_at < before]
            if not old:
                return
            last = rows[-1].id
            ended = [Step(_FORGET, {"b_id": row.id}) for row in old if row.state != _WAITING]
            if ended:
                await self._database.write(ended)

    async def _end(self, step: Step) -> None:
        promote = Step(_PROMOTE, {"b_id": step.values["b_id"]})
        await self._database.write([step, promote], announces=True)


def _values(announcement: Announcement) -> dict[str, Any]:
    if len(announcement.body) > MAX_BODY:
        raise LocalError(f"an announcement of {len(announcement.body)} octets is not sent")
    if len(announcement.url) > MAX_URL:
        raise LocalError(f"a callback URL of {len(announcement.url)} characters is not used")
    return {
        "b_stream": announcement.stream,
        "b_sequence": announcement.sequence,
        "b_url": announcement.url,
        "b_origin": _origin(announcement.url),
        "b_body": announcement.body,
        "b_created_at": announcement.created_at,
        "b_kind": announcement.kind,
    }


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname else ""


def _announcement(row: Row[Any]) -> Announcement:
    return Announcement(
        stream=row.stream,
        sequence=row.sequence,
        url=row.url,
        body=row.body,
        created_at=row.created_at,
        kind=Kind(row.kind),
    )


def _queued(row: Row[Any]) -> Queued:
    return Queued(
        id=row.id,
        announcement=_announcement(row),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        origin=row.origin,
    )


def _dead_letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        id=row.id, announcement=_announcement(row), attempts=row.attempts, why=row.last_error
    )
