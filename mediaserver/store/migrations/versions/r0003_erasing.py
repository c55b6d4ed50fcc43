"""What is still to be removed of deleted recordings, and whose a journal is.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of erasures and the index of recordings by their journal."""
    op.create_index("recordings_by_journal", "recordings", ["span_journal"])
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(64), primary_key=True, nullable=False),
        sa.Column("span_journal", sa.Text, nullable=False),
        sa.Column("span_end", sa.BigInteger),
    )
