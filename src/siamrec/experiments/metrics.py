"""Metrics of an experiment: each says which columns it needs and what their means amount to."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias, final

from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

Role: TypeAlias = Literal["primary", "secondary", "guardrail"]
"""`primary` decides, `guardrail` may not get worse, `secondary` is reported only."""


class Term(NamedTuple):
    """A mean of one column, or the ratio of the means of two."""

    numerator: str
    denominator: str | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """A difference that matters, absolute or as a share of the control's value.

    Args:
        absolute: In the unit of the metric, above 0.
        relative: As a share of the control's value, above 0.

    Raises:
        InvalidParameterError: If not exactly one of the two is given and above 0.

    Examples:
        >>> Margin(relative=0.02).size(baseline=50.0)
        1.0
    """

    absolute: float | None = None
    relative: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.absolute, self.relative) if value is not None]
        if len(given) != 1:
            raise InvalidParameterError("margin", given, "one of absolute= and relative=")
        check.positive("margin", given[0])

    def size(self, *, baseline: float) -> float:
        """Return the margin in the unit of the metric."""
        return abs(baseline) * self.relative if self.relative is not None else self.absolute or 0.0


@final
@dataclass(frozen=True, slots=True)
class CrossFitted:
    """A covariate made of many columns: a model's prediction of the outcome.

    A ridge regression predicts the outcome from the columns. Units are split into folds by a hash
    of the unit, and each unit is predicted by the model of the other folds, so that no outcome
    has a part in its own prediction; the prediction then enters as the one covariate. What the
    columns are worth is found in the data, and what they are not worth does no harm: the slope
    on the prediction is still fitted. Analysis needs the column of the unit.

    Args:
        columns: Columns from before the experiment.
        folds: Number of folds, at least 2.
        penalty: Of the ridge, in units (as if so many units had said that a standardised slope
            is 0); above 0.

    Raises:
        InvalidParameterError: If columns are missing or repeat, or a number is out of range.

    References:
        Guo, Coey, Konutgan, Li, Schoener, Goldman (2021), NeurIPS, arXiv:2106.07263 (MLRATE).

    Examples:
        >>> Mean("rating", covariate=CrossFitted(("age", "visits"))).columns
        ('rating', 'age', 'visits')
    """

    columns: Sequence[str]
    folds: int = 5
    penalty: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", check.distinct("columns", tuple(self.columns)))
        check.count("folds", self.folds, least=2)
        check.positive("penalty", self.penalty)


class Metric(ABC):
    """What is measured of every unit, and what is asked of it.

    Attributes that every metric has: `name`, `role`, `better` (which direction is an
    improvement), `margin` (for guardrails: how much worse is still acceptable), `missing` (what
    a null or NaN means).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    role: Role
    better: Literal["higher", "lower"]
    margin: Margin | None
    missing: Literal["drop", "zero", "error"]

    @property
    @abstractmethod
    def outcome(self) -> Term:
        """What is compared."""

    @property
    @abstractmethod
    def covariates(self) -> tuple[Term, ...]:
        """What was known before the experiment; used to reduce variance."""

    @property
    def sign(self) -> int:
        """Return 1 if higher is better, -1 if lower is."""
        return 1 if self.better == "higher" else -1

    @property
    def model(self) -> CrossFitted | None:
        """The model whose prediction is the covariate, if there is one."""
        given = getattr(self, "covariate", None)
        return given if isinstance(given, CrossFitted) else None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the metric reads, each once."""
        model = self.model
        read = self.covariates if model is None else tuple(map(Term, model.columns))
        names = (name for term in (self.outcome, *read) for name in term if name is not None)
        return tuple(dict.fromkeys(names))


@final
@dataclass(frozen=True, slots=True)
class Mean(Metric):
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
        margin: For a guardrail, how much worse is still acceptable; 0 when absent.
        missing: `"drop"` leaves rows with a null out of this metric, `"zero"` counts them as 0,
            `"error"` refuses them.
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

    @property
    @override
    def outcome(self) -> Term:
        return Term(self.column or self.name)

    @property
    @override
    def covariates(self) -> tuple[Term, ...]:
        return terms_of(self.covariate, self.outcome)


@final
@dataclass(frozen=True, slots=True)
class Proportion(Metric):
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
        margin: For a guardrail, how much worse is still acceptable; 0 when absent.
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

    def __post_init__(self) -> None:
        check_choices(self)

    @property
    @override
    def outcome(self) -> Term:
        return Term(self.column or self.name)

    @property
    @override
    def covariates(self) -> tuple[Term, ...]:
        return terms_of(self.covariate, self.outcome)


@final
@dataclass(frozen=True, slots=True)
class Ratio(Metric):
    """The total of one column over the total of another, such as clicks per view.

    The unit of analysis stays the unit of assignment: the variance comes from the totals per
    unit by the delta method, whatever the number of rows a unit has.

    Args:
        name: Name.
        numerator: Column of the numerator.
        denominator: Column of the denominator.
        covariate: `(numerator, denominator)` of the same ratio before the experiment.
        role: `"primary"`, `"secondary"` or `"guardrail"`.
        better: `"higher"` or `"lower"`.
        margin: For a guardrail, how much worse is still acceptable; 0 when absent.
        missing: As for `Mean`.

    Raises:
        InvalidParameterError: If the covariate is not a pair.
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
    covariate: tuple[str, str] | None = None
    role: Role = "primary"
    better: Literal["higher", "lower"] = "higher"
    margin: Margin | None = None
    missing: Literal["drop", "zero", "error"] = "drop"

    def __post_init__(self) -> None:
        check_choices(self)
        pair = self.covariate
        if pair is not None and len(tuple(pair)) != 2:  # noqa: PLR2004
            raise InvalidParameterError("covariate", pair, "a pair (numerator, denominator)")

    @property
    @override
    def outcome(self) -> Term:
        return Term(self.numerator, self.denominator)

    @property
    @override
    def covariates(self) -> tuple[Term, ...]:
        return () if self.covariate is None else (Term(*self.covariate),)


@final
@dataclass(frozen=True, slots=True)
class Quantile(Metric):
    """A quantile of a column, such as the 95th percentile of a latency.

    Its error comes from order statistics, clustered by unit where units repeat, so it needs the
    rows: moments and chunks cannot give it, and covariates do not apply.

    Args:
        name: Name; also the column, unless `column` is given.
        q: In (0, 1).
        column: The column.
        role: `"primary"`, `"secondary"` or `"guardrail"`.
        better: `"higher"` or `"lower"`.
        margin: For a guardrail, how much worse is still acceptable; 0 when absent.
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


def terms_of(covariate: str | Sequence[str] | CrossFitted, outcome: Term) -> tuple[Term, ...]:
    """Return covariates as terms; of a model, its prediction."""
    if not covariate:
        return ()
    if isinstance(covariate, CrossFitted):
        return (Term(f"prediction of {outcome.numerator}"),)
    names = (covariate,) if isinstance(covariate, str) else tuple(covariate)
    return tuple(Term(name) for name in names)


def check_choices(metric: Metric) -> None:
    """Check what every metric has; raises UnknownNameError."""
    check.one_of("role", metric.role, ("primary", "secondary", "guardrail"))
    check.one_of("better", metric.better, ("higher", "lower"))
    check.one_of("missing", metric.missing, ("drop", "zero", "error"))
