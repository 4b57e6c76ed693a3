"""Arms that lift what few people have met: popularity damping over any arm."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._book import RECOMMENDERS, Arm
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import PASSED_ON, Capability
from siamrec.models.recommenders.ease import EASE
from siamrec.models.recommenders.search import Float

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array

_KIND = "long-tail"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LongTail(RecommenderRecipe):
    """Damp the scores of another arm by how popular an item is.

    `s'_ui = z(s_ui) − strength · log2(1 + n_i)`, where `z` standardises the scores of a user
    over all items and `n_i` counts the users with feedback on the item.

    Args:
        base: The arm to damp: a recipe or its name.
        strength: How much a doubling of popularity costs, in standard deviations, at least 0;
            0.2 moves the tail at almost no cost, 0.5 makes a discovery arm.

    Raises:
        siamrec.errors.InvalidParameterError: If `strength` is below 0.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "pot", "tea"]
        ... )
        >>> LongTail(base=EASE(l2=1.0), strength=0.5).fit(feedback).recommend(["c"], k=2).lists()
        {'c': ['cup', 'pot']}
    """

    search_space: ClassVar[Mapping[str, Range]] = {"strength": Float(0.0, 1.0)}

    base: Arm = field(default_factory=EASE)
    strength: float = 0.5

    def __post_init__(self) -> None:
        self.take_by_name(base=RECOMMENDERS)
        check.not_negative("strength", self.strength)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedLongTail:
        return FittedLongTail(
            RECOMMENDERS.make(self.base).fit(feedback, catalog=catalog), self.strength
        )

    @staticmethod
    def over(base: FittedRecommender, strength: float = 0.5) -> FittedLongTail:
        """Return the damped form of an arm that is fitted already."""
        return FittedLongTail(base, check.not_negative("strength", strength))

    @staticmethod
    def load(
        path: str | Path, *, base: Callable[[Path], FittedRecommender] = EASE.load
    ) -> FittedLongTail:
        """Return an arm that `save` wrote; `base` loads the arm underneath."""
        recipe, _ = load_arm(path, kind=_KIND)
        return FittedLongTail(base(Path(path) / "base"), recipe["strength"])


@final
class FittedLongTail(FittedRecommender):
    """A fitted arm with its scores damped by popularity.

    Attributes:
        base: The arm underneath.
        strength: Strength of the damping.
    """

    @property
    @override
    def capabilities(self) -> Capability:
        """Ranking, and what the arm underneath can pass on."""
        return Capability.RANKING | (self.base.capabilities & PASSED_ON)

    def __init__(self, base: FittedRecommender, strength: float) -> None:
        self.base, self.strength = base, strength
        self.users, self.items, self.history = base.users, base.items, base.history
        seen = np.bincount(base.history.value.indices, minlength=len(base.items))
        self._penalty = (strength * np.log2(1.0 + seen)).astype(np.float32)

    @override
    def score(self, histories: Histories) -> Float32Array:
        scores = self.base.score(histories)
        ranked = np.isfinite(scores)
        mean = np.mean(scores, axis=1, where=ranked, keepdims=True)
        spread = np.std(scores, axis=1, where=ranked, keepdims=True)
        damped: Float32Array = (scores - mean) / np.maximum(spread, 1e-12) - self._penalty
        return damped

    @override
    def save(self, path: str | Path) -> None:
        target = Path(path)
        save_arm(target, self, kind=_KIND, recipe={"strength": self.strength}, arrays={})
        self.base.save(target / "base")
