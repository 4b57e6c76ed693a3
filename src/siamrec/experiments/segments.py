"""One analysis per segment, and A/A checks on history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from scipy import special

from siamrec._core import check
from siamrec.data.frames import table_of
from siamrec.errors import InvalidDataError
from siamrec.experiments._strata import split_table
from siamrec.experiments.analysis import analyze
from siamrec.experiments.multiplicity import adjust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.plan import Plan
    from siamrec.experiments.report import Report


@final
@dataclass(frozen=True, slots=True)
class SegmentReport:
    """Reports of segments, with p-values that allow for having looked at all of them.

    Attributes:
        reports: The report of each segment.
        adjusted_p: For `(segment, metric, treatment)`, the p-value after Benjamini and
            Hochberg's correction over everything in here: of those below 0.05, at most 5 % are
            false on average.
    """

    reports: Mapping[str, Report]
    adjusted_p: Mapping[tuple[str, str, str], float]

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
    reports = {
        name: analyze(
            part, plan, variant=variant, unit=unit, control=control, propensity=propensity
        )
        for name, part in split_table(data, segment)
    }
    keys = [(name, *key) for name, report in reports.items() for key in report.comparisons]
    p = np.array([reports[s].comparisons[metric, arm].absolute.p for s, metric, arm in keys])
    return SegmentReport(reports, dict(zip(keys, adjust(p, "bh").tolist(), strict=True)))


@final
@dataclass(frozen=True, slots=True)
class NullReport:
    """What an analysis finds where there is nothing.

    Attributes:
        n_runs: Number of random splits.
        significant: For each metric, the share of splits with a p-value below alpha.
        uniformity: For each metric, the Kolmogorov-Smirnov p-value against uniform p-values
            of the fixed-horizon test; below 0.001 the test does not fit the data.
        coverage: For each metric, the share of intervals that hold 0.
    """

    n_runs: int
    significant: Mapping[str, float]
    uniformity: Mapping[str, float]
    coverage: Mapping[str, float]


def null_check(
    history: object, plan: Plan, *, rng: np.random.Generator, n_runs: int = 200
) -> NullReport:
    """Run A/A experiments on history: split units at random and analyse, again and again.

    Args:
        history: A frame with one row per unit and the columns of the plan's metrics.
        plan: The plan; its corrections are left out, each metric is judged alone.
        rng: Source of chance.
        n_runs: Number of splits, at least 20.

    Raises:
        InvalidDataError: If there are fewer than 4 rows.
        InvalidParameterError: If there are fewer than 20 splits.

    Examples:
        >>> from siamrec.experiments import Mean, Plan
        >>> rng = np.random.default_rng(1)
        >>> found = null_check({"y": rng.normal(size=400)}, Plan(metrics=[Mean("y")]), rng=rng)
        >>> found.significant["y"] < 0.12, found.coverage["y"] > 0.88
        (True, True)
    """
    check.count("n_runs", n_runs, least=20)
    table = table_of(history)
    n = table.num_rows
    if n < 4:  # noqa: PLR2004
        raise InvalidDataError(f"The history must have 4 rows or more, got {n}.")
    names = list(plan.by_name)
    fixed = np.ones((n_runs, len(names)))
    p, held = np.ones_like(fixed), np.zeros_like(fixed)
    labels = np.array(["control", "treatment"])
    for run in range(n_runs):  # splits, not rows
        split = table.append_column("#variant", [labels[rng.permutation(n) % 2]])
        report = analyze(split, plan, variant="#variant")
        for column, name in enumerate(names):
            found = report[name]
            fixed[run, column], p[run, column] = found.fixed.p, found.absolute.p
            low, high = found.absolute.interval
            held[run, column] = low <= 0 <= high
    return NullReport(
        n_runs,
        dict(zip(names, (p < plan.alpha).mean(axis=0).tolist(), strict=True)),
        {name: _uniformity(fixed[:, column]) for column, name in enumerate(names)},
        dict(zip(names, held.mean(axis=0).tolist(), strict=True)),
    )


def _uniformity(p: np.ndarray) -> float:
    ordered = np.sort(p)
    n = ordered.size
    above = np.arange(1, n + 1) / n - ordered
    below = ordered - np.arange(n) / n
    return float(special.kolmogorov(np.sqrt(n) * max(above.max(), below.max())))
