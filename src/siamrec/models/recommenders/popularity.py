"""Popularity: the baseline that every arm has to beat."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec.data import NO_TIME
from siamrec.errors import InvalidDataError
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.search import Choice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray

_CAN = Capability.RANKING | Capability.COLD_USER | Capability.WEIGHTS
_KIND = "popularity"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Popularity(RecommenderRecipe):
    """Rank items by how many users liked them, lately if wanted.

    `score_i = Σ_u w_ui`, where `w` is the weight of the event on a liked item, times
    `2^(−age / half_life)` by its age before the newest one where a half-life is given.

    Args:
        positive: Smallest value that counts as liking; None counts every event.
        half_life: Age at which an event counts half, such as `"90d"`; None counts all alike.

    Raises:
        siamrec.errors.InvalidParameterError: If `half_life` is not a duration above 0.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(user=["ann", "bob", "cid"], item=["x", "x", "y"])
        >>> Popularity().fit(feedback).recommend(["cid"], k=1).lists()
        {'cid': ['x']}
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {"half_life": Choice(None, "30d", "90d", "365d")}

    positive: float | None = None
    half_life: str | None = None

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        if self.half_life is not None:
            duration("half_life", self.half_life)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedPopularity:
        history = Histories.of(feedback, feedback.users, feedback.items)
        counted = history.weights.astype(np.float64)
        counted[~history.is_liked(self.positive)] = 0.0
        if self.half_life is not None:
            counted = counted * self._fresh(history)
        weight: FloatArray = np.bincount(
            history.value.indices, weights=counted, minlength=len(feedback.items)
        ).astype(np.float64)
        return FittedPopularity(self, feedback.users, feedback.items, history, weight)

    def _fresh(self, history: Histories) -> FloatArray:
        if history.time is None or (history.time.data == NO_TIME).any():
            raise InvalidDataError("half_life needs the time of every event.")
        when = history.time.data
        age = (when.max() - when) / duration("half_life", self.half_life or "")
        fresh: FloatArray = np.exp2(-age)
        return fresh

    @staticmethod
    def load(path: str | Path) -> FittedPopularity:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedPopularity(
            Popularity(**recipe),
            parts["users"],
            parts["items"],
            parts["history"],
            parts["weight"],
        )


@final
class FittedPopularity(FittedRecommender):
    """Items by popularity; the same order for everybody."""

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self,
        recipe: Popularity,
        users: Vocabulary,
        items: Vocabulary,
        history: Histories,
        weight: FloatArray,
    ) -> None:
        self.recipe = recipe
        self.users, self.items, self.history = users, items, history
        self.weight = weight

    @override
    def score(self, histories: Histories) -> Float32Array:
        return np.tile(self.weight.astype(np.float32), (len(histories), 1))

    @override
    def save(self, path: str | Path) -> None:
        save_arm(
            path, self, kind=_KIND, recipe=asdict(self.recipe), arrays={"weight": self.weight}
        )
