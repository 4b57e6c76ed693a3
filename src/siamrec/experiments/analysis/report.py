"""What an analysis found: effects, checks, decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record, Shown, Table, counted, number, span
from siamrec.errors import UnknownNameError
from siamrec.figures import intervals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siamrec._core.table import Cell
    from siamrec.experiments.metrics import ExperimentMetric
    from siamrec.experiments.plan import Plan
    from siamrec.statistics.effect import Effect

ROW = (
    *("metric", "role", "treatment", "value", "control", "difference", "interval"),
    *("relative", "relative interval", "p", "adjusted p", "p at a fixed horizon"),
)
"""What a row about one metric and one treatment holds."""

Verdict: TypeAlias = Literal["ship", "rollback", "continue", "inconclusive", "invalid"]


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison(Record):
    """One metric, one treatment against the control.

    Attributes:
        metric: The metric.
        treatment: Name of the treatment.
        control: Name of the control.
        n: Units of the treatment and of the control that have the metric.
        values: Adjusted value of the treatment and of the control.
        absolute: Difference of the values; by the looking rule where the plan has one.
        relative: Difference as a share of the control's value.
        fixed: The absolute difference at a fixed horizon; must not be used to stop early.
        adjusted_p: p-value after the correction for many comparisons (primary metrics).
        variance_reduction: Share of variance that covariates took away.
        harmful: Whether it is certain that the metric got worse by more than its margin.
        safe: Whether it is certain that it did not.
        futile: Whether the looking rule gives up on finding an improvement.
    """

    metric: ExperimentMetric
    treatment: str
    control: str
    n: tuple[int, int]
    values: tuple[float, float]
    absolute: Effect
    relative: Effect
    fixed: Effect
    adjusted_p: float
    variance_reduction: float
    harmful: bool
    safe: bool
    futile: bool = False

    @override
    def title(self) -> str:
        found = f"{number(self.absolute.estimate)} {span(*self.absolute.interval)}"
        return f"{self.metric.name}, {self.treatment} less {self.control}: {found}"

    def corrected(self, p: float) -> Comparison:
        """Return the comparison with its p-value after the correction."""
        return self if p == self.adjusted_p else replace(self, adjusted_p=p)

    @property
    def improvement(self) -> float:
        """Difference in the direction that is better, in standard errors; 0 without spread."""
        signed = self.metric.sign * self.absolute.estimate
        return signed / self.absolute.error if self.absolute.error > 0 else float(np.sign(signed))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SampleRatio(Record):
    """Whether the numbers of units fit the planned shares.

    Attributes:
        observed: Units of each variant.
        expected: Units expected of each variant.
        p: p-value of the chi-square test.
        log_p: Its natural logarithm.
    """

    observed: Mapping[str, int]
    expected: Mapping[str, float]
    p: float
    log_p: float

    @override
    def title(self) -> str:
        counts = ", ".join(f"{name} {n:,}" for name, n in self.observed.items())
        return f"Sample ratio: {counts}, p = {number(self.p)}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class Check(Record):
    """One thing that was looked at before believing the numbers.

    Attributes:
        name: What was looked at.
        level: `"ok"`, `"note"`, `"warning"` or `"failure"`; a failure makes the experiment
            invalid.
        message: What was found.
    """

    name: str
    level: Literal["ok", "note", "warning", "failure"]
    message: str

    @override
    def title(self) -> str:
        return f"{self.level}: {self.name}: {self.message}"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExperimentReport(Shown):
    """Everything an analysis found.

    Attributes:
        plan: The plan it followed.
        control: Name of the control.
        comparisons: By metric and treatment.
        srm: The sample ratio.
        checks: What was looked at.
        decision: `ship`, `rollback`, `continue`, `inconclusive` or `invalid`.
        winner: The treatment to ship, if any.
        reasons: Why, in sentences.
        days_left: Days until the planned number of units, where that is known.
    """

    plan: Plan
    control: str
    comparisons: Mapping[tuple[str, str], Comparison]
    srm: SampleRatio
    checks: tuple[Check, ...]
    decision: Verdict
    winner: str | None
    reasons: tuple[str, ...]
    days_left: float | None

    @property
    def treatments(self) -> tuple[str, ...]:
        """Names of the treatments, in the order of the data."""
        return tuple(dict.fromkeys(treatment for _, treatment in self.comparisons))

    def __getitem__(self, key: str | tuple[str, str]) -> Comparison:
        """Return the comparison of a metric, and of a treatment where there are several.

        Raises:
            UnknownNameError: If there is no such metric or treatment.
        """
        metric, treatment = key if isinstance(key, tuple) else (key, self.treatments[0])
        if metric not in self.plan.by_name:
            raise UnknownNameError("metric", metric, self.plan.by_name)
        if treatment not in self.treatments:
            raise UnknownNameError("treatment", treatment, self.treatments)
        return self.comparisons[metric, treatment]

    def plot(self) -> Any:
        """Return a plotly figure of the relative differences; needs the extra `plots`.

        Raises:
            MissingExtraError: If plotly is not installed.
        """
        rows = [
            (f"{metric} ({treatment})", found.relative.estimate, *found.relative.interval)
            for (metric, treatment), found in self.comparisons.items()
        ]
        title = self.decision if self.winner is None else f"{self.decision}: {self.winner}"
        axis = "relative difference"
        return intervals({"difference": rows}, axis=axis, title=title, form="+.1%", zero=True)

    @override
    def title(self) -> str:
        won = f" {self.winner}" if self.winner else ""
        n, units = len(self.comparisons), sum(self.srm.observed.values())
        found = f"{counted(n, 'comparison')} of {counted(units, 'unit')}"
        return f"Experiment report: {self.decision}{won}, {found}"

    @override
    def table(self) -> Table:
        """Return one row for each metric and treatment; decision, reasons and checks below."""
        columns = len(ROW) if self.plan.sequential is not None else len(ROW) - 1
        notes = (
            *self.reasons,
            *self._rules(),
            f"{self.srm.title()}.",
            *(check.title() for check in self.checks),
        )
        return Table(
            head=ROW[:columns],
            rows=tuple(row[:columns] for _, row in self.rows()),
            title=self.title(),
            notes=notes,
        )

    def rows(self) -> Iterator[tuple[tuple[str, str], tuple[Cell, ...]]]:
        """Yield metric and treatment, and what there is to see about them."""
        for key, found in self.comparisons.items():
            value, control = found.values
            primary = found.metric.role == "primary"
            yield (
                key,
                (
                    *(key[0], found.metric.role, key[1], value, control),
                    *(found.absolute.estimate, found.absolute.interval),
                    *(found.relative.estimate, found.relative.interval),
                    *(found.absolute.p, found.adjusted_p if primary else None, found.fixed.p),
                ),
            )

    def _rules(self) -> list[str]:
        """Say how intervals and p-values were made, and what they hold for together."""
        by_rule: dict[str, list[str]] = {}
        for (metric, _), found in self.comparisons.items():
            by_rule.setdefault(found.absolute.rule, []).append(metric)
        said = [
            f"Intervals and p-values of {', '.join(dict.fromkeys(metrics))}: {rule}."
            for rule, metrics in by_rule.items()
        ]
        alpha, k = (
            self.plan.alpha,
            sum(c.metric.role == "primary" for c in self.comparisons.values()),
        )
        if k > 1 and self.plan.correction != "none":
            said.append(
                f"The {k} primary intervals hold together, each at alpha {alpha / k:g}; their "
                f"adjusted p-values ({self.plan.correction}) are judged at alpha {alpha:g}, and "
                "may find a difference whose own interval still holds 0."
            )
        else:
            said.append(f"Alpha {alpha:g}.")
        if self.plan.sequential is not None:
            said.append("p-values at a fixed horizon are to be read once, and stop nothing early.")
        return [" ".join(said)]
