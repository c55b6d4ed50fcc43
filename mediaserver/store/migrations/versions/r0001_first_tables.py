"""Recordings, calls and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    _make_recordings()
    _make_calls()
    _make_outbox()


def _make_recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(64), primary_key=True, nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("control_id", sa.Text, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("stereo", sa.Boolean, nullable=False),
        sa.Column("status_url", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("duration_us", sa.BigInteger),
        sa.Column("span_journal", sa.Text, nullable=False),
        sa.Column("span_rate", sa.Integer, nullable=False),
        sa.Column("span_start", sa.BigInteger, nullable=False),
        sa.Column("span_end", sa.BigInteger),
        sa.Column("stop_reason", sa.String(32)),
        sa.Column("stop_digit", sa.String(1)),
        sa.Column("error_code", sa.String(32)),
        sa.Column("error_message", sa.Text),
        sa.Column("audio", sa.JSON, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
    )
    newest_first = [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index("recordings_of_project", "recordings", ["project_id", *newest_first])
    op.create_index("recordings_of_call", "recordings", ["project_id", "call_id", *newest_first])
    op.create_index("recordings_by_state", "recordings", ["state"])


def _make_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.String(64), primary_key=True, nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("callee", sa.Text, nullable=False),
        sa.Column("sip_call_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("answered_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.Text),
    )


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("stream", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("delivered_at", sa.BigInteger),
        sa.Column("last_error", sa.Text),
        sa.UniqueConstraint("stream", "sequence", name="outbox_stream_sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_next_attempt", "outbox", ["next_attempt_at", "id"])
    op.create_index("outbox_by_state", "outbox", ["state", "id"])
