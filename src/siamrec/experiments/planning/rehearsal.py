"""Experiments rehearsed on history: A/A checks, and power where an effect was added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.chance import Chance, generator
from siamrec._core.table import Record, counted, number
from siamrec.data.frames import table_of
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.executors import Here
from siamrec.experiments.analysis.analysis import analyze
from siamrec.experiments.analysis.observations import Observations
from siamrec.experiments.metrics import ExperimentMetric, Margin, Proportion, Quantile
from siamrec.experiments.plan import Plan
from siamrec.statistics import wilson

if TYPE_CHECKING:
    from siamrec.protocols import Executor
    from siamrec.typing import BoolArray, FloatArray, IntArray

_VARIANT, _UNIT = "#variant", "#unit"


@final
@dataclass(frozen=True, slots=True, repr=False)
class NullReport(Record):
    """What an analysis finds where there is nothing.

    Attributes:
        n_runs: Number of random splits.
        significant: For each metric, the share of comparisons with a p-value below alpha.
        uniformity: For each metric, the Kolmogorov-Smirnov p-value against uniform p-values
            of the fixed-horizon test; below 0.001 the test does not fit the data.
        coverage: For each metric, the share of intervals that hold 0.
    """

    n_runs: int
    significant: Mapping[str, float]
    uniformity: Mapping[str, float]
    coverage: Mapping[str, float]

    @override
    def title(self) -> str:
        found = self.significant.items()
        told = ", ".join(f"{name} {number(share)}" for name, share in found)
        return f"Significant in {counted(self.n_runs, 'split')} of nothing: {told}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class PowerReport(Record):
    """How often a plan finds an effect that was added to history.

    Attributes:
        n_runs: Number of experiments rehearsed.
        n: Units of all variants in each of them.
        found: For each metric with an effect, the share of experiments that found it: the
            difference had the better direction and its corrected p-value was at most alpha.
        interval: Wilson's 95 % interval of that share.
        safe: For each guardrail, the share of experiments in which it was certain not to be worse
            by more than its margin (non-inferiority).
        decisions: The share of experiments that ended with each decision.
    """

    n_runs: int
    n: int
    found: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]
    safe: Mapping[str, float]
    decisions: Mapping[str, float]

    @override
    def title(self) -> str:
        told = ", ".join(f"{name} {number(share)}" for name, share in self.found.items())
        return f"Found in {counted(self.n_runs, 'rehearsal')} of {self.n:,} units: {told}"


def null_check(
    history: object,
    plan: Plan,
    *,
    rng: Chance,
    n_runs: int = 200,
    unit: str | None = None,
    control: str = "control",
    executor: Executor | None = None,
) -> NullReport:
    """Run A/A experiments on history: split units at random and analyse, again and again.

    Args:
        history: A frame with the columns of the plan's metrics; one row per unit, unless `unit`
            is given.
        plan: The plan; its corrections are left out, each metric is judged alone at alpha. Its
            variants are those of `shares`, or a control and a treatment of one half each.
        rng: Source of chance.
        n_runs: Number of splits, at least 20.
        unit: Column of the unit, where units repeat or a metric has a `CrossFitted` covariate.
        control: Name of the control among the plan's shares.
        executor: Where the splits are analysed; one after the other when absent. The result is
            the same.

    Raises:
        InvalidDataError: If there are fewer than 4 units.
        InvalidParameterError: If there are fewer than 20 splits.
        MissingInputError: If a metric has a cross-fitted covariate, and no unit is named.
        UnknownNameError: If a column is missing, or the shares have no such control.

    Examples:
        >>> from siamrec.experiments import Mean, Plan
        >>> rng = np.random.default_rng(1)
        >>> found = null_check({"y": rng.normal(size=400)}, Plan(metrics=[Mean("y")]), rng=rng)
        >>> found.significant["y"] < 0.12, found.coverage["y"] > 0.88
        (True, True)
    """
    rng = generator(rng)
    check.count("n_runs", n_runs, least=20)
    past = _History.of(history, plan, unit)
    names, edges = _variants(plan, control)
    alone = replace(plan, correction="none", stratum_shares=None)
    metrics = list(plan.by_name)
    split = partial(_split, past, alone, names=names, edges=edges, control=control)
    runs = (Here() if executor is None else executor).map(split, rng.spawn(n_runs))
    fixed, p, held = map(np.array, zip(*runs, strict=True))
    return NullReport(
        n_runs,
        dict(zip(metrics, (p < plan.alpha).mean(axis=(0, 2)).tolist(), strict=True)),
        {name: _uniformity(fixed[:, column]) for column, name in enumerate(metrics)},
        dict(zip(metrics, held.mean(axis=(0, 2)).tolist(), strict=True)),
    )


def _split(
    past: _History,
    plan: Plan,
    rng: np.random.Generator,
    *,
    names: np.ndarray,
    edges: FloatArray,
    control: str,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Analyse one random split: p at a fixed horizon by metric, p and coverage by treatment."""
    frame, codes = past.drawn(np.arange(past.n_units), edges, rng)
    frame[_VARIANT] = names[codes]
    report = analyze(frame, plan, variant=_VARIANT, unit=past.unit, control=control)
    found = [[report[name, each].absolute for each in report.treatments] for name in plan.by_name]
    return (
        np.array([report[name].fixed.p for name in plan.by_name]),
        np.array([[each.p for each in row] for row in found]),
        np.array([[each.interval[0] <= 0 <= each.interval[1] for each in row] for row in found]),
    )


def simulate_power(
    history: object,
    plan: Plan,
    *,
    lift: Margin | Mapping[str, Margin],
    rng: Chance,
    n: int | None = None,
    n_runs: int = 200,
    unit: str | None = None,
    control: str = "control",
    executor: Executor | None = None,
) -> PowerReport:
    """Rehearse an experiment on historical rows, with an effect added to the treatment.

    In every run, units are drawn from history, shared among the variants at random and analysed
    by the plan. No formula and no normal distribution comes in: tails, repeated units, missing
    values, caps, covariates and corrections are those of the data and the plan. The effect is
    added in the direction that is better: an absolute one to every value, a relative one as a
    factor, for a ratio to the numerator; of a proportion, as many rows change as it takes. Where
    the shares name several treatments, the first by name has the effect.

    Args:
        history: A frame with the columns of the plan's metrics; one row per unit, unless `unit`
            is given.
        plan: The plan. Its variants are those of `shares`, or a control and a treatment of one
            half each.
        lift: The effect on the first primary metric, or on each metric that is named.
        rng: Source of chance.
        n: Units of all variants in each run; those of the history when absent. As long as there
            are enough, units are drawn without replacement.
        n_runs: Number of runs, at least 20.
        unit: Column of the unit, where units repeat or a metric has a `CrossFitted` covariate.
        control: Name of the control among the plan's shares.
        executor: Where the runs are rehearsed; one after the other when absent. The result is
            the same.

    Raises:
        InvalidDataError: If there are fewer than 4 units.
        InvalidParameterError: If a number is out of range, the plan has no primary metric and none
            is named, or a proportion would leave [0, 1].
        MissingInputError: If a metric has a cross-fitted covariate, and no unit is named.
        UnknownNameError: If a column or a metric is missing, or the shares have no such control.

    Examples:
        >>> from siamrec.experiments import Margin, Mean, Plan
        >>> rng = np.random.default_rng(1)
        >>> past = {"minutes": rng.lognormal(1, 1, 3000)}
        >>> found = simulate_power(
        ...     past, Plan(metrics=[Mean("minutes")]), lift=Margin(relative=0.15), n=2000, rng=rng
        ... )
        >>> found.interval["minutes"][0] < found.found["minutes"] < found.interval["minutes"][1]
        True
    """
    rng = generator(rng)
    check.count("n_runs", n_runs, least=20)
    past = _History.of(history, plan, unit)
    size = past.n_units if n is None else check.count("n", n, least=4)
    names, edges = _variants(plan, control)
    treated = min(set(names.tolist()) - {control})
    lifts = _lifts(plan, lift)
    guardrails = [metric.name for metric in plan.metrics if metric.role == "guardrail"]
    rehearsed = partial(
        _rehearsed,
        past,
        replace(plan, stratum_shares=None),
        lifts,
        size=size,
        names=names,
        edges=edges,
        treated=treated,
        control=control,
    )
    wins, safe, decisions = Counter[str](), Counter[str](), Counter[str]()
    for decision, won, kept in (Here() if executor is None else executor).map(
        rehearsed, rng.spawn(n_runs)
    ):
        decisions[decision] += 1
        wins.update(won)
        safe.update(kept)
    return PowerReport(
        n_runs,
        size,
        {name: wins[name] / n_runs for name in lifts},
        {name: wilson(wins[name], n_runs) for name in lifts},
        {name: safe[name] / n_runs for name in guardrails},
        {name: count / n_runs for name, count in sorted(decisions.items())},
    )


def _rehearsed(
    past: _History,
    plan: Plan,
    lifts: Mapping[str, Margin],
    rng: np.random.Generator,
    *,
    size: int,
    names: np.ndarray,
    edges: FloatArray,
    treated: str,
    control: str,
) -> tuple[str, list[str], list[str]]:
    """Rehearse once: the decision, the metrics that won, and the guardrails that are safe."""
    more = size > past.n_units
    units = rng.integers(0, past.n_units, size) if more else rng.permutation(past.n_units)[:size]
    frame, codes = past.drawn(units, edges, rng)
    frame[_VARIANT] = variants = names[codes]
    for name, margin in lifts.items():
        _add(frame, variants == treated, plan.by_name[name], margin, past=past, rng=rng)
    report = analyze(frame, plan, variant=_VARIANT, unit=past.unit, control=control)
    found = {name: report[name, treated] for name in plan.by_name}
    guardrails = (metric.name for metric in plan.metrics if metric.role == "guardrail")
    return (
        report.decision,
        [n for n in lifts if found[n].improvement > 0 and found[n].adjusted_p <= plan.alpha],
        [name for name in guardrails if found[name].safe],
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """The columns of history, with the rows of each unit side by side.

    Attributes:
        columns: Each metric's columns.
        starts: First row of each unit, and the end.
        unit: Name of the column of units in what is drawn; None where rows are units.
    """

    columns: Mapping[str, FloatArray]
    starts: IntArray
    unit: str | None

    @classmethod
    def of(cls, history: object, plan: Plan, unit: str | None) -> _History:
        check.kind("plan", plan, Plan)
        table = table_of(history)
        marked = table.append_column(_VARIANT, [["all"] * table.num_rows])
        rows = Observations.read(marked, plan.columns, variant=_VARIANT, unit=unit)
        columns, starts = rows.numbers, np.arange(len(rows) + 1)
        if rows.unit is not None:
            order = np.argsort(rows.unit, kind="stable")
            columns = {name: values[order] for name, values in columns.items()}
            starts = np.append(np.flatnonzero(np.diff(rows.unit[order], prepend=-1)), len(rows))
        if starts.size - 1 < 4:
            what = "rows" if unit is None else "units"
            raise InvalidDataError(
                f"The history must have 4 {what} or more, got {starts.size - 1}."
            )
        return cls(columns=columns, starts=starts, unit=None if unit is None else _UNIT)

    @property
    def n_units(self) -> int:
        return int(self.starts.size - 1)

    def drawn(
        self, units: IntArray, edges: FloatArray, rng: np.random.Generator
    ) -> tuple[dict[str, FloatArray | IntArray], IntArray]:
        """Return the rows of some units, each drawn one a unit of its own, and their variants."""
        n = units.size
        codes = np.searchsorted(edges, (rng.permutation(n) + 0.5) / n)
        if self.unit is None:
            return {name: values[units] for name, values in self.columns.items()}, codes
        sizes = np.diff(self.starts)[units]
        ends = np.cumsum(sizes)
        rows = np.arange(ends[-1]) + np.repeat(self.starts[units] - (ends - sizes), sizes)
        frame: dict[str, FloatArray | IntArray] = {
            name: values[rows] for name, values in self.columns.items()
        }
        frame[self.unit] = place = np.repeat(np.arange(n), sizes)
        return frame, codes[place]


def _variants(plan: Plan, control: str) -> tuple[np.ndarray, FloatArray]:
    """Return the names of the variants and the ends of their shares of [0, 1]."""
    shares = plan.shares
    if shares is None:
        other = "treatment" if control != "treatment" else "other"
        shares = {control: 0.5, other: 0.5}
    if control not in shares:
        raise UnknownNameError("variant (control)", control, shares)
    names = [name for name in shares if shares[name] > 0]
    if len(names) < 2:
        raise InvalidParameterError("shares", dict(shares), "two shares above 0 or more")
    return np.array(names), np.cumsum([shares[name] for name in names][:-1])


def _lifts(plan: Plan, lift: Margin | Mapping[str, Margin]) -> Mapping[str, Margin]:
    if isinstance(lift, Margin):
        primary = [metric.name for metric in plan.metrics if metric.role == "primary"]
        if not primary:
            raise InvalidParameterError("lift", lift, "by metric, as there is no primary one")
        return {primary[0]: lift}
    named: object = lift
    if not isinstance(named, Mapping) or not named:
        raise InvalidParameterError("lift", lift, "a Margin, or one for each metric named")
    for name in lift:
        check.one_of("metric", name, plan.by_name)
    return lift


def _add(
    frame: dict[str, FloatArray | IntArray],
    treated: BoolArray,
    metric: ExperimentMetric,
    margin: Margin,
    *,
    past: _History,
    rng: np.random.Generator,
) -> None:
    """Add an effect to the treated rows, in the direction that is better."""
    top, below = metric.outcome
    values = np.array(frame[top], dtype=np.float64)
    whole_top = past.columns[top]
    if metric.missing == "zero":
        values, whole_top = np.nan_to_num(values), np.nan_to_num(whole_top)
    if isinstance(metric, Proportion):
        rate = float(np.nanmean(whole_top))
        share = margin.size(baseline=rate) / (1 - rate if metric.sign > 0 else rate)
        if not share <= 1:
            raise InvalidParameterError("lift", margin, f"one that leaves {rate:g} in [0, 1]")
        changes = treated & (values == (metric.sign < 0)) & (rng.random(values.size) < share)
        values[changes] = float(metric.sign > 0)
    elif margin.relative is not None:
        level = np.nanmean(whole_top)
        if isinstance(metric, Quantile):
            level = np.nanquantile(whole_top, metric.q)
        values[treated] *= 1 + metric.sign * margin.relative * np.sign(level)
    else:
        step = metric.sign * (margin.absolute or 0.0)
        values[treated] += step if below is None else step * frame[below][treated]
    frame[top] = values


def _uniformity(p: FloatArray) -> float:
    ordered = np.sort(p)
    n = ordered.size
    above = np.arange(1, n + 1) / n - ordered
    below = ordered - np.arange(n) / n
    return float(special.kolmogorov(np.sqrt(n) * max(above.max(), below.max())))
