"""Calls: which one another was placed for, a list of them, and those whose end is not known.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the two indexes."""
    op.add_column("calls", sa.Column("parent_id", sa.String(64)))
    newest_first = [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index("calls_of_project", "calls", ["project_id", *newest_first])
    not_ended = sa.text("ended_at IS NULL")
    op.create_index(
        "calls_not_ended", "calls", ["id"], sqlite_where=not_ended, postgresql_where=not_ended
    )
