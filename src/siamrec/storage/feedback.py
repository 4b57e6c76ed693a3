"""Feedback in the event log: written once, read in time order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from sqlalchemy import func, select
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record
from siamrec.data import Decision, Feedback, FeedbackKind, Vocabulary
from siamrec.data.rewards import LONGEST_DECISION
from siamrec.errors import InvalidParameterError, MissingInputError
from siamrec.storage import _bulk, _engine
from siamrec.storage._events import (
    LONGEST_TEXT,
    NAMES,
    erased_key,
    feedback_of,
    is_once,
    once,
    rows_of,
)
from siamrec.storage._on_database import OnDatabase
from siamrec.storage._pages import Pages, whole_log
from siamrec.storage.archive import retried
from siamrec.storage.incoming import Written, sorted_out
from siamrec.storage.retraction import retract
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import event, retracted
from siamrec.storage.schema import spent as spent_table
from siamrec.storage.summary import FeedbackSummary, summarised

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.protocols import Clock
    from siamrec.storage.archive import Archive
    from siamrec.typing import Instant

Id: TypeAlias = str | int
_BATCH = 5_000
_EVERY = 2**31 - 1
_IDENTITY = ("key", "digest")
_key_of = itemgetter(NAMES.index("key"))
_identity_of = itemgetter(*map(NAMES.index, _IDENTITY))


@final
@dataclass(frozen=True, slots=True, repr=False)
class Receipt(Record):
    """What became of a written batch.

    Attributes:
        accepted: Events stored now.
        duplicates: Events that were there already, with the same content.
        conflicts: Keys that were there already with other content; the first content stays.
        keys: Key of the event, where one was told by itself: it can be retracted by it.
    """

    accepted: int
    duplicates: int
    conflicts: tuple[str, ...] = ()
    keys: tuple[str, ...] = field(default=(), compare=False)

    @override
    def title(self) -> str:
        said = f"{self.duplicates:,} there already, {len(self.conflicts):,} in conflict"
        return f"Receipt: {self.accepted:,} accepted, {said}"


@final
class FeedbackLog(OnDatabase):
    """A `FeedbackSource` and `FeedbackSink` on the event log.

    An event has a key. Where none is given it is made of the time and of a hash of the content,
    so that writing the same rows twice stores them once.
    """

    keeps = (event, spent_table)

    def __init__(self, engine: Engine, clock: Clock, archive: Archive) -> None:
        self._engine = engine
        self._clock = clock
        self._archive = archive

    def write(self, feedback: Feedback, *, keys: Sequence[str] | None = None) -> Receipt:
        """Store the events in one transaction: all of them, or none.

        Args:
            feedback: Events with ids that are text or whole numbers.
            keys: Idempotency key of each event, at most 64 characters.

        Raises:
            siamrec.errors.InvalidDataError: If an id is of another kind, or keys do not fit.
            siamrec.errors.StorageError: If the database fails; nothing is stored then.
        """
        return self.store(self.rows(feedback, keys), keyed=keys is not None)

    def write_events(self, events: Iterable[Mapping[str, object]]) -> Written:
        """Store the good ones of many events, and return the others with their reasons.

        Args:
            events: Mappings with `user` and `item`, and any of `value`, `kind` (a name such as
                `"click"`), `time` (nanoseconds; now when absent), `weight`, `decision`,
                `position`, `propensity`, `query` and `key`.

        Raises:
            siamrec.errors.StorageError: If the database fails; nothing is stored then.
        """
        good, rejected = sorted_out(events, self._clock.now())
        parts = [(self.rows(feedback, keys), keys is not None) for feedback, keys in good]
        receipts = [self.store(rows, keyed=keyed) for rows, keyed in parts]
        return Written(
            accepted=sum(receipt.accepted for receipt in receipts),
            duplicates=sum(receipt.duplicates for receipt in receipts),
            conflicts=tuple(key for receipt in receipts for key in receipt.conflicts),
            rejected=rejected,
        )

    def rows(self, feedback: Feedback, keys: Sequence[str] | None) -> list[tuple[Any, ...]]:
        """Return events as rows that `store` takes; see `write`."""
        check.kind("feedback", feedback, Feedback)
        with _bulk.many_rows():
            return rows_of(feedback, self._clock.now(), keys)

    def store(self, rows: Sequence[tuple[Any, ...]], *, keyed: bool) -> Receipt:
        """Store rows in one transaction; with `keyed`, look for conflicts."""
        return _engine.transact(self._engine, lambda c: self.stored(c, rows, keyed=keyed))

    def stored(
        self, connection: Connection, rows: Sequence[tuple[Any, ...]], *, keyed: bool
    ) -> Receipt:
        """Store rows inside a transaction; see `store`."""
        if connection.dialect.name == "postgresql":
            # One order of keys for all workers: no two of them wait for each other.
            rows = sorted(rows, key=_key_of)
        accepted = 0
        conflicts: list[str] = []
        for first in range(0, len(rows), _BATCH):
            batch = rows[first : first + _BATCH]
            stored = self._append(connection, batch)
            accepted += stored
            if stored < len(batch) and keyed:
                found = _conflicts(connection, batch)
                conflicts += [key for key in found if not is_once(key)]
        keys = (_key_of(rows[0]),) if len(rows) == 1 else ()
        duplicates = len(rows) - accepted - len(conflicts)
        return Receipt(accepted, duplicates, tuple(conflicts), keys)

    def _append(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        stored = _bulk.insert(connection, event, NAMES, rows, skip=True)
        # After the insert, which waits for an archiver: what it has moved is seen here.
        return stored - _unspent(connection, rows)

    def retract(self, *keys: str) -> list[str]:
        """Take events back, by their keys; return the lists that they referred to.

        They are out of everything that reads the log from now on, their keys stay used up, and
        their lists wait to be settled anew. What was taken back before stays so.

        Raises:
            siamrec.errors.UnknownNameError: If there is no event of a key.
            siamrec.errors.InvalidDataError: If an event is archived or erased.
        """
        now = self._clock.now()
        lists = [retract(self._engine, check.text("key", key, longest=64), now) for key in keys]
        return list(dict.fromkeys(id_ for id_ in lists if id_ is not None))

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
        pages = Pages(self._engine, self._archive, since, until)
        while True:
            with _bulk.many_rows():
                page = pages.next(batch_rows)
                batch = None if page is None else feedback_of(page)
            if batch is None:
                return
            yield batch

    def read_all(self, *, last: int | None = None) -> Feedback:
        """Return every event as one value: one state of the log, whatever is written meanwhile.

        Args:
            last: Number of the newest event to read (see `Snapshots.mark`); all when absent.

        Raises:
            siamrec.errors.InvalidDataError: If the log is empty.
        """

        def work() -> Feedback:
            with _engine.reading(self._engine) as connection:
                return whole_log(self._engine, self._archive, connection, last=last)

        return retried(work)

    def popular(self, n: int) -> list[Id]:
        """Return the items with most events in the table, at most `n`.

        A thumb down and an impression are none.
        """
        c = event.c
        whole = c.whole_ids.op("&")(2)
        count = func.count()
        down = (c.kind == int(FeedbackKind.THUMB)) & (c.value < 0)
        shown = c.kind == int(FeedbackKind.IMPRESSION)
        query = select(c.item, whole).where(~down, ~shown).group_by(c.item, whole)
        query = query.order_by(count.desc(), c.item)
        with _engine.reading(self._engine) as connection:
            rows = connection.execute(query.limit(check.count("n", n))).all()
        return [int(item) if is_whole else item for item, is_whole in rows]

    def rate(
        self,
        user: Id,
        item: Id,
        value: float,
        *,
        query: str | None = None,
        decision: Decision | str | None = None,
        position: int | None = None,
        scale: tuple[float, float] = (1, 5),
        time: Instant | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Store one rating.

        Args:
            user: Who.
            item: What.
            value: The rating.
            query: What was asked for.
            decision: The decision that showed the item.
            position: Its place in the list, from 1.
            scale: Least and greatest rating.
            time: When; the clock's instant when absent.
            key: Idempotency key, so that a repeated request counts once.

        Raises:
            siamrec.errors.InvalidParameterError: If the rating is outside the scale.
        """
        low, high = (check.real("scale", end) for end in _two("scale", scale))
        if not low <= check.real("value", value) <= high:
            raise InvalidParameterError("value", value, f"in [{low:g}, {high:g}]")
        return self._one(
            user, item, value, FeedbackKind.RATING, _More(query, decision, position), time, key
        )

    def click(
        self,
        decision: Decision | str | None,
        item: Id,
        position: int | None = None,
        *,
        user: Id | None = None,
        query: str | None = None,
        time: Instant | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Store one click on an item that a decision showed; `user` is its unit when absent.

        Raises:
            siamrec.errors.MissingInputError: If no user is given and the decision has no unit.
        """
        if user is None:
            user = self._unit_of(decision)
        if user is None:
            raise MissingInputError("user", "click(decision, item, user=...)")
        more = _More(query, decision, position)
        return self._one(user, item, 1.0, FeedbackKind.CLICK, more, time, key)

    def thumbs(
        self,
        user: Id,
        item: Id,
        *,
        up: bool,
        query: str | None = None,
        decision: Decision | str | None = None,
        time: Instant | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Store one thumb, up (+1) or down (-1)."""
        value = 1.0 if check.flag("up", up) else -1.0
        more = _More(query, decision, None)
        return self._one(user, item, value, FeedbackKind.THUMB, more, time, key)

    def comment(
        self,
        user: Id,
        item: Id,
        text: str,
        *,
        query: str | None = None,
        decision: Decision | str | None = None,
        time: Instant | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Store one comment; its text is the context column `comment`."""
        words = check.text("text", text, longest=LONGEST_TEXT)
        more = _More(query, decision, None, {"comment": words})
        return self._one(user, item, 1.0, FeedbackKind.COMMENT, more, time, key)

    def dwell(
        self,
        user: Id,
        item: Id,
        seconds: float,
        *,
        query: str | None = None,
        decision: Decision | str | None = None,
        time: Instant | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Store how many seconds a user stayed with an item.

        Raises:
            siamrec.errors.InvalidParameterError: If the seconds are negative or not finite.
        """
        check.not_negative("seconds", seconds)
        more = _More(query, decision, None)
        return self._one(user, item, seconds, FeedbackKind.DWELL, more, time, key)

    def was_retracted(self, key: str) -> bool:
        """Whether the event of a key was taken back."""
        query = select(retracted.c.key).where(retracted.c.key == key)
        with _engine.reading(self._engine) as connection:
            return connection.execute(query).first() is not None

    def summary(self, *, n_items: int | None = None, middle: float = 3.0) -> FeedbackSummary:
        """Return what was collected: distribution, biases, low-rated items, coverage.

        Args:
            n_items: Size of the catalogue; coverage needs it.
            middle: Ratings below it count as low.
        """
        with _engine.reading(self._engine) as connection:
            return summarised(connection, self._archive, n_items=n_items, middle=middle)

    def _one(  # noqa: PLR0917 - one event, in the order of its columns
        self,
        user: Id,
        item: Id,
        value: float,
        kind: FeedbackKind,
        more: _More,
        time: Instant | None,
        key: str | None,
    ) -> Receipt:
        now = self._clock.now() if time is None else check.instant("time", time)
        feedback = Feedback.of(user=[user], item=[item], value=[value], time=[now], kind=kind)
        if key is not None:
            key = check.text("key", key, longest=64)
        elif time is None and more.decision is not None:
            said = (user, item, value, int(kind), more.about, more.query, more.context)
            key = once({str(place): part for place, part in enumerate(said)})
        return self.write(more.added_to(feedback), keys=None if key is None else [key])

    def _unit_of(self, decision: Decision | str | None) -> str | None:
        if decision is None or isinstance(decision, Decision):
            return None if decision is None else decision.unit
        check.text("decision", decision, longest=LONGEST_DECISION)
        query = select(decision_table.c.unit).where(decision_table.c.id == decision)
        with _engine.reading(self._engine) as connection:
            return connection.execute(query).scalar()


@final
@dataclass(frozen=True, slots=True)
class _More:
    """What may be known of an event besides who, what and how much."""

    query: str | None
    decision: Decision | str | None
    position: int | None
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def about(self) -> str | None:
        """Id of the decision."""
        return self.decision.id if isinstance(self.decision, Decision) else self.decision

    def added_to(self, feedback: Feedback) -> Feedback:
        known: dict[str, Any] = {}
        if self.query is not None:
            query: object = self.query
            if not isinstance(query, str) or query:
                check.text("query", self.query, longest=LONGEST_TEXT)
            known |= {"queries": Vocabulary((self.query,)), "query": np.zeros(1, dtype=np.int32)}
        if self.decision is not None:
            id_ = check.text("decision", self.about, longest=LONGEST_DECISION)
            known["decision"] = np.asarray([id_], dtype=np.str_)
        if self.position is not None:
            known["position"] = np.asarray([check.count("position", self.position, most=_EVERY)])
        if self.context:
            known["context"] = {name: np.asarray([text]) for name, text in self.context.items()}
        return replace(feedback, **known)


def _two(name: str, ends: object) -> tuple[Any, Any]:
    if not isinstance(ends, tuple | list) or len(ends) != 2:
        raise InvalidParameterError(name, ends, "least and greatest value, such as (1, 5)")
    return ends[0], ends[1]


def _conflicts(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    wanted = dict(map(_identity_of, rows))
    return [
        key
        for table in (event, spent_table)
        for key, stored in _bulk.select(connection, table, _IDENTITY, "key", list(wanted))
        if stored != wanted[key]
    ]


def _unspent(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """Take back what was inserted under used-up keys; return how many rows that were.

    The keys of archived events stay, and a hash of those of erased ones.
    """
    if connection.exec_driver_sql("SELECT 1 FROM spent LIMIT 1").first() is None:
        return 0
    named = {spent_key: key for key in map(_key_of, rows) for spent_key in (key, erased_key(key))}
    found = _bulk.select(connection, spent_table, _IDENTITY, "key", list(named))
    keys = sorted({named[key] for key, _ in found})
    return _bulk.delete(connection, event, "key", keys) if keys else 0
