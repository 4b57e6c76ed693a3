"""Two reports side by side, user by user."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table, counted, number, span
from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.statistics.corrections import adjust
from siamrec.statistics.means import paired_difference
from siamrec.statistics.ranks import wilcoxon
from siamrec.statistics.resampling import sign_flips
from siamrec.statistics.tails import positive_p

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec._core.table import Cell
    from siamrec.data.vocabulary import Vocabulary
    from siamrec.metrics.estimate import Estimate, Pooled
    from siamrec.statistics.corrections import Correction
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray

TESTS = ("sign-flip", "t", "wilcoxon")


class PerUser(Protocol):
    """What a comparison reads of a report."""

    names: tuple[str, ...]
    users: Vocabulary
    confidence: float

    def __getitem__(self, name: str, /) -> Estimate:
        """Return one metric."""

    @property
    def per_user_names(self) -> tuple[str, ...]:
        """Names of the metrics that have per-user values."""

    def per_user(self, name: str) -> FloatArray:
        """Return the values of one metric in the order of `users`."""

    def pooled(self, name: str) -> Pooled:
        """Return the sums behind a metric that is one number for all users."""

    def range(self, name: str) -> Range:
        """Return the least and the greatest value that a metric can have."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PairedComparison(Record):
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

    @override
    def title(self) -> str:
        interval = span(self.low, self.high)
        users = counted(self.n, "user")
        return f"{self.name}: difference {number(self.difference)} {interval} over {users}"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ReportComparison(Shown):
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

    @override
    def title(self) -> str:
        level = f"{self.confidence:.0%} intervals"
        return f"Comparison of two reports: {counted(len(self), 'metric')}, {level}"

    @override
    def table(self) -> Table:
        """Return one row for each metric."""
        return Table(
            head=_HEAD,
            rows=tuple(map(_row, self.rows)),
            title=self.title(),
            notes=(f"test: {self.test}, correction: {self.correction}",),
        )

    def to_latex(self) -> str:
        """Return the differences as a LaTeX table (booktabs)."""
        return self.table().latex()


_HEAD = (
    *("metric", "mean", "baseline", "difference", "interval", "p", "log p", "adjusted p"),
    *("effect", "wins", "ties", "losses", "users"),
)


def _row(row: PairedComparison) -> tuple[Cell, ...]:
    values = (row.mean, row.baseline, row.difference, (row.low, row.high))
    judged = (row.p, row.log_p, row.adjusted_p, row.effect)
    return (row.name, *values, *judged, row.wins, row.ties, row.losses, row.n)


def difference_range(values: Range) -> Range:
    """Return the range of the difference between two quantities of one range."""
    low, high = values
    return low - high, high - low


def paired_values(first: PerUser, second: PerUser, name: str) -> tuple[FloatArray, FloatArray]:
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


def _pseudo_values(report: PerUser, name: str) -> FloatArray:
    pooled = report.pooled(name)
    left_out = pooled.left_out()
    n_groups = max(int(np.isfinite(left_out).sum()), 1)
    pseudo: FloatArray = n_groups * pooled.value() - (n_groups - 1) * left_out
    return pseudo


def compared(
    first: PerUser,
    second: PerUser,
    *,
    test: str,
    correction: Correction,
    seed: int,
    resamples: int,
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
    first: PerUser, second: PerUser, rows: list[PairedComparison], seed: int, resamples: int
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


def _difference(first: PerUser, second: PerUser, name: str, test: str) -> PairedComparison:
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
