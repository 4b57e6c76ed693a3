"""What users did: one row for each event, as columns."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import counted
from siamrec.data import cells, frames
from siamrec.data.columnar import Columnar, days_of, joined, one_or_more, plain_row
from siamrec.data.frames import NO_TIME
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import BoolArray, CodeArray, Float32Array, FloatArray, IdArray, IntArray


@final
class FeedbackKind(IntEnum):
    """What an event was; an impression is what was shown, and nothing that its user did."""

    RATING = 0
    CLICK = 1
    VIEW = 2
    THUMB = 3
    DWELL = 4
    CONVERSION = 5
    COMMENT = 6
    IMPRESSION = 7


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Feedback(Columnar):
    """Events of users on items.

    Every array has one row for each event and is read-only. Users and items are codes into
    vocabularies, so that one event costs 21 bytes beside its optional columns.

    Attributes:
        users: Ids of users.
        items: Ids of items.
        user: Code of the user, int32, shape `(n,)`.
        item: Code of the item, int32, shape `(n,)`.
        value: The rating, +1 or -1 of a thumb, seconds of a dwell, 1 otherwise; finite float32.
        kind: A `FeedbackKind`, int8.
        time: Instant in nanoseconds, `NO_TIME` where it is not known.
        weight: How much the event counts, at least 0, float32.
        decision: Id of the decision that showed the item, or None.
        position: Place in the list shown, from 1; 0 where it is not known; or None.
        propensity: Probability with which the item was shown, in (0, 1]; NaN where it is not
            known; or None.
        queries: Texts of queries.
        query: Code of the query, -1 where there was none; or None.
        context: Further columns by name, each of shape `(n,)`.

    Raises:
        InvalidDataError: If lengths differ, a code is out of range, or a number is out of its
            range.

    Examples:
        >>> feedback = Feedback.of(
        ...     user=["ann", "bob", "ann"], item=["x", "x", "y"], value=[5, 1, 4]
        ... )
        >>> len(feedback), feedback.users.ids, feedback.item.tolist()
        (3, ('ann', 'bob'), [0, 0, 1])
        >>> len(feedback.where(feedback.value >= 4))
        2
    """

    users: Vocabulary
    items: Vocabulary
    user: CodeArray
    item: CodeArray
    value: Float32Array
    kind: npt.NDArray[np.int8]
    time: IntArray
    weight: Float32Array
    decision: IdArray | None = None
    position: CodeArray | None = None
    propensity: FloatArray | None = None
    queries: Vocabulary = field(default_factory=Vocabulary)
    query: CodeArray | None = None
    context: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check.same_length(
            **{name: getattr(self, name) for name in _DTYPES},
            decision=self.decision,
            **self.context,
        )
        for name, dtype in _DTYPES.items():
            column = getattr(self, name)
            if column is not None:
                object.__setattr__(self, name, check.frozen(column, dtype))
        if self.decision is not None:
            object.__setattr__(self, "decision", check.frozen(self.decision, self.decision.dtype))
        context = {name: check.frozen(c, c.dtype) for name, c in self.context.items()}
        object.__setattr__(self, "context", MappingProxyType(context))
        self._check_ranges()

    def _check_ranges(self) -> None:
        self.users.checked("a user")
        self.items.checked("an item")
        _in_range("user", self.user, 0, len(self.users))
        _in_range("item", self.item, 0, len(self.items))
        _in_range("kind", self.kind, 0, len(FeedbackKind))
        check.finite("value", self.value)
        if (check.finite("weight", self.weight) < 0).any():
            raise InvalidDataError("weight must not be below 0.")
        if self.query is not None:
            _in_range("query", self.query, UNKNOWN, len(self.queries))
        if self.position is not None and (self.position < 0).any():
            raise InvalidDataError("position must be 1 or more, or 0 where it is not known.")
        if self.propensity is not None:
            known = self.propensity[~np.isnan(self.propensity)]
            if not ((known > 0) & (known <= 1)).all():
                raise InvalidDataError("propensity must lie in (0, 1], or be NaN where unknown.")

    @classmethod
    def of(
        cls,
        *,
        user: Iterable[Hashable],
        item: Iterable[Hashable],
        value: npt.ArrayLike = 1.0,
        time: npt.ArrayLike = NO_TIME,
        kind: FeedbackKind | str | npt.ArrayLike = FeedbackKind.RATING,
        weight: npt.ArrayLike = 1.0,
    ) -> Self:
        """Return feedback from ids and values; a scalar counts for every row.

        Args:
            user: Id of the user of each event.
            item: Id of the item of each event.
            value: Rating or strength of each event.
            time: Instant of each event: nanoseconds, `datetime64`, or datetimes with a zone.
            kind: Kind of each event, or of all.
            weight: Weight of each event.

        Raises:
            InvalidDataError: If an id is no id, or a number cannot be read.
            InvalidParameterError: If a time is no instant.
        """
        users, user_code = Vocabulary.factorize(user)
        items, item_code = Vocabulary.factorize(item)
        n = user_code.size
        kinds = FeedbackKind[kind.upper()] if isinstance(kind, str) else kind
        return cls(
            users=users,
            items=items,
            user=user_code,
            item=item_code,
            value=_column("value", value, n, np.float32),
            kind=_column("kind", kinds, n, np.int8),
            time=_spread(check.instants("time", time), n),
            weight=_column("weight", weight, n, np.float32),
        )

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        user: str = "user",
        item: str = "item",
        value: str | None = None,
        time: str | None = None,
        kind: str | FeedbackKind = FeedbackKind.RATING,
        weight: str | None = None,
        decision: str | None = None,
        position: str | None = None,
        propensity: str | None = None,
        query: str | None = None,
        context: Sequence[str] = (),
    ) -> Self:
        """Return feedback from a data frame.

        Args:
            frame: A polars, pandas, pyarrow or DuckDB table, or a mapping of columns.
            user: Column of user ids: texts or whole numbers of any Arrow kind.
            item: Column of item ids.
            value: Column of ratings; without it every event has the value 1.
            time: Column of times: timestamps, dates, ISO text, or numbers since the epoch in
                seconds, milliseconds, microseconds or nanoseconds (told by their size, and all
                of one unit).
            kind: A `FeedbackKind` for all events, or the column that holds its name.
            weight: Column of weights.
            decision: Column of decision ids.
            position: Column of list positions, from 1.
            propensity: Column of propensities.
            query: Column of query texts.
            context: Names of further columns to carry along.

        Raises:
            siamrec.errors.UnknownNameError: If a column is absent.
            InvalidDataError: If ids are null or no ids, numbers are not finite, or times cannot
                be read; the column and its first bad row are named.
        """
        table = frames.table_of(frame)
        users, user_code = frames.codes_of(frames.pick(table, user, "user"), user)
        items, item_code = frames.codes_of(frames.pick(table, item, "item"), item)
        n = table.num_rows

        def numbers(name: str | None, purpose: str, default: float) -> FloatArray:
            if name is None:
                return np.full(n, default)
            return frames.floats_of(frames.pick(table, name, purpose), name)

        def halved(name: str | None, purpose: str) -> Float32Array:
            with np.errstate(over="ignore"):  # infinite then, which is refused
                return numbers(name, purpose, 1.0).astype(np.float32)

        optional: dict[str, Any] = {}
        if position is not None:
            optional["position"] = frames.positions_of(
                numbers(position, "position", 0.0), position
            )
        if propensity is not None:
            optional["propensity"] = numbers(propensity, "propensity", np.nan)
        if decision is not None:
            optional["decision"] = frames.decisions_of(
                frames.pick(table, decision, "decision"), decision
            )
        if query is not None:
            asked = frames.pick(table, query, "query")
            queries, codes = frames.optional_codes_of(asked, query)
            optional |= {"queries": queries, "query": codes}
        stamps = (
            np.full(n, NO_TIME)
            if time is None
            else frames.instants_of(frames.pick(table, time, "time"), time)
        )
        return cls(
            users=users,
            items=items,
            user=user_code,
            item=item_code,
            value=halved(value, "value"),
            kind=_kinds(table, kind),
            time=stamps,
            weight=halved(weight, "weight"),
            context={
                name: frames.plain_of(frames.pick(table, name, "context"), name)
                for name in context
            },
            **optional,
        )

    @classmethod
    @override
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return all rows of `parts`, one after the other, over joined vocabularies.

        Optional columns must be present in all parts or in none.

        Raises:
            InvalidDataError: If an optional column is present in some parts only, or there is
                no part.
        """
        listed = one_or_more(parts, cls, "feedback")
        whole: dict[str, Any] = {}
        for plural, single in (("users", "user"), ("items", "item"), ("queries", "query")):
            vocabulary = getattr(listed[0], plural)
            for part in listed[1:]:
                vocabulary = vocabulary.extend(getattr(part, plural))
            whole[plural] = vocabulary
            whole[single] = joined(
                single, [_recode(p, plural, single, vocabulary) for p in listed]
            )
        for name in ("value", "kind", "time", "weight", "decision", "position", "propensity"):
            whole[name] = joined(name, [getattr(part, name) for part in listed])
        if len({frozenset(part.context) for part in listed}) > 1:
            raise InvalidDataError("Parts must have one set of context columns.")
        whole["context"] = {
            name: np.concatenate([part.context[name] for part in listed])
            for name in listed[0].context
        }
        return cls(**whole)

    @override
    def __len__(self) -> int:
        return int(self.user.size)

    @property
    def has_time(self) -> bool:
        """Whether every event has a time."""
        return bool((self.time != NO_TIME).all()) and len(self) > 0

    @override
    def row(self, place: int) -> dict[str, Any]:
        asked: dict[str, Any] = {}
        if self.query is not None:
            asked["query"] = (*self.queries.ids, None)[int(self.query[place])]
        return {
            "user": self.users[int(self.user[place])],
            "item": self.items[int(self.item[place])],
            "kind": FeedbackKind(int(self.kind[place])).name.lower(),
            **plain_row({name: getattr(self, name) for name in _PLAIN}, place),
            **asked,
            **plain_row(self.context, place),
        }

    @override
    def title(self) -> str:
        counts = np.bincount(self.kind, minlength=len(FeedbackKind))
        kinds = [counted(int(counts[k]), k.name.lower()) for k in FeedbackKind if counts[k]]
        return (
            f"Feedback: {' + '.join(kinds) or 'no events'} of {counted(len(self.users), 'user')} "
            f"on {counted(len(self.items), 'item')}{days_of(self.time)}"
        )

    @override
    def where(self, rows: BoolArray | IntArray) -> Self:
        """Return the rows of a mask, or rows by number in the order given.

        Vocabularies stay, so codes keep their meaning.
        """
        rows = check.rows("rows", rows, len(self))
        taken: dict[str, Any] = {
            name: column[rows]
            for name in (*_DTYPES, "decision")
            if (column := getattr(self, name)) is not None
        }
        taken["context"] = {name: column[rows] for name, column in self.context.items()}
        return replace(self, **taken)

    def sorted(self) -> Self:
        """Return the rows in time order; rows of one instant keep their order."""
        return self.where(np.argsort(self.time, kind="stable"))

    def compacted(self) -> Self:
        """Return the same rows over vocabularies of only the ids that occur, in their order."""
        users, user = _compact(self.users, self.user)
        items, item = _compact(self.items, self.item)
        return replace(self, users=users, user=user, items=items, item=item)

    def fingerprint(self) -> str:
        """Return a hash of ids, values and times, as 64 hexadecimal digits.

        Rows in another order give another hash.
        """
        return content_hash(
            self.users.fingerprint(),
            self.items.fingerprint(),
            *(getattr(self, name) for name in ("user", "item", "value", "kind", "time", "weight")),
        )

    def to_arrow(self) -> Any:
        """Return a pyarrow table with ids decoded; unknown times are null."""
        columns: dict[str, Any] = {
            "user": self.users.decode(self.user),
            "item": self.items.decode(self.item),
            "kind": [FeedbackKind(code).name.lower() for code in self.kind.tolist()],
            "value": self.value,
            "weight": self.weight,
            "time": [None if t == NO_TIME else t for t in self.time.tolist()],
        }
        for name in ("decision", "position", "propensity"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)
        if self.query is not None:
            texts = (*self.queries.ids, None)
            columns["query"] = [texts[code] for code in self.query.tolist()]
        return frames.with_instants(frames.arrow_table({**columns, **self.context}), "time")


_PLAIN = ("value", "time", "weight", "decision", "position", "propensity")
_DTYPES: dict[str, Any] = {
    "user": np.int32,
    "item": np.int32,
    "value": np.float32,
    "kind": np.int8,
    "time": np.int64,
    "weight": np.float32,
    "position": np.int32,
    "propensity": np.float64,
    "query": np.int32,
}
assert set(_DTYPES) < {column.name for column in fields(Feedback)}


def _in_range(name: str, codes: npt.NDArray[Any], least: int, size: int) -> None:
    if codes.size and not (codes.min() >= least and codes.max() < size):
        raise InvalidDataError(
            f"{name} must hold codes in [{least}, {size}), got {codes.min()} to {codes.max()}."
        )


def _column(name: str, value: Any, n: int, dtype: Any) -> npt.NDArray[Any]:
    try:
        with np.errstate(over="ignore"):  # what is too large is not finite, and refused as such
            return _spread(np.asarray(value, dtype=dtype), n)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidDataError(f"{name} must be numeric, got {shown(value)}.") from error


def _spread(column: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    return np.full(n, column) if column.ndim == 0 else column


def _kinds(table: Any, kind: str | FeedbackKind) -> npt.NDArray[np.int8]:
    if isinstance(kind, FeedbackKind):
        return np.full(table.num_rows, kind, dtype=np.int8)
    column = cells.simple(frames.pick(table, kind, "kind"), kind)
    try:
        names = column.to_pylist()
    except OverflowError as error:  # times that no calendar has
        raise InvalidDataError(f"{kind} must be names of kinds, got {column.type}.") from error
    known = {member.name.lower(): int(member) for member in FeedbackKind}
    codes = [known.get(str(name).lower(), UNKNOWN) for name in names]
    if UNKNOWN in codes:
        raise InvalidParameterError("kind", names[codes.index(UNKNOWN)], f"one of {list(known)}")
    return np.asarray(codes, dtype=np.int8)


def _recode(part: Feedback, plural: str, single: str, target: Vocabulary) -> CodeArray | None:
    codes = getattr(part, single)
    if codes is None:
        return None
    moved = np.append(getattr(part, plural).translate(target), np.int32(UNKNOWN))
    recoded: CodeArray = moved[codes]
    return recoded


def _compact(vocabulary: Vocabulary, codes: CodeArray) -> tuple[Vocabulary, CodeArray]:
    used = np.zeros(len(vocabulary), dtype=bool)
    used[codes] = True
    place = np.cumsum(used, dtype=np.int32) - np.int32(1)
    ids = vocabulary.ids
    return Vocabulary(tuple(ids[code] for code in np.flatnonzero(used).tolist())), place[codes]
