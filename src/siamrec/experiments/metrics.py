"""Metrics of an experiment: each says which columns it needs and what their means amount to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidParameterError
from siamrec.experiments._metric import (
    ColumnMetric,
    CrossFitted,
    ExperimentMetric,
    Margin,
    Role,
    Term,
    check_choices,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Count",
    "CrossFitted",
    "ExperimentMetric",
    "Margin",
    "Mean",
    "Proportion",
    "Quantile",
    "Ratio",
    "Role",
    "Term",
]


@final
@dataclass(frozen=True, slots=True)
class Mean(ColumnMetric):
    """The mean of a column over units.

    Where a unit has several rows, the mean is over rows, with the variance of a ratio of sums
    per unit (rows of one unit are not independent).

    Args:
        name: Name; also the column, unless `column` is given.
        column: The column.
        covariate: One or more columns from before the experiment, or a `CrossFitted` model of
            many.
        role: `"primary"`, `"secondary"` or `"guardrail"`.
        better: `"higher"` or `"lower"`.
        margin: For a guardrail, how much worse is still acceptable; 0 when absent. A primary
            metric with a margin is tested for non-inferiority: to be certainly no worse than
            the margin allows is enough.
        missing: `"drop"` leaves rows with a null out of this metric, `"zero"` counts them as 0,
            `"error"` refuses them. A null in a covariate counts as one (a report says how many
            rows had it): fill it beforehand where units without a past are to stay.
        cap: Values above this are set to it; reported with the result.
        floor: Values below this are set to it.
        winsorize: `(low, high)` instead of both: the bounds are these quantiles of the outcome
            over all variants together, so that no variant is bounded by its own.

    Raises:
        InvalidParameterError: If a bound is not finite, bounds do not rise, or quantiles come
            with fixed bounds.
        UnknownNameError: If role, better or missing are not among the known ones.

    Examples:
        >>> Mean("rating", covariate="rating_before").columns
        ('rating', 'rating_before')
    """

    name: str
    column: str | None = None
    covariate: str | Sequence[str] | CrossFitted = ()
    role: Role = "primary"
    better: Literal["higher", "lower"] = "higher"
    margin: Margin | None = None
    missing: Literal["drop", "zero", "error"] = "drop"
    cap: float | None = None
    floor: float | None = None
    winsorize: tuple[float, float] | None = None

    @override
    def __post_init__(self) -> None:
        check_choices(self)
        bounds = [bound for bound in (self.floor, self.cap) if bound is not None]
        if not all(map(math.isfinite, bounds)) or sorted(bounds) != bounds:
            raise InvalidParameterError("cap", bounds, "finite, and not below the floor")
        if self.winsorize is not None:
            low, high = self.winsorize
            if bounds or not 0 <= low < high <= 1:
                raise InvalidParameterError(
                    "winsorize", self.winsorize, "two rising quantiles, without cap= and floor="
                )

    @property
    def is_bounded(self) -> bool:
        """Whether outcomes are moved to bounds."""
        return not (self.cap is None and self.floor is None and self.winsorize is None)


@final
@dataclass(frozen=True, slots=True)
class Proportion(ColumnMetric):
    """The share of units (or rows) for which a column of 0 and 1 is 1.

    Without covariates and with one row per unit, the absolute interval is Newcombe's hybrid
    score interval and the p-value that of the pooled two-proportion test; otherwise it is
    treated as `Mean`.

    Args:
        name: Name; also the column, unless `column` is given.
        column: The column, of 0 and 1 or of booleans.
        covariate: One or more columns from before the experiment, or a `CrossFitted` model of
            many.
        role: `"primary"`, `"secondary"` or `"guardrail"`.
        better: `"higher"` or `"lower"`.
        margin: As for `Mean`.
        missing: As for `Mean`.

    Raises:
        UnknownNameError: If role, better or missing are not among the known ones.

    References:
        Newcombe (1998), Statistics in Medicine 17.
    """

    name: str
    column: str | None = None
    covariate: str | Sequence[str] | CrossFitted = ()
    role: Role = "primary"
    better: Literal["higher", "lower"] = "higher"
    margin: Margin | None = None
    missing: Literal["drop", "zero", "error"] = "drop"


@final
@dataclass(frozen=True, slots=True)
class Count(ColumnMetric):
    """How often something happened to a unit, such as purchases: the mean number per unit.

    A unit without a number counts 0, for most logs say only what happened; and numbers must be
    whole and not negative. The errors are those of `Mean`: no distribution is assumed, so counts
    that vary more than Poisson's do no harm.

    Args:
        name: Name; also the column, unless `column` is given.
        column: The column.
        covariate: One or more columns from before the experiment.
        role: `"primary"`, `"secondary"` or `"guardrail"`.
        better: `"higher"` or `"lower"`.
        margin: As for `Mean`.
        missing: As for `Mean`; `"zero"` unless given.

    Raises:
        UnknownNameError: If role, better or missing are not among the known ones.

    Examples:
        >>> frame = {"variant": ["control"] * 3 + ["new"] * 3, "orders": [0, 1, None, 2, 1, 3]}
        >>> from siamrec.experiments import Count, Plan, analyze
        >>> analyze(frame, Plan(metrics=[Count("orders")]))["orders"].values[0]
        2.0
    """

    name: str
    column: str | None = None
    covariate: str | Sequence[str] = ()
    role: Role = "primary"
    better: Literal["higher", "lower"] = "higher"
    margin: Margin | None = None
    missing: Literal["drop", "zero", "error"] = "zero"


@final
@dataclass(frozen=True, slots=True)
class Ratio(ExperimentMetric):
    """The total of one column over the total of another, such as clicks per view.

    The unit of analysis stays the unit of assignment: the variance comes from the totals per
    unit by the delta method, whatever the number of rows a unit has.

    Args:
        name: Name.
        numerator: Column of the numerator.
        denominator: Column of the denominator.
        covariate: `(numerator, denominator)` of the same ratio before the experiment, or a list
            of such pairs; a column's name in the list stands for its mean.
        role: `"primary"`, `"secondary"` or `"guardrail"`.
        better: `"higher"` or `"lower"`.
        margin: As for `Mean`.
        missing: As for `Mean`.

    Raises:
        InvalidParameterError: If a covariate is not a pair.
        UnknownNameError: If role, better or missing are not among the known ones.

    References:
        Deng, Knoblich, Lu (2018), KDD, arXiv:1803.06336.

    Examples:
        >>> Ratio("ctr", "clicks", "views", role="primary").outcome
        Term(numerator='clicks', denominator='views')
    """

    name: str
    numerator: str
    denominator: str
    covariate: tuple[str, str] | Sequence[tuple[str, str] | str] | None = None
    role: Role = "primary"
    better: Literal["higher", "lower"] = "higher"
    margin: Margin | None = None
    missing: Literal["drop", "zero", "error"] = "drop"

    def __post_init__(self) -> None:
        check_choices(self)
        given: object = self.covariate
        if isinstance(given, str) or not all(_is_term(each) for each in self._before()):
            raise InvalidParameterError(
                "covariate", given, "a pair (numerator, denominator), or a list of pairs"
            )

    def _before(self) -> list[tuple[str, str] | str]:
        given: object = self.covariate
        if isinstance(given, tuple) and len(given) == 2 and all(isinstance(x, str) for x in given):
            return [given]
        return [] if self.covariate is None else list(self.covariate)

    @property
    @override
    def outcome(self) -> Term:
        return Term(self.numerator, self.denominator)

    @property
    @override
    def covariates(self) -> tuple[Term, ...]:
        return tuple(
            Term(each) if isinstance(each, str) else Term(*each) for each in self._before()
        )


@final
@dataclass(frozen=True, slots=True)
class Quantile(ExperimentMetric):
    """A quantile of a column, such as the 95th percentile of a latency.

    Its error comes from order statistics, clustered by unit where units repeat, so it needs the
    rows: moments and chunks cannot give it, and covariates do not apply.

    Args:
        name: Name; also the column, unless `column` is given.
        q: In (0, 1).
        column: The column.
        role: `"primary"`, `"secondary"` or `"guardrail"`.
        better: `"higher"` or `"lower"`.
        margin: As for `Mean`.
        missing: As for `Mean`.

    Raises:
        InvalidParameterError: If q is outside (0, 1).
        UnknownNameError: If role, better or missing are not among the known ones.
    """

    name: str
    q: float = 0.5
    column: str | None = None
    role: Role = "primary"
    better: Literal["higher", "lower"] = "higher"
    margin: Margin | None = None
    missing: Literal["drop", "zero", "error"] = "drop"

    def __post_init__(self) -> None:
        check_choices(self)
        check.share("q", self.q, open_ends=True)

    @property
    @override
    def outcome(self) -> Term:
        return Term(self.column or self.name)

    @property
    @override
    def covariates(self) -> tuple[Term, ...]:
        return ()


def _is_term(given: object) -> bool:
    """Whether it is the name of a column, or a pair of names."""
    pair = (given, given) if isinstance(given, str) else given
    return (
        isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(name, str) for name in pair)
    )
