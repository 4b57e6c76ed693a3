"""Measuring an encoder on validation, and choosing by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record
from siamrec.models.training.result import EncoderComparison, Verdict
from siamrec.models.training.validation.ranking import K, RankingTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.training.strategies.material import Material
    from siamrec.typing import BoolArray, Float32Array, FloatArray

WARM = f"ndcg@{K}"
COLD = f"cold_ndcg@{K}"
POPULARITY = "popularity"
PREVIOUS = "previous_"


@final
@dataclass(frozen=True, slots=True, repr=False)
class Slices(Record):
    """The ranking tasks of validation: texts with feedback, and texts hidden from training.

    Args:
        warm: Find texts that training has seen.
        cold: Find hidden texts among themselves; None where nothing is hidden or wanted.
    """

    warm: RankingTask
    cold: RankingTask | None

    @override
    def title(self) -> str:
        cold = "" if self.cold is None else f", cold: {self.cold.title()}"
        return f"Validation on warm: {self.warm.title()}{cold}"

    @classmethod
    def of(cls, material: Material, judged: BoolArray) -> Slices:
        """Return the tasks of validation among the texts in `judged` that can be an answer."""
        train, valid = material.train, material.valid
        answers = (train.right, valid.right, train.liked_text, valid.liked_text)
        candidates = np.unique(np.concatenate(answers)).astype(np.int64)
        whole = RankingTask.of(valid, candidates, train=train)
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
    comparisons: Mapping[str, EncoderComparison],
    *,
    beside: Mapping[str, EncoderComparison],
    concerns: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Verdict:
    """Return the verdict: ship on a gain whose interval lies above 0, with no loss elsewhere.

    Where a version is in use, the same is asked of the differences to it.

    Args:
        comparisons: Differences to the base, by metric; the first decides.
        beside: Differences to `"popularity"`, for the reasons, and to the previous version.
        concerns: What forbids shipping whatever the gain.
        notes: What has to be known beside; it changes nothing.
    """
    previous = {n: c for n, c in beside.items() if n.startswith(PREVIOUS)}
    ships, reasons = zip(*(_weighed(c) for c in (comparisons, previous) if c), strict=True)
    told = [reason for part in reasons for reason in part]
    told.append(f"beside popularity: {beside[POPULARITY]}")
    return Verdict(all(ships) and not concerns, (*concerns, *told, *notes))


def _weighed(comparisons: Mapping[str, EncoderComparison]) -> tuple[bool, list[str]]:
    """Whether the first metric gains and none loses, and a sentence for each."""
    reasons: list[str] = []
    ship = True
    for place, (name, comparison) in enumerate(comparisons.items()):
        over = " over the version in use" if name.startswith(PREVIOUS) else ""
        if comparison.low > 0:
            reasons.append(f"gain{over}: {comparison.title()}")
        elif comparison.high < 0:
            reasons.append(f"loss{over}: {comparison.title()}")
            ship = False
        else:
            reasons.append(f"no significant difference{over}: {comparison.title()}")
            ship = ship and place > 0
    return ship, reasons
