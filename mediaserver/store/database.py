"""The connection to the database: one that writes, a few that read.

Whatever is true of SQLite alone is here and nowhere else. WAL lets readers go on while the writer
writes; `synchronous=FULL` flushes the log at every commit, so that what `save` returned from
survives a loss of power.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Executable,
    Row,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, OperationalError

from mediaserver.errors import LocalError

from . import schema
from .faults import BUSY_TIMEOUT, explain, is_locked
from .threads import Threads
from .writer import MAX_GROUP, Step, Writer

FILE_NAME: Final = "mediaserver.sqlite3"
"""The database's file in the data directory."""

READERS: Final = 4
"""Threads that read, each with a connection. SQLite answers from one core, more would only queue
elsewhere."""

RETRY: Final = 0.02
"""Seconds between attempts to open a database that another process is just making."""

CLEAR_TIMEOUT: Final = 0.1
"""Seconds for which readers are waited for before the log is emptied; writes wait as long."""

_DRIVERS: Final = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}


class Database:
    """An open database of the right revision. Made by `open`, ended by `dispose`."""

    def __init__(self, url: URL, max_group: int) -> None:
        self.name = url.database or url.render_as_string()
        """How messages call it: a path, or for a server the name of the database."""
        self.announced = asyncio.Event()
        """Set after every commit that changed the outbox; whoever reads the outbox clears it."""
        self._readers = _reading_engine(url)
        self._engine = _writing_engine(url)
        self._reading = Threads("store reader", READERS)
        self._writing = Threads("store writer")
        self._writer = Writer(self._engine, self._writing, self.name, self.announced.set, max_group)

    @classmethod
    async def open(cls, where: Path | str, *, max_group: int = MAX_GROUP) -> Database:
        """Open (or make) the database in the folder `where`, or at the SQLAlchemy URL `where`.

        Raises `StoreUnavailable` when it is locked, read-only, damaged or not there, `LocalError`
        when it was made by a newer program or the URL makes no sense.
        """
        url = _url(where)
        database = cls(url, max_group)
        try:
            if await database._writing.run(database._revision) != schema.REVISION:
                await database._writing.run(partial(_migrate, url))
        except BaseException as error:
            await database.dispose()
            if isinstance(error, LocalError) or not isinstance(error, Exception):
                raise
            raise explain(error, database.name) from error
        return database

    async def read(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """Return the rows `statement` selects; raises `StoreUnavailable`."""
        try:
            return await self._reading.run(partial(self._read, statement, values))
        except UnicodeError:
            return []  # Text that no row can hold is in no row.
        except Exception as error:
            raise explain(error, self.name) from error

    def _read(self, statement: Executable, values: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        with self._readers.connect() as connection:
            return connection.execute(statement, values).fetchall()

    async def write(self, steps: Sequence[Step], *, announces: bool = False) -> None:
        """Commit `steps`, all or none; see `Writer.write`."""
        await self._writer.write(steps, announces=announces)

    async def clear_log(self) -> bool:
        """Empty the log of changes, which holds what was deleted until it is written over.

        False if somebody was reading from it: to be tried again. Raises `StoreUnavailable`.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        try:
            return await self._writer.between_transactions(_clear_log)
        except Exception as error:
            raise explain(error, self.name) from error

    async def dispose(self) -> None:
        """Finish the writes that wait and close every connection. May be called twice."""
        await self._writer.close()
        for threads in (self._reading, self._writing):
            threads.close()
        self._readers.dispose()
        self._engine.dispose()

    def _revision(self) -> str | None:
        # On the engine that writes: a database we cannot write is found out now, not in a call.
        patience = time.monotonic() + BUSY_TIMEOUT
        while True:
            try:
                with self._engine.begin() as connection:
                    return _read_revision(connection)
            except OperationalError as error:
                # Of two that turn a new file to WAL at once, SQLite lets one fail without waiting.
                if not is_locked(error) or time.monotonic() >= patience:
                    raise
            time.sleep(RETRY)


def _read_revision(connection: Connection) -> str | None:
    tables = inspect(connection).get_table_names()
    if not tables and connection.dialect.name == "sqlite":
        schema.make(connection)
        return schema.REVISION
    if schema.REVISIONS.name not in tables:
        return None
    # Changes nothing and needs the right to: SQLite begins a transaction on a read-only file, and
    # a server that only follows another one begins it too.
    connection.execute(text("DELETE FROM alembic_version WHERE 1 = 0"))
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _migrate(url: URL) -> None:
    from .migration import upgrade

    upgrade(_writing_engine(url))


def _url(where: Path | str) -> URL:
    if isinstance(where, Path):
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalError(f"the folder {where} cannot be made: {error.strerror}") from error
        return URL.create(_DRIVERS["sqlite"], database=str(where / FILE_NAME))
    try:
        url = make_url(where)
    except ArgumentError:
        raise LocalError("the address of the database is not a URL") from None
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise LocalError("the database must be a file: several connections share it")
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _writing_engine(url: URL) -> Engine:
    engine = create_engine(url, hide_parameters=True, pool_size=1, max_overflow=0)
    if url.get_backend_name() == "sqlite":
        # What is deleted is overwritten: an announcement's body must not outlive its recording.
        _set_pragmas(
            engine, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"
        )
        # The lock is taken at once: a transaction that reads first and then finds that somebody
        # else has written since fails without waiting.
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _reading_engine(url: URL) -> Engine:
    # Every read is one statement: a transaction around it would be two more round trips.
    engine = create_engine(
        url,
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        pool_size=READERS,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT,
        pool_reset_on_return=None,
    )
    if url.get_backend_name() == "sqlite":
        _set_pragmas(engine, "query_only=ON")
    return engine


def _set_pragmas(engine: Engine, *pragmas: str) -> None:
    def connected(connection: Any, _record: object) -> None:
        # sqlite3 would begin transactions of its own otherwise, and not before every statement.
        connection.isolation_level = None
        cursor = connection.cursor()
        # First, so that the others wait for a lock too.
        for pragma in (f"busy_timeout={BUSY_TIMEOUT * 1000:.0f}", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", connected)


def _clear_log(connection: Connection) -> bool:
    # On the driver's own connection, for SQLAlchemy would begin a transaction.
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA busy_timeout={CLEAR_TIMEOUT * 1000:.0f}")
    try:
        ((busy, _, _),) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT * 1000:.0f}")
    return not busy


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
