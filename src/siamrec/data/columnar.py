"""What columns of one length have in common: rows by number, choosing, joining, a view."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, day, words
from siamrec.data.frames import NO_TIME
from siamrec.errors import InvalidDataError, InvalidParameterError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import BoolArray, IntArray

_SHOWN = 10
"""Rows that a view shows."""


class Columnar(Shown):
    """Rows held as columns.

    `batch[i]` is one row as a mapping, `batch[i:j]` the same type with fewer rows, iteration
    goes over rows, `where` chooses rows and `concat` joins batches. A loop over rows is for
    looking at them; work on the columns.
    """

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def row(self, place: int) -> dict[str, Any]:
        """Return one row, with ids instead of codes; `place` is from 0 to the length."""

    @abstractmethod
    def where(self, rows: BoolArray | IntArray) -> Self:
        """Return the rows of a mask, or rows by number in the order given.

        Raises:
            InvalidDataError: If it is neither a mask as long as the batch nor row numbers.
        """

    @classmethod
    @abstractmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return all rows of `parts`, one after the other.

        Raises:
            InvalidDataError: If there is no part, or one has a column that another lacks.
        """

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> Any:
        """Return one row as a mapping, or a slice of the rows.

        Raises:
            IndexError: If there is no such row.
            InvalidParameterError: If it is neither a whole number nor a slice.
        """
        n = len(self)
        if isinstance(place, slice):
            return self.where(np.arange(*place.indices(n)))
        if isinstance(place, bool) or not isinstance(place, int | np.integer):
            raise InvalidParameterError("row", place, "a whole number or a slice; see where()")
        if not -n <= place < n:
            raise IndexError(f"row must be below {n}, got {shown(place)}.")
        return self.row(int(place) % n)

    def __iter__(self) -> Iterator[Any]:
        """Yield every row as a mapping."""
        return (self.row(place) for place in range(len(self)))

    @override
    def table(self) -> Table:
        """Return the first rows, with one line that tells of all of them."""
        rows = [self.row(place) for place in range(min(len(self), _SHOWN))]
        head = tuple(dict.fromkeys(name for row in rows for name in row))
        hidden = len(self) - len(rows)
        return Table(
            head=head,
            rows=tuple(tuple(_cell(name, row.get(name)) for name in head) for row in rows),
            title=self.title(),
            notes=(f"… and {hidden:,} more",) if hidden else (),
        )


def days_of(time: npt.NDArray[np.int64] | None) -> str:
    """Return from when to when known instants are, for a title; empty where none is known."""
    known = () if time is None else time[time != NO_TIME]
    if not len(known):
        return ""
    return f", {day(int(np.min(known)))} to {day(int(np.max(known)))}"


def plain_row(columns: Mapping[str, npt.NDArray[Any] | None], place: int) -> dict[str, Any]:
    """Return the cells of one row as plain values, of the columns that are there."""
    return {
        name: column[place].item() if hasattr(column[place], "item") else column[place]
        for name, column in columns.items()
        if column is not None
    }


def joined(name: str, columns: Iterable[npt.NDArray[Any] | None]) -> npt.NDArray[Any] | None:
    """Return a column of several batches, one after the other; None where none has it.

    Raises:
        InvalidDataError: If some have it and some have not.
    """
    listed = list(columns)
    present = [column for column in listed if column is not None]
    if present and len(present) < len(listed):
        raise InvalidDataError(f"{name} must be present in all parts or in none.")
    return np.concatenate(present) if present else None


def one_or_more(parts: Iterable[Any], kind: type, what: str) -> list[Any]:
    """Return the parts, which are all of one kind, as a list.

    Raises:
        InvalidDataError: If there is none.
        InvalidParameterError: If one is something else.
    """
    listed = [check.kind("part", each, kind) for each in check.many("parts", parts, what=what)]
    if not listed:
        raise InvalidDataError(f"Joining {what} needs at least one part.")
    return listed


def same(name: str, values: Iterable[Any]) -> Any:
    """Return the one value that all parts share.

    Raises:
        InvalidDataError: If they differ.
    """
    distinct = list(dict.fromkeys(values))
    if len(distinct) > 1:
        raise InvalidDataError(f"{name} must be the same in all parts, got {shown(distinct)}.")
    return distinct[0]


def _cell(name: str, value: Any) -> Any:
    if name == "time" and isinstance(value, int):
        return None if value == NO_TIME else day(value)
    if isinstance(value, list | dict):
        pairs = value.items() if isinstance(value, dict) else ((each, None) for each in value)
        return ", ".join(
            str(each) if told is None else f"{each} {words(told)}" for each, told in pairs
        )
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
