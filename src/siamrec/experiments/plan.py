"""What is decided before the data: metrics, error rate, looking rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted
from siamrec.errors import InvalidParameterError
from siamrec.experiments.metrics import ExperimentMetric
from siamrec.experiments.sequential._book import LOOKING_RULES
from siamrec.statistics.corrections import CORRECTIONS, Correction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec._core.book import Named
    from siamrec.experiments.sequential.confidence_sequences import Sequence as LookingRule

_ROUNDING = 1e-6


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(Record):
    """The analysis of an experiment, fixed before it starts.

    Args:
        metrics: What is measured; names must differ. Primary metrics decide, guardrails may not
            get worse by more than their margin.
        sequential: Rule that allows looking at any time, or its name such as `"asymptotic-cs"`,
            which takes over `planned` as its own; without one the experiment is to be
            looked at once, at `planned` units where that is given.
        alpha: Error rate over all primary comparisons, in (0, 1).
        correction: How primary comparisons share alpha (`"holm"`, …, `"none"`).
        adjustment: How covariates are used: `"lin"` (a slope per variant), `"pooled"` (one
            slope, CUPED as first published) or `"none"`.
        shares: Expected share of each variant, for the sample ratio check; even when absent.
        stratum_shares: The same for each stratum, where they differ.
        planned: Number of units of both variants at which a fixed-horizon plan is analysed.
        daily_units: Units per day, to tell how long it will take.
        srm_alpha: Below this p-value of the sample ratio, the experiment is invalid.
        allocation: Who decides the shares: `"fixed"`, the plan; `"adaptive"`, a bandit that
            learns from outcomes. Analysis refuses the latter; see `adaptive_effect`.

    Attributes:
        by_name: The metrics by their names.
        columns: Every column that some metric reads, each once.

    Raises:
        InvalidParameterError: If there is no metric, names repeat, shares do not sum to 1, or
            something is of another kind or out of range.
        UnknownNameError: If the correction, the adjustment or the allocation is not known.
    """

    metrics: Sequence[ExperimentMetric]
    sequential: LookingRule | Named | None = None
    alpha: float = 0.05
    correction: Correction = "holm"
    adjustment: Literal["lin", "pooled", "none"] = "lin"
    shares: Mapping[str, float] | None = None
    stratum_shares: Mapping[str, Mapping[str, float]] | None = None
    planned: float | None = None
    daily_units: float | None = None
    srm_alpha: float = 1e-3
    allocation: Literal["fixed", "adaptive"] = "fixed"
    by_name: dict[str, ExperimentMetric] = field(init=False, repr=False, compare=False)
    columns: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_kinds()
        check.distinct("metrics", [metric.name for metric in self.metrics])
        check.share("alpha", self.alpha, open_ends=True)
        check.share("srm_alpha", self.srm_alpha, open_ends=True)
        check.one_of("correction", self.correction, CORRECTIONS)
        check.one_of("adjustment", self.adjustment, ("lin", "pooled", "none"))
        check.one_of("allocation", self.allocation, ("fixed", "adaptive"))
        for name in ("planned", "daily_units"):
            if getattr(self, name) is not None:
                check.positive(name, getattr(self, name))
        for shares in (self.shares, *(self.stratum_shares or {}).values()):
            if shares is not None and not _are_shares(shares):
                raise InvalidParameterError("shares", dict(shares), "shares that sum to 1")
        object.__setattr__(self, "by_name", {metric.name: metric for metric in self.metrics})
        names = (name for metric in self.metrics for name in metric.columns)
        object.__setattr__(self, "columns", tuple(dict.fromkeys(names)))

    @override
    def title(self) -> str:
        return f"Plan of {counted(len(self.metrics), 'metric')}: {', '.join(self.by_name)}"

    def _check_kinds(self) -> None:
        if isinstance(self.metrics, str | ExperimentMetric) or not all(
            isinstance(metric, ExperimentMetric) for metric in self.metrics
        ):
            raise InvalidParameterError("metrics", self.metrics, "a list of metrics, as Mean")
        if self.sequential is not None:
            known = {} if self.planned is None else {"planned": self.planned}
            rule = LOOKING_RULES.make(self.sequential, **known)
            object.__setattr__(self, "sequential", rule)

    @property
    def rule(self) -> LookingRule | None:
        """The looking rule, None where the experiment is looked at once."""
        return None if self.sequential is None else LOOKING_RULES.make(self.sequential)

    @property
    def planned_units(self) -> float | None:
        """Units of both variants after which the experiment ends, if that is planned."""
        return self.planned if self.rule is None else self.rule.planned_units


def _are_shares(shares: Mapping[str, float]) -> bool:
    """Whether shares are 0 or more and sum to 1."""
    return min(shares.values(), default=-1.0) >= 0 and abs(sum(shares.values()) - 1) <= _ROUNDING
