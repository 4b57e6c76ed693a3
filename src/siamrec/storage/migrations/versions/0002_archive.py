"""Sealed segments, used-up keys, snapshots; event numbers never reused; rewards by their key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_EVENT = (
    "seq", "key", "digest", "kind", "time", "received", "user", "item", "whole_ids", "value",
    "weight", "decision", "position", "propensity", "query", "context", "xid",
)  # fmt: skip


def upgrade() -> None:
    """Make room for the archive."""
    sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    # Only erasure looks for a user, and it reads everything; the index halved the speed of writes.
    op.drop_index("event_user", "event")
    if op.get_bind().dialect.name == "sqlite":
        _count_up_for_ever()
    _rewards_by_their_key()
    op.add_column("cursor", sa.Column("segment", sa.BigInteger))
    op.create_table(
        "segment",
        sa.Column("number", sequence, primary_key=True, autoincrement=True),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("n_rows", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table("doomed", sa.Column("hash", sa.String(64), primary_key=True))
    op.create_table(
        "spent",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(16), nullable=False),
    )
    op.create_table(
        "snapshot",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("since", sa.BigInteger),
        sa.Column("until", sa.BigInteger),
        sa.Column("n_events", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("redacted", sa.BigInteger),
    )


def _count_up_for_ever() -> None:
    """SQLite reuses the number of a deleted last row unless a table says AUTOINCREMENT."""
    op.drop_index("event_time", "event")
    op.rename_table("event", "event_before")
    op.create_table(
        "event",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("time", sa.BigInteger),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("whole_ids", sa.SmallInteger, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("decision", sa.Text),
        sa.Column("position", sa.Integer),
        sa.Column("propensity", sa.Float),
        sa.Column("query", sa.Text),
        sa.Column("context", sa.Text),
        sa.Column("xid", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sqlite_autoincrement=True,
    )
    names = ", ".join(f'"{name}"' for name in _EVENT)
    op.execute(f"INSERT INTO event ({names}) SELECT {names} FROM event_before ORDER BY seq")  # noqa: S608
    op.drop_table("event_before")
    op.create_index("event_time", "event", ["time", "seq"])


def _rewards_by_their_key() -> None:
    op.drop_index("reward_once", "reward")
    op.rename_table("reward", "reward_before")
    op.create_table(
        "reward",
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("reward", sa.Float, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("decision", "arm", "time", "reward", "weight", name="reward_key"),
        sqlite_with_rowid=False,
    )
    names = "decision, arm, time, reward, weight, received"
    op.execute(f"INSERT INTO reward ({names}) SELECT {names} FROM reward_before")  # noqa: S608
    op.drop_table("reward_before")
