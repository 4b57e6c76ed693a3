"""The metrics of the house by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec._core.book import Book
from siamrec.metrics.base import Metric, MetricRecipe, PooledMetric
from siamrec.metrics.families import (
    accuracy,
    cascade,
    catalogue,
    debiased,
    discrimination,
    diversity,
    fairness,
    miscalibration,
    novelty,
    popularity_bias,
    probability,
    quality,
    ranking,
    rating,
    serendipity,
    stability,
    topics,
)

if TYPE_CHECKING:
    from siamrec.metrics.base import AnyMetric, MetricFactory

_ROOMS = (
    accuracy,
    cascade,
    catalogue,
    debiased,
    discrimination,
    diversity,
    fairness,
    miscalibration,
    novelty,
    popularity_bias,
    probability,
    quality,
    ranking,
    rating,
    serendipity,
    stability,
    topics,
)


def _collect() -> dict[str, MetricFactory]:
    found: dict[str, MetricFactory] = {}
    for room in _ROOMS:
        for part in vars(room).values():
            if (
                isinstance(part, type)
                and part.__module__ == room.__name__
                and hasattr(part, "stem")
            ):
                found[part.stem] = part
    found["aplt"] = novelty.LongTailShare  # its name in the literature of popularity bias
    return found


METRICS: Book[AnyMetric] = Book(
    "metric", _collect(), contract=(Metric, PooledMetric), recipes=MetricRecipe
)
"""Every metric by the stem of its name."""
