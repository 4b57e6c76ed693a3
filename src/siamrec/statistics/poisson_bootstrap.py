"""A bootstrap that streams: resampling weights come from a hash, so that parts merge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import xxhash
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted
from siamrec._core.units import unit_texts
from siamrec.errors import InvalidDataError
from siamrec.statistics.resampling import effect_of_draws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    import numpy.typing as npt

    from siamrec.statistics.effect import Effect
    from siamrec.typing import FloatArray

_TOGETHER = 1_000_000
_MOST_DRAWN = 21
"""A Poisson(1) weight above this has probability 3e-22, below the resolution of 64 bits."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BootstrapTotals(Record):
    """Totals of columns in the sample and in each of its resamples; parts merge by addition.

    In resample b a unit counts w times, w being Poisson(1) and made from a hash of the unit and
    b. The same unit has the same weights wherever it appears: parts may come in any order and
    from many machines, and the rows of one unit are drawn together, as they have to be.

    Attributes:
        names: Names of the columns.
        salt: What the weights depend on beside unit and resample.
        weight: Total weight: of the sample (its number of rows), then of each resample; shape
            `(1 + resamples,)`.
        total: Weighted totals of the columns, shape `(1 + resamples, d)`.

    Raises:
        InvalidDataError: If shapes do not fit or a number is not finite.

    References:
        Chamandy, Muralidharan, Najmi, Naidu (2012), Estimating uncertainty for massive data
        streams; Hanley and MacGibbon (2006), Computer Methods and Programs in Biomedicine 83.

    Examples:
        >>> first = BootstrapTotals.of(["a", "b"], {"y": np.array([1.0, 2.0])}, resamples=100)
        >>> second = BootstrapTotals.of(["c"], {"y": np.array([6.0])}, resamples=100)
        >>> (first + second).total[0].tolist()
        [9.0]
    """

    names: tuple[str, ...]
    salt: str
    weight: FloatArray
    total: FloatArray

    def __post_init__(self) -> None:
        for name in ("weight", "total"):
            values = check.finite(name, getattr(self, name))
            object.__setattr__(self, name, check.frozen(values, float))
        if self.weight.ndim != 1 or self.total.shape != (self.weight.size, len(self.names)):
            raise InvalidDataError(
                f"total must have shape {(self.weight.size, len(self.names))}, got "
                f"{self.total.shape}."
            )

    @override
    def title(self) -> str:
        resamples = f"{self.weight.size:,}"
        return f"Bootstrap totals of {counted(len(self.names), 'column')}, {resamples} resamples"

    @classmethod
    def of(
        cls,
        units: Iterable[Any],
        columns: Mapping[str, npt.NDArray[np.float64]],
        *,
        resamples: int = 1000,
        salt: str = "bootstrap",
    ) -> Self:
        """Return the totals of some rows.

        Args:
            units: Unit of each row: text or whole numbers.
            columns: Columns of finite numbers, one entry per row.
            resamples: Number of resamples, at least 100.
            salt: Another salt draws other weights.

        Raises:
            InvalidDataError: If lengths differ, a unit is empty or a number is not finite.
            InvalidParameterError: If there are fewer than 100 resamples.
        """
        check.count("resamples", resamples, least=100)
        names, texts = tuple(columns), unit_texts(units)
        check.same_length(units=np.empty(len(texts)), **columns)
        ones = np.ones(len(texts))
        rows = np.stack([ones, *(check.finite(name, columns[name]) for name in names)], axis=1)
        keys = _keys(texts, salt)
        sums = np.zeros((1 + resamples, 1 + len(names)))
        sums[0] = rows.sum(axis=0)
        block = max(1, _TOGETHER // resamples)
        for start in range(0, len(texts), block):  # blocks, to bound memory
            part = slice(start, start + block)
            sums[1:] += poisson_weights(keys[part], resamples).T @ rows[part]
        return cls(names=names, salt=salt, weight=sums[:, 0], total=sums[:, 1:])

    def __add__(self, other: BootstrapTotals) -> Self:
        """Return the totals of both parts; the order does not matter but for rounding.

        Raises:
            InvalidDataError: If columns, salt or number of resamples differ.
        """
        mine = (self.names, self.salt, self.weight.size)
        theirs = (other.names, other.salt, other.weight.size)
        if mine != theirs:
            raise InvalidDataError(
                f"Totals must be of the same columns, salt and size, got {mine} and {theirs}."
            )
        return type(self)(
            names=self.names,
            salt=self.salt,
            weight=self.weight + other.weight,
            total=self.total + other.total,
        )

    def means(self) -> dict[str, FloatArray]:
        """Return the mean of each column: in the sample, then in each resample.

        Raises:
            InvalidDataError: If there are no rows, or a resample of few has drawn none.
        """
        if not (self.weight > 0).all():
            raise InvalidDataError("A resample has drawn no row; there are too few rows.")
        return {name: self.total[:, at] / self.weight for at, name in enumerate(self.names)}


def poisson_bootstrap(
    treatment: BootstrapTotals,
    control: BootstrapTotals,
    statistic: str | Callable[[Mapping[str, FloatArray]], FloatArray],
    *,
    alpha: float = 0.05,
) -> Effect:
    """Return the difference of a statistic of means, with a percentile interval.

    Args:
        treatment: Totals of the treatment.
        control: Totals of the control.
        statistic: Name of a column, for its mean; or a function of the means of all columns,
            such as `lambda mean: mean["clicks"] / mean["views"]`.
        alpha: One less the coverage.

    Returns:
        The effect; its p-value is the least alpha whose percentile interval leaves 0 out, not
        below 1 / resamples. Where all resamples agree they say nothing about the error: the
        interval is unbounded and p is 1.

    Raises:
        InvalidDataError: If the numbers of resamples differ, a variant is empty or the statistic
            is not finite.
        InvalidParameterError: If alpha is out of range.
        UnknownNameError: If there is no such column.
    """
    check.share("alpha", alpha, open_ends=True)
    if treatment.weight.size != control.weight.size:
        raise InvalidDataError("Both variants must have the same number of resamples.")
    found = []
    for totals in (treatment, control):
        if isinstance(statistic, str):
            check.one_of("statistic", statistic, totals.names)
            values = totals.means()[statistic]
        else:
            values = np.asarray(statistic(totals.means()), dtype=np.float64)
        found.append(check.finite("statistic", values))
    gaps = found[0] - found[1]
    levels = np.array([alpha / 2, 1 - alpha / 2])
    return effect_of_draws(float(gaps[0]), gaps[1:], levels, rule="bootstrap (Poisson)")


def poisson_weights(keys: npt.NDArray[np.uint64], resamples: int) -> FloatArray:
    """Return Poisson(1) weights, shape `(n, resamples)`: a fixed function of key and resample.

    SplitMix64 of `key + b * golden ratio` is a uniform number of 64 bits; its place among the
    cumulative probabilities 1/e sum 1/k! is the weight.
    """
    steps = np.arange(1, resamples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = keys[:, None] + steps
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    weights: FloatArray = np.searchsorted(_EDGES, bits.ravel(), side="right").astype(np.float64)
    return weights.reshape(bits.shape)


def _keys(texts: list[str], salt: str) -> npt.NDArray[np.uint64]:
    seed = xxhash.xxh3_64_intdigest(salt.encode())
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter(
        (digest(text.encode(), seed) for text in texts), dtype=np.uint64, count=len(texts)
    )


def _edges() -> npt.NDArray[np.uint64]:
    """Return 2^64 times the cumulative probabilities of Poisson(1), below 2^64."""
    chance = np.exp(-1.0) / np.cumprod([1.0, *range(1, _MOST_DRAWN)])
    share = np.cumsum(chance)
    return np.array([int(each * 2**64) for each in share.tolist() if each < 1], dtype=np.uint64)


_EDGES = _edges()
