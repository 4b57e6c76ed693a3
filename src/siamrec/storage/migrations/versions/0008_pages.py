"""The list that a list comes after, and who is the same person as whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make room for both."""
    op.add_column("recommendation", sa.Column("parent", sa.Text))
    of_a_list = sa.text("parent IS NOT NULL")
    op.create_index(
        "recommendation_parent", "recommendation", ["parent"],
        sqlite_where=of_a_list, postgresql_where=of_a_list,
    )  # fmt: skip
    op.create_table(
        "identity",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("person", sa.Text),
        sa.Column("whole", sa.SmallInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("identity_alias", "identity", ["alias", "seq"])
    op.create_index("identity_person", "identity", ["person"])
