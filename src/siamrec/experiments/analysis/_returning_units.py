"""Strata whose units come back in other strata: errors by the influence of each unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from siamrec.experiments.analysis._effects import (
    ULPS,
    Pair,
    gradient_of,
    slope_of,
    spread_by,
    spread_of,
)
from siamrec.experiments.analysis._metric_moments import UnitRows
from siamrec.statistics.means import welch_freedom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.data.moments import Moments
    from siamrec.experiments.analysis._samples import Sample
    from siamrec.experiments.metrics import Term
    from siamrec.typing import FloatArray, IntArray


def returning(
    parts: Mapping[str, Sample],
    metric: str,
    names: tuple[str, str],
    terms: Mapping[str, Sequence[Term]],
    adjustment: Literal["lin", "pooled", "none"],
) -> Pair:
    """Return the average difference over strata, weighed by units, with errors across strata.

    A unit that was there in several strata is not several units. With I the influence of a unit
    on an adjusted value (how far the value moves with it), summed over the strata with their
    weights, the covariance of the two values is sum I I' over all units, with n - 1 - k for n
    below the squares of each variant.

    References:
        Liang and Zeger (1986), Biometrika 73; Deng, Knoblich, Lu (2018), KDD, section 3.
    """
    size = {name: sum(_sizes(part, metric, names)) for name, part in parts.items()}
    total = sum(size.values())
    units: list[IntArray] = []
    moved: list[FloatArray] = []
    treated: list[IntArray] = []
    values = np.zeros(2)
    for name, part in parts.items():
        weight = size[name] / total
        found, influence, rows = _influences(part, metric, names, terms[name], adjustment)
        values += weight * (found + part.shifts.get(metric, 0.0))
        units.append(rows.unit)
        treated.append((rows.group == part.variants.index(names[0])).astype(np.int64))
        moved.append(weight * influence)
    unit, place = np.unique(np.concatenate(units), return_inverse=True)
    both = np.concatenate(moved, axis=1)
    sums = np.stack([np.bincount(place, side, unit.size) for side in both])
    is_treated = np.zeros(unit.size, dtype=np.bool_)
    is_treated[place] = np.concatenate(treated) == 1
    n = int(is_treated.sum()), int((~is_treated).sum())
    k = len(next(iter(terms.values()))) - 1 if adjustment != "none" else 0
    arms = [
        sums[:, chosen] @ sums[:, chosen].T * (count / max(count - 1 - k, 1))
        for chosen, count in ((is_treated, n[0]), (~is_treated, n[1]))
    ]
    apart = np.array([1.0, -1.0])
    least = (ULPS * np.abs(values).max()) ** 2 / min(n)  # or it is the last digits of values
    arms = [np.where(np.abs(arm) > least, arm, 0.0) for arm in arms]
    own = [float(apart @ arm @ apart) for arm in arms]
    return Pair(
        values=(float(values[0]), float(values[1])),
        spread=spread_of(arms[0] + arms[1]),
        freedom=welch_freedom(own[0], own[1], n[0] - 1 - k, n[1] - 1 - k),
        n=n,
        reduction=0.0,
        known=min(n) > 1 + k,
    )


def _sizes(part: Sample, metric: str, names: tuple[str, str]) -> tuple[int, int]:
    found = part.moments[metric]
    treatment, control = (found[part.variants.index(name)].n for name in names)
    return treatment, control


def _influences(
    part: Sample,
    metric: str,
    names: tuple[str, str],
    terms: Sequence[Term],
    adjustment: Literal["lin", "pooled", "none"],
) -> tuple[FloatArray, FloatArray, UnitRows]:
    """Return adjusted values, each unit's influence on both `(2, units)`, and the units."""
    assert part.unit_rows is not None
    every = part.unit_rows[metric]
    places = [part.variants.index(name) for name in names]
    chosen = np.isin(every.group, places)
    rows = UnitRows(every.unit[chosen], every.group[chosen], every.columns[:, chosen])
    used = list(terms) if adjustment != "none" else list(terms[:1])
    moments = [part.moments[metric][place] for place in places]
    sides = [_side(each, used) for each in moments]
    psi = np.empty((len(used), rows.unit.size))
    for place, each, (_, gradient, _) in zip(places, moments, sides, strict=True):
        own = rows.group == place
        psi[:, own] = gradient @ (rows.columns[:, own] - each.mean[:, None])
    n_t, n_c = moments[0].n, moments[1].n
    share = n_t / (n_t + n_c)
    slopes = [slope_of(spread) for _, _, spread in sides]
    if adjustment == "pooled":
        spread = sum(
            (side[2] * max(each.n - 1, 0) for side, each in zip(sides, moments, strict=True)),
            np.zeros_like(sides[0][2]),
        )
        slopes = [slope_of(spread)] * 2
    h = np.array([sides[0][0][0], sides[1][0][0]])
    gap = sides[0][0][1:] - sides[1][0][1:]
    values = np.array([h[0] - (1 - share) * (slopes[0] @ gap), h[1] + share * (slopes[1] @ gap)])
    treated = rows.group == places[0]
    one = np.where(treated, psi[0] / n_t, 0.0), np.where(treated, 0.0, psi[0] / n_c)
    # The covariates of either variant move both values, as the point to which they are adjusted.
    away = np.where(treated, psi[1:] / n_t, -psi[1:] / n_c)
    influence = np.stack(
        [one[0] - (1 - share) * (slopes[0] @ away), one[1] + share * (slopes[1] @ away)]
    )
    return values, influence, rows


def _side(moments: Moments, terms: Sequence[Term]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the values of terms, their gradients on the columns, and their covariance."""
    values, gradient = gradient_of(moments, terms)
    return values, gradient, spread_by(gradient, moments)
