"""Refusal of traffic that a bandit assigned: plain tests do not keep their level on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidDataError, UnsupportedEstimate
from siamrec.experiments.plan import Plan

if TYPE_CHECKING:
    from siamrec.experiments.analysis.observations import Observations

_SAME = 1e-6
"""Propensities that differ by no more than this are one, written with rounding."""

_REMEDY = (
    "plain tests are biased on such traffic. Use siamrec.experiments.adaptive_effect(treated, "
    "outcome, given={given}, planned=...), which weighs by the probability of the variant that "
    "each row was given"
)


def refuse_adaptive_plan(plan: Plan) -> None:
    """Refuse a plan whose units are assigned by a bandit.

    Raises:
        InvalidParameterError: If it is no plan.
        UnsupportedEstimate: If `plan.allocation` is `"adaptive"`.
    """
    if check.kind("plan", plan, Plan).allocation == "adaptive":
        remedy = _REMEDY.format(given="...")
        raise UnsupportedEstimate(f"The plan says that a bandit assigns the units: {remedy}.")


@final
class PropensityWatch:
    """Range of the propensities of each variant in each stratum, as data pass by; mutable.

    Args:
        name: Column of the probability with which a row was given its variant.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: dict[tuple[str, str], tuple[float, float]] = {}

    def see(self, rows: Observations) -> Observations:
        """Return the same rows, after judging their propensities.

        Raises:
            InvalidDataError: If a propensity is not in (0, 1].
            UnsupportedEstimate: If propensities differ within a variant and stratum.
        """
        values = rows.propensity
        assert values is not None
        if not ((values > 0) & (values <= 1)).all():
            raise InvalidDataError(
                f"{self._name} must be in (0, 1] where there is a variant: the probability "
                "with which the row was given that variant."
            )
        n_variants = max(len(rows.variants), 1)
        part = 0 if rows.part is None else rows.part.astype(np.int64)
        cell = part * n_variants + rows.variant
        low = np.full(len(rows.parts) * n_variants, np.inf)
        high = np.full(low.size, -np.inf)
        np.minimum.at(low, cell, values)
        np.maximum.at(high, cell, values)
        for place in np.flatnonzero(np.isfinite(low)).tolist():
            key = rows.parts[place // n_variants], rows.variants[place % n_variants]
            self._widen(key, float(low[place]), float(high[place]))
        return rows

    def _widen(self, key: tuple[str, str], low: float, high: float) -> None:
        before = self._found.get(key, (low, high))
        low, high = min(low, before[0]), max(high, before[1])
        self._found[key] = low, high
        if high - low > _SAME:
            remedy = _REMEDY.format(given=self._name)
            raise UnsupportedEstimate(
                f"{self._name} must be one number within the variant {key[1]!r}, got "
                f"{low:.4g} to {high:.4g}: a bandit seems to have assigned these units, and "
                f"{remedy}. If shares were changed by hand, name the column of the "
                "allocation's version as strata."
            )
