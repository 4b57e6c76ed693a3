"""How many units an experiment needs, what it can see, how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from scipy import optimize, special

from siamrec._core import check
from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments._effects import linearised
from siamrec.experiments._sample import sample_of
from siamrec.experiments.group_sequential import GroupSequential
from siamrec.experiments.plan import Plan

if TYPE_CHECKING:
    from siamrec.experiments.metrics import Margin, Metric
    from siamrec.experiments.sequential import Sequence as LookingRule

_MOST = 1e15
_SMALL_SAMPLE = 2000.0
"""Degrees of freedom up to which the noncentral t distribution is used."""


@final
class Design:
    """Size and power of a comparison of a treatment with the control.

    Args:
        metric: What is compared; its covariates reduce the variance as they will in analysis.
        baseline: The metric before the experiment: a frame with one row per unit (or several,
            with `unit`), or `Moments` of the metric's columns.
        mde: The least difference worth finding.
        power: Probability of finding it, in (0, 1).
        alpha: Error rate, two-sided, in (0, 1).
        share: Share of the treatment among the units of both variants, in (0, 1).
        n_comparisons: Comparisons among which alpha is shared (Bonferroni).
        sequential: Looking rule; `GroupSequential` is counted exactly, with its futility where it
            has one, any other by its bound at the last look, which is on the safe side.
        unit: Column of the unit in `baseline`, where units repeat.

    Raises:
        InvalidDataError: If the baseline is constant.
        InvalidParameterError: If a number is out of range.

    References:
        Jennison and Turnbull (2000), chapter 7, for the inflation of group-sequential designs.

    Examples:
        >>> from siamrec.experiments import Margin, Mean
        >>> history = {"rating": np.tile([3.0, 5.0], 50)}
        >>> design = Design(metric=Mean("rating"), baseline=history, mde=Margin(absolute=0.1))
        >>> design.sample_size()
        3172
    """

    def __init__(
        self,
        *,
        metric: Metric,
        baseline: object | Moments,
        mde: Margin,
        power: float = 0.8,
        alpha: float = 0.05,
        share: float = 0.5,
        n_comparisons: int = 1,
        sequential: LookingRule | None = None,
        unit: str | None = None,
    ) -> None:
        self._power = check.share("power", power, open_ends=True)
        check.share("alpha", alpha, open_ends=True)
        self._alpha = alpha / check.count("n_comparisons", n_comparisons)
        self._share = check.share("share", share, open_ends=True)
        self._rule = sequential
        self._value, self._deviation = _spread(metric, baseline, unit)
        self._effect = mde.size(baseline=self._value)
        if self._effect <= 0:
            raise InvalidParameterError("mde", mde, "above 0 for this baseline")

    @property
    def deviation(self) -> float:
        """Standard deviation of the metric per unit, after adjustment by its covariates."""
        return self._deviation

    def sample_size(self) -> int:
        """Return the units of both variants together that find the difference with the power.

        Raises:
            InvalidParameterError: If no number of units below 1e15 does.
        """
        return self._size(self._effect)

    def power(self, n: float) -> float:
        """Return the probability of finding the difference with n units of both variants.

        Raises:
            InvalidParameterError: If n is not above 4.
        """
        return self._power_of(self._effect, n)

    def mde(self, n: float) -> float:
        """Return the least difference that n units of both variants find with the power.

        Raises:
            InvalidParameterError: If n is not above 4.
        """
        high = self._deviation
        while self._power_of(high, n) < self._power:
            high *= 2
        gap = lambda size: self._power_of(size, n) - self._power  # noqa: E731
        return float(optimize.brentq(gap, high * 1e-12, high, xtol=high * 1e-10))

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

    def _size(self, effect: float) -> int:
        def gap(log_n: float) -> float:
            return self._power_of(effect, float(np.exp(log_n))) - self._power

        low, high = float(np.log(5.0)), float(np.log(_MOST))
        if gap(high) < 0:
            raise InvalidParameterError("mde", effect, f"found by at most {_MOST:g} units")
        if gap(low) >= 0:
            return 5
        root = float(np.exp(optimize.brentq(gap, low, high, xtol=1e-10)))
        return int(np.ceil(round(root, 6)))

    def _power_of(self, effect: float, n: float) -> float:
        if not n > 4:  # noqa: PLR2004
            raise InvalidParameterError("n", n, "above 4")
        spread = self._share * (1 - self._share)
        drift = abs(effect) / self._deviation * np.sqrt(n * spread)
        if isinstance(self._rule, GroupSequential):
            return self._rule.power(drift, self._alpha)
        if self._rule is not None:
            reach = self._rule.multiplier(n, self._alpha)
            return float(special.ndtr(drift - reach))
        freedom = n - 2
        if freedom > _SMALL_SAMPLE:
            reach = float(special.ndtri(1 - self._alpha / 2))
            return float(special.ndtr(drift - reach) + special.ndtr(-drift - reach))
        reach = float(special.stdtrit(freedom, 1 - self._alpha / 2))
        found = 1 - special.nctdtr(freedom, drift, reach) + special.nctdtr(freedom, drift, -reach)
        return float(found) if np.isfinite(found) else 1.0


def _spread(metric: Metric, baseline: object, unit: str | None) -> tuple[float, float]:
    """Return the value and the deviation per unit, after adjustment by covariates."""
    plan = Plan(metrics=[metric])
    frame: object
    if isinstance(baseline, Moments):
        frame = {"all": baseline}
        sample = sample_of(frame, plan, "", None)
    else:
        from siamrec.data.frames import table_of  # noqa: PLC0415 - pyarrow only where needed

        table = table_of(baseline)
        marked = table.append_column("#variant", [["all"] * table.num_rows])
        sample = sample_of(marked, plan, "#variant", unit)
    values, covariance = linearised(sample.moments[metric.name][0], sample.terms(metric))
    variance = float(covariance[0, 0])
    if len(values) > 1:
        inner = np.linalg.pinv(covariance[1:, 1:], rcond=1e-10)
        variance -= float(covariance[0, 1:] @ inner @ covariance[1:, 0])
    if variance <= 0:
        raise InvalidDataError(f"The baseline of {metric.name} must vary.")
    return float(values[0]), float(np.sqrt(variance))
