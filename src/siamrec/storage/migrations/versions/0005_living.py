"""Placements, the kept catalogue, recommendations with their items, and the diary."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make room for what is served and remembered."""
    # The next list has to know what a person did a second ago, so the log is asked by user.
    op.create_index("event_user", "event", ["user", "time", "seq"])
    of_a_list = sa.text("decision IS NOT NULL")
    op.create_index(
        "event_decision", "event", ["decision"],
        sqlite_where=of_a_list, postgresql_where=of_a_list,
    )  # fmt: skip
    _values_and_catalogue()
    _recommendations()
    _diary()


def _values_and_catalogue() -> None:
    op.create_table(
        "stored_value",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "catalog_item",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("whole", sa.SmallInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("catalog_item_item", "catalog_item", ["item", "seq"])


def _recommendations() -> None:
    op.create_table(
        "recommendation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("placement", sa.Text, nullable=False),
        sa.Column("bandit", sa.Text),
        sa.Column("unit", sa.Text),
        sa.Column("whole", sa.SmallInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("opened", sa.BigInteger),
        sa.Column("settled", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("experiment", sa.Text),
        sa.Column("variant", sa.Text),
        sa.Column("release", sa.Text),
        sa.Column("fallback", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("recommendation_open", "recommendation", ["placement", "settled", "opened"])
    op.create_index("recommendation_time", "recommendation", ["placement", "time"])
    op.create_index("recommendation_unit", "recommendation", ["unit"])
    op.create_table(
        "recommendation_item",
        sa.Column("recommendation", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("shares", sa.Text),
        sa.Column("seen", sa.BigInteger),
        sqlite_with_rowid=False,
    )


def _diary() -> None:
    op.create_table(
        "diary",
        sa.Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("placement", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("diary_placement", "diary", ["placement", "seq"])
