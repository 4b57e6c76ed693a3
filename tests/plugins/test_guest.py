"""The guest's parts pass the contracts that the house's own parts pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from siamrec.losses import LOSSES
from siamrec.models.recommenders import RECOMMENDERS
from siamrec.testing.losses import LossContract
from siamrec.testing.recommenders import RecommenderContract

if TYPE_CHECKING:
    from siamrec.losses import EmbeddingLoss
    from siamrec.models.recommenders import RecommenderRecipe

pytest.importorskip("siamrec_guest")


class TestGuestArm(RecommenderContract):
    @override
    def make(self) -> RecommenderRecipe:
        return RECOMMENDERS.make("shuffled:seed=1")


class TestGuestLoss(LossContract):
    @override
    def make(self) -> EmbeddingLoss:
        loss: EmbeddingLoss = LOSSES.factory("absolute-cosine")(None)
        return loss
