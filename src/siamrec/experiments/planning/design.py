"""How many units an experiment needs, what it can see, how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.roots import root
from siamrec._core.table import Shown, Table, number
from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.experiments.analysis._effects import linearised
from siamrec.experiments.analysis._samples import samples_of
from siamrec.experiments.metrics import Count, Margin, Proportion
from siamrec.experiments.plan import Plan
from siamrec.experiments.planning._power import HYPOTHESES, AssumedEffect, Hypothesis, power_of
from siamrec.experiments.sequential._book import LOOKING_RULES

if TYPE_CHECKING:
    from siamrec._core.book import Named
    from siamrec.experiments.analysis._samples import Sample
    from siamrec.experiments.metrics import ExperimentMetric
    from siamrec.experiments.sequential.confidence_sequences import Sequence as LookingRule

_WITH_MARGIN = ("non-inferiority", "equivalence")
_MOST = 1e15


@final
class Design(Shown):
    """Size and power of a comparison of a treatment with the control.

    The estimate has the variance `(v_t / share + v_c / (1 - share)) / n`. For a `Proportion` the
    treatment's part is that of its own rate, `v_t = v_c p_t (1 - p_t) / (p_c (1 - p_c))` with
    `p_t` on the side that is better, and the two-sided test is the pooled one that analysis uses.
    A `Count` that varies more than Poisson's keeps its excess in proportion to the squared mean,
    `v_t = m_t + (v_c - m_c) (m_t / m_c)²`. Other metrics are taken to vary as much in the
    treatment as in the control.

    Hypotheses, with d the true difference in the direction that is better:

    - `"two-sided"` finds that d is not 0, where it is `mde`;
    - `"one-sided"` finds that d is above 0, where it is `mde`;
    - `"non-inferiority"` finds that d is above -margin, where it is `mde`, or 0 without;
    - `"equivalence"` finds that d is between -margin and margin, where it is `mde`, or 0 without.

    At a fixed horizon each is judged as analysis judges it. The one-sided hypothesis and each side
    of equivalence have the error alpha, as the tests `one_sided` and `equivalence` at alpha;
    non-inferiority is found where the interval at alpha stays within the margin, as
    `Comparison.safe` says and a plan decides, which has the error alpha / 2. With a looking rule
    each is judged by the rule's interval at alpha, equivalence at the last look.

    Args:
        metric: What is compared; its covariates reduce the variance as they will in analysis.
        baseline: The metric before the experiment: a frame with one row per unit (or several,
            with `unit`), or `Moments` of the metric's columns.
        mde: The least difference worth finding; needed but for the last two hypotheses.
        power: Probability of finding it, in (0, 1) and above alpha.
        alpha: Error rate, in (0, 1).
        share: Share of the treatment among the units of both variants, in (0, 1).
        n_comparisons: Comparisons among which alpha is shared (Bonferroni): k for k treatments
            against one control, where sizes are those of the control and one of them.
        sequential: Looking rule or its name; `GroupSequential` is counted exactly, with its
            futility where it has one, any other by its bound at the last look, which is on the
            safe side.
        unit: Column of the unit in `baseline`, where units repeat.
        hypothesis: What is to be found.
        margin: For the last two hypotheses; the metric's own when absent.

    Raises:
        InvalidDataError: If the baseline is constant, or has fewer than 2 units.
        InvalidParameterError: If a number is out of range, or a proportion would leave (0, 1).
        MissingInputError: If a hypothesis lacks its difference or its margin.
        UnknownNameError: If the hypothesis is not known.

    References:
        Fleiss, Levin, Paik (2003), Statistical Methods for Rates and Proportions, chapter 4;
        Jennison and Turnbull (2000), chapter 7, for the inflation of group-sequential designs;
        Schuirmann (1987) for equivalence.

    Examples:
        >>> from siamrec.experiments import Margin, Mean, Proportion
        >>> history = {"rating": np.tile([3.0, 5.0], 50)}
        >>> design = Design(metric=Mean("rating"), baseline=history, mde=Margin(absolute=0.1))
        >>> design.sample_size()
        3172
        >>> signed_up = {"signed_up": np.arange(1000) < 20}
        >>> same = Design(
        ...     metric=Proportion("signed_up"), baseline=signed_up,
        ...     hypothesis="non-inferiority", margin=Margin(absolute=0.005),
        ... )
        >>> same.sample_size()
        24639
    """

    def __init__(
        self,
        *,
        metric: ExperimentMetric,
        baseline: object | Moments,
        mde: Margin | None = None,
        power: float = 0.8,
        alpha: float = 0.05,
        share: float = 0.5,
        n_comparisons: int = 1,
        sequential: LookingRule | Named | None = None,
        unit: str | None = None,
        hypothesis: Hypothesis = "two-sided",
        margin: Margin | None = None,
    ) -> None:
        check.share("alpha", alpha, open_ends=True)
        self._alpha = alpha / check.count("n_comparisons", n_comparisons)
        if check.share("power", power, open_ends=True) <= self._alpha:
            raise InvalidParameterError("power", power, f"above alpha, {self._alpha:g}")
        self._power = power
        self._share = check.share("share", share, open_ends=True)
        self._rule = None if sequential is None else LOOKING_RULES.make(sequential)
        self._hypothesis: Hypothesis = hypothesis
        check.one_of("hypothesis", hypothesis, HYPOTHESES)
        self._history = _history_of(metric, baseline, unit)
        self._effect = self._size_of("mde", mde)
        self._margin = 0.0
        if hypothesis in _WITH_MARGIN:
            self._margin = self._size_of("margin", metric.margin if margin is None else margin)
        elif margin is not None:
            raise InvalidParameterError("margin", margin, f"left out of a {hypothesis} hypothesis")
        if hypothesis == "equivalence" and self._effect >= self._margin:
            raise InvalidParameterError("mde", mde, "within the margin of equivalence")
        if self._effect >= self._history.room:
            value = self._history.value
            raise InvalidParameterError(
                "mde", mde, f"less than leads from {value:g} out of {self._history.span}"
            )

    @override
    def title(self) -> str:
        power = f"power {number(self._power)} at alpha {number(self._alpha)}"
        return f"Design ({self._hypothesis}): {power}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "hypothesis": self._hypothesis,
            "power": self._power,
            "alpha": self._alpha,
            "share of the treatment": self._share,
            "least difference": self._effect,
            "margin": self._margin,
            "looking rule": self._rule,
            "units needed": self.sample_size(),
        }
        return Table.of(self.title(), facts)

    @property
    def deviation(self) -> float:
        """Standard deviation of the metric per unit, after adjustment by its covariates."""
        return self._history.deviation

    @property
    def variance_reduction(self) -> float:
        """Share of variance that the covariates take away; as much of the units is saved."""
        return self._history.reduction

    def sample_size(self) -> int:
        """Return the units of both variants together that find the difference with the power.

        Raises:
            InvalidParameterError: If no number of units below 1e15 does.
        """

        def gap(log_n: float) -> float:
            return self.power(float(np.exp(log_n))) - self._power

        low, high = float(np.log(5.0)), float(np.log(_MOST))
        if gap(high) < 0:
            size = self._margin or self._effect
            raise InvalidParameterError("mde", size, f"found by at most {_MOST:g} units")
        if gap(low) >= 0:
            return 5
        size = float(np.exp(root(gap, low, high, xtol=1e-10)))
        return int(np.ceil(round(size, 6)))

    def power(self, n: float) -> float:
        """Return the probability of finding the difference with n units of both variants.

        Raises:
            InvalidParameterError: If n is not above 4.
        """
        return self._power_of(self._effect, self._margin, n)

    def mde(self, n: float) -> float:
        """Return the least difference that n units of both variants find with the power.

        For non-inferiority and equivalence it is the least margin.

        Raises:
            InvalidParameterError: If n is not above 4, or finds no difference that a proportion
                can have.
        """
        margins = self._hypothesis in _WITH_MARGIN
        low = self._effect if margins else 0.0
        room = np.inf if margins else self._history.room * (1 - 1e-12)

        def gap(size: float) -> float:
            at = (self._effect, size) if margins else (size, 0.0)
            return self._power_of(*at, n) - self._power

        step = min(self.deviation, (room - low) / 2)
        while gap(low + step) < 0 and low + step < room:
            step = min(step * 2, room - low)
        if gap(low + step) < 0:
            leads = f"leads from {self._history.value:g} into {self._history.span}"
            expected = f"enough for a difference that {leads}"
            raise InvalidParameterError("n", n, expected)
        least = low + step * 1e-12
        if gap(least) >= 0:  # non-inferiority of what is better by far needs no margin
            return low
        return root(gap, least, low + step, xtol=step * 1e-10)

    def duration(self, daily_units: float, *, whole_weeks: bool = True) -> int:
        """Return the days until `sample_size` units have come.

        Args:
            daily_units: Units of both variants per day, above 0.
            whole_weeks: Whether to round up to weeks, so that every weekday counts alike.

        Raises:
            InvalidParameterError: If `daily_units` is not above 0.
        """
        days = int(np.ceil(self.sample_size() / check.positive("daily_units", daily_units)))
        return -(-days // 7) * 7 if whole_weeks else days

    def _size_of(self, name: str, given: Margin | None) -> float:
        """Return a difference in the unit of the metric; 0 where none is given nor needed."""
        if given is None:
            if name == "mde" and self._hypothesis in _WITH_MARGIN:
                return 0.0
            raise MissingInputError(name, f"{name}=Margin(relative=0.02)")
        if not isinstance(given, Margin):
            raise InvalidParameterError(name, given, "a Margin, as in Margin(relative=0.02)")
        size = given.size(baseline=self._history.value)
        if size <= 0:
            raise InvalidParameterError(name, given, "above 0 for this baseline")
        return size

    def _power_of(self, effect: float, margin: float, n: float) -> float:
        if not n > 4:
            raise InvalidParameterError("n", n, "above 4")
        history, share = self._history, self._share
        own, other = history.variance(effect), history.deviation**2
        variance = own / share + other / (1 - share)
        scale, freedom = 1.0, n - 2
        if history.pooled and self._hypothesis == "two-sided":
            pooled = history.variance(share * effect)  # at the rate of both variants together
            scale = float(np.sqrt(pooled / (share * (1 - share)) / variance))
            freedom = np.inf
        error = float(np.sqrt(variance / n))
        truth = AssumedEffect(
            lead=(effect + margin) / error,
            room=(margin - effect) / error,
            scale=scale,
            n=n,
            freedom=freedom,
        )
        return power_of(truth, self._hypothesis, self._alpha, self._rule)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What the baseline says of the metric.

    Attributes:
        value: Its value.
        deviation: Its standard deviation per unit, after adjustment by covariates.
        reduction: Share of variance that covariates took away.
        room: How far it can rise in the direction that is better.
        sign: 1 or -1 where higher or lower is better.
        law: How the variance follows the value, if it does.
        pooled: Whether analysis tests it by pooled rates.
    """

    value: float
    deviation: float
    reduction: float
    room: float
    sign: int
    law: Literal["proportion", "count", "none"]
    pooled: bool

    @property
    def span(self) -> str:
        """Values that the metric can have."""
        return "(0, 1)" if self.law == "proportion" else "the numbers above 0"

    def variance(self, effect: float) -> float:
        """Return the variance per unit where the metric is better by an effect."""
        if self.law == "none":
            return self.deviation**2
        moved = self.value + self.sign * effect
        if self.law == "proportion":
            return self.deviation**2 * moved * (1 - moved) / (self.value * (1 - self.value))
        plain = self.deviation**2 / (1 - self.reduction)
        share = max(1 - self.value / plain, 0.0)  # of the variance that is not Poisson's
        grown = moved / self.value
        return self.deviation**2 * (share * grown**2 + (1 - share) * grown)


def _history_of(metric: ExperimentMetric, baseline: object, unit: str | None) -> _History:
    plan = Plan(metrics=[metric])
    if isinstance(baseline, Moments):
        found = samples_of({"all": baseline}, plan, variant="", unit=None, strata=None)
    else:
        from siamrec.data.frames import table_of  # pyarrow only where needed

        table = table_of(baseline)
        marked = table.append_column("#variant", [["all"] * table.num_rows])
        found = samples_of(marked, plan, variant="#variant", unit=unit, strata=None)
    sample = found[""]
    moments = sample.moments[metric.name][0]
    if moments.n < 2:
        raise InvalidDataError(
            f"The baseline of {metric.name} must have 2 units or more with the metric, "
            f"got {moments.n}."
        )
    values, covariance = linearised(moments, sample.terms(metric))
    plain = variance = float(covariance[0, 0])
    if len(values) > 1:
        inner = np.linalg.pinv(covariance[1:, 1:], rcond=1e-10)
        variance -= float(covariance[0, 1:] @ inner @ covariance[1:, 0])
    if variance <= 0:
        what = " beyond what its covariates say" if plain > 0 else ""
        raise InvalidDataError(f"The baseline of {metric.name} must vary{what}.")
    value = float(values[0]) + sample.shifts.get(metric.name, 0.0)
    law = _law_of(metric, sample)
    room = np.inf if law == "none" or (law == "count" and metric.sign > 0) else value
    if law == "proportion" and metric.sign > 0:
        room = 1 - value
    return _History(
        value=value,
        deviation=float(np.sqrt(variance)),
        reduction=1 - variance / plain,
        room=room,
        sign=metric.sign,
        law=law,
        pooled=law == "proportion" and not metric.covariates and not sample.clustered,
    )


def _law_of(metric: ExperimentMetric, sample: Sample) -> Literal["proportion", "count", "none"]:
    if isinstance(metric, Proportion):
        return "proportion"
    return "count" if isinstance(metric, Count) and not sample.clustered else "none"
