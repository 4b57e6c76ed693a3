"""A chain of arms: the next one where those before have nothing to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec.models.ensembles.base import (
    EnsembleRecipe,
    FittedEnsemble,
    fit_members,
    load_members,
    recipe_names,
)
from siamrec.models.ensembles.scales import rescaled
from siamrec.models.recommenders import EASE, FittedRecommender, Popularity
from siamrec.models.recommenders._book import Arms, arms_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders import Histories
    from siamrec.typing import BoolArray, CodeArray, Float32Array


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Fallback(EnsembleRecipe):
    """Fill each list from the first arm, then from the next, and so on.

    An arm speaks for an item of a person when it has a score for it and its scores for that
    person are not all alike (as those of most arms are for people without a history). Items of
    an earlier arm stand above those of a later one; `Rankings.source` tells which arm brought
    each.

    Args:
        arms: Recipes by name, or a list of names, at least one, the preferred one first;
            EASE, then popularity when absent.

    Examples:
        >>> from siamrec.data import Feedback
        >>> from siamrec.models.recommenders import EASE, Popularity
        >>> feedback = Feedback.of(user=["a", "a", "b"], item=["x", "y", "x"])
        >>> arm = Fallback(arms={"ease": EASE(l2=1.0), "popularity": Popularity()}).fit(feedback)
        >>> lists = arm.recommend_for_history([["x"], []], k=2)
        >>> lists.lists(), [lists.arms[place] for place in lists.source]
        ({0: ['y'], 1: ['x', 'y']}, ['ease', 'popularity', 'popularity'])
    """

    arms: Arms = field(default_factory=lambda: {"ease": EASE(), "popularity": Popularity()})

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", arms_by_name(self.arms))

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedFallback:
        arms = arms_by_name(self.arms)
        return FittedFallback(fit_members(arms, feedback, catalog), recipe_names(arms))

    @staticmethod
    def over(arms: Mapping[str, FittedRecommender]) -> FittedFallback:
        """Return the chain of arms that are fitted already."""
        return FittedFallback(arms)

    @staticmethod
    def load(
        path: str | Path,
        *,
        loaders: Mapping[str, Callable[[Path], FittedRecommender]] | None = None,
    ) -> FittedFallback:
        """Return an ensemble that `save` wrote; `loaders` for members of unknown recipes."""
        arms, recipes, _, _ = load_members(path, FittedFallback.kind, loaders)
        return FittedFallback(arms, recipes)


@final
class FittedFallback(FittedEnsemble):
    """A chain of fitted arms.

    The score of an item is `level + place`: the level falls by 2 from each arm to the next, and
    the place, in (0, 1], is the item's rank within the arm.
    """

    kind = "ensemble-fallback"

    @override
    def traced(self, histories: Histories) -> tuple[Float32Array, CodeArray | None]:
        shape = (len(histories), len(self.items))
        scores = np.full(shape, -np.inf, dtype=np.float32)
        origin = np.full(shape, -1, dtype=np.int32)
        last = len(self.members) - 1
        for place in range(last + 1):
            table = self.scores_of(place, histories)
            speaks = np.isfinite(table) & (origin < 0)
            if place < last:
                speaks &= _telling(table, histories)[:, None]
            level = np.float32(2.0 * (last - place))
            scores[speaks] = (level + rescaled(table, "rank"))[speaks]
            origin[speaks] = place
        return scores, origin

    @override
    def _settings(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        return {}, {}


def _telling(table: Float32Array, histories: Histories) -> BoolArray:
    """Return for which people the scores of unseen items differ."""
    seen = histories.value.tocoo()
    open_ = np.isfinite(table)
    open_[seen.row, seen.col] = False
    low = np.min(table, axis=1, where=open_, initial=np.inf)
    high = np.max(table, axis=1, where=open_, initial=-np.inf)
    telling: BoolArray = (open_.sum(axis=1) == 1) | (high > low)
    return telling
