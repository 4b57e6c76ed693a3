"""Random: the floor under every arm."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.typing import Float32Array

_CAN = Capability.RANKING | Capability.COLD_USER | Capability.COLD_ITEM | Capability.WEIGHTS
_KIND = "random"
# multipliers of splitmix64: neighbouring numbers become unrelated ones
_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Random(RecommenderRecipe):
    """Rank items by a draw that is fixed for each history and item.

    The same person gets the same list until something is added to what they did; items of the
    catalogue without feedback take part.

    Args:
        seed: Of the draws, at least 0.

    Raises:
        siamrec.errors.InvalidParameterError: If `seed` is below 0.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(user=["ann", "bob"], item=["x", "y"])
        >>> Random(seed=1).fit(feedback).recommend(["ann"], k=5).lists()
        {'ann': ['y']}
    """

    capabilities: ClassVar[Capability] = _CAN

    seed: int = 0

    def __post_init__(self) -> None:
        check.count("seed", self.seed, least=0)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedRandom:
        items = feedback.items if catalog is None else feedback.items.extend(catalog.items)
        history = Histories.of(feedback, feedback.users, items)
        return FittedRandom(self, feedback.users, items, history)

    @staticmethod
    def load(path: str | Path) -> FittedRandom:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedRandom(Random(**recipe), parts["users"], parts["items"], parts["history"])


@final
class FittedRandom(FittedRecommender):
    """The seed; draws are hashes of what a person did, of the item and of the seed."""

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self, recipe: Random, users: Vocabulary, items: Vocabulary, history: Histories
    ) -> None:
        self.recipe = recipe
        self.users, self.items, self.history = users, items, history

    @override
    def score(self, histories: Histories) -> Float32Array:
        n_items = len(self.items)
        own = _mixed(
            np.arange(1, n_items + 1, dtype=np.uint64) + np.uint64(self.recipe.seed << 32)
        )
        matrix = histories.value
        owner = np.repeat(np.arange(len(histories)), np.diff(matrix.indptr))
        person = np.zeros(len(histories), dtype=np.uint64)
        np.bitwise_xor.at(person, owner, own[matrix.indices])
        draws = _mixed(person[:, None] ^ _mixed(own + np.uint64(1)))
        scores: Float32Array = (draws >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
        return scores

    @override
    def save(self, path: str | Path) -> None:
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays={})


def _mixed(numbers: np.ndarray) -> np.ndarray:
    for shift, factor in _STEPS:
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers
