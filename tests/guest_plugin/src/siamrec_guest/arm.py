"""An arm that ranks items in one shuffled order: the least an arm can be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders import (
    Capability,
    FittedRecommender,
    Histories,
    RecommenderRecipe,
)

if TYPE_CHECKING:
    from siamrec.data import Catalog, Feedback
    from siamrec.typing import Float32Array


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled(RecommenderRecipe):
    """Rank items in one shuffled order for everybody.

    Args:
        seed: Seed of the order.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        check.count("seed", self.seed, least=0)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedShuffled:
        return FittedShuffled(feedback, self.seed)


@final
class FittedShuffled(FittedRecommender):
    """The shuffled order."""

    capabilities: ClassVar[Capability] = Capability.RANKING | Capability.COLD_USER

    def __init__(self, feedback: Feedback, seed: int) -> None:
        self.users, self.items = feedback.users, feedback.items
        self.history = Histories.of(feedback, self.users, self.items)
        self._order = np.random.default_rng(seed).permutation(len(self.items)).astype(np.float32)

    @override
    def score(self, histories: Histories) -> Float32Array:
        return np.tile(self._order, (len(histories), 1))

    @override
    def save(self, path: str | Path) -> None:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "order.json").write_text(json.dumps(self._order.tolist()), encoding="utf-8")
