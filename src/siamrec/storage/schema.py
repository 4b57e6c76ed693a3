"""The tables, as migrations have made them: one append-only log and what is derived from it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData()

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only

event = Table(
    "event",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("digest", String(16), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("time", BigInteger),
    Column("received", BigInteger, nullable=False),
    Column("user", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("whole_ids", SmallInteger, nullable=False),
    Column("value", Float, nullable=False),
    Column("weight", Float, nullable=False),
    Column("decision", Text),
    Column("position", Integer),
    Column("propensity", Float),
    Column("query", Text),
    Column("context", Text),
)
Index("event_time", event.c.time, event.c.seq)
Index("event_user", event.c.user)

decision = Table(
    "decision",
    metadata,
    Column("id", Text, primary_key=True),
    Column("bandit", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("unit", Text),
    Column("arm", Text, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("state_version", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
Index("decision_time", decision.c.bandit, decision.c.time)

reward = Table(
    "reward",
    metadata,
    Column("decision", Text, primary_key=True),
    Column("reward", Float, nullable=False),
    Column("time", BigInteger),
    Column("received", BigInteger, nullable=False),
)

model_version = Table(
    "model_version",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("manifest", Text, nullable=False),
)
Index("model_version_name", model_version.c.name, model_version.c.number, unique=True)

alias = Table(
    "alias",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", String(64), ForeignKey("model_version.id"), nullable=False),
)

alias_log = Table(
    "alias_log",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("version", String(64), nullable=False),
    Column("previous", String(64)),
    Column("time", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)
Index("alias_log_name", alias_log.c.name, alias_log.c.seq)
