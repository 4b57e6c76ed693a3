"""One analysis per segment, with the false discovery rate kept over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted
from siamrec.experiments.analysis._adaptive import PropensityWatch, refuse_adaptive_plan
from siamrec.experiments.analysis._samples import sample_of
from siamrec.experiments.analysis.analysis import report_of
from siamrec.experiments.analysis.observations import Observations
from siamrec.experiments.analysis.report import ROW
from siamrec.statistics.corrections import adjust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.analysis.report import ExperimentReport
    from siamrec.experiments.plan import Plan


@final
@dataclass(frozen=True, slots=True, repr=False)
class SegmentReport(Shown):
    """Reports of segments, with p-values that allow for having looked at all of them.

    Attributes:
        reports: The report of each segment.
        adjusted_p: For `(segment, metric, treatment)`, the p-value after Benjamini and
            Hochberg's correction over everything in here: of those below 0.05, at most 5 % are
            false on average.
    """

    reports: Mapping[str, ExperimentReport]
    adjusted_p: Mapping[tuple[str, str, str], float]

    @override
    def title(self) -> str:
        told = ", ".join(f"{name} {r.decision}" for name, r in self.reports.items())
        return f"Report on {counted(len(self.reports), 'segment')}: {told}"

    @override
    def table(self) -> Table:
        """Return one row for each segment, metric and treatment."""
        rows = tuple(
            (segment, *row[:-1], self.adjusted_p.get((segment, *key)))
            for segment, report in self.reports.items()
            for key, row in report.rows()
        )
        return Table(head=("segment", *ROW), rows=rows, title=self.title())

    def found(self, *, rate: float = 0.05) -> tuple[tuple[str, str, str], ...]:
        """Return what differs, with a false discovery rate of at most `rate`."""
        check.share("rate", rate)
        return tuple(key for key, p in self.adjusted_p.items() if p <= rate)


def analyze_segments(
    data: object,
    plan: Plan,
    *,
    segment: str,
    variant: str = "variant",
    unit: str | None = None,
    control: str = "control",
    propensity: str | None = None,
) -> SegmentReport:
    """Analyse every segment by the plan. Segments must be known before assignment.

    Args:
        data: A frame.
        plan: The plan.
        segment: Column of the segment.
        variant: As for `analyze`.
        unit: As for `analyze`.
        control: As for `analyze`.
        propensity: As for `analyze`.

    Raises:
        InvalidDataError: As for `analyze`, or if a segment is null.
        UnknownNameError: As for `analyze`.
        UnsupportedEstimate: As for `analyze`.
    """
    refuse_adaptive_plan(plan)
    rows = Observations.read(
        data, plan.columns, variant=variant, unit=unit, strata=segment, propensity=propensity
    )
    if propensity is not None:
        PropensityWatch(propensity).see(rows)
    reports = {
        name: report_of({"": sample_of(rows.where(places), plan)}, plan, control)
        for name, places in rows.by_part().items()
    }
    keys = [(name, *key) for name, report in reports.items() for key in report.comparisons]
    p = np.array([reports[s].comparisons[metric, arm].absolute.p for s, metric, arm in keys])
    return SegmentReport(reports, dict(zip(keys, adjust(p, "bh").tolist(), strict=True)))
