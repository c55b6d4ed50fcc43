"""The tables. A change here needs a new file in `migrations/versions` and a new `REVISION`.

A recording's files are a JSON column: they are read and written only with their recording, and a
row of their own would cost every save a second statement. Nothing refers to `calls` by a foreign
key: a recording must be kept although its call could not be.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

REVISION: Final = "0004"
"""The migration that these tables are the outcome of; a database that names another is migrated."""


class PeerText(TypeDecorator[str]):
    """Text that a peer had a hand in: what UTF-8 or a database cannot hold is replaced.

    A NUL or half a surrogate pair in a caller's name must not cost us the row.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return `value` with U+FFFD for every NUL and "?" for every lone surrogate."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _id(name: str, **options: Any) -> Column[str]:
    return Column(name, String(64), nullable=False, **options)


def _word(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(32), nullable=nullable)


def _whole(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


metadata = MetaData()

recordings = Table(
    "recordings",
    metadata,
    _id("id", primary_key=True),
    _id("project_id"),
    _id("call_id"),
    Column("control_id", PeerText, nullable=False),
    _word("source"),
    _word("state"),
    _word("format"),
    _word("direction"),
    Column("stereo", Boolean, nullable=False),
    Column("status_url", PeerText),
    _whole("created_at"),
    _whole("started_at"),
    _whole("ended_at", nullable=True),
    _whole("duration_us", nullable=True),
    Column("span_journal", Text, nullable=False),
    Column("span_rate", Integer, nullable=False),
    _whole("span_start"),
    _whole("span_end", nullable=True),
    _word("stop_reason", nullable=True),
    Column("stop_digit", String(1)),
    _word("error_code", nullable=True),
    Column("error_message", PeerText),
    Column("audio", JSON, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("pauses", JSON, nullable=False, server_default="[]"),
    Column("post_processing", JSON, nullable=False, server_default="[]"),
    Column("ready_uri", PeerText),
    Column("recovered", Boolean, nullable=False, server_default=false()),
    _whole("expires_at", nullable=True),
    Column("account", JSON),
)

# Two lists, newest first, each read straight off its index (contract B2).
Index(
    "recordings_of_project",
    recordings.c.project_id,
    recordings.c.created_at.desc(),
    recordings.c.id.desc(),
)
Index(
    "recordings_of_call",
    recordings.c.project_id,
    recordings.c.call_id,
    recordings.c.created_at.desc(),
    recordings.c.id.desc(),
)
# What a restart must finish, found without reading what is finished.
Index("recordings_by_state", recordings.c.state)
# What is to be erased, found without reading what is kept.
Index("recordings_by_expiry", recordings.c.expires_at)
# Who else needs a journal, before any of it is removed.
Index("recordings_by_journal", recordings.c.span_journal)

# What is left of a recording that was deleted: no audio, no number, nobody's words.
tombstones = Table(
    "tombstones",
    metadata,
    _id("id", primary_key=True),
    _id("project_id"),
    _id("call_id"),
    _whole("created_at"),
    _whole("deleted_at"),
    _word("reason"),
    Column("deleted_by", PeerText),
)

# Deleted recordings of which something may be left on the disk; a row goes with the last of it.
erasures = Table(
    "erasures",
    metadata,
    _id("id", primary_key=True),
    Column("span_journal", Text, nullable=False),
    _whole("span_end", nullable=True),
)

calls = Table(
    "calls",
    metadata,
    _id("id", primary_key=True),
    _id("project_id"),
    _word("direction"),
    Column("caller", PeerText, nullable=False),
    Column("callee", PeerText, nullable=False),
    Column("sip_call_id", PeerText, nullable=False),
    _whole("created_at"),
    _whole("answered_at", nullable=True),
    _whole("ended_at", nullable=True),
    Column("end_reason", PeerText),
    Column("parent_id", String(64)),
)
# The list of a project, newest first, read straight off its index.
Index("calls_of_project", calls.c.project_id, calls.c.created_at.desc(), calls.c.id.desc())
# What a restart finds to be over, without reading what is known to be. In PostgreSQL, too, by its
# migration; to say so here would load 2 MiB of SQLAlchemy that only PostgreSQL needs.
Index("calls_not_ended", calls.c.id, sqlite_where=calls.c.ended_at.is_(None))

outbox = Table(
    "outbox",
    metadata,
    # Never used twice, even after rows were removed: receivers tell repeats apart by it.
    Column(
        "id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
        nullable=False,
    ),
    _id("stream"),
    Column("sequence", Integer, nullable=False),
    Column("url", PeerText, nullable=False),
    Column("origin", PeerText, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _whole("created_at"),
    _word("state"),
    Column("attempts", Integer, nullable=False),
    # Set on the first waiting row of each stream and on no other: the index on it holds what may
    # be due and nothing else of interest, however long the queue behind a dead receiver grows.
    _whole("next_attempt_at", nullable=True),
    _whole("delivered_at", nullable=True),
    Column("last_error", PeerText),
    Column("kind", String(32), nullable=False, server_default="status"),
    UniqueConstraint("stream", "sequence", name="outbox_stream_sequence"),
    sqlite_autoincrement=True,
)
Index("outbox_by_next_attempt", outbox.c.next_attempt_at, outbox.c.id)
Index("outbox_by_state", outbox.c.state, outbox.c.id)

REVISIONS: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where the migrations note which of them was the last; as they make it themselves."""


def make(connection: Connection) -> None:
    """Make all tables in an empty SQLite database, as the migrations would, one after the other.

    They take a quarter of a second, and 8 MiB that a server then keeps.
    """
    metadata.create_all(connection, checkfirst=False)
    REVISIONS.create(connection, checkfirst=False)
    connection.execute(REVISIONS.insert().values(version_num=REVISION))
