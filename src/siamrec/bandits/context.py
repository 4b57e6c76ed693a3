"""Context of a decision: named factors with few levels, whose combinations are cells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import SECOND
from siamrec._core.table import Record, Shown, Table, counted
from siamrec.bandits.policies.base import Space
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError

if TYPE_CHECKING:
    from siamrec.typing import IntArray

UNKNOWN = "unknown"
"""Level of a factor whose value was not given or is not known."""

ContextLike: TypeAlias = Mapping[str, object]
"""What a host knows about a round: factor name to level, or to a raw value to be bucketed."""

_SATURDAY = 5
_NO_OTHER_UNIT = 10**17
"""Instants from here on (1973) are no seconds, milliseconds or microseconds of our days."""


@final
@dataclass(frozen=True, slots=True)
class Bins:
    """Bucket of a number: labels between rising edges, each edge belonging to the bucket above.

    Args:
        edges: Rising numbers; `len(labels) - 1` of them.
        labels: Names of the buckets, from low to high.

    Raises:
        InvalidParameterError: If the edges do not rise or the numbers do not fit.

    Examples:
        >>> Bins((5, 50), ("cold", "regular", "power"))(12)
        'regular'
    """

    edges: tuple[float, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        check.distinct("labels", self.labels)
        rising = all(low < high for low, high in zip(self.edges, self.edges[1:], strict=False))
        if len(self.edges) != len(self.labels) - 1 or not rising:
            raise InvalidParameterError(
                "edges", self.edges, f"{len(self.labels) - 1} rising numbers"
            )

    def __call__(self, value: Any) -> str:
        """Return the bucket of a value."""
        return self.labels[bisect_right(self.edges, float(value))]


@final
@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """Bucket of an instant or of an hour: night, morning, afternoon or evening.

    Morning begins at 6, afternoon at 12, evening at 18 and night at 22 o'clock.

    Args:
        zone: Time zone of the day.

    Examples:
        >>> TimeOfDay()(19), TimeOfDay()(0)
        ('evening', 'night')
    """

    zone: tzinfo = UTC

    def __call__(self, value: Any) -> str:
        """Return the bucket of a value."""
        hour = _part("time of day", value, 24, "an hour from 0 to 23")
        hour = _local(value, self.zone).hour if hour is None else hour
        return ("night", "morning", "afternoon", "evening", "night")[
            bisect_right((6, 12, 18, 22), hour)
        ]


@final
@dataclass(frozen=True, slots=True)
class DayKind:
    """Bucket of an instant or of a weekday number (Monday is 0): weekday or weekend.

    Args:
        zone: Time zone of the day.

    Examples:
        >>> DayKind()(5), DayKind()(0)
        ('weekend', 'weekday')
    """

    zone: tzinfo = UTC

    def __call__(self, value: Any) -> str:
        """Return the bucket of a value."""
        day = _part("day", value, 7, "a weekday from 0 to 6")
        day = _local(value, self.zone).weekday() if day is None else day
        return "weekend" if day >= _SATURDAY else "weekday"


def _bucket_config(name: str, bucket: object) -> dict[str, Any] | None:
    if bucket is None:
        return None
    if isinstance(bucket, Bins):
        return {"bins": {"edges": list(bucket.edges), "labels": list(bucket.labels)}}
    for word, kind in _CALENDAR.items():
        if isinstance(bucket, kind):
            return {word: _zone_name(bucket.zone)}
    raise InvalidParameterError(
        f"bucket of {name}", bucket, "Bins, TimeOfDay or DayKind, to be written down"
    )


def _bucket_of(config: Mapping[str, Any] | None) -> Callable[[Any], str] | None:
    if config is None:
        return None
    ((word, value),) = config.items()
    if word == "bins":
        return Bins(tuple(value["edges"]), tuple(value["labels"]))
    try:
        zone = UTC if value == "UTC" else ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidParameterError("zone", value, "the name of a time zone") from error
    return _CALENDAR[word](zone)


def _zone_name(zone: tzinfo) -> str:
    name = "UTC" if zone is UTC else getattr(zone, "key", None)
    if name is None:
        raise InvalidParameterError("zone", zone, "a ZoneInfo, which has a name")
    return str(name)


_CALENDAR: dict[str, type[TimeOfDay | DayKind]] = {
    "time_of_day": TimeOfDay,
    "day_kind": DayKind,
}
"""Buckets of instants, by the names that they are written under."""


def _part(name: str, value: Any, end: int, what: str) -> int | None:
    """Return a part of the calendar that is given as a number; None where it is an instant."""
    is_number: bool = isinstance(value, Real)
    if is_number and 0 <= value < end:
        return int(value)
    instant = check.instant(name, value)
    if instant < _NO_OTHER_UNIT:
        raise InvalidParameterError(name, value, f"{what}, or an instant in nanoseconds")
    return None


def _local(instant: Any, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(check.instant("instant", instant) / SECOND, tz=zone)


@final
@dataclass(frozen=True, slots=True, repr=False)
class Factor(Record):
    """One aspect of context with few named levels.

    Args:
        name: Name of the factor.
        levels: Its levels, without the unknown one.
        bucket: Turns a raw value that is not a level into a level; without it only levels are
            accepted.
        unknown: `"pool"` gives a missing or unknown value a level of its own, which pooling
            policies fill from everything else; `"error"` refuses it.

    Raises:
        InvalidParameterError: If levels repeat or one is called "unknown".

    Examples:
        >>> Factor("segment", ("cold", "warm"), bucket=Bins((5,), ("cold", "warm"))).level(9)
        'warm'
    """

    name: str
    levels: tuple[str, ...]
    bucket: Callable[[Any], str] | None = None
    unknown: Literal["pool", "error"] = "pool"
    _place: dict[object, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check.distinct(f"levels of {self.name}", self.levels)
        check.one_of("unknown", self.unknown, ("pool", "error"))
        if UNKNOWN in self.levels:
            raise InvalidParameterError("levels", self.levels, "without the reserved 'unknown'")
        place: dict[object, int] = {level: code for code, level in enumerate(self.levels)}
        if self.unknown == "pool":
            place |= {UNKNOWN: len(self.levels), None: len(self.levels)}
        object.__setattr__(self, "_place", place)

    @override
    def title(self) -> str:
        return f"Factor {self.name} with {counted(len(self.levels), 'level')}"

    @property
    def labels(self) -> tuple[str, ...]:
        """Every level, the unknown one last where there is one."""
        return (*self.levels, UNKNOWN) if self.unknown == "pool" else self.levels

    def code(self, value: object) -> int:
        """Return the place of a level, or of the bucket of a raw value.

        Raises:
            InvalidParameterError: If a number is neither a part of the calendar nor an instant.
            UnknownNameError: If the value is not known, or NaN, and `unknown` is `"error"`.
        """
        place = self._place.get(value)
        if place is not None:
            return place
        if value != value:  # noqa: PLR0124 - NaN is a value that is not there
            return self.code(None)
        if self.bucket is not None and value is not None and not isinstance(value, str):
            return self.code(self.bucket(value))
        if self.unknown == "pool":
            return len(self.levels)
        raise UnknownNameError(f"level of {self.name}", value, self.levels)

    def level(self, value: object) -> str:
        """Return the level of a value; raises as `code` does."""
        return self.labels[self.code(value)]

    def to_config(self) -> dict[str, Any]:
        """Return the factor as JSON values; `from_config` gives it back.

        Raises:
            InvalidParameterError: If its bucket is a function of the host's own.
        """
        return {
            "name": self.name,
            "levels": list(self.levels),
            "bucket": _bucket_config(self.name, self.bucket),
            "unknown": self.unknown,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Factor:
        """Return the factor that `to_config` wrote.

        Raises:
            InvalidParameterError: If it is of another form, or names no time zone.
        """
        try:
            bucket = _bucket_of(config["bucket"])
            return cls(config["name"], tuple(config["levels"]), bucket, config["unknown"])
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InvalidParameterError):
                raise
            raise InvalidParameterError("factor", config, "as `to_config` writes one") from error


@final
@dataclass(frozen=True, slots=True, repr=False)
class Context(Shown):
    """Factors whose combinations of levels are the cells of a bandit.

    Args:
        factors: The factors; none for a bandit without context.

    Raises:
        InvalidParameterError: If two factors have one name.

    Examples:
        >>> context = Context((Factor("segment", ("cold", "warm"), unknown="error"),))
        >>> context.cell({"segment": "warm"}), context.n_cells
        (1, 2)
    """

    factors: tuple[Factor, ...] = ()

    def __post_init__(self) -> None:
        listed = check.many("factors", self.factors, what="factors")
        object.__setattr__(self, "factors", tuple(listed))
        for factor in listed:
            check.kind("factor", factor, Factor)
        if self.factors:
            check.distinct("names of factors", [factor.name for factor in self.factors])

    @override
    def title(self) -> str:
        names = ", ".join(factor.name for factor in self.factors)
        return f"Context of {counted(self.n_cells, 'cell')}: {names or 'no factor'}"

    @override
    def table(self) -> Table:
        """Return one row for each factor."""
        rows = tuple(
            (f.name, len(f.levels), ", ".join(map(str, f.levels)), f.unknown) for f in self.factors
        )
        head = ("factor", "levels", "their names", "unknown levels")
        return Table(head=head, rows=rows, title=self.title())

    def to_config(self) -> dict[str, Any]:
        """Return the factors as JSON values; `from_config` gives them back.

        Raises:
            InvalidParameterError: If a bucket is a function of the host's own.

        Examples:
            >>> Context.from_config(Context.default().to_config()) == Context.default()
            True
        """
        return {"factors": [factor.to_config() for factor in self.factors]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Context:
        """Return the context that `to_config` wrote; raises as `Factor.from_config` does."""
        listed = check.kind("config", config, Mapping).get("factors", ())
        return cls(tuple(Factor.from_config(each) for each in listed))

    @classmethod
    def none(cls) -> Context:
        """Return the context without factors: one cell."""
        return cls()

    @classmethod
    def default(cls, *, zone: tzinfo = UTC, unknown: Literal["pool", "error"] = "pool") -> Context:
        """Return the context of a recommender: 4 x 2 x 3 x 3 x 3 = 216 known cells.

        time_of_day (a level, an hour or an instant), day (weekday or weekend, a weekday number
        or an instant), segment (by the user's number of events: cold below 5, power from 50),
        genre_saturation (by the share of one genre in the recent history: low below 1/3, high
        from 2/3) and session_position (by the number of lists already seen in the session:
        early below 3, late from 10).

        Args:
            zone: Time zone of the day.
            unknown: What to do with missing or unknown values, for every factor.
        """
        bins = {
            "segment": Bins((5, 50), ("cold", "regular", "power")),
            "genre_saturation": Bins((1 / 3, 2 / 3), ("low", "medium", "high")),
            "session_position": Bins((3, 10), ("early", "middle", "late")),
        }
        times = ("night", "morning", "afternoon", "evening")
        return cls(
            (
                Factor("time_of_day", times, TimeOfDay(zone), unknown),
                Factor("day", ("weekday", "weekend"), DayKind(zone), unknown),
                *(Factor(name, bin_.labels, bin_, unknown) for name, bin_ in bins.items()),
            )
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the factors."""
        return tuple(factor.name for factor in self.factors)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each factor, the unknown one included."""
        return tuple(len(factor.labels) for factor in self.factors)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(np.prod(self.sizes, dtype=np.int64)) if self.factors else 1

    def space(self, n_arms: int, n_features: int) -> Space:
        """Return the cells with so many arms and features, as policies see them."""
        return Space(
            n_arms=n_arms,
            levels=self.sizes,
            pooled=tuple(factor.unknown == "pool" for factor in self.factors),
            n_features=n_features,
        )

    def cell(self, context: ContextLike | None) -> int:
        """Return the cell of a context; missing factors are unknown.

        Raises:
            UnknownNameError: If a factor is not known, or a level where that is an error.
        """
        given = {} if context is None else context
        if not isinstance(given, Mapping):
            raise InvalidParameterError("context", given, "a level for each factor, by name")
        cell = 0
        for factor in self.factors:
            cell = cell * len(factor.labels) + factor.code(given.get(factor.name))
        if len(given) > len(self.factors) or any(name not in self.names for name in given):
            for name in given:
                check.one_of("context factor", name, self.names)
        return cell

    def cells(self, contexts: Sequence[ContextLike] | Mapping[str, Sequence[object]]) -> IntArray:
        """Return the cells of many contexts: a list of mappings, or columns by factor name.

        Raises:
            InvalidDataError: If columns differ in length.
            UnknownNameError: As for `cell`.
        """
        if not isinstance(contexts, Mapping):
            contexts = check.many("contexts", contexts, what="contexts")
            if not self.factors and not any(contexts):
                return np.zeros(len(contexts), dtype=np.int64)
            return np.fromiter((self.cell(each) for each in contexts), np.int64, len(contexts))
        for name in contexts:
            check.one_of("context factor", name, self.names)
        lengths = {len(column) for column in contexts.values()}
        if len(lengths) != 1:
            raise InvalidDataError(f"Context columns must have one length, got {sorted(lengths)}.")
        (n,) = lengths
        cells = np.zeros(n, dtype=np.int64)
        for factor in self.factors:
            cells *= len(factor.labels)
            if factor.name not in contexts:
                cells += factor.code(None)
            else:
                column: Any = contexts[factor.name]
                values = column.tolist() if isinstance(column, np.ndarray) else column
                known = {value: factor.code(value) for value in set(values)}
                cells += np.fromiter(map(known.__getitem__, values), np.int64, n)
        return cells

    def levels(self, cell: int) -> dict[str, str]:
        """Return the level of every factor in a cell."""
        found: dict[str, str] = {}
        for factor in reversed(self.factors):
            cell, code = divmod(cell, len(factor.labels))
            found[factor.name] = factor.labels[code]
        return dict(reversed(found.items()))

    def level_of(self, factor: str, cells: IntArray) -> IntArray:
        """Return the code of one factor's level in each cell.

        Raises:
            UnknownNameError: If there is no such factor.
        """
        place = self.names.index(check.one_of("context factor", factor, self.names))
        stride = int(np.prod(self.sizes[place + 1 :], dtype=np.int64))
        codes: IntArray = np.asarray(cells) // stride % self.sizes[place]
        return codes
