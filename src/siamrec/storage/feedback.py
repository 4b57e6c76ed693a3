"""Feedback in the event log: written once, read in time order."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from sqlalchemy import bindparam, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from xxhash import xxh3_64_hexdigest

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec.data import NO_TIME, Feedback, Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.storage import _engine
from siamrec.storage.schema import event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine, Row

    from siamrec.protocols import Clock
    from siamrec.typing import Instant

_COLUMNS = [column for column in event.columns if column.name not in {"seq", "xid"}]
_NAMES = [column.name for column in _COLUMNS]
_WHOLE_USER, _WHOLE_ITEM = 1, 2
_BATCH = 5_000


@final
@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a written batch.

    Attributes:
        accepted: Events stored now.
        duplicates: Events that were there already, with the same content.
        conflicts: Keys that were there already with other content; the first content stays.
    """

    accepted: int
    duplicates: int
    conflicts: tuple[str, ...] = ()


@final
class FeedbackLog:
    """A `FeedbackSource` and `FeedbackSink` on the event log.

    An event has a key. Where none is given it is made of the time and of a hash of the content,
    so that writing the same rows twice stores them once.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._insert = _insert_text(engine)

    def write(self, feedback: Feedback, *, keys: Sequence[str] | None = None) -> Receipt:
        """Store the events in one transaction: all of them, or none.

        Args:
            feedback: Events with ids that are text or whole numbers.
            keys: Idempotency key of each event, at most 64 characters.

        Raises:
            siamrec.errors.InvalidDataError: If an id is of another kind, or keys do not fit.
            siamrec.errors.StorageError: If the database fails; nothing is stored then.
        """
        rows = _rows(feedback, self._clock.now(), keys)
        with _engine.writing(self._engine) as connection:
            accepted = 0
            conflicts: list[str] = []
            for first in range(0, len(rows), _BATCH):
                batch = rows[first : first + _BATCH]
                stored = self._append(connection, batch)
                accepted += stored
                if stored < len(batch) and keys is not None:
                    conflicts += _conflicts(connection, batch)
        return Receipt(accepted, len(rows) - accepted - len(conflicts), tuple(conflicts))

    def _append(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        return max(connection.exec_driver_sql(self._insert, list(rows)).rowcount, 0)

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield batches with `since <= time < until`, in time order; untimed events come first.

        Untimed events are left out where a bound is given.
        """
        check.count("batch_rows", batch_rows)
        place = (int(NO_TIME), 0)
        while True:
            with _engine.reading(self._engine) as connection:
                query = _page(since, until, place).limit(batch_rows)
                rows = connection.execute(query).all()
            if not rows:
                return
            yield _feedback(rows)
            last = rows[-1]
            place = (int(NO_TIME) if last.time is None else last.time, last.seq)

    def read_all(self) -> Feedback:
        """Return every event as one value.

        Raises:
            siamrec.errors.InvalidDataError: If the log is empty.
        """
        return Feedback.concat(self.read())


def _page(since: Instant | None, until: Instant | None, place: tuple[int, int]) -> Any:
    """Select what follows `place` in the order (untimed, then time; seq)."""
    time, seq = place
    if time == NO_TIME:
        after = or_(event.c.time.is_not(None), event.c.seq > seq)
    else:
        after = tuple_(event.c.time, event.c.seq) > tuple_(time, seq)
    query = select(event.c.seq, *_COLUMNS).where(after)
    if since is not None:
        query = query.where(event.c.time >= since)
    if until is not None:
        query = query.where(event.c.time < until)
    return query.order_by(event.c.time.is_not(None), event.c.time, event.c.seq)


def _insert_text(engine: Engine) -> str:
    """Compile the hot statement once; both engines skip a key that is there."""
    make = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    values: dict[str, Any] = {name: bindparam(name) for name in _NAMES}
    statement = make(event).values(values).on_conflict_do_nothing(index_elements=["key"])
    compiled = statement.compile(dialect=engine.dialect)
    order = list(compiled.positiontup or [])
    text = str(compiled)
    if order:
        assert order == _NAMES
        return text
    for name in _NAMES:  # psycopg takes names; rows travel as tuples
        text = text.replace(f"%({name})s", "%s").replace(f"%({name})s::", "%s::")
    return text


def _conflicts(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    key, digest = _NAMES.index("key"), _NAMES.index("digest")
    wanted = {row[key]: row[digest] for row in rows}
    found = connection.execute(
        select(event.c.key, event.c.digest).where(event.c.key.in_(list(wanted)))
    )
    return [name for name, stored in found if stored != wanted[name]]


def _rows(
    feedback: Feedback, received: Instant, keys: Sequence[str] | None
) -> list[tuple[Any, ...]]:
    n = len(feedback)
    user, whole_user = _text_ids(feedback.users)
    item, whole_item = _text_ids(feedback.items)
    time = [None if t == NO_TIME else t for t in feedback.time.tolist()]
    queries = [*map(str, feedback.queries.ids), None]
    context = _contexts(feedback)
    columns: dict[str, list[Any]] = {
        "kind": feedback.kind.tolist(),
        "time": time,
        "user": [user[code] for code in feedback.user.tolist()],
        "item": [item[code] for code in feedback.item.tolist()],
        "whole_ids": (whole_user[feedback.user] + 2 * whole_item[feedback.item]).tolist(),
        "value": feedback.value.tolist(),
        "weight": feedback.weight.tolist(),
        "decision": _optional(feedback.decision, n, as_text=True),
        "position": _optional(feedback.position, n),
        "propensity": [
            None if p is None or math.isnan(p) else p for p in _optional(feedback.propensity, n)
        ],
        "query": [None] * n if feedback.query is None else [queries[q] for q in feedback.query],
        "context": context,
    }
    content = ["\x1f".join(map(repr, row)) for row in zip(*columns.values(), strict=True)]
    columns["digest"] = [xxh3_64_hexdigest(text.encode()) for text in content]
    columns["key"] = _keys(columns, keys)
    columns["received"] = [received] * n
    return list(zip(*(columns[name] for name in _NAMES), strict=True))


def _keys(columns: dict[str, list[Any]], keys: Sequence[str] | None) -> list[str]:
    """Keys that begin with the time keep the index growing at its end, ten times faster."""
    if keys is None:
        pairs = zip(columns["time"], columns["digest"], strict=True)
        return [f"{(time or 0) % 2**64:016x}{digest}" for time, digest in pairs]
    if len(keys) != len(columns["time"]) or any(not 0 < len(key) <= 64 for key in keys):  # noqa: PLR2004
        raise InvalidDataError("keys must be one text of 1 to 64 characters for each event.")
    return list(keys)


def _text_ids(vocabulary: Vocabulary) -> tuple[list[str], Any]:
    whole = np.zeros(len(vocabulary), dtype=np.int64)
    for code, id_ in enumerate(vocabulary.ids):
        if isinstance(id_, bool) or not isinstance(id_, str | int):
            raise InvalidDataError(f"Ids in a store must be text or whole numbers, got {id_!r}.")
        whole[code] = isinstance(id_, int)
    return [str(id_) for id_ in vocabulary.ids], whole


def _optional(column: Any, n: int, *, as_text: bool = False) -> list[Any]:
    if column is None:
        return [None] * n
    values = column.tolist()
    return [str(value) for value in values] if as_text else values


def _contexts(feedback: Feedback) -> list[str | None]:
    if not feedback.context:
        return [None] * len(feedback)
    names = list(feedback.context)
    columns = (feedback.context[name].tolist() for name in names)
    return [
        canonical_json(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
    ]


def _feedback(rows: Sequence[Row[Any]]) -> Feedback:
    columns = dict(zip(["seq", *_NAMES], zip(*rows, strict=True), strict=True))
    whole = np.asarray(columns["whole_ids"])
    users, user = _vocabulary(columns["user"], whole & _WHOLE_USER)
    items, item = _vocabulary(columns["item"], whole & _WHOLE_ITEM)
    queries = Vocabulary.of(query for query in columns["query"] if query is not None)
    extra: dict[str, Any] = {}
    if len(queries):
        extra |= {"queries": queries, "query": queries.encode(columns["query"], unknown="code")}
    if any(value is not None for value in columns["decision"]):
        extra["decision"] = np.asarray([value or "" for value in columns["decision"]])
    if any(value is not None for value in columns["position"]):
        extra["position"] = np.asarray([value or 0 for value in columns["position"]], np.int32)
    if any(value is not None for value in columns["propensity"]):
        extra["propensity"] = np.asarray(columns["propensity"], dtype=np.float64)
    if any(value is not None for value in columns["context"]):
        extra["context"] = _context_columns(columns["context"])
    return Feedback(
        users=users,
        items=items,
        user=user,
        item=item,
        value=np.asarray(columns["value"], dtype=np.float32),
        kind=np.asarray(columns["kind"], dtype=np.int8),
        time=np.asarray([NO_TIME if t is None else t for t in columns["time"]], dtype=np.int64),
        weight=np.asarray(columns["weight"], dtype=np.float32),
        **extra,
    )


def _vocabulary(texts: Sequence[str], whole: Any) -> tuple[Vocabulary, Any]:
    if whole.all():
        return Vocabulary.factorize(np.asarray(texts, dtype=np.int64))
    if not whole.any():
        return Vocabulary.factorize(texts)
    pairs = zip(texts, whole.tolist(), strict=True)
    return Vocabulary.factorize([int(text) if is_whole else text for text, is_whole in pairs])


def _context_columns(texts: Sequence[str | None]) -> dict[str, Any]:
    rows = [json.loads(text) if text else {} for text in texts]
    names = sorted({name for row in rows for name in row})
    return {name: np.asarray([row.get(name) for row in rows]) for name in names}
