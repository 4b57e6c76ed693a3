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
    # The transaction that wrote the row; set by PostgreSQL, where commits come out of order.
    Column("xid", BigInteger, nullable=False, server_default="0"),
    sqlite_autoincrement=True,  # numbers of deleted rows are never given out again
)
Index("event_tail", event.c.xid, event.c.seq).ddl_if(dialect="postgresql")
Index("event_time", event.c.time, event.c.seq)
Index("event_user", event.c.user, event.c.time, event.c.seq)
Index("event_decision", event.c.decision)  # of events of a list only, see the migration

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
    Column("cell", Integer),
    Column("features", Text),
    Column("swept", SmallInteger, nullable=False, server_default="0"),
)
Index("decision_time", decision.c.bandit, decision.c.time)

reward = Table(
    "reward",
    metadata,
    # All that a reward says is its key: one B-tree on SQLite, one index on PostgreSQL.
    Column("decision", Text, primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    Column("reward", Float, primary_key=True),
    Column("weight", Float, primary_key=True),
    Column("received", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

projection = Table(
    "projection",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("settings", Text, nullable=False),
)

fold = Table(
    "fold",
    metadata,
    Column("projection", Text, primary_key=True),
    Column("part", BigInteger, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("value", Float, nullable=False),
    Column("version", BigInteger, nullable=False),
)
Index("fold_version", fold.c.projection, fold.c.version)

experiment = Table(
    "experiment",
    metadata,
    Column("key", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("record", Text, nullable=False),
)

sticky = Table(
    "sticky",
    metadata,
    Column("experiment", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("variant", Text, nullable=False),
    # Of the allocation that gave it; rows from before these were kept have neither.
    Column("propensity", Float),
    Column("version", Integer),
)

cursor = Table(
    "cursor",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("xid", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    # The archived segment that is being read; none once the consumer is past all of them.
    Column("segment", BigInteger),
)

# Of PostgreSQL: which server gives the transaction numbers, and what is added to them.
epoch = Table(
    "epoch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("system", Text, nullable=False),
    Column("shift", BigInteger, nullable=False),
)

segment = Table(
    "segment",
    metadata,
    Column("number", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("n_rows", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("fingerprint", String(32), nullable=False),
    sqlite_autoincrement=True,
)

doomed = Table("doomed", metadata, Column("hash", String(64), primary_key=True))

spent = Table(
    "spent",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("digest", String(16), nullable=False),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("since", BigInteger),
    Column("until", BigInteger),
    Column("n_events", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("redacted", BigInteger),
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
    Column("action", String(16), nullable=False, server_default="activated"),
)
Index("alias_log_name", alias_log.c.name, alias_log.c.seq)

stored_value = Table(
    "stored_value",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

catalog_item = Table(
    "catalog_item",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("item", Text, nullable=False),
    Column("whole", SmallInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("body", Text),  # none where the item was taken out
    sqlite_autoincrement=True,
)
Index("catalog_item_item", catalog_item.c.item, catalog_item.c.seq)

recommendation = Table(
    "recommendation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("placement", Text, nullable=False),
    Column("bandit", Text),
    Column("unit", Text),
    Column("whole", SmallInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    # When its window began: at serving, or when it was first seen; none while nobody saw it.
    Column("opened", BigInteger),
    Column("settled", SmallInteger, nullable=False, server_default="0"),
    Column("experiment", Text),
    Column("variant", Text),
    Column("release", Text),
    Column("fallback", Text),
    Column("body", Text, nullable=False),
    Column("parent", Text),  # the list it comes after: the page before it, or the row above it
)
Index("recommendation_open", recommendation.c.placement, recommendation.c.settled,
      recommendation.c.opened)  # fmt: skip
Index("recommendation_time", recommendation.c.placement, recommendation.c.time)
Index("recommendation_unit", recommendation.c.unit)
Index("recommendation_parent", recommendation.c.parent)  # of those that have one, as above

recommendation_item = Table(
    "recommendation_item",
    metadata,
    Column("recommendation", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("item", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("source", Text, nullable=False),
    Column("shares", Text),
    Column("seen", BigInteger),
    sqlite_with_rowid=False,
)

diary = Table(
    "diary",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("placement", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("what", String(32), nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("diary_placement", diary.c.placement, diary.c.seq)

blocked = Table(
    "blocked",
    metadata,
    Column("user", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("whole_ids", SmallInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

retracted = Table(
    "retracted",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("user", Text, nullable=False),
    Column("whole_ids", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),  # the event as it was, as JSON
)
Index("retracted_user", retracted.c.user)

identity = Table(
    "identity",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("alias", Text, nullable=False),
    Column("person", Text),  # none where the alias is itself again
    Column("whole", SmallInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("identity_alias", identity.c.alias, identity.c.seq)
Index("identity_person", identity.c.person)

job = Table(
    "job",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("key", Text, nullable=False),
    Column("placement", Text),
    Column("arguments", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("most", Integer, nullable=False),  # attempts
    Column("progress", Integer, nullable=False),
    Column("line", Text, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("result", Text),
    Column("error", Text),
    # Who holds it, until when; a holder whose number is no longer the newest writes nothing.
    Column("owner", Text),
    Column("fence", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)
Index("job_status", job.c.status, job.c.kind, job.c.not_before)
