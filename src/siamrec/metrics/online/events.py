"""Live events as columns, and sums by user that add over batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table, counted, number
from siamrec.data import frames
from siamrec.data.columnar import days_of
from siamrec.data.feedback import FeedbackKind
from siamrec.data.frames import NO_TIME
from siamrec.data.truth import in_range
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError, MissingInputError, UnknownNameError
from siamrec.metrics.ratio import RatioOfSums, wider
from siamrec.statistics.means import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from siamrec.metrics.estimate import Estimate
    from siamrec.statistics.means import Range
    from siamrec.typing import BoolArray, CodeArray, FloatArray, IntArray

KINDS = tuple(kind.name.lower() for kind in FeedbackKind)
"""Names of the kinds of events, in the order of `FeedbackKind`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Events(Shown):
    """What was shown and what users did, one row for each event.

    Args:
        users: Ids of users.
        items: Ids of items.
        user: Code of the user, shape `(n,)`.
        item: Code of the item, -1 where there is none, shape `(n,)`.
        kind: A `FeedbackKind`, which is its place in `KINDS`.
        time: Instant in nanoseconds, or `NO_TIME`, shape `(n,)`.
        value: Rating, +1 or -1 of a thumb, seconds of a dwell, revenue of a conversion; else 1.
        impression: Code of the impression an event belongs to, -1 where it is not known; or None.
        position: Place in the list shown, from 1; 0 where it is not known; or None.
        columns: Further columns to slice by, such as variant, arm or context.

    Raises:
        siamrec.errors.InvalidDataError: If lengths differ or a code is out of range.

    Examples:
        >>> events = Events.from_frame({
        ...     "user": ["ann", "ann", "bob"], "kind": ["impression", "click", "impression"],
        ... })
        >>> len(events), events.of("click").users.ids
        (3, ('ann', 'bob'))
    """

    users: Vocabulary
    items: Vocabulary
    user: CodeArray
    item: CodeArray
    kind: npt.NDArray[np.int8]
    time: IntArray
    value: FloatArray
    impression: IntArray | None = None
    position: IntArray | None = None
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check.same_length(
            user=self.user,
            item=self.item,
            kind=self.kind,
            time=self.time,
            value=self.value,
            impression=self.impression,
            position=self.position,
            **self.columns,
        )
        in_range("user", self.user, len(self.users))
        in_range("item", self.item[self.item >= 0], len(self.items))
        in_range("kind", self.kind, len(KINDS))
        check.finite("value", self.value)
        dtypes: dict[str, type] = {
            "user": np.int32,
            "item": np.int32,
            "kind": np.int8,
            "time": np.int64,
        }
        dtypes |= {"value": np.float64, "impression": np.int64, "position": np.int64}
        for name, dtype in dtypes.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check.frozen(getattr(self, name), dtype))
        columns = {name: check.frozen(c, c.dtype) for name, c in self.columns.items()}
        object.__setattr__(self, "columns", MappingProxyType(columns))

    @override
    def title(self) -> str:
        users = counted(len(self.users), "user")
        return f"Events: {counted(len(self), 'event')} of {users}{days_of(self.time)}"

    @override
    def table(self) -> Table:
        """Return how many events there are of each kind."""
        counts = np.bincount(self.kind, minlength=len(KINDS)).tolist()
        rows = tuple((kind, n) for kind, n in zip(KINDS, counts, strict=True) if n)
        return Table(head=("kind", "events"), rows=rows, title=self.title())

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        user: str = "user",
        kind: str = "kind",
        item: str | None = None,
        time: str | None = None,
        value: str | None = None,
        impression: str | None = None,
        position: str | None = None,
        columns: Sequence[str] = (),
    ) -> Events:
        """Return the events of a data frame with one row for each event.

        Args:
            frame: Anything with `__arrow_c_stream__`, or a mapping of columns.
            user: Column of user ids.
            kind: Column of the names in `KINDS`.
            item: Column of item ids; may hold nulls.
            time: Column of instants.
            value: Column of numbers; null is 1.
            impression: Column of impression ids; may hold nulls.
            position: Column of places in the list shown, from 1; null is not known.
            columns: Further columns to keep, for slices.

        Raises:
            siamrec.errors.UnknownNameError: If a column or a kind is unknown.
            siamrec.errors.InvalidDataError: If a user is null or a number is not one.
        """
        table = frames.table_of(frame)
        users, user_codes = frames.codes_of(frames.pick(table, user, "the user"), user)
        names = frames.pick(table, kind, "the kind").to_pylist()
        unknown = next((name for name in names if name not in KINDS), None)
        if unknown is not None:
            raise UnknownNameError("event kind", unknown, KINDS)
        n = len(names)
        items, item_codes = Vocabulary(), np.full(n, -1, dtype=np.int32)
        if item is not None:
            items, item_codes = frames.optional_codes_of(frames.pick(table, item, "the item"))
        shown = None
        if impression is not None:
            shown = frames.optional_codes_of(frames.pick(table, impression, "the impression"))[1]
        return cls(
            users=users,
            items=items,
            user=user_codes,
            item=item_codes,
            kind=np.array([KINDS.index(name) for name in names], dtype=np.int8),
            time=_instants(table, time, n),
            value=_numbers(table, value, n, missing=1.0),
            impression=shown if shown is None else shown.astype(np.int64),
            position=None
            if position is None
            else _numbers(table, position, n, missing=0.0).astype(np.int64),
            columns={
                name: np.array(frames.pick(table, name, "a slice").to_pylist()) for name in columns
            },
        )

    def __len__(self) -> int:
        return int(self.user.size)

    def of(self, kind: str) -> Events:
        """Return the events of one kind; users and items keep their codes.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such kind.
        """
        return self.where(self.kind == KINDS.index(check.one_of("event kind", kind, KINDS)))

    def where(self, rows: BoolArray | IntArray) -> Events:
        """Return some of the events; users and items keep their codes."""
        return Events(
            users=self.users,
            items=self.items,
            user=self.user[rows],
            item=self.item[rows],
            kind=self.kind[rows],
            time=self.time[rows],
            value=self.value[rows],
            impression=None if self.impression is None else self.impression[rows],
            position=None if self.position is None else self.position[rows],
            columns={name: column[rows] for name, column in self.columns.items()},
        )

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a further column.

        Raises:
            siamrec.errors.UnknownNameError: If it was not kept.
        """
        return self.columns[check.one_of("column", name, self.columns)]

    def need_time(self, metric: str) -> None:
        """Refuse events without times.

        Raises:
            siamrec.errors.MissingInputError: If an event has none.
        """
        if (self.time == NO_TIME).any():
            raise MissingInputError(
                f"time (for {metric})", "Events.from_frame(..., time='column')"
            )

    def need_items(self, metric: str) -> None:
        """Refuse events without items.

        Raises:
            siamrec.errors.MissingInputError: If no event has one.
        """
        if not len(self.items):
            raise MissingInputError(
                f"item (for {metric})", "Events.from_frame(..., item='column')"
            )


def _instants(table: Any, name: str | None, n: int) -> IntArray:
    if name is None:
        return np.full(n, NO_TIME)
    return frames.instants_of(frames.pick(table, name, "the time"), name)


def _numbers(table: Any, name: str | None, n: int, *, missing: float) -> FloatArray:
    if name is None:
        return np.full(n, missing)
    values = frames.floats_of(frames.pick(table, name, "a number"), name)
    return np.where(np.isnan(values), missing, values)


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UserSums(Record):
    """A numerator and a denominator for each user; batches add by user id.

    Args:
        users: Ids of the users.
        top: Numerators, shape `(n_users,)`.
        bottom: Denominators, not negative, shape `(n_users,)`.
        range: The least and the greatest value that the ratio can have.

    Examples:
        >>> day1 = UserSums(Vocabulary(("ann",)), np.array([1.0]), np.array([4.0]))
        >>> day2 = UserSums(Vocabulary(("bob", "ann")), np.array([0.0, 1.0]), np.array([2.0, 4.0]))
        >>> both = day1 + day2
        >>> both.users.ids, both.value
        (('ann', 'bob'), 0.2)
    """

    users: Vocabulary
    top: FloatArray
    bottom: FloatArray
    range: Range = UNBOUNDED

    def __post_init__(self) -> None:
        RatioOfSums.of(self.top, self.bottom)
        if check.same_length(top=self.top, bottom=self.bottom) != len(self.users):
            raise InvalidDataError(
                f"A sum is needed for each of {len(self.users)} users, got {self.top.size}."
            )

    @override
    def title(self) -> str:
        top, bottom = float(self.top.sum()), float(self.bottom.sum())
        return f"Sums of {counted(len(self.users), 'user')}: {number(top)} / {number(bottom)}"

    def __add__(self, other: UserSums) -> UserSums:
        users = self.users.extend(other.users)
        top, bottom = np.zeros(len(users)), np.zeros(len(users))
        for part in (self, other):
            place = part.users.translate(users)
            top[place] += part.top
            bottom[place] += part.bottom
        return UserSums(users, top, bottom, wider(self.range, other.range))

    def ratio(self) -> RatioOfSums:
        """Return the sums over users who have a denominator.

        Where the ratio exceeds its range, such as with clicks whose impressions are not among the
        events, it has no greatest value.
        """
        counted = (self.bottom > 0) | (self.top != 0)
        top, bottom = self.top[counted], self.bottom[counted]
        low, high = self.range
        over = math.isfinite(high) and bottom.sum() > 0 and top.sum() > high * bottom.sum()
        return RatioOfSums.of(top, bottom, range=(low, math.inf if over else high))

    @property
    def value(self) -> float:
        """Sum of numerators over sum of denominators; NaN where the latter is 0."""
        return self.ratio().value

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """Return the ratio with an interval clustered by user."""
        return self.ratio().estimate(confidence)


def by_user(events: Events, weights: FloatArray | None = None) -> FloatArray:
    """Return the number of events of each user, or the sum of weights."""
    total = np.bincount(events.user, weights, minlength=len(events.users))
    return total.astype(np.float64)
