"""Counts, means and centred products of columns: all that most tests need, and they merge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted
from siamrec.errors import InvalidDataError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import FloatArray

_M = TypeVar("_M", bound="Moments")

_LOST = 1e-6
"""Share of the squares below which their centred sum has lost too many digits."""

_BLOCK = 16_384
"""Rows in one pass: a few columns of this many rows stay in the processor's cache."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Moments(Shown):
    """Number of rows, means and centred sums of products of some columns.

    Two parts of a sample merge exactly, without their rows:

        mean = mean_A + d n_B / n,   product = product_A + product_B + d d' n_A n_B / n

    with d = mean_B - mean_A. Unlike sums of squares they keep their digits when values are far
    from zero.

    Attributes:
        names: Names of the columns.
        n: Number of rows.
        mean: Means, shape `(d,)`.
        product: Sums of centred products, shape `(d, d)`.

    Raises:
        InvalidDataError: If shapes do not fit, a number is not finite or `n` is negative.

    References:
        Chan, Golub, LeVeque (1979), Stanford STAN-CS-79-773; Pébay (2008), SAND2008-6212.

    Examples:
        >>> first = Moments.of({"x": np.array([1.0, 2.0])})
        >>> both = first + Moments.of({"x": np.array([6.0])})
        >>> both.n, both.mean.tolist(), both.variance("x")
        (3, [3.0], 7.0)
    """

    names: tuple[str, ...]
    n: int
    mean: FloatArray
    product: FloatArray

    def __post_init__(self) -> None:
        check.count("n", self.n, least=0)
        d = len(self.names)
        for name, shape in (("mean", (d,)), ("product", (d, d))):
            values = check.finite(name, getattr(self, name))
            if values.shape != shape:
                raise InvalidDataError(f"{name} must have shape {shape}, got {values.shape}.")
            object.__setattr__(self, name, check.frozen(values, float))

    @override
    def title(self) -> str:
        return f"Moments of {counted(len(self.names), 'column')} over {counted(self.n, 'row')}"

    @override
    def table(self) -> Table:
        """Return mean and standard deviation of each column."""
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt(np.diagonal(self.product) / (self.n - 1)) if self.n > 1 else None
        rows = (
            (name, float(self.mean[i]), None if spread is None else float(spread[i]))
            for i, name in enumerate(self.names)
        )
        head = ("column", "mean", "standard deviation")
        return Table(head=head, rows=tuple(rows), title=self.title())

    @classmethod
    def empty(cls, names: Sequence[str]) -> Self:
        """Return the moments of no rows."""
        names = check.many("names", names, what="names")
        d = len(names)
        return cls(names=tuple(names), n=0, mean=np.zeros(d), product=np.zeros((d, d)))

    @classmethod
    def of(cls, columns: Mapping[str, npt.NDArray[np.float64]]) -> Self:
        """Return the moments of equally long columns of finite numbers.

        Raises:
            InvalidDataError: If lengths differ or a number is not finite.
        """
        n = check.same_length(**columns)
        groups = np.zeros(n, dtype=np.int64)
        return cls.by_group(columns, groups, 1)[0]

    @classmethod
    def by_group(
        cls,
        columns: Mapping[str, npt.NDArray[np.float64]],
        groups: npt.NDArray[np.integer],
        n_groups: int,
    ) -> list[Self]:
        """Return the moments of each group of rows, in one pass over blocks.

        Args:
            columns: Equally long columns of finite numbers.
            groups: Group of each row, 0 to `n_groups - 1`; rows of negative groups are left out.
            n_groups: Number of groups.

        Raises:
            InvalidDataError: If lengths differ or a number is not finite.
        """
        names = tuple(columns)
        n = check.same_length(groups=groups, **columns)
        totals = [cls.empty(names) for _ in range(n_groups)]
        for start in range(0, n, _BLOCK):  # blocks, not rows
            part = slice(start, start + _BLOCK)
            rows = np.stack([columns[name][part] for name in names]).astype(float, copy=False)
            codes = groups[part]
            whole = n_groups == 1 and codes.min() >= 0
            for group in range(n_groups):
                picked = rows if whole else rows[:, codes == group]
                if picked.shape[1]:
                    totals[group] += cls._of_rows(names, picked)
        return totals

    @classmethod
    def of_sets(
        cls,
        columns: Mapping[str, npt.NDArray[np.float64]],
        sets: Sequence[tuple[str, ...]],
        groups: npt.NDArray[np.integer],
        n_groups: int,
    ) -> list[list[Self]] | None:
        """Return the moments of each set of columns in each group; for few groups, faster.

        One pass over blocks: columns are shifted by their block means, and sums and the products
        that some set needs are matrix products with the indicators of the groups.

        Args:
            columns: Equally long columns.
            sets: Names of the columns that go together.
            groups: Group of each row; rows of negative groups are left out.
            n_groups: Number of groups.

        Returns:
            For each set a list over the groups, or None if a number was not finite.
        """
        names = tuple(columns)
        place = {name: row for row, name in enumerate(names)}
        pairs = sorted(
            {
                (min(place[a], place[b]), max(place[a], place[b]))
                for each in sets
                for a in each
                for b in each
            }
        )
        total = _Running(columns, pairs, n_groups)
        for start in range(0, groups.size, _BLOCK):  # blocks, not rows
            if not total.add(slice(start, start + _BLOCK), groups):
                return None
        return [
            [total.moments(cls, each, place, pairs, group) for group in range(n_groups)]
            for each in sets
        ]

    @classmethod
    def _of_rows(cls, names: tuple[str, ...], rows: FloatArray) -> Self:
        first, away, product = _centred(rows)
        return cls(names=names, n=rows.shape[1], mean=first + away, product=product)

    def __add__(self, other: Moments) -> Self:
        """Return the moments of both parts together; the order does not matter."""
        if self.names != other.names:
            raise InvalidDataError(
                f"Moments must be of the same columns, got {self.names} and {other.names}."
            )
        n = self.n + other.n
        if not n:
            return type(self).empty(self.names)
        gap = other.mean - self.mean
        return type(self)(
            names=self.names,
            n=n,
            mean=self.mean + gap * (other.n / n),
            product=self.product + other.product + np.outer(gap, gap) * (self.n * other.n / n),
        )

    def select(self, names: Sequence[str]) -> Self:
        """Return the moments of some of the columns, in the given order.

        Raises:
            UnknownNameError: If a column is not there.
        """
        if tuple(names) == self.names:
            return self
        places = [self._place(name) for name in names]
        return type(self)(
            names=tuple(names),
            n=self.n,
            mean=self.mean[places],
            product=self.product[np.ix_(places, places)],
        )

    def covariance(self) -> FloatArray:
        """Return the sample covariance matrix, with `n - 1` below; zeros for fewer than 2 rows."""
        if self.n < 2:
            return np.zeros_like(self.product)
        spread: FloatArray = self.product / (self.n - 1)
        return spread

    def variance(self, name: str) -> float:
        """Return the sample variance of one column; raises as `select` does."""
        place = self._place(name)
        return float(self.covariance()[place, place])

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise UnknownNameError("column", name, self.names)
        return self.names.index(name)


def _centred(rows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the first row, the mean's distance to it, and the centred products.

    A constant is no distance away from one of its values, and its products are exactly 0.
    """
    first = rows[:, :1]
    away = rows - first
    mean = away.mean(axis=1, keepdims=True)
    away -= mean
    rest = away.mean(axis=1, keepdims=True)  # what rounding of the mean has left
    product = away @ away.T - rows.shape[1] * (rest @ rest.T)
    return first[:, 0], (mean + rest)[:, 0], product


class _Block(NamedTuple):
    """Rows, means, centred products and squares of the groups of a block, less the shift."""

    n: FloatArray
    mean: FloatArray
    product: FloatArray
    squares: FloatArray


@final
class _Running:
    """Means and some centred products of groups, block by block; mutable.

    A block is copied once, less a shift; its columns and their products are then multiplied with
    the indicators of the groups, both with rows side by side, which is what makes it fast. Where
    that costs a group its digits, because it lies far from the shift by its own spread or does not
    vary at all, its rows are taken out and centred for themselves.
    """

    def __init__(
        self,
        columns: Mapping[str, npt.NDArray[Any]],
        pairs: Sequence[tuple[int, int]],
        n_groups: int,
    ) -> None:
        self._columns = list(columns.values())
        self._first, self._second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        d, n_pairs = len(self._columns), self._first.size
        self._squares = np.array_equal(self._first, self._second) and n_pairs == d
        self._own = np.flatnonzero(self._first == self._second)  # a column's square, in order
        self._constant = np.full((d, n_groups), np.nan)  # the one value that was seen, if one
        self._rows = np.empty((d + n_pairs, _BLOCK))
        self._member = np.empty((n_groups, _BLOCK))
        self._shift: FloatArray | None = None  # a value of the first block; keeps digits
        self._n = np.zeros(n_groups)
        self._mean = np.zeros((d, n_groups))
        self._product = np.zeros((n_pairs, n_groups))

    def add(self, part: slice, groups: npt.NDArray[np.integer]) -> bool:
        """Take in a block of rows; tell whether every number was finite."""
        codes = groups[part]
        rows, member = self._rows[:, : codes.size], self._member[:, : codes.size]
        d, a, b = len(self._columns), self._first, self._second
        with np.errstate(invalid="ignore"):  # numbers that are not finite are told below
            if self._shift is None:
                self._shift = np.array([shift_of(column[part]) for column in self._columns])
            for place, column in enumerate(self._columns):
                np.subtract(column[part], self._shift[place], out=rows[place])
            if self._squares:
                np.multiply(rows[:d], rows[:d], out=rows[d:])
            else:
                np.multiply(rows[a], rows[b], out=rows[d:])
            for group, indicator in enumerate(member):
                np.equal(codes, group, out=indicator)
            sums, n = rows @ member.T, member.sum(axis=1)
            mean = np.divide(sums[:d], n, out=np.zeros_like(self._mean), where=n > 0)
            product = sums[d:] - n * mean[a] * mean[b]
        if not np.isfinite(mean).all():
            return False
        self._keep_digits(part, codes, _Block(n, mean, product, sums[d:]))
        whole = self._n + n
        gap = np.where(n > 0, mean - self._mean, 0.0)
        share = np.divide(n, whole, out=np.zeros_like(n), where=whole > 0)
        self._product += product + gap[a] * gap[b] * (self._n * share)
        self._mean += gap * share
        self._n = whole
        return True

    def _keep_digits(self, part: slice, codes: npt.NDArray[np.integer], block: _Block) -> None:
        """Centre anew what has lost its digits, in place, and tell constants."""
        assert self._shift is not None
        n, mean, product, squares = block
        lost = (n > 0) & (product[self._own] <= _LOST * squares[self._own])
        value = np.full(mean.shape, np.nan)
        for group in np.flatnonzero(lost.any(axis=0)).tolist():  # few: what hardly varies
            if (squares[self._own, group][lost[:, group]] == 0).all():  # all are the shift itself
                value[lost[:, group], group] = self._shift[lost[:, group]]
                product[:, group] *= ~(lost[self._first, group] | lost[self._second, group])
                continue
            rows = np.stack([column[part][codes == group] for column in self._columns])
            first, away, centred = _centred(rows)
            mean[:, group] = first - self._shift + away
            product[:, group] = centred[self._first, self._second]
            same = (rows == first[:, None]).all(axis=1)
            value[same, group] = first[same]
        new = self._n == 0
        kept = np.where(new, value, np.where(value == self._constant, value, np.nan))
        self._constant = np.where(n > 0, kept, self._constant)

    def moments(
        self,
        kind: type[_M],
        names: tuple[str, ...],
        place: Mapping[str, int],
        pairs: list[tuple[int, int]],
        group: int,
    ) -> _M:
        """Return the moments of some columns in a group."""
        rows = [place[name] for name in names]
        where = {pair: number for number, pair in enumerate(pairs)}
        product = np.array(
            [[self._product[where[min(a, b), max(a, b)], group] for b in rows] for a in rows]
        )
        return kind(
            names=names,
            n=int(self._n[group]),
            mean=self._means(rows, group),
            product=product,
        )

    def _means(self, rows: list[int], group: int) -> FloatArray:
        """Return means; that of a constant is the constant."""
        if self._shift is None:
            return np.zeros(len(rows))
        constant, mean = self._constant[rows, group], self._mean[rows, group]
        return np.where(np.isnan(constant), mean + self._shift[rows], constant)


def shift_of(values: npt.NDArray[Any]) -> float:
    """Return what to take values from: nothing where they are near 0 by their spread."""
    first, mean = float(values[0]), float(values.mean())
    spread = float(np.abs(values - first).max())
    return 0.0 if abs(mean) <= spread else first
