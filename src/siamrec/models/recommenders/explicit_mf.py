"""Matrix factorisation of ratings by alternating least squares."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._ratings import Biases, FittedFactors, like, rated, ridge_rows
from siamrec.models.recommenders.base import RecommenderRecipe
from siamrec.models.recommenders.bias import BiasModel
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scipy import sparse

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import FloatArray

_CAN = (
    Capability.RATINGS
    | Capability.RANKING
    | Capability.COLD_USER
    | Capability.SIMILAR
    | Capability.WEIGHTS
)
_KIND = "explicit-mf"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExplicitMF(RecommenderRecipe):
    """Factorise what the biases leave of the ratings, `r̂_ui = b_ui + p_u·q_i`.

    Minimises `Σ w_ui (e_ui − p_u·q_i)² + l2 (Σ_u n_u ‖p_u‖² + Σ_i n_i ‖q_i‖²)` over the rated
    pairs, with `w` the weights of the events and `n` their sums; every half step solves its side
    exactly, and a person outside training is folded in by the same solve.

    Args:
        factors: Length of the vectors, at least 1.
        l2: Penalty, above 0: about .15 for a hundred thousand ratings, .06 for a million.
        iterations: Passes over both sides, at least 1.
        seed: Seed of the first vectors.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, without a rating.

    References:
        Zhou, Wilkinson, Schreiber and Pan (2008), Large-scale parallel collaborative filtering
        for the Netflix prize, AAIM.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "l2": Float(0.02, 0.5, log=True),
        "factors": Integer(8, 64, log=True),
    }

    factors: int = 24
    l2: float = 0.15
    iterations: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        check.count("factors", self.factors)
        check.positive("l2", self.l2)
        check.count("iterations", self.iterations)
        check.count("seed", self.seed, least=0)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedExplicitMF:
        history = rated(feedback, "ExplicitMF")
        bias = BiasModel().learn(history)
        left = bias.stars(history)
        weight = like(left, history.ratings.weights)
        by_item, item_weight = left.T.tocsr(), weight.T.tocsr()
        rng = np.random.default_rng(self.seed)
        vectors = rng.normal(0.0, 0.3 / np.sqrt(self.factors), (left.shape[1], self.factors))
        for _ in range(self.iterations):
            people = ridge_rows(left, vectors, self.l2, weight=weight)
            vectors = ridge_rows(by_item, people, self.l2, weight=item_weight)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedExplicitMF(self, parts, bias, vectors)

    def loss(self, left: sparse.csr_array, people: FloatArray, vectors: FloatArray) -> float:
        """Return the objective that every half step lowers."""
        row = np.repeat(np.arange(left.shape[0]), np.diff(left.indptr))
        error = left.data - np.einsum("nd,nd->n", people[row], vectors[left.indices])
        size = (people**2).sum(axis=1)[row].sum() + (vectors**2).sum(axis=1)[left.indices].sum()
        return float(error @ error + self.l2 * size)

    @staticmethod
    def load(path: str | Path) -> FittedExplicitMF:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        bias = Biases.read(parts, damping=BiasModel().user_damping)
        return FittedExplicitMF(ExplicitMF(**recipe), parts, bias, parts["vectors"])


@final
class FittedExplicitMF(FittedFactors):
    """Biases and item vectors; a person's vector is solved from the ratings."""

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self, recipe: ExplicitMF, parts: Mapping[str, Any], bias: Biases, vectors: FloatArray
    ) -> None:
        self.recipe, self.bias, self.vectors = recipe, bias, vectors
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]

    @override
    def people(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        left = self.bias.stars(histories)
        weight = like(left, histories.ratings.weights)
        vectors = ridge_rows(left, self.vectors, self.recipe.l2, weight=weight)
        return self.bias.of_people(histories), self.bias.unit * vectors

    @override
    def save(self, path: str | Path) -> None:
        arrays = {
            **self.bias.arrays(),
            "vectors": self.vectors,
        }
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)
