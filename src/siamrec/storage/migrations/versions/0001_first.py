"""Events, decisions, rewards, model versions and aliases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables."""
    sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "event",
        sa.Column("seq", sequence, primary_key=True, autoincrement=True),
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
        sa.Column("xid", sa.BigInteger, nullable=False, server_default=_transaction()),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("event_tail", "event", ["xid", "seq"])
    op.create_index("event_time", "event", ["time", "seq"])
    op.create_index("event_user", "event", ["user"])
    op.create_table(
        "decision",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("bandit", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("state_version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("cell", sa.Integer),
        sa.Column("features", sa.Text),
        sa.Column("swept", sa.SmallInteger, nullable=False, server_default="0"),
    )
    op.create_index("decision_time", "decision", ["bandit", "time"])
    op.create_table(
        "reward",
        sa.Column("seq", sequence, primary_key=True, autoincrement=True),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("reward", sa.Float, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
    )
    once = ["decision", "arm", "time", "reward", "weight"]
    op.create_index("reward_once", "reward", once, unique=True)
    _create_folds()
    _create_registry(sequence)


def _transaction() -> sa.TextClause:
    """SQLite has one writer at a time; PostgreSQL tells the transaction that wrote a row."""
    if op.get_bind().dialect.name == "postgresql":
        return sa.text("(pg_current_xact_id()::text::bigint)")
    return sa.text("0")


def _create_folds() -> None:
    op.create_table(
        "projection",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
    )
    op.create_table(
        "fold",
        sa.Column("projection", sa.Text, primary_key=True),
        sa.Column("part", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("fold_version", "fold", ["projection", "version"])
    op.create_table(
        "experiment",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "sticky",
        sa.Column("experiment", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("variant", sa.Text, nullable=False),
    )
    op.create_table(
        "cursor",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("xid", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )


def _create_registry(sequence: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "model_version",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
    )
    op.create_index("model_version_name", "model_version", ["name", "number"], unique=True)
    op.create_table(
        "alias",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.String(64), sa.ForeignKey("model_version.id"), nullable=False),
    )
    op.create_table(
        "alias_log",
        sa.Column("seq", sequence, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64)),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("alias_log_name", "alias_log", ["name", "seq"])
