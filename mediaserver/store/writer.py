"""All writes, one connection, and as many of them to a transaction as happen to be waiting.

A commit costs a flush of the disk, whatever is in it; 200 calls that hang up together would wait
for 200 flushes. So writes queue, and whatever is in the queue when the database is ready for the
next transaction goes into it: a *group*. A write alone does not wait for company; after a commit
the next begins `PACE` later, or when a group is full, and what comes meanwhile is company.

In a group, statements of one kind from all its writes run as one `executemany`. When that fails
because of one write (a row that exists already) the transaction is begun anew and the halves are
tried, each behind a savepoint of its own, down to the write at fault, which alone is refused.
When the database fails, nothing of the group was written and all of it is told so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, TypeVar

from sqlalchemy import ClauseElement, Connection, Engine

from .faults import StoreConflict, StoreUnavailable, explain, is_unavailable
from .statement import Statement
from .threads import Threads

MAX_GROUP: Final = 128
"""Writes to one transaction: bounds how long it holds the lock and how much a failure undoes."""

MAX_WAITING: Final = 20_000
"""Writes in the queue; each has a task behind it. More means the disk has stopped."""

PACE: Final = 0.025
"""Seconds from one commit to the next transaction: bounds what transactions cost when writes come
one by one. A call with a recording writes seven times, ten statements in all."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A kind of statement."""

    rank: int
    """Within a group all changes of a lower rank run first, whoever asked; unique."""
    clause: ClauseElement
    missing: str | None = None
    """What it means when a row to change is not there; None if that is allowed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement with its parameters."""

    change: Change
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    steps: Sequence[Step]
    announces: bool
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def refuse(self, reason: Exception, name: str) -> None:
        """Raise what `reason` means where the write is awaited, if it still is."""
        if not self.done.done():
            error = explain(reason, name)
            error.__cause__ = reason if error is not reason else None
            self.done.set_exception(error)

    def accept(self) -> None:
        """Wake who awaits the write, if anybody still does."""
        if not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True)
class _Outcome:
    """How a transaction ended."""

    group: list[_Write] = field(default_factory=list)
    """The writes that were in it."""
    refused: dict[_Write, Exception] = field(default_factory=dict)
    """Those of them that were left out, and why."""
    failure: Exception | None = None
    """Why none of them was written."""


class Writer:
    """The task that collects what is to be written, and the connection all of it goes through.

    The task lives on the event loop and gives each transaction as a whole to the thread.
    """

    def __init__(
        self,
        engine: Engine,
        thread: Threads,
        name: str,
        announced: Callable[[], None],
        max_group: int,
    ) -> None:
        self._engine = engine
        self._thread = thread
        self._name = name
        self._announced = announced
        self._max_group = max_group
        self._queue: deque[_Write] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._connection: Connection | None = None
        self._statements: dict[Change, Statement] = {}
        self._task = asyncio.create_task(self._run(), name="store writer")

    async def write(self, steps: Sequence[Step], *, announces: bool) -> None:
        """Return once `steps` are on disk, all of them; raise `LocalError` if none of them is.

        A caller that is cancelled meanwhile leaves its write in the queue: it will be written.
        """
        if self._closing:
            raise StoreUnavailable(f"the database {self._name} is closed")
        if len(self._queue) >= MAX_WAITING:
            raise StoreUnavailable(
                f"the database {self._name} is not available: {MAX_WAITING} writes wait for it"
            )
        write = _Write(steps, announces)
        self._queue.append(write)
        self._wake.set()
        await write.done

    async def between_transactions(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` makes of the connection while no transaction runs on it."""
        if self._closing:
            raise StoreUnavailable(f"the database {self._name} is closed")
        return await self._thread.run(lambda: work(self._connect()))

    async def close(self) -> None:
        """Write what waits, then let go of the connection."""
        self._closing = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                self._tell(await self._thread.run(self._transact))
                if len(self._queue) < self._max_group and not self._closing:
                    await asyncio.sleep(PACE)
            if self._closing:
                break
        await self._thread.run(self._disconnect)

    def _tell(self, outcome: _Outcome) -> None:
        """Tell each write of a transaction how it went."""
        if outcome.failure is not None:
            # What waited for this lock has waited long enough: none is left to wait for the next.
            for write in outcome.group + self._take(MAX_WAITING):
                write.refuse(outcome.failure, self._name)
            return
        refused = outcome.refused
        for write in outcome.group:
            if (reason := refused.get(write)) is None:
                write.accept()
            else:
                write.refuse(reason, self._name)
        if any(write.announces and write not in refused for write in outcome.group):
            self._announced()

    # In the thread.

    def _transact(self) -> _Outcome:
        """Run one transaction with the head of the queue."""
        outcome = _Outcome()
        try:
            connection = self._connect()
            connection.begin()
            # Taken only now: what came while the lock was waited for need not wait again.
            outcome.group = self._take(self._max_group)
            outcome.refused = self._apply(connection, outcome.group)
            connection.commit()
        except Exception as error:
            self._disconnect(broken=True)
            outcome.failure = error
        return outcome

    def _take(self, most: int) -> list[_Write]:
        return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    def _apply(self, connection: Connection, group: list[_Write]) -> dict[_Write, Exception]:
        """Run the group's statements; return the writes that were left out, and why."""
        try:
            self._execute(connection, group)
        except Exception as error:
            if is_unavailable(error):
                raise
            # No savepoint stood before the first attempt: nearly every one succeeds.
            connection.rollback()
            connection.begin()
            return self._apply_halves(connection, group, error)
        return {}

    def _apply_halves(
        self, connection: Connection, group: list[_Write], error: Exception
    ) -> dict[_Write, Exception]:
        """Do the same for a group of which it is known that it fails as a whole with `error`."""
        if len(group) == 1:
            return {group[0]: error}
        refused: dict[_Write, Exception] = {}
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            savepoint = connection.begin_nested()
            try:
                self._execute(connection, half)
            except Exception as reason:
                if is_unavailable(reason):
                    raise
                savepoint.rollback()
                refused |= self._apply_halves(connection, half, reason)
            else:
                savepoint.commit()
        return refused

    def _execute(self, connection: Connection, group: list[_Write]) -> None:
        steps = [step for write in group for step in write.steps]
        steps.sort(key=attrgetter("change.rank"))
        # A driver that cannot count the rows of an executemany gets exact changes one by one.
        counts = connection.dialect.supports_sane_multi_rowcount
        for change, same in groupby(steps, key=attrgetter("change")):
            values = [step.values for step in same]
            whole = counts or change.missing is None
            for batch in [values] if whole else [[value] for value in values]:
                result = self._statement(change).execute(connection, batch)
                if change.missing is not None and result.rowcount != len(batch):
                    raise StoreConflict(change.missing)

    def _statement(self, change: Change) -> Statement:
        if (ready := self._statements.get(change)) is None:
            ready = self._statements[change] = Statement(change.clause, self._engine.dialect)
        return ready

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self, *, broken: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if broken:
                connection.invalidate()
            connection.close()
        except Exception as error:
            if not is_unavailable(error):
                raise
