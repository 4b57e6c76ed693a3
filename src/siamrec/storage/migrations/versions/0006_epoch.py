"""Which database server wrote the log, so that a place in it survives a move to another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for the server and for how far its transaction numbers are moved."""
    op.create_table(
        "epoch",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("shift", sa.BigInteger, nullable=False),
    )
