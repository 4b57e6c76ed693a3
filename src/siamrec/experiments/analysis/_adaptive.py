"""Refusal of traffic that a bandit assigned: plain tests do not keep their level on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec.data.frames import floats_of, table_of
from siamrec.errors import InvalidDataError, UnsupportedEstimate
from siamrec.experiments.analysis._columns import name_codes, whole
from siamrec.experiments.analysis._sample import is_chunks, is_moments

if TYPE_CHECKING:
    from siamrec.experiments.plan import Plan

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
        UnsupportedEstimate: If `plan.allocation` is `"adaptive"`.
    """
    if plan.allocation == "adaptive":
        remedy = _REMEDY.format(given="...")
        raise UnsupportedEstimate(f"The plan says that a bandit assigns the units: {remedy}.")


@final
class PropensityWatch:
    """Range of the propensities of each variant in each stratum, as data pass by; mutable.

    Args:
        variant: Column of the variant.
        propensity: Column of the probability with which a row was given its variant.
        strata: Column of strata, whose shares may differ.
    """

    def __init__(self, variant: str, propensity: str, strata: str | None) -> None:
        self._variant, self._propensity, self._strata = variant, propensity, strata
        self._found: dict[tuple[str, str], tuple[float, float]] = {}

    def watched(self, data: object) -> object:
        """Return the same data; every part is judged as it comes.

        Raises:
            InvalidDataError: If the data are moments, or a propensity is not in (0, 1].
            UnknownNameError: If there is no such column.
            UnsupportedEstimate: If propensities differ within a variant.
        """
        if is_moments(data):
            raise InvalidDataError("A propensity needs the rows, got moments; pass one frame.")
        if is_chunks(data):
            return self._each(data)
        return self._judged(data)

    def _each(self, chunks: Any) -> Iterator[object]:
        assert isinstance(chunks, Iterable)
        for chunk in chunks:
            yield self._judged(chunk)

    def _judged(self, frame: object) -> object:
        table = table_of(frame)
        column = whole(table, self._variant, "the variant")
        chosen = column.is_valid().to_numpy(zero_copy_only=False)
        values = floats_of(whole(table, self._propensity, "the propensity"), self._propensity)
        if not ((values[chosen] > 0) & (values[chosen] <= 1)).all():
            raise InvalidDataError(
                f"{self._propensity} must be in (0, 1] where there is a variant: the probability "
                "with which the row was given that variant."
            )
        variants, of_variant = name_codes(column.drop_null())
        strata: tuple[str, ...] = ("",)
        of_stratum = np.zeros(int(chosen.sum()), dtype=np.int64)
        if self._strata is not None:
            named = whole(table, self._strata, "strata").filter(column.is_valid())
            strata, of_stratum = name_codes(named.cast("string").fill_null(""))
        cell = of_stratum.astype(np.int64) * max(len(variants), 1) + of_variant
        low = np.full(len(strata) * len(variants), np.inf)
        high = np.full(low.size, -np.inf)
        np.minimum.at(low, cell, values[chosen])
        np.maximum.at(high, cell, values[chosen])
        for place in np.flatnonzero(np.isfinite(low)).tolist():
            key = strata[place // len(variants)], variants[place % len(variants)]
            self._widen(key, float(low[place]), float(high[place]))
        return table

    def _widen(self, key: tuple[str, str], low: float, high: float) -> None:
        before = self._found.get(key, (low, high))
        low, high = min(low, before[0]), max(high, before[1])
        self._found[key] = low, high
        if high - low > _SAME:
            remedy = _REMEDY.format(given=self._propensity)
            raise UnsupportedEstimate(
                f"{self._propensity} must be one number within the variant {key[1]!r}, got "
                f"{low:.4g} to {high:.4g}: a bandit seems to have assigned these units, and "
                f"{remedy}. If shares were changed by hand, name the column of the "
                "allocation's version as strata."
            )
