"""What can go wrong between us and the database, in words an operator can act on."""

from __future__ import annotations

from typing import Final

from sqlalchemy import exc

from mediaserver.errors import ConflictError, LocalError

BUSY_TIMEOUT: Final = 5.0
"""Seconds a statement waits for another process's lock, or for a free connection."""


class StoreUnavailable(LocalError):
    """The database cannot be reached, read or written now; the same request may succeed later."""


class StoreConflict(ConflictError):
    """The database works but will not take this change: asking again gives the same answer."""


_SQLITE_FAULTS: Final = {
    "SQLITE_BUSY": f"another process has kept it locked for {BUSY_TIMEOUT:.0f} seconds",
    "SQLITE_LOCKED": f"another process has kept it locked for {BUSY_TIMEOUT:.0f} seconds",
    "SQLITE_READONLY": "it is read-only: give this user the right to write the file and its folder",
    "SQLITE_CORRUPT": "the file is damaged: restore it from a backup or move it away",
    "SQLITE_NOTADB": "the file is not a database: restore it from a backup or move it away",
    "SQLITE_FULL": "its disk is full",
    "SQLITE_CANTOPEN": "its file cannot be opened: check that the folder exists and may be written",
    "SQLITE_IOERR": "its disk fails",
}


def is_unavailable(error: Exception) -> bool:
    """Tell whether the database is at fault, and not the one change it was given."""
    if isinstance(error, exc.DBAPIError):
        refusals = exc.IntegrityError | exc.DataError | exc.ProgrammingError
        return error.connection_invalidated or not isinstance(error, refusals)
    return isinstance(error, exc.TimeoutError | OSError | StoreUnavailable)


def is_locked(error: Exception) -> bool:
    """Tell whether another connection stood in the way, and nothing else."""
    return _sqlite_code(error) in {"SQLITE_BUSY", "SQLITE_LOCKED"}


def explain(error: Exception, name: str) -> LocalError:
    """Return a new `LocalError` for what a statement on the database `name` raised.

    Parameters never appear in it: they carry phone numbers and the passwords in callback URLs.
    """
    if isinstance(error, StoreUnavailable | StoreConflict):
        return type(error)(*error.args)
    if isinstance(error, LocalError):
        return error
    if is_unavailable(error):
        return StoreUnavailable(f"the database {name} is not available: {_why(error)}")
    if isinstance(error, exc.IntegrityError):
        return StoreConflict(f"the database {name} refuses this row: {error.orig}")
    kind = type(_cause(error)).__name__
    return StoreConflict(f"the database {name} cannot hold this row: {kind}")


def _why(error: Exception) -> str:
    if isinstance(error, exc.TimeoutError):
        return f"every connection has been busy for {BUSY_TIMEOUT:.0f} seconds"
    return _SQLITE_FAULTS.get(_sqlite_code(error), str(_cause(error)))


def _cause(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, exc.StatementError) else error


def _sqlite_code(error: Exception) -> str:
    # Extended codes are the plain one and a suffix: SQLITE_IOERR_FSYNC, SQLITE_BUSY_SNAPSHOT.
    code: str = getattr(_cause(error), "sqlite_errorname", None) or ""
    return "_".join(code.split("_")[:2])
