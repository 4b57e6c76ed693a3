"""Biases: the mean, who rates high, and what is rated high."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._ratings import Biases, FittedRatings, rated
from siamrec.models.recommenders.base import RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.search import Float

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array

_CAN = Capability.RATINGS | Capability.RANKING | Capability.COLD_USER | Capability.WEIGHTS
_KIND = "bias"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BiasModel(RecommenderRecipe):
    """Predict `μ + b_u + b_i`: the base that every rating model has to beat.

    `b_i = Σ_u (r_ui − μ − b_u) / (n_i + item_damping)` and likewise `b_u`, in turns.

    Args:
        user_damping: Imagined ratings at the mean for each person, at least 0.
        item_damping: The same for each item.
        iterations: Passes over both sides, at least 1.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, without a rating.

    References:
        Koren (2010), Factor in the neighbors, TKDD 4(1), section 2.1.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["ann", "ann", "bob"], item=["x", "y", "x"], value=[5, 3, 4]
        ... )
        >>> arm = BiasModel(user_damping=0, item_damping=0).fit(feedback)
        >>> arm.predict(["bob"], ["y"]).round(2).tolist()  # one below ann, y two below x: clipped
        [3.0]
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "user_damping": Float(0.5, 50.0, log=True),
        "item_damping": Float(0.5, 50.0, log=True),
    }

    user_damping: float = 5.0
    item_damping: float = 5.0
    iterations: int = 10

    def __post_init__(self) -> None:
        check.not_negative("user_damping", self.user_damping)
        check.not_negative("item_damping", self.item_damping)
        check.count("iterations", self.iterations)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedBias:
        history = rated(feedback, "BiasModel")
        return FittedBias(self, feedback.users, feedback.items, history, self.learn(history))

    def learn(self, history: Histories) -> Biases:
        """Return the biases of these ratings."""
        return Biases.fit(history, **asdict(self))

    @staticmethod
    def load(path: str | Path) -> FittedBias:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        made = BiasModel(**recipe)
        bias = Biases.read(parts, damping=made.user_damping)
        return FittedBias(made, parts["users"], parts["items"], parts["history"], bias)


@final
class FittedBias(FittedRatings):
    """The biases of items; those of a person follow from the ratings."""

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self,
        recipe: BiasModel,
        users: Vocabulary,
        items: Vocabulary,
        history: Histories,
        bias: Biases,
    ) -> None:
        self.recipe, self.bias = recipe, bias
        self.users, self.items, self.history = users, items, history

    @override
    def score(self, histories: Histories) -> Float32Array:
        return self.bias.table(histories).astype(np.float32)

    @override
    def save(self, path: str | Path) -> None:
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=self.bias.arrays())
