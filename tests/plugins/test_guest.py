"""The guest's parts pass the contracts that the house's own parts pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from siamrec.plugins import default_registry
from siamrec.testing.losses import LossContract
from siamrec.testing.recommenders import RecommenderContract

if TYPE_CHECKING:
    from siamrec.losses import EmbeddingLoss
    from siamrec.models.recommenders import RecommenderRecipe

pytest.importorskip("siamrec_guest")


class TestGuestArm(RecommenderContract):
    @override
    def make(self) -> RecommenderRecipe:
        recipe: RecommenderRecipe = default_registry().make("recommender", "shuffled", seed=1)
        return recipe


class TestGuestLoss(LossContract):
    @override
    def make(self) -> EmbeddingLoss:
        loss: EmbeddingLoss = default_registry().make("loss", "absolute-cosine", model=None)
        return loss
