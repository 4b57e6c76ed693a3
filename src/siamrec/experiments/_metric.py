"""What every metric of an experiment has: terms, covariates, margins."""

from __future__ import annotations

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
        >>> from siamrec.experiments.metrics import CrossFitted
        >>> from siamrec.experiments import Mean
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


class ExperimentMetric(ABC):
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


class ColumnMetric(ExperimentMetric):
    """A metric of one column: `column`, or the column of its own name."""

    column: str | None
    covariate: str | Sequence[str] | CrossFitted

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


def terms_of(covariate: str | Sequence[str] | CrossFitted, outcome: Term) -> tuple[Term, ...]:
    """Return covariates as terms; of a model, its prediction."""
    if not covariate:
        return ()
    if isinstance(covariate, CrossFitted):
        return (Term(f"prediction of {outcome.numerator}"),)
    names = (covariate,) if isinstance(covariate, str) else tuple(covariate)
    return tuple(Term(name) for name in names)


def check_choices(metric: ExperimentMetric) -> None:
    """Check what every metric has; raises UnknownNameError or InvalidParameterError."""
    check.text("name", metric.name)
    if metric.margin is not None:
        check.kind("margin", metric.margin, Margin)
    check.one_of("role", metric.role, ("primary", "secondary", "guardrail"))
    check.one_of("better", metric.better, ("higher", "lower"))
    check.one_of("missing", metric.missing, ("drop", "zero", "error"))
