"""One arm retrieves, another one ranks what was retrieved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.ensembles.base import (
    EnsembleRecipe,
    FittedEnsemble,
    fit_members,
    load_members,
    recipe_names,
)
from siamrec.models.recommenders import EASE, FittedRecommender
from siamrec.models.recommenders._book import RECOMMENDERS, Arm
from siamrec.models.recommenders.search import Integer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders import Histories, Range
    from siamrec.typing import CodeArray, Float32Array

_MEMBERS = ("retrieve", "rank")


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Cascade(EnsembleRecipe):
    """Take the best `depth` unseen items of one arm and rank them by another.

    Nothing beyond them is ranked, so a list is at most `depth` long. What the second arm cannot
    rank stands below the rest in the order of the first.

    Args:
        retrieve: The arm that proposes: a recipe or its name.
        rank: The arm that orders: a recipe or its name.
        depth: Number of items that are passed on, at least 1.

    Raises:
        siamrec.errors.InvalidParameterError: If `depth` is below 1.

    Examples:
        >>> from siamrec.data import Feedback
        >>> from siamrec.models.recommenders import Popularity
        >>> feedback = Feedback.of(user=["a", "a", "b", "b", "c"], item=["x", "y", "x", "z", "x"])
        >>> arm = Cascade(retrieve=Popularity(), rank=EASE(l2=1.0), depth=1).fit(feedback)
        >>> arm.recommend(["c"], k=5).lists()
        {'c': ['y']}
    """

    search_space: ClassVar[Mapping[str, Range]] = {"depth": Integer(20, 500, log=True)}

    retrieve: Arm = field(default_factory=EASE)
    rank: Arm = field(default_factory=EASE)
    depth: int = 200

    def __post_init__(self) -> None:
        self.take_by_name(retrieve=RECOMMENDERS, rank=RECOMMENDERS)
        check.count("depth", self.depth)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedCascade:
        arms = {name: RECOMMENDERS.make(getattr(self, name)) for name in _MEMBERS}
        members = fit_members(arms, feedback, catalog)
        return FittedCascade(members, self.depth, recipes=recipe_names(arms))

    @staticmethod
    def over(
        retrieve: FittedRecommender, rank: FittedRecommender, *, depth: int = 200
    ) -> FittedCascade:
        """Return the cascade of arms that are fitted already."""
        return FittedCascade(dict(zip(_MEMBERS, (retrieve, rank), strict=True)), depth)

    @staticmethod
    def load(
        path: str | Path,
        *,
        loaders: Mapping[str, Callable[[Path], FittedRecommender]] | None = None,
    ) -> FittedCascade:
        """Return an ensemble that `save` wrote; `loaders` for members of unknown recipes."""
        arms, recipes, settings, _ = load_members(path, FittedCascade.kind, loaders)
        return FittedCascade(arms, settings["depth"], recipes=recipes)


@final
class FittedCascade(FittedEnsemble):
    """A fitted arm that retrieves and one that ranks."""

    kind = "ensemble-cascade"

    def __init__(
        self,
        arms: Mapping[str, FittedRecommender],
        depth: int,
        *,
        recipes: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(arms, recipes)
        self.depth = check.count("depth", depth)

    @override
    def traced(self, histories: Histories) -> tuple[Float32Array, CodeArray | None]:
        first, second = self.all_scores(histories)
        seen = histories.value.tocoo()
        unseen = first.copy()
        unseen[seen.row, seen.col] = -np.inf
        passed = _best(unseen, self.depth)
        # Seen items pass as well: whether they are shown is decided when lists are made.
        passed[seen.row, seen.col] = np.isfinite(first[seen.row, seen.col])
        scores = np.where(passed, second, -np.inf)
        unknown = passed & ~np.isfinite(second)
        if unknown.any():
            floor = np.min(scores, axis=1, where=np.isfinite(scores), initial=np.inf)
            floor = np.where(np.isfinite(floor), floor, 0.0)[:, None]
            most = np.max(first, axis=1, where=unknown, initial=-np.inf)[:, None]
            # Below the worst one ranked, as far apart as the first arm has them.
            below = floor - 1.0 - (np.where(np.isfinite(most), most, 0.0) - first)
            scores = np.where(unknown, below, scores)
        return scores.astype(np.float32), None

    @override
    def _settings(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        return {"depth": self.depth}, {}


def _best(table: Float32Array, depth: int) -> npt.NDArray[np.bool_]:
    """Return where the `depth` best of each row stand; of equal ones the first."""
    chosen = np.isfinite(table)
    if depth < table.shape[1]:
        order = np.argsort(-table, axis=1, kind="stable")
        np.put_along_axis(chosen, order[:, depth:], values=False, axis=1)
    return chosen
