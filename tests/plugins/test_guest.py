"""The guest's parts pass the contracts that the house's own parts pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from typing_extensions import override

from siamrec.bandits import POLICIES
from siamrec.losses import LOSSES
from siamrec.metrics import METRICS
from siamrec.models.encoders import ENCODERS
from siamrec.models.recommenders import RECOMMENDERS
from siamrec.pairs import PAIR_GENERATORS
from siamrec.rerank import SELECTORS
from siamrec.testing.bandits import PolicyContract
from siamrec.testing.encoders import EncoderContract
from siamrec.testing.losses import LossContract
from siamrec.testing.metrics import MetricContract
from siamrec.testing.pairs import PairGeneratorContract
from siamrec.testing.recommenders import RecommenderContract
from siamrec.testing.rerank import SelectorContract

if TYPE_CHECKING:
    from siamrec.losses import EmbeddingLoss
    from siamrec.models.recommenders import RecommenderRecipe
    from siamrec.protocols import PairGenerator, SiameseEncoder
    from siamrec.rerank import Selector

pytest.importorskip("siamrec_guest")


class TestGuestArm(RecommenderContract):
    @override
    def make(self) -> RecommenderRecipe:
        return RECOMMENDERS.make("shuffled:seed=1")


class TestGuestLoss(LossContract):
    @override
    def make(self) -> EmbeddingLoss:
        return cast("EmbeddingLoss", LOSSES.factory("absolute-cosine")(None))


class TestGuestMetric(MetricContract):
    @override
    def make(self) -> Any:
        return METRICS.make({"name": "list_length"})


class TestGuestPolicy(PolicyContract):
    @override
    def make(self) -> Any:
        return POLICIES.make("softmax")


class TestGuestEncoder(EncoderContract):
    @override
    def make(self) -> SiameseEncoder:
        return ENCODERS.make("letters")


class TestGuestPairs(PairGeneratorContract):
    @override
    def make(self) -> PairGenerator:
        return PAIR_GENERATORS.make("neighbours:positive=4")


class TestGuestSelector(SelectorContract):
    @override
    def make(self) -> Selector:
        return SELECTORS.make("skip-first")
