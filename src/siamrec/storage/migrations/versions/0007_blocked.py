"""Items that are kept from one person, and events that were taken back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for both."""
    op.create_table(
        "blocked",
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("item", sa.Text, primary_key=True),
        sa.Column("whole_ids", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "retracted",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("whole_ids", sa.SmallInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("retracted_user", "retracted", ["user"])
