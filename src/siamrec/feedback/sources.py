"""Feedback from a SQL query, from any iterable, and from several sources at once."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table, counted
from siamrec.data import Feedback, Vocabulary, frames
from siamrec.data.feedback import FeedbackKind
from siamrec.errors import InvalidDataError
from siamrec.feedback._book import FEEDBACK_SOURCES
from siamrec.feedback.memory import MemoryFeedback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siamrec._core.book import Named
    from siamrec.protocols import FeedbackSource
    from siamrec.typing import Instant

_FETCHED = 65_536
_ROLES = (
    "user", "item", "value", "time", "kind", "weight", "decision", "position", "propensity",
    "query",
)  # fmt: skip


class DatabaseConnection(Protocol):
    """What is used of a DB-API 2.0 connection."""

    def cursor(self) -> Any:
        """Return a cursor."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SqlFeedback(Shown):
    """A `FeedbackSource` over a query in a host's own database.

    Columns of the result named user, item, value, time, kind, weight, decision, position,
    propensity or query are taken for what they say; all others are left out.

    Args:
        connect: Opens a DB-API 2.0 connection: `lambda: sqlite3.connect("shop.db")`,
            `lambda: psycopg.connect(url)`, or `engine.raw_connection` of SQLAlchemy.
        query: A SELECT. It is run anew by each `read`, and need not sort.
        parameters: Its parameters, in the driver's own style.

    Examples:
        >>> import sqlite3
        >>> query = "SELECT 'ann' AS user, 'x' AS item, 4 AS value, '2026-01-01' AS time"
        >>> source = SqlFeedback(connect=lambda: sqlite3.connect(":memory:"), query=query)
        >>> [batch.value.tolist() for batch in source.read()]
        [[4.0]]
    """

    connect: Callable[[], DatabaseConnection]
    query: str
    parameters: Sequence[object] | Mapping[str, object] = ()

    @override
    def title(self) -> str:
        return f"Feedback of a query: {self.query[:80]}"

    @override
    def table(self) -> Table:
        """Return the query; parameters may be secret and are only counted."""
        facts = {"query": self.query, "parameters": len(self.parameters)}
        return Table.of(self.title(), facts)

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield batches with `since <= time < until`, in time order.

        Raises:
            siamrec.errors.InvalidDataError: If the result has no columns `user` and `item`, or
                rows that are no feedback.
        """
        check.count("batch_rows", batch_rows)
        yield from IterableFeedback(self._batches).read(
            since=since, until=until, batch_rows=batch_rows
        )

    def _batches(self) -> Iterator[Feedback]:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            if self.parameters:
                cursor.execute(self.query, self.parameters)
            else:
                cursor.execute(self.query)
            names = [column[0] for column in cursor.description or ()]
            missing = {"user", "item"} - set(names)
            if missing:
                raise InvalidDataError(
                    f"The query must give the columns user and item, got {', '.join(names)}."
                )
            roles: dict[str, Any] = {name: name for name in _ROLES if name in names}
            if "kind" not in roles:
                roles |= {"kind": FeedbackKind.RATING}
            pages = []
            while rows := cursor.fetchmany(_FETCHED):
                columns = map(list, zip(*rows, strict=True))
                pages.append(frames.table_of(dict(zip(names, columns, strict=True))))
            if pages:  # one frame: what numbers of times count is told by all pages together
                yield Feedback.from_frame(frames.joined(pages), **roles)


@final
@dataclass(frozen=True, slots=True, repr=False)
class IterableFeedback(Record):
    """A `FeedbackSource` over whatever a function yields: an API's pages, a queue's backlog.

    Args:
        batches: Called by each `read`; yields feedback in any order, the same each time.

    Examples:
        >>> def pages():
        ...     yield Feedback.of(user=["ann"], item=["x"], time=[20])
        ...     yield Feedback.of(user=["bob"], item=["y"], time=[10])
        >>> [batch.time.tolist() for batch in IterableFeedback(pages).read()]
        [[10, 20]]
    """

    batches: Callable[[], Iterable[Feedback]]

    @override
    def title(self) -> str:
        return f"Feedback of {getattr(self.batches, '__name__', 'a function')}"

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield batches with `since <= time < until`, in time order."""
        check.count("batch_rows", batch_rows)
        parts = list(self.batches())
        if parts:
            whole = MemoryFeedback(Feedback.concat(aligned(parts)))
            yield from whole.read(since=since, until=until, batch_rows=batch_rows)


@final
@dataclass(frozen=True, slots=True, repr=False)
class MergedFeedback(Record):
    """A `FeedbackSource` over several: an event that more than one of them has is read once.

    Two events are one where every column agrees, weights and propensities aside. A column that
    a source does not have is unknown in its events.

    Args:
        sources: The sources, as objects or by name.
        within: Whether repeated events of a single source are read once as well.

    Examples:
        >>> log = MemoryFeedback(Feedback.of(user=["a", "b"], item=["x", "y"], time=[1, 2]))
        >>> late = MemoryFeedback(Feedback.of(user=["b", "c"], item=["y", "z"], time=[2, 3]))
        >>> [batch.time.tolist() for batch in MergedFeedback((log, late)).read()]
        [[1, 2, 3]]
    """

    sources: Sequence[FeedbackSource | Named]
    within: bool = field(default=False, kw_only=True)

    @override
    def title(self) -> str:
        return f"Feedback of {counted(len(self.sources), 'source')}"

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield batches with `since <= time < until`, in time order."""
        check.count("batch_rows", batch_rows)
        parts: list[Feedback] = []
        origin: list[int] = []
        for number, source in enumerate(self.sources):
            for batch in FEEDBACK_SOURCES.make(source).read(since=since, until=until):
                parts.append(batch)
                origin.append(number)
        if not parts:
            return
        whole = Feedback.concat(aligned(parts))
        sizes = [len(part) for part in parts]
        kept = whole.where(_first_of_each(whole, np.repeat(origin, sizes), within=self.within))
        yield from MemoryFeedback(kept).read(batch_rows=batch_rows)


def aligned(parts: Sequence[Feedback]) -> list[Feedback]:
    """Return the parts with the same optional columns, filled up with "not known"."""
    has = {
        name: any(getattr(part, name) is not None for part in parts)
        for name in ("decision", "position", "propensity", "query")
    }
    context = sorted({name for part in parts for name in part.context})
    return [_filled(part, has, context) for part in parts]


def _filled(part: Feedback, has: Mapping[str, bool], context: Sequence[str]) -> Feedback:
    n = len(part)
    unknown: dict[str, Any] = {
        "decision": np.full(n, "", dtype=np.str_),
        "position": np.zeros(n, dtype=np.int32),
        "propensity": np.full(n, np.nan),
        "query": np.full(n, -1, dtype=np.int32),
    }
    added = {
        name: column
        for name, column in unknown.items()
        if has[name] and getattr(part, name) is None
    }
    columns = {name: part.context.get(name, np.full(n, None, dtype=object)) for name in context}
    return replace(part, **added, context=columns)


def _first_of_each(feedback: Feedback, origin: Any, *, within: bool) -> Any:
    """Return the rows of events that no earlier source has, in their order."""
    columns = [
        feedback.user, feedback.item, feedback.kind, feedback.time,
        feedback.value.view(np.int32),
    ]  # fmt: skip
    columns += [column for column in (feedback.position, feedback.query) if column is not None]
    texts = [feedback.decision] if feedback.decision is not None else []
    for column in [*texts, *feedback.context.values()]:
        columns.append(Vocabulary.factorize([repr(value) for value in column.tolist()])[1])
    table = np.stack([np.asarray(column, dtype=np.int64) for column in columns], axis=1)
    _, first, group = np.unique(table, axis=0, return_index=True, return_inverse=True)
    if within:
        return np.sort(first)
    # The earliest source that has an event tells how many times it happened.
    return np.flatnonzero(origin == origin[first][group.reshape(-1)])
