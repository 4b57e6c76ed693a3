"""ELSA: a linear autoencoder of low rank, for many items."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._ratings import nearest
from siamrec.models.recommenders.base import FittedRecommender
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.neural import NeuralRecipe, Progress, TrainingRecord
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, Id

_CAN = (
    Capability.RANKING
    | Capability.COLD_USER
    | Capability.EXPLAIN
    | Capability.SIMILAR
    | Capability.WEIGHTS
)
_KIND = "elsa"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ELSA(NeuralRecipe):
    """Rebuild what a person liked from the other things liked, through few factors.

    With one unit vector for each item as the rows of `A`, the scores are `x (A Aᵀ − I)`: like
    EASE, an item says nothing of itself, but memory is `4 n · factors` bytes. Trained so that
    `relu(x (A Aᵀ − I))` points where `x` does, by the squared distance of the two at length 1,
    over the items of a batch and `negatives` others. Strengths in `x` are the events' weights.
    `validation` is the share of likings held out; a row of a batch is a person.

    Args:
        factors: Length of the vectors, at least 1.
        negatives: Items drawn for each step beside those of its people, at least 0; 0 takes all.
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        Vančura, Alves, Kasalický and Kordík (2022), Scalable linear shallow autoencoder for
        collaborative filtering, RecSys.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "factors": Integer(64, 512, log=True),
        "learning_rate": Float(3e-3, 0.3, log=True),
    }

    factors: int = 128
    negatives: int = 1000
    positive: float | None = None
    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 0.1
    patience: int = 3
    validation: float = 0.0

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        self._check_training()
        check.count("factors", self.factors)
        check.count("negatives", self.negatives, least=0)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedELSA:
        """Return the arm fitted to `feedback`; `progress` hears of every pass."""
        from siamrec.models.recommenders._elsa_net import fit_elsa  # its torch half

        history = Histories.of(feedback, feedback.users, feedback.items)
        history.some_liked(self.positive, "ELSA")
        vectors, record = fit_elsa(self, history, progress)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedELSA(self, {**parts, "vectors": vectors}, record)

    @staticmethod
    def load(path: str | Path) -> FittedELSA:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedELSA(ELSA(**recipe), parts, TrainingRecord.of(parts))


@final
class FittedELSA(FittedRecommender):
    """Unit vectors of the items.

    Attributes:
        vectors: `A`, float32, shape `(n_items, factors)`.
        training: How the training went.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(self, recipe: ELSA, parts: Mapping[str, Any], training: TrainingRecord) -> None:
        self.recipe, self.training = recipe, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self.vectors: Float32Array = parts["vectors"]

    @override
    def score(self, histories: Histories) -> Float32Array:
        liked = histories.liked(self.recipe.positive)
        scores: Float32Array = (liked @ self.vectors) @ self.vectors.T
        own = liked.tocoo()
        scores[own.row, own.col] -= own.data
        return scores

    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        return nearest(self.vectors, int(self.items.encode([item], name="item")[0]), self.items, k)

    @override
    def explain(self, user: Id, item: Id, *, n: int = 5) -> list[tuple[Id, float]]:
        own = self.history.people(self.users.encode([user], name="user"))
        liked = own.liked(self.recipe.positive)
        target = int(self.items.encode([item], name="item")[0])
        parts = self.vectors[liked.indices] @ self.vectors[target] - (liked.indices == target)
        parts *= liked.data
        best = np.argsort(-np.abs(parts), kind="stable")[: check.count("n", n)]
        return [(self.items[int(liked.indices[p])], float(parts[p])) for p in best.tolist()]

    @override
    def save(self, path: str | Path) -> None:
        arrays = {"vectors": self.vectors, **self.training.arrays()}
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)
