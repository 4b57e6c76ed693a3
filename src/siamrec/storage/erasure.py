"""Everything about one user out of the log: the table, the archive, decisions and snapshots."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final

import numpy as np
from sqlalchemy import delete, select, update
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec._core.table import Record, Table, counted
from siamrec.data import Decision
from siamrec.errors import InvalidParameterError, StaleWriteError, shown
from siamrec.storage import _bulk, _engine, _segments
from siamrec.storage._events import erased_key
from siamrec.storage._sqlite import emptied_log
from siamrec.storage.archive import retried, segment_row
from siamrec.storage.identity import above, below, forget
from siamrec.storage.jobs import forget_in_jobs
from siamrec.storage.schema import (
    blocked,
    event,
    model_version,
    projection,
    recommendation_item,
    retracted,
)
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import doomed as doomed_table
from siamrec.storage.schema import recommendation as recommendation_table
from siamrec.storage.schema import reward as reward_table
from siamrec.storage.schema import segment as segment_table
from siamrec.storage.schema import snapshot as snapshot_table
from siamrec.storage.schema import spent as spent_table
from siamrec.storage.schema import sticky as sticky_table
from siamrec.storage.snapshots import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.storage._segments import Segment
    from siamrec.storage.archive import Archive
    from siamrec.storage.bandit import StoredBandit
    from siamrec.typing import Instant

OfDecisions = Literal["detach", "delete"]
"""What becomes of decisions that were made for an erased user."""

_OF_PERSONS = (
    "event", "decision", "reward", "sticky", "spent", "recommendation", "recommendation_item",
    "blocked", "retracted", "identity", "job",
)  # fmt: skip
"""Tables that hold a person."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Erasure(Record):
    """What was erased.

    Attributes:
        n_events: Number of events, of the table and of the archive.
        n_decisions: Number of decisions that were made for the user.
        n_lists: Number of lists that were served to the user.
        n_segments: Number of segments that were written anew.
        n_redacted: Number of snapshots that can no longer be read as they were.
        n_aliases: Number of other ids that were identified as the user; all that is told here is
            of them as well.
        trained: Ids of versions whose training data may have held the user; what they have
            learned is theirs until others take their place.
        remains: Where something of the user may still be, and what to do about it; one line each.
    """

    n_events: int
    n_decisions: int
    n_lists: int
    n_segments: int
    n_redacted: int
    n_aliases: int = 0
    trained: tuple[str, ...] = ()
    remains: tuple[str, ...] = ()

    @override
    def title(self) -> str:
        detached = counted(self.n_decisions, "decision")
        left = f", something may remain in {counted(len(self.remains), 'place')}"
        said = f"Erased {counted(self.n_events, 'event')}, {detached} detached"
        return said + left * bool(self.remains)

    @override
    def table(self) -> Table:
        """Return the numbers, and below them what remains."""
        told = ("n_events", "n_decisions", "n_lists", "n_segments", "n_redacted", "n_aliases")
        facts = {name.replace("_", " "): getattr(self, name) for name in told}
        facts["versions trained"] = len(self.trained)
        return replace(Table.of(self.title(), facts), notes=self.remains)


class _Gone(NamedTuple):
    """What has to be known of an erased event."""

    key: str
    time: Instant | None
    seq: int
    received: Instant


@final
@dataclass(frozen=True, slots=True)
class _Rewrite:
    """One segment that holds events of the user, and what shall stand in its place."""

    segment: Segment
    rest: Any
    hash: str
    gone: list[_Gone]


def erase(
    engine: Engine,
    archive: Archive,
    bandits: Mapping[str, StoredBandit[Any]],
    *,
    user: str | int,
    decisions: OfDecisions,
    now: Instant,
) -> Erasure:
    """Erase a user; see `Store.erase`."""
    check.one_of("decisions", decisions, ("detach", "delete"))
    archive.sweep()

    def attempt() -> Erasure:
        with _engine.reading(engine) as connection:
            ids = [user, *below(connection, user)]
        rewrites = _rewrites(engine, archive, ids)

        def work(connection: Connection) -> Erasure:
            if connection.dialect.name == "sqlite":  # what is deleted is overwritten with zeros
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            _engine.lock(connection, "event", "segment", "identity")
            if [user, *below(connection, user)] != ids:
                raise StaleWriteError("Another id was identified as the user meanwhile.")
            gone = [each for id_ in ids for each in _from_table(connection, id_)]
            for one in rewrites:
                _replace(connection, one)
                gone += one.gone
            keys = [each.key for each in gone]
            keys += [key for id_ in ids for key in _from_beside(connection, id_)]
            tombs = sorted((erased_key(key), "") for key in keys)
            _bulk.insert(connection, spent_table, ("key", "digest"), tombs, skip=True)
            held, n_redacted = redact(connection, [(e.time, e.seq) for e in gone], now)
            n_lists = sum(_from_lists(connection, id_, decisions) for id_ in ids)
            n_decisions = sum(
                _from_decisions(connection, bandits, str(id_), decisions) for id_ in ids
            )
            units = [str(id_) for id_ in ids]
            connection.execute(delete(sticky_table).where(sticky_table.c.unit.in_(units)))
            remains = [line for id_ in ids for line in _of_the_other_kind(connection, id_)]
            remains += _of_the_person(connection, user)
            forget(connection, ids)
            return Erasure(
                n_events=len(gone),
                n_decisions=n_decisions,
                n_lists=n_lists,
                n_segments=len(rewrites),
                n_redacted=n_redacted,
                n_aliases=len(ids) - 1,
                trained=_trained(connection, gone, held),
                remains=tuple(remains),
            )

        return _engine.transact(engine, work)

    done = retried(attempt)
    if done.n_segments:
        archive.sweep()
        archive.write_manifest()
    remains = [*done.remains, *_wiped(engine)]
    if done.trained:
        remains.append(
            f"{counted(len(done.trained), 'version')} may have been trained with the user: train "
            "anew and activate what comes of it; `trained` has their ids."
        )
    return replace(done, remains=tuple(remains))


def _rewrites(engine: Engine, archive: Archive, users: Sequence[str | int]) -> list[_Rewrite]:
    with _engine.reading(engine) as connection:
        segments = archive.segments(connection)
    found = []
    for segment in segments:
        ids = archive.table(segment, ("user", "whole_ids"))
        whole = (np.asarray(ids["whole_ids"]) & 1) == isinstance(users[0], int)
        wanted = {str(user) for user in users}
        mine = whole & np.array([name in wanted for name in ids["user"].to_pylist()], np.bool_)
        if not mine.any():
            continue
        table = archive.table(segment)
        gone, rest = table.filter(mine), table.filter(~mine)
        data = _segments.packed(rest)
        hash_ = _segments.hash_of(data)
        if rest.num_rows:
            archive.blobs.put(_segments.blob_of(hash_), data)
        columns = (gone[name].to_pylist() for name in _Gone._fields)
        found.append(_Rewrite(segment, rest, hash_, [*map(_Gone, *columns)]))
    return found


def _from_table(connection: Connection, user: str | int) -> list[_Gone]:
    c = event.c
    mine = (c.user == str(user)) & (c.whole_ids.in_([1, 3] if isinstance(user, int) else [0, 2]))
    taken = delete(event).where(mine).returning(c.key, c.time, c.seq, c.received)
    return [_Gone(*row) for row in connection.execute(taken)]


def _of_the_other_kind(connection: Connection, user: str | int) -> tuple[str, ...]:
    """Say whether there is a user who is written alike: 1 and "1" are two."""
    c = event.c
    other = (c.user == str(user)) & (c.whole_ids.in_([0, 2] if isinstance(user, int) else [1, 3]))
    if connection.execute(select(c.seq).where(other).limit(1)).first() is None:
        return ()
    twin = shown(str(user) if isinstance(user, int) else int(user))
    return (f"Events of a user {twin} are another's: erase({twin}) if it is the same.",)


def _of_the_person(connection: Connection, user: str | int) -> tuple[str, ...]:
    """Say whether the user was identified as somebody else, who stays."""
    persons = above(connection, user)
    if not persons:
        return ()
    person = shown(persons[-1])
    return (f"The user was identified as {person}, who stays: erase({person}) if they go too.",)


def _trained(
    connection: Connection, gone: Sequence[_Gone], held: Collection[str]
) -> tuple[str, ...]:
    """Return the versions that were made from data after the user's first event came in.

    Of those whose data is a snapshot it is known; of others nothing but the time is.
    """
    if not gone:
        return ()
    first = min(each.received for each in gone)
    snapshots = set(connection.execute(select(snapshot_table.c.id)).scalars())
    c = model_version.c
    found = []
    for id_, text in connection.execute(select(c.id, c.manifest).where(c.created >= first)):
        data = json.loads(text).get("lineage", {}).get("data", "")
        if data and (data in held or data not in snapshots):
            found.append(id_)
    return tuple(sorted(found))


def _from_beside(connection: Connection, user: str | int) -> list[str]:
    """Let go of what was kept from a user, of jobs, and of retracted events; return their keys."""
    forget_in_jobs(connection, user)
    whole = [1, 3] if isinstance(user, int) else [0, 2]
    c, r = blocked.c, retracted.c
    connection.execute(delete(blocked).where(c.user == str(user), c.whole_ids.in_(whole)))
    mine = delete(retracted).where(r.user == str(user), r.whole_ids.in_(whole))
    keys = list(connection.execute(mine.returning(r.key)).scalars())
    if keys:
        _bulk.delete(connection, spent_table, "key", keys)
    return keys


def _replace(connection: Connection, one: _Rewrite) -> None:
    c = segment_table.c
    mine = (c.number == one.segment.number) & (c.hash == one.segment.hash)
    if one.rest.num_rows:
        change = update(segment_table).where(mine).values(segment_row(one.rest, one.hash))
        changed = connection.execute(change).rowcount
    else:
        changed = connection.execute(delete(segment_table).where(mine)).rowcount
    if changed != 1:
        raise StaleWriteError("Others have changed this segment.")
    connection.execute(doomed_table.insert(), {"hash": one.segment.hash})
    _bulk.delete(connection, spent_table, "key", [each.key for each in one.gone])


def _from_lists(connection: Connection, user: str | int, decisions: OfDecisions) -> int:
    """Let go of the lists of a user: nobody's from now on, or gone with their decisions."""
    c = recommendation_table.c
    mine = (c.unit == str(user)) & (c.whole.op("&")(1) == int(isinstance(user, int)))
    if decisions == "detach":
        rows = connection.execute(select(c.id, c.body).where(mine)).all()
        for id_, text in rows:
            body = json.loads(text)
            body.pop("asked", None)  # it may say something of the person
            body.pop("query", None)  # what somebody searched for is theirs
            kept = {"unit": None, "body": canonical_json(body)}
            connection.execute(update(recommendation_table).where(c.id == id_).values(kept))
        return len(rows)
    ids = list(connection.execute(select(c.id).where(mine)).scalars())
    if ids:
        _bulk.delete(connection, recommendation_item, "recommendation", ids)
        _bulk.delete(connection, recommendation_table, "id", ids)
    return len(ids)


def _from_decisions(
    connection: Connection,
    bandits: Mapping[str, StoredBandit[Any]],
    unit: str,
    decisions: OfDecisions,
) -> int:
    c = decision_table.c
    rows = connection.execute(select(c.id, c.bandit, c.body).where(c.unit == unit)).all()
    if decisions == "detach":
        for row in rows:
            body = replace(Decision.from_json(row.body), unit=None).to_json()
            mine = update(decision_table).where(c.id == row.id)
            connection.execute(mine.values(unit=None, body=body))
        return len(rows)
    names = sorted({row.bandit for row in rows})
    closed = [name for name in names if name not in bandits and _is_shared(connection, name)]
    if closed:
        raise InvalidParameterError(
            "decisions", decisions, f"'detach', or called after store.bandit({closed[0]!r}, ...)"
        )
    open_ = [bandits[name] for name in names if name in bandits]
    for bandit in open_:
        bandit.locked(connection)
    ids = [row.id for row in rows]
    _bulk.delete(connection, reward_table, "decision", ids)
    _bulk.delete(connection, decision_table, "id", ids)
    for bandit in open_:
        bandit.rebuilt(connection)
    return len(ids)


def _is_shared(connection: Connection, name: str) -> bool:
    mine = projection.c.name == f"bandit:{name}"
    return connection.execute(select(projection.c.name).where(mine)).first() is not None


def _wiped(engine: Engine) -> list[str]:
    """Let go of what is left of deleted rows; say what could not be let go of."""
    with _engine.told(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            free = connection.execution_options(isolation_level="AUTOCOMMIT")
            schema = _engine.schema_of(engine)
            for table in _OF_PERSONS:
                place = table if schema is None else f'"{schema}".{table}'
                free.exec_driver_sql(f"VACUUM {place}")
            return [_OF_A_SERVER]
        if emptied_log(connection, patience=_PATIENCE):
            return []
    return [_READ]


_OF_A_SERVER = (
    "PostgreSQL's own write-ahead log, replicas and backups, and free space in its files, hold "
    "what was deleted until they are overwritten: see to your backups."
)
_READ = (
    "SQLite's write-ahead log could not be emptied while somebody reads: erase the user once more "
    "when they are done, or close every connection."
)
_PATIENCE = 2_000
"""Milliseconds to wait for readers."""
