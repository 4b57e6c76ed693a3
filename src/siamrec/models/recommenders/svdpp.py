"""SVD++: a person is what they like, and also which items they rated at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._ratings import (
    Biases,
    FittedFactors,
    like,
    rated,
    ridge_rows,
    star_of,
)
from siamrec.models.recommenders.bias import BiasModel
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.neural import NeuralRecipe, TrainingRecord
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import Progress
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import FloatArray

_CAN = (
    Capability.RATINGS
    | Capability.RANKING
    | Capability.COLD_USER
    | Capability.SIMILAR
    | Capability.WEIGHTS
)
_KIND = "svdpp"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SVDpp(NeuralRecipe):
    """Factorise ratings with a part that knows which items were rated, whatever the rating.

    `r̂_ui = μ + b_u + b_i + q_i·(p_u + |N_u|^-½ Σ_{j∈N_u} y_j)`, where `N_u` are the items rated.
    Minimises squared errors, and `l2` times the squared norms of `b_u, b_i, q_i, p_u` for each
    rating and of `y_j` for each person who rated `j`. Batches are people. Once the item side is
    learned, `b_u` and `p_u` are the exact solution of the same objective, for anybody's ratings.

    Args:
        factors: Length of the vectors, at least 1.
        l2: Penalty, above 0: about .1 for a hundred thousand ratings, .05 for a million.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, without a rating.

    References:
        Koren (2008), Factorization meets the neighborhood, KDD, section 4.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "l2": Float(0.02, 0.3, log=True),
        "learning_rate": Float(1e-3, 1e-2, log=True),
        "factors": Integer(16, 100, log=True),
    }

    factors: int = 40
    l2: float = 0.1
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-3
    validation: float = 0.0

    def __post_init__(self) -> None:
        self._check_training()
        check.count("factors", self.factors)
        check.positive("l2", self.l2)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedSVDpp:
        """Return the arm fitted to `feedback`; `progress` hears of every pass."""
        from siamrec.models.recommenders._svdpp_net import fit_svdpp  # its torch half

        history = rated(feedback, "SVDpp")
        weights, record = fit_svdpp(
            self,
            history.ratings,
            factors=self.factors,
            l2=self.l2,
            progress=progress,
        )
        unit = star_of(history.ratings.value.data)
        stars = {
            "mean": np.array([unit * weights["mean"][0], unit]),
            "item": unit * weights["item"],
        }
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedSVDpp(self, {**parts, **weights, **stars}, record)

    @staticmethod
    def load(path: str | Path) -> FittedSVDpp:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedSVDpp(SVDpp(**recipe), parts, TrainingRecord.of(parts))


@final
class FittedSVDpp(FittedFactors):
    """Item side of SVD++; a person's side is solved from the ratings.

    Attributes:
        rated: Vectors `y_j` of having rated an item, float64, shape `(n_items, factors)`.
        training: How the training went.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(self, recipe: SVDpp, parts: Mapping[str, Any], training: TrainingRecord) -> None:
        self.recipe, self.training = recipe, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self.bias = Biases.read(parts, damping=BiasModel().user_damping)
        self.vectors: FloatArray = parts["vectors"].astype(np.float64)
        self.rated: FloatArray = parts["rated"].astype(np.float64)

    @override
    def people(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        ratings = histories.ratings
        value = ratings.value
        count = np.diff(value.indptr)
        row = np.repeat(np.arange(len(histories)), count)
        ones = sparse.csr_array(
            (np.ones(value.nnz), value.indices, value.indptr), shape=value.shape
        )
        known = (ones @ self.rated) / np.sqrt(np.maximum(count, 1))[:, None]
        left = (value.data - self.bias.mean - self.bias.item[value.indices]) / self.bias.unit
        left = left - np.einsum("nd,nd->n", known[row], self.vectors[value.indices])
        targets = sparse.csr_array((left, value.indices, value.indptr), shape=value.shape)
        # the bias of a person is the weight of a factor that is 1 for every item
        extended = np.column_stack([self.vectors, np.ones(len(self.items))])
        weight = like(value, ratings.weights)
        solved = ridge_rows(targets, extended, self.recipe.l2, weight=weight)
        unit = self.bias.unit
        return unit * solved[:, -1], unit * (known + solved[:, :-1])

    @override
    def save(self, path: str | Path) -> None:
        arrays = {
            **self.bias.arrays(),
            "vectors": self.vectors,
            "rated": self.rated,
            **self.training.arrays(),
        }
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)
