"""What each change of an alias was stands in a column, no longer in the words of its reason."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BEGINNING = "rollback: "


def upgrade() -> None:
    """Read off the reasons which changes were rollbacks."""
    column = sa.Column("action", sa.String(16), nullable=False, server_default="activated")
    op.add_column("alias_log", column)
    log = sa.table("alias_log", sa.column("reason", sa.Text), sa.column("action", sa.String))
    op.execute(
        sa.update(log)
        .where(log.c.reason.startswith(_BEGINNING, autoescape=True))
        .values(action="rolled_back", reason=sa.func.substr(log.c.reason, len(_BEGINNING) + 1))
    )
