"""Columns as expressions read them: numbers as arrays, everything else by distinct value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.expressions._parse import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import BoolArray, CodeArray

EXACT = 2**53
"""Whole numbers up to here are themselves as floats too."""


@final
@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers or truths, and where it has one."""

    values: npt.NDArray[Any]
    known: BoolArray

    @property
    def there(self) -> BoolArray:
        """Whether each row has a value."""
        return self.known

    def at(self, row: int) -> Any:
        """Return the value of one row; None where there is none."""
        return self.values[row].item() if self.known[row] else None


@final
@dataclass(frozen=True, slots=True)
class Values:
    """A column of anything: each row's place among the distinct values."""

    code: CodeArray
    distinct: tuple[Any, ...]

    @property
    def there(self) -> BoolArray:
        """Whether each row has a value."""
        there = np.array([value is not None for value in self.distinct], dtype=np.bool_)
        rows: BoolArray = there[self.code]
        return rows

    def at(self, row: int) -> Any:
        """Return the value of one row; None where there is none."""
        return self.distinct[self.code[row]]


@final
@dataclass(frozen=True, slots=True, repr=False)
class Columns:
    """Equally long columns by name, worked out once for many expressions.

    Args:
        columns: The columns.
        n: Rows.

    Examples:
        >>> columns = Columns.of({"stock": [3, 0], "genres": [("kids",), ("noir", "heist")]})
        >>> columns.n, sorted(columns.kinds().items())
        (2, [('genres', 'list of texts'), ('stock', 'number')])
    """

    columns: Mapping[str, Numbers | Values]
    n: int

    @classmethod
    def of(cls, columns: Mapping[str, Iterable[Any]]) -> Self:
        """Return columns of texts, numbers, truths, instants, or collections of these.

        An instant is a whole number of nanoseconds, a `datetime` with a zone or a `datetime64`;
        None and NaN stand for "not known".

        Raises:
            InvalidDataError: If lengths differ.
            InvalidParameterError: If a column is a text, or a time has no zone.
        """
        lists = {name: check.many(name, column, what="values") for name, column in columns.items()}
        lengths = {len(column) for column in lists.values()}
        if len(lengths) > 1:
            raise InvalidDataError(f"Columns must have one length, got {sorted(lengths)}.")
        read = {name: _column([plain(each) for each in column]) for name, column in lists.items()}
        return cls(read, lengths.pop() if lengths else 0)

    @override
    def __repr__(self) -> str:
        return f"<Columns: {len(self.columns)} of {self.n:,} rows>"

    def __getitem__(self, name: str) -> Numbers | Values:
        """Return one column.

        Raises:
            UnknownNameError: If there is none of that name.
        """
        if name not in self.columns:
            raise UnknownNameError("column", name, self.columns)
        return self.columns[name]

    def kinds(self) -> dict[str, str]:
        """Return what each column holds.

        One of `number`, `text`, `list of texts`, `list of numbers`, `list` (of both, or of
        nothing), `mixed` and `nothing`.
        """
        return {name: _kind(column) for name, column in self.columns.items()}


def _column(values: list[Any]) -> Numbers | Values:
    if all(value is None or isinstance(value, int | float) for value in values):
        known = np.array([value is not None for value in values], dtype=np.bool_)
        filled = [0 if value is None else value for value in values]
        if all(isinstance(value, int) and abs(value) < 2**63 for value in filled):
            return Numbers(np.array(filled, dtype=np.int64), known)
        if all(isinstance(value, float) or abs(value) <= EXACT for value in filled):
            return Numbers(np.array(filled, dtype=np.float64), known)
    place: dict[Any, int] = {}
    code = np.fromiter(
        # True and 1 are equal, and so are 1 and 1.0: told apart by their kind
        (place.setdefault((type(value), value), len(place)) for value in values),
        dtype=np.int32,
        count=len(values),
    )
    return Values(code, tuple(value for _, value in place))


def _kind(column: Numbers | Values) -> str:
    if isinstance(column, Numbers):
        return "number" if column.known.any() else "nothing"
    values = [value for value in column.distinct if value is not None]
    kinds = {_kind_of(value) for value in values}
    if kinds != {"list"}:
        return kinds.pop() if len(kinds) == 1 else "mixed"
    inside = {_kind_of(each) for value in values for each in value}
    return f"list of {inside.pop()}s" if len(inside) == 1 and "list" not in inside else "list"


def _kind_of(value: object) -> str:
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, tuple) else "number"
