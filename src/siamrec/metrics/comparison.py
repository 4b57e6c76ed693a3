"""Two reports side by side, user by user."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.metrics import _render
from siamrec.statistics.corrections import adjust
from siamrec.statistics.means import paired_difference
from siamrec.statistics.ranks import wilcoxon
from siamrec.statistics.resampling import sign_flips
from siamrec.statistics.tails import positive_p

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.metrics.report import Report
    from siamrec.statistics.corrections import Correction
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray

TESTS = ("sign-flip", "t", "wilcoxon")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """One metric in two reports.

    Args:
        name: Name of the metric.
        mean: Mean in the first report, over the shared users.
        baseline: Mean in the second report, over the shared users.
        difference: First less second.
        low: Lower bound of Student's paired interval of the difference.
        high: Upper bound.
        p: Two-sided p-value, above 0.
        log_p: Its natural logarithm.
        adjusted_p: p-value after the correction over all metrics.
        effect: Mean difference in standard deviations of the differences (Cohen's d_z); 0 where
            nothing differs.
        wins: Users for whom the first report is higher.
        ties: Users for whom both are equal.
        losses: Users for whom the second report is higher.
        n: Number of shared users for whom the metric is defined in both.
    """

    name: str
    mean: float
    baseline: float
    difference: float
    low: float
    high: float
    p: float
    log_p: float
    adjusted_p: float
    effect: float
    wins: int
    ties: int
    losses: int
    n: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReportComparison:
    """The differences between two reports, metric by metric.

    Args:
        rows: One difference for each metric that both reports have.
        test: The test behind the p-values.
        correction: The correction behind the adjusted p-values.
        confidence: Level of the intervals.
    """

    rows: tuple[PairedComparison, ...]
    test: str
    correction: str
    confidence: float

    def __iter__(self) -> Iterator[PairedComparison]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> PairedComparison:
        for row in self.rows:
            if row.name == name:
                return row
        raise UnknownNameError("metric of this comparison", name, [r.name for r in self.rows])

    def to_markdown(self) -> str:
        """Return the differences as a Markdown table."""
        return _render.table_of(_HEAD, [_cells(row) for row in self.rows])

    def to_latex(self) -> str:
        """Return the differences as a LaTeX table (booktabs)."""
        head = " & ".join(map(_render.latex_safe, _HEAD)) + r" \\"
        lines = [r"\begin{tabular}{l" + "r" * (len(_HEAD) - 1) + "}", r"\toprule", head]
        lines.append(r"\midrule")
        lines += [" & ".join(map(_render.latex_safe, _cells(row))) + r" \\" for row in self.rows]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

    def to_json(self) -> str:
        """Return the differences as JSON; what is not finite becomes null."""
        rows = [
            {
                name: _render.finite(value) if isinstance(value, float) else value
                for name, value in ((field, getattr(row, field)) for field in row.__slots__)
            }
            for row in self.rows
        ]
        head = {"test": self.test, "correction": self.correction, "confidence": self.confidence}
        return json.dumps({**head, "rows": rows})


_HEAD = ("metric", "mean", "baseline", "difference", "low", "high", "p", "adjusted p", "w/t/l")


def _cells(row: PairedComparison) -> list[str]:
    values = (row.mean, row.baseline, row.difference, row.low, row.high, row.p, row.adjusted_p)
    record = f"{row.wins}/{row.ties}/{row.losses}"
    return [row.name, *map(_render.number, values), record]


def difference_range(values: Range) -> Range:
    """Return the range of the difference between two quantities of one range."""
    low, high = values
    return low - high, high - low


def paired_values(first: Report, second: Report, name: str) -> tuple[FloatArray, FloatArray]:
    """Return the values of the users whom both reports have, in one order.

    A pooled metric gives the pseudo-values of its jackknife: one for each group of users, the
    same groups in both reports.

    Raises:
        siamrec.errors.InvalidDataError: If the reports share no user.
    """
    if name not in first.per_user_names:
        return _pseudo_values(first, name), _pseudo_values(second, name)
    own, others = first.per_user(name), second.per_user(name)
    if first.users.ids == second.users.ids:
        return own, others
    place = first.users.translate(second.users)
    shared = place >= 0
    if not shared.any():
        raise InvalidDataError("The reports must share users, got none in common.")
    return own[shared], others[place[shared]]


def _pseudo_values(report: Report, name: str) -> FloatArray:
    pooled = report.pooled(name)
    left_out = pooled.left_out()
    n_groups = max(int(np.isfinite(left_out).sum()), 1)
    pseudo: FloatArray = n_groups * pooled.value() - (n_groups - 1) * left_out
    return pseudo


def compared(
    first: Report, second: Report, *, test: str, correction: Correction, seed: int, resamples: int
) -> ReportComparison:
    """Return the differences of all metrics that both reports have.

    Raises:
        siamrec.errors.UnknownNameError: If the test or the correction is unknown, or the reports
            share no metric.
        siamrec.errors.InvalidDataError: If the reports share no user.
    """
    check.one_of("test", test, TESTS)
    names = [name for name in first.names if name in second.names]
    if not names:
        raise UnknownNameError("metric of the other report", first.names[0], second.names)
    rows = [_difference(first, second, name, test) for name in names]
    if test == "sign-flip":
        rows = _with_sign_flips(first, second, rows, seed, resamples)
    fixed = adjust(np.array([positive_p(row.log_p)[0] for row in rows]), correction).tolist()
    return ReportComparison(
        rows=tuple(replace(row, adjusted_p=p) for row, p in zip(rows, fixed, strict=True)),
        test=test,
        correction=correction,
        confidence=first.confidence,
    )


def _with_sign_flips(
    first: Report, second: Report, rows: list[PairedComparison], seed: int, resamples: int
) -> list[PairedComparison]:
    """Return the rows with the p-values of sign flips, the same signs for every metric."""
    names = [row.name for row in rows if row.name in first.per_user_names]
    if not names:
        return rows
    pairs = [paired_values(first, second, name) for name in names]
    table = np.column_stack([np.nan_to_num(own - others) for own, others in pairs])
    chance = np.random.default_rng(seed)
    values = sign_flips(table, rng=chance, resamples=resamples)
    found = dict(zip(names, values.tolist(), strict=True))
    return [
        replace(row, p=found[row.name], log_p=math.log(found[row.name]))
        if row.name in found
        else row
        for row in rows
    ]


def _difference(first: Report, second: Report, name: str, test: str) -> PairedComparison:
    own, others = paired_values(first, second, name)
    both = ~np.isnan(own) & ~np.isnan(others)
    own, others = own[both], others[both]
    per_user = name in first.per_user_names
    within = difference_range(first.range(name))
    paired = paired_difference(own, others, confidence=first.confidence, within=within)
    moved = own - others
    spread = float(moved.std(ddof=1)) if moved.size > 1 else 0.0
    p, log_p = paired.p, paired.log_p
    if test == "wilcoxon" and per_user:
        p = wilcoxon(moved)
        log_p = math.log(p)
    return PairedComparison(
        name=name,
        mean=float(own.mean()) if per_user else first[name].mean,
        baseline=float(others.mean()) if per_user else second[name].mean,
        difference=paired.mean,
        low=paired.low,
        high=paired.high,
        p=p,
        log_p=log_p,
        adjusted_p=p,
        effect=paired.mean / spread if spread > 0 else 0.0,
        wins=int((moved > 0).sum()),
        ties=int((moved == 0).sum()),
        losses=int((moved < 0).sum()),
        n=moved.size,
    )
