"""Whether a result hangs on a few units: the analysis again with the largest values capped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted
from siamrec.errors import InvalidParameterError
from siamrec.experiments.analysis._adaptive import refuse_adaptive_plan
from siamrec.experiments.analysis._samples import samples_within
from siamrec.experiments.analysis.analysis import report_of
from siamrec.experiments.analysis.observations import Observations
from siamrec.experiments.analysis.report import ROW
from siamrec.experiments.metrics import Proportion, Quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siamrec.experiments.analysis.report import Comparison, ExperimentReport
    from siamrec.experiments.plan import Plan
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, repr=False)
class OutlierReport(Shown):
    """Analyses with more and more of the largest values capped.

    Attributes:
        reports: The report for each share of values that was capped, rising from 0.
        caps: For each metric that was capped, the cap at each share.
    """

    reports: Mapping[float, ExperimentReport]
    caps: Mapping[str, Mapping[float, float]]

    @override
    def title(self) -> str:
        said = "nothing changes" if self.stable else "the largest values matter"
        return f"Capping {counted(len(self.reports) - 1, 'share')} of the largest values: {said}"

    @override
    def table(self) -> Table:
        """Return one row for each share capped, metric and treatment."""
        rows = tuple(
            (share, *row) for share, report in self.reports.items() for _, row in report.rows()
        )
        return Table(head=("capped", *ROW), rows=rows, title=self.title())

    @property
    def sign_changes(self) -> tuple[tuple[str, str], ...]:
        """Metrics and treatments whose difference points the other way in some report."""
        return self._changed(lambda found: float(np.sign(found.absolute.estimate)))

    @property
    def verdict_changes(self) -> tuple[tuple[str, str], ...]:
        """Metrics and treatments that are significantly better or worse in some reports only."""
        alpha = self._plain.plan.alpha
        return self._changed(
            lambda found: (found.adjusted_p <= alpha) * float(np.sign(found.absolute.estimate))
        )

    @property
    def stable(self) -> bool:
        """Whether no sign, no verdict and no decision depends on the largest values."""
        decisions = {(report.decision, report.winner) for report in self.reports.values()}
        return len(decisions) == 1 and not self.sign_changes and not self.verdict_changes

    @property
    def _plain(self) -> ExperimentReport:
        return next(iter(self.reports.values()))

    def _changed(self, judged: Callable[[Comparison], float]) -> tuple[tuple[str, str], ...]:
        return tuple(
            key
            for key in self._plain.comparisons
            if len({judged(report.comparisons[key]) for report in self.reports.values()}) > 1
        )


def outlier_sensitivity(
    data: object,
    plan: Plan,
    *,
    shares: Sequence[float] = (0.001, 0.01),
    variant: str = "variant",
    unit: str | None = None,
    control: str = "control",
    strata: str | None = None,
) -> OutlierReport:
    """Analyse as planned, and again with the largest 0.1 % and 1 % of the values capped.

    The k = ceil(share * n) largest values of all variants together are set to the next lower one,
    so that no variant has a cap of its own. Capped are the outcomes of means and the numerators
    of ratios, row by row; proportions and quantiles have no outliers. A result that changes hangs
    on a few units: look at them, and decide on `Mean(cap=...)` before the next experiment, not in
    this one.

    Args:
        data: A frame.
        plan: The plan.
        shares: Shares of values to cap, each in (0, 0.5).
        variant: As for `analyze`.
        unit: As for `analyze`.
        control: As for `analyze`.
        strata: As for `analyze`.

    Raises:
        InvalidDataError: If the data are no frame, or as for `analyze`.
        InvalidParameterError: If a share is out of range or there is none.
        UnknownNameError: As for `analyze`.

    Examples:
        >>> from siamrec.experiments import Mean, Plan
        >>> rng = np.random.default_rng(0)
        >>> new = np.arange(2000) % 2 == 1
        >>> spent = rng.exponential(10, 2000) + np.where(np.arange(2000) == 1, 1e5, 0)
        >>> frame = {"variant": np.where(new, "new", "control"), "spent": spent}
        >>> found = outlier_sensitivity(frame, Plan(metrics=[Mean("spent")]))
        >>> [round(report["spent"].absolute.estimate) for report in found.reports.values()]
        [100, 0, 0]
    """
    given = sorted({check.share("shares", share, open_ends=True) for share in shares})
    if not given or given[-1] >= 0.5:
        raise InvalidParameterError("shares", tuple(shares), "one or more in (0, 0.5)")
    refuse_adaptive_plan(plan)
    rows = Observations.read(data, plan.columns, variant=variant, unit=unit, strata=strata)
    capped = {
        metric.name: metric.outcome.numerator
        for metric in plan.metrics
        if not isinstance(metric, Proportion | Quantile)
    }
    reports = {0.0: report_of(samples_within(rows, plan), plan, control)}
    caps: dict[str, dict[float, float]] = {name: {} for name in capped}
    for share in given:
        cap = {name: _cap(rows.numbers[name], share) for name in capped.values()}
        numbers = {name: np.minimum(rows.numbers[name], limit) for name, limit in cap.items()}
        changed = replace(rows, numbers={**rows.numbers, **numbers})
        reports[share] = report_of(samples_within(changed, plan), plan, control)
        for metric, name in capped.items():
            caps[metric][share] = cap[name]
    return OutlierReport(reports, caps)


def _cap(values: FloatArray, share: float) -> float:
    """Return the largest value that is left as it is."""
    known = np.sort(values[~np.isnan(values)])
    if not known.size:
        return float("nan")
    return float(known[max(known.size - 1 - int(np.ceil(share * known.size)), 0)])
