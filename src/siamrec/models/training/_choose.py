"""Measuring an encoder on validation, and choosing by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.models.training._ranking import K, RankingTask
from siamrec.models.training.result import Comparison, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.training._material import Material
    from siamrec.typing import BoolArray, Float32Array, FloatArray

WARM = f"ndcg@{K}"
COLD = f"cold_ndcg@{K}"


@final
@dataclass(frozen=True, slots=True)
class Slices:
    """The ranking tasks of validation: texts with feedback, and texts hidden from training.

    Args:
        warm: Find texts that training has seen.
        cold: Find hidden texts among themselves; None where nothing is hidden or wanted.
    """

    warm: RankingTask
    cold: RankingTask | None

    @classmethod
    def of(cls, material: Material, judged: BoolArray) -> Slices:
        """Return the tasks of validation among the texts in `judged` that can be an answer."""
        train, valid = material.train, material.valid
        answers = (train.right, valid.right, train.liked_text, valid.liked_text)
        whole = RankingTask.of(valid, np.unique(np.concatenate(answers)).astype(np.int64))
        shown = ~material.hidden & judged
        cold = whole.among(material.hidden & judged, profile=shown)
        wanted = cold.candidates.size > K and cold.truth_text.size > 0
        return cls(whole.among(shown, profile=shown), cold if wanted else None)

    def measure(self, vectors: Float32Array) -> dict[str, FloatArray]:
        """Return NDCG@10 of each unit, by slice."""
        found = {WARM: self.warm.ndcg(vectors)}
        if self.cold is not None:
            found[COLD] = self.cold.ndcg(vectors)
        return found


def means(columns: Mapping[str, FloatArray]) -> dict[str, float]:
    """Return the mean of each column without its missing values (NaN when all are)."""
    return {
        name: float(np.nanmean(column)) if np.isfinite(column).any() else float("nan")
        for name, column in columns.items()
    }


def merit(columns: Mapping[str, FloatArray]) -> float:
    """Return what is maximised: the sum of the slices' means."""
    return float(np.nansum(list(means(columns).values())))


def judged(
    comparisons: Mapping[str, Comparison],
    *,
    popularity: float,
    concerns: tuple[str, ...] = (),
) -> Verdict:
    """Return the verdict: ship on a gain whose interval lies above 0, with no loss elsewhere.

    Args:
        comparisons: Differences to the base, by metric; the first decides.
        popularity: The metric of plain popularity, for the reasons.
        concerns: What forbids shipping whatever the gain.
    """
    reasons: list[str] = []
    ship = not concerns
    for place, comparison in enumerate(comparisons.values()):
        if comparison.low > 0:
            reasons.append(f"gain: {comparison}")
        elif comparison.high < 0:
            reasons.append(f"loss: {comparison}")
            ship = False
        else:
            reasons.append(f"no significant difference: {comparison}")
            ship = ship and place > 0
    reasons.append(f"popularity alone reaches {popularity:.4f}")
    return Verdict(ship, (*concerns, *reasons))
