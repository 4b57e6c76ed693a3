"""Lists that were served: stored with their decision, found again by every later event."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

from sqlalchemy import bindparam, case, func, select, update
from typing_extensions import override

from siamrec._core.table import Record, day
from siamrec.data import FeedbackKind
from siamrec.errors import StaleWriteError
from siamrec.storage import _bulk, _engine
from siamrec.storage._decided import columns_of, decided
from siamrec.storage._events import feedback_of
from siamrec.storage._impressions import impressions
from siamrec.storage._on_database import OnDatabase
from siamrec.storage._pages import READ
from siamrec.storage.archive import retried
from siamrec.storage.schema import alias as alias_table
from siamrec.storage.schema import (
    catalog_item,
    event,
    experiment,
    recommendation,
    recommendation_item,
    segment,
    stored_value,
)
from siamrec.storage.schema import decision as decision_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec.bandits import Context
    from siamrec.data import Decision, Feedback
    from siamrec.storage.archive import Archive
    from siamrec.storage.blocks import BlockLog
    from siamrec.storage.feedback import FeedbackLog, Receipt
    from siamrec.typing import Instant

_HEAD = (
    "id", "placement", "bandit", "unit", "whole", "time", "opened", "settled", "experiment",
    "variant", "release", "fallback", "body",
)  # fmt: skip
_DECISION = READ.index("decision")
_ITEM = ("recommendation", "position", "item", "score", "source", "shares", "seen")


class Heads(NamedTuple):
    """What a list depends on: revision of the placement, release, catalogue, experiments.

    And the instant up to which events are archived, 0 for none.
    """

    placement: int
    release: str | None
    catalog: int
    experiments: int = 0
    archived: Instant = 0


class Looked(NamedTuple):
    """What one state of the log knows when a list is asked for."""

    heads: Heads
    history: Feedback | None
    blocked: Sequence[str | int]
    there: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StoredList(Record):
    """One served list as rows.

    Attributes:
        id: Id of the list and of its decision.
        placement: Where it was shown.
        bandit: Whose decision it was; None where nothing was drawn.
        unit: Whom it was made for, as text; None for nobody.
        whole: Whether users (1) and items (2) are whole numbers, as one number.
        time: When it was served.
        opened: When its window began; None while nobody has seen it.
        settled: Whether its rewards are in the belief.
        experiment: Key of the experiment it was part of.
        variant: Variant of the unit in it.
        release: Release that made it.
        fallback: Why something else than the arms filled it; None where nothing did.
        body: What else was told of it, as JSON.
        items: Rows of `(position, item, score, source, shares, seen)`.
        decision: JSON of the decision; None where nothing was drawn.
    """

    id: str
    placement: str
    bandit: str | None
    unit: str | None
    whole: int
    time: Instant
    opened: Instant | None
    settled: int = 0
    experiment: str | None = None
    variant: str | None = None
    release: str | None = None
    fallback: str | None = None
    body: str
    items: tuple[tuple[Any, ...], ...]
    decision: str | None = None

    @override
    def title(self) -> str:
        whom = "nobody" if self.unit is None else self.unit
        return f"List {self.id[:12]} for {whom} at {self.placement}, {day(self.time)}"


@final
class RecommendationLog(OnDatabase):
    """Lists, their items and their decisions, written together."""

    keeps = (recommendation, recommendation_item)

    def __init__(
        self, engine: Engine, feedback: FeedbackLog, archive: Archive, blocks: BlockLog
    ) -> None:
        self._engine = engine
        self._feedback = feedback
        self._archive = archive
        self._blocks = blocks
        # Made once: to put a statement together takes longer than to run it.
        revision = select(func.max(stored_value.c.revision)).where(
            stored_value.c.kind == "placement", stored_value.c.name == bindparam("placement")
        )
        release = select(alias_table.c.version).where(alias_table.c.name == bindparam("alias"))
        newest = select(func.max(catalog_item.c.seq))
        changes = select(func.sum(experiment.c.revision))
        archived = select(func.max(segment.c.last))
        parts = (revision, release, newest, changes, archived)
        self._heads = select(*(part.scalar_subquery() for part in parts))
        c = event.c
        self._past = (
            select(*(c[name] for name in READ))
            .where(c.user == bindparam("user"), c.kind != int(FeedbackKind.IMPRESSION))
            .order_by(c.time.desc().nulls_last(), c.seq.desc())
        )
        self._history = self._past.limit(bindparam("n"))
        self._known = select(recommendation.c.id).where(recommendation.c.id == bindparam("id"))

    def heads(self, placement: str, alias: str) -> Heads:
        """Return what a list of this placement would depend on now."""
        with _engine.reading(self._engine) as connection:
            return self._heads_in(connection, placement, alias)

    def look(
        self, placement: str, alias: str, *, user: str | int | None, n: int, id_: str
    ) -> Looked:
        """Return what one state of the log knows: heads, a user's newest events, and so on.

        Args:
            placement: The placement.
            alias: Alias of its release.
            user: The user; None for nobody.
            n: Most events.
            id_: The list, which may be there already.
        """
        with _engine.reading(self._engine) as connection:
            heads = self._heads_in(connection, placement, alias)
            there = connection.execute(self._known, {"id": id_}).first() is not None
            if user is None:
                return Looked(heads, None, (), there)
            found = connection.execute(self._history, {"user": str(user), "n": n})
            rows = _bulk.fetched(found)
            blocked = self._blocks.within(connection, user)
        return Looked(heads, _events_of(rows, user), blocked, there)

    def past(self, user: str | int) -> Feedback | None:
        """Return what a user did and is not archived, in time order; None for nothing."""
        with _engine.reading(self._engine) as connection:
            rows = _bulk.fetched(connection.execute(self._past, {"user": str(user)}))
        return _events_of(rows, user)

    def impressions(
        self, user: str | int, since: Instant, placement: str | None
    ) -> list[tuple[str | int, Instant]]:
        """Return what a user was shown since an instant, with the instant of each.

        What was seen in lists, and impressions that were written as events; of no placement.

        Args:
            user: The user.
            since: From when on.
            placement: Whose lists; of all placements when absent.
        """
        return impressions(self._engine, user, since, placement)

    def write(
        self,
        lists: Sequence[StoredList],
        decisions: Sequence[Decision],
        *,
        context: Context,
        expect: tuple[str, str, Heads] | None = None,
    ) -> None:
        """Store lists and their decisions in one transaction.

        Args:
            lists: The lists.
            decisions: Decisions of those that have one.
            context: Factors of the decisions.
            expect: Placement, alias and the heads that must still hold.

        Raises:
            siamrec.errors.StaleWriteError: If the heads have changed, or a list of one of the
                ids is there already; nothing is stored then.
        """
        with self.together() as write:
            write(lists, decisions, context=context, expect=expect)

    @contextmanager
    def together(self) -> Iterator[Callable[..., None]]:
        """Give what stores lists as `write` does, all of them in one transaction at the end."""
        batches: list[Callable[[Connection], None]] = []

        def write(
            lists: Sequence[StoredList],
            decisions: Sequence[Decision],
            *,
            context: Context,
            expect: tuple[str, str, Heads] | None = None,
        ) -> None:
            heads = [tuple(getattr(each, name) for name in _HEAD) for each in lists]
            items = [(each.id, *row) for each in lists for row in each.items]
            chosen = columns_of(decisions, context, None) if decisions else []

            def work(connection: Connection) -> None:
                if expect is not None:
                    placement, alias, known = expect
                    if self._heads_in(connection, placement, alias) != known:
                        raise StaleWriteError(f"The placement {placement!r} has changed.")
                new = _bulk.insert(connection, recommendation, _HEAD, heads, skip=True)
                if new < len(heads):
                    raise StaleWriteError("A recommendation of this id is there already.")
                _bulk.insert(connection, recommendation_item, _ITEM, items, skip=False)
                decided(connection, chosen)

            batches.append(work)

        yield write

        def every(connection: Connection) -> None:
            for work in batches:
                work(connection)

        if batches:
            _engine.transact(self._engine, every)

    def get(self, id_: str) -> StoredList | None:
        """Return a list by its id; None where there is none."""
        found = self.get_many([id_])
        return found[0] if found else None

    def get_many(self, ids: Sequence[str]) -> list[StoredList]:
        """Return the lists of these ids that are there, in no order."""
        with _engine.reading(self._engine) as connection:
            return _lists(connection, ids)

    def tell(
        self,
        id_: str,
        rows: Sequence[tuple[Any, ...]],
        *,
        seen: Sequence[str] | None,
        time: Instant,
        keyed: bool = True,
    ) -> Receipt:
        """Store events of a list, note what was seen of it, and let it be settled anew.

        Args:
            id_: The list.
            rows: Events, as `FeedbackLog.rows` makes them.
            seen: Items that were seen; None for all of them.
            time: When.
            keyed: Whether conflicts of the keys are looked for.
        """

        def work(connection: Connection) -> Receipt:
            receipt = self._feedback.stored(connection, rows, keyed=keyed)
            c = recommendation_item.c
            mine = (c.recommendation == id_) & c.seen.is_(None)
            if seen is not None:
                mine &= c.item.in_(list(seen))
            connection.execute(update(recommendation_item).where(mine).values(seen=time))
            r = recommendation.c
            any_seen = select(c.item).where(c.recommendation == id_, c.seen.is_not(None))
            begun = case((r.opened.is_(None) | (r.opened > time), time), else_=r.opened)
            connection.execute(
                update(recommendation)
                .where(r.id == id_, any_seen.exists())
                .values(opened=begun, settled=0)
            )
            return receipt

        return _engine.transact(self._engine, work)

    def waiting(self, placement: str, opened: Instant, *, n: int) -> list[StoredList]:
        """Return lists that were opened up to an instant and are not settled, oldest first."""
        c = recommendation.c
        query = (
            select(c.id)
            .where(c.placement == placement, c.settled == 0, c.opened <= opened)
            .order_by(c.opened)
            .limit(n)
        )
        with _engine.reading(self._engine) as connection:
            ids = list(connection.execute(query).scalars())
            found = {each.id: each for each in _lists(connection, ids)}
        return [found[id_] for id_ in ids]

    def events_of(self, ids: Sequence[str]) -> Feedback | None:
        """Return the events that refer to lists, in order of arrival; None for none."""
        named = [f'"{name}"' for name in READ]

        def work() -> list[tuple[Any, ...]]:
            with _engine.reading(self._engine) as connection:
                rows = _bulk.select(connection, event, named, "decision", ids)
                return rows + self._sealed(connection, ids)

        rows = retried(work)
        if not rows:
            return None
        rows.sort(key=lambda row: row[READ.index("seq")])
        return feedback_of(dict(zip(READ, zip(*rows, strict=True), strict=True)))

    def _sealed(self, connection: Connection, ids: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return the archived events of lists; an event cannot be older than its list."""
        made = _bulk.select(connection, recommendation, ["time"], "id", ids)
        since = min((time for (time,) in made), default=0)
        return self._archive.of_lists(connection, ids, since, READ)

    def settle(self, rows: Sequence[StoredList], n_events: Mapping[str, int]) -> None:
        """Note that the rewards of lists are in the belief, where nothing was told meanwhile.

        Args:
            rows: The lists as they were settled.
            n_events: Number of events of each that were known.
        """
        c = recommendation.c
        change = update(recommendation).where(c.id == bindparam("list")).values(settled=1)
        known = {row.id: (n_events.get(row.id, 0), _n_seen(row), row.opened) for row in rows}

        def work(connection: Connection) -> None:
            _engine.lock(connection, "recommendation")
            told = Counter(
                id_
                for (id_,) in _bulk.select(
                    connection, event, ["decision"], "decision", list(known)
                )
            )
            # What was archived of a list that waits again: nothing is archived while it waits.
            told.update(row[_DECISION] for row in self._sealed(connection, list(known)))
            same = [
                {"list": row.id}
                for row in _lists(connection, list(known))
                if known[row.id] == (told[row.id], _n_seen(row), row.opened)
            ]
            if same:
                connection.execute(change, same)

        if known:
            _engine.transact(self._engine, work)

    def between(
        self, placement: str | None, since: Instant | None, until: Instant | None
    ) -> list[StoredList]:
        """Return lists by the time they were served, `since <= time < until`, oldest first."""
        c = recommendation.c
        query = select(c.id).order_by(c.time, c.id)
        if placement is not None:
            query = query.where(c.placement == placement)
        if since is not None:
            query = query.where(c.time >= since)
        if until is not None:
            query = query.where(c.time < until)
        with _engine.reading(self._engine) as connection:
            ids = list(connection.execute(query).scalars())
            found = {each.id: each for each in _lists(connection, ids)}
        return [found[id_] for id_ in ids]

    def _heads_in(self, connection: Connection, placement: str, alias: str) -> Heads:
        given = {"placement": placement, "alias": alias}
        revision, release, *numbers = connection.execute(self._heads, given).one()
        return Heads(int(revision or 0), release, *(int(number or 0) for number in numbers))


def _events_of(rows: Sequence[tuple[Any, ...]], user: str | int) -> Feedback | None:
    """Return rows of one user, newest first, as feedback in time order."""
    whole = READ.index("whole_ids")
    mine = [row for row in rows if (row[whole] & 1) == isinstance(user, int)]
    if not mine:
        return None
    return feedback_of(dict(zip(READ, zip(*reversed(mine), strict=True), strict=True)))


def _n_seen(row: StoredList) -> int:
    return sum(seen is not None for *_, seen in row.items)


def _lists(connection: Connection, ids: Sequence[str]) -> list[StoredList]:
    heads = _bulk.select(connection, recommendation, _HEAD, "id", ids)
    items: dict[str, list[tuple[Any, ...]]] = {}
    for row in _bulk.select(connection, recommendation_item, _ITEM, "recommendation", ids):
        items.setdefault(row[0], []).append(tuple(row[1:]))
    bodies = dict(_bulk.select(connection, decision_table, ("id", "body"), "id", ids))
    return [
        StoredList(
            **dict(zip(_HEAD, head, strict=True)),
            items=tuple(sorted(items.get(head[0], ()))),
            decision=bodies.get(head[0]),
        )
        for head in heads
    ]
