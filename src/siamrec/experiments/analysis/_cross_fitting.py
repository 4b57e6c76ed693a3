"""Predictions by a ridge model, fitted without the unit's own fold, from moments alone.

A linear prediction is a linear map of the columns, so that the moments of outcome and prediction
follow from those of outcome and features: the data pass by once, in any order and in any parts.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from siamrec.data.moments import Moments
from siamrec.errors import MissingInputError
from siamrec.experiments.analysis._effects import linearised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.experiments.metrics import CrossFitted, ExperimentMetric, Term
    from siamrec.typing import FloatArray, IntArray

FOLDS = "cross-fitting"
"""Salt of the hash that gives a unit its fold."""


def folds_of(model: CrossFitted, uniforms: FloatArray | None) -> IntArray:
    """Return the fold of each row.

    Raises:
        MissingInputError: If no unit is known.
    """
    if uniforms is None:
        raise MissingInputError("unit", "unit='user_id'; a model is cross-fitted over units")
    folds: IntArray = (uniforms * model.folds).astype(np.int64)
    return folds


def fold_key(metric: ExperimentMetric, fold: int) -> str:
    """Return the name under which a fold's moments wait until all data have passed."""
    return f"{metric.name}#{fold}"


def with_predictions(
    metric: ExperimentMetric,
    model: CrossFitted,
    parts: Mapping[str, Sequence[Moments]],
    terms: Sequence[Term],
) -> tuple[Moments, ...]:
    """Return the moments of outcome and prediction in each variant.

    Args:
        metric: The metric.
        model: Its model.
        parts: Moments of outcome and features: by fold (`fold_key`), one for each variant.
        terms: The outcome and the features; means over rows where units have several.
    """
    by_fold = [parts[fold_key(metric, fold)] for fold in range(model.folds)]
    size = terms[0].denominator
    held = (terms[0].numerator, metric.covariates[0].numerator, *((size,) if size else ()))
    mapped = [
        [_mapped(moments, *_ridge(others, terms, model.penalty), terms, held) for moments in fold]
        for number, fold in enumerate(by_fold)
        for others in ([part for k, part in enumerate(by_fold) if k != number],)
    ]
    return tuple(reduce(add, each) for each in zip(*mapped, strict=True))


def _ridge(
    parts: Sequence[Sequence[Moments]], terms: Sequence[Term], penalty: float
) -> tuple[FloatArray, float]:
    """Fit outcome on features over some folds, within variants; return slopes and intercept.

    Differences between variants are left out of the slopes: the effect is not to be predicted.
    """
    variants = [reduce(add, each) for each in zip(*parts, strict=True)]
    present = [moments for moments in variants if moments.n > 1]
    if not present:
        return np.zeros(len(terms) - 1), 0.0
    fitted = [linearised(moments, terms) for moments in present]
    weights = np.array([moments.n for moments in present], dtype=np.float64)
    spread = np.einsum("v,vij->ij", weights - 1, np.array([spread for _, spread in fitted]))
    values = weights @ np.array([values for values, _ in fitted]) / weights.sum()
    scale = np.sqrt(np.maximum(np.diag(spread)[1:], 0.0))
    usable = scale > 0
    scale = np.where(usable, scale, 1.0)
    inner = spread[1:, 1:] / np.outer(scale, scale) + (penalty / weights.sum()) * np.eye(
        scale.size
    )
    slope = np.linalg.pinv(inner, rcond=1e-10) @ (spread[1:, 0] / scale) / scale
    slope = np.where(usable, slope, 0.0)
    return slope, float(values[0] - slope @ values[1:])


def _mapped(
    moments: Moments,
    slope: FloatArray,
    intercept: float,
    terms: Sequence[Term],
    held: tuple[str, ...],
) -> Moments:
    """Return the moments of the outcome, its prediction and, for means over rows, their number."""
    place = {name: column for column, name in enumerate(moments.names)}
    on = np.zeros((len(held), len(moments.names)))
    on[0, place[terms[0].numerator]] = 1.0
    for weight, term in zip(slope, terms[1:], strict=True):
        on[1, place[term.numerator]] += weight
    shift = np.zeros(len(held))
    size = terms[0].denominator
    if size is None:
        shift[1] = intercept
    else:  # a sum over rows holds the intercept once for each row
        on[1, place[size]] += intercept
        on[2, place[size]] = 1.0
    if not moments.n:
        return Moments.empty(held)
    return Moments(
        names=held,
        n=moments.n,
        mean=on @ moments.mean + shift,
        product=on @ moments.product @ on.T,
    )
