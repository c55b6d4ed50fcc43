"""Pauses, post-processing, Enfonica's webhook, retention, accounting, tombstones.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what recordings know since then, and the table of those that were deleted."""
    for column in (
        sa.Column("pauses", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("post_processing", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("ready_uri", sa.Text),
        sa.Column("recovered", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("account", sa.JSON),
    ):
        op.add_column("recordings", column)
    op.create_index("recordings_by_expiry", "recordings", ["expires_at"])
    op.add_column(
        "outbox", sa.Column("kind", sa.String(32), nullable=False, server_default="status")
    )
    op.create_table(
        "tombstones",
        sa.Column("id", sa.String(64), primary_key=True, nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("deleted_by", sa.Text),
    )
