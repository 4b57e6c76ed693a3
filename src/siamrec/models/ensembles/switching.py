"""One arm for each person, by how much is known of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec.errors import InvalidParameterError
from siamrec.models.ensembles.base import (
    EnsembleRecipe,
    FittedEnsemble,
    fit_members,
    load_members,
    recipe_names,
)
from siamrec.models.recommenders import EASE, FittedRecommender, Popularity
from siamrec.models.recommenders._book import Arms, arms_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders import Histories
    from siamrec.typing import CodeArray, Float32Array


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Switching(EnsembleRecipe):
    """Rank each person by the arm that suits the length of their history.

    An arm serves people from its number of known events up to the next arm's.

    Args:
        arms: Recipes by name, or a list of names, at least one; popularity, then EASE when absent.
        least: Least number of events of the people that each arm serves: rising, from 0.

    Raises:
        siamrec.errors.InvalidParameterError: If `least` does not fit the arms, or does not rise
            from 0.

    Examples:
        >>> from siamrec.data import Feedback
        >>> from siamrec.models.recommenders import EASE, Popularity
        >>> feedback = Feedback.of(user=["a", "b", "b", "c"], item=["x", "x", "y", "z"])
        >>> arms = {"popularity": Popularity(), "ease": EASE(l2=1.0)}
        >>> lists = Switching(arms=arms, least=(0, 2)).fit(feedback).recommend(["a", "b"], k=1)
        >>> [lists.arms[place] for place in lists.source]
        ['popularity', 'ease']
    """

    arms: Arms = field(default_factory=lambda: {"popularity": Popularity(), "ease": EASE()})
    least: tuple[int, ...] = (0, 5)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", arms_by_name(self.arms))
        _check_least(self.least, len(self.arms))

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedSwitching:
        arms = arms_by_name(self.arms)
        members = fit_members(arms, feedback, catalog)
        return FittedSwitching(members, self.least, recipes=recipe_names(arms))

    @staticmethod
    def over(arms: Mapping[str, FittedRecommender], least: tuple[int, ...]) -> FittedSwitching:
        """Return the ensemble of arms that are fitted already."""
        return FittedSwitching(arms, least)

    @staticmethod
    def load(
        path: str | Path,
        *,
        loaders: Mapping[str, Callable[[Path], FittedRecommender]] | None = None,
    ) -> FittedSwitching:
        """Return an ensemble that `save` wrote; `loaders` for members of unknown recipes."""
        arms, recipes, settings, _ = load_members(path, FittedSwitching.kind, loaders)
        return FittedSwitching(arms, tuple(settings["least"]), recipes=recipes)


@final
class FittedSwitching(FittedEnsemble):
    """Fitted arms, each with the least number of events of those that it serves."""

    kind = "ensemble-switching"

    def __init__(
        self,
        arms: Mapping[str, FittedRecommender],
        least: tuple[int, ...],
        *,
        recipes: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(arms, recipes)
        _check_least(least, len(arms))
        self.least = least

    @override
    def traced(self, histories: Histories) -> tuple[Float32Array, CodeArray | None]:
        events = np.diff(histories.value.indptr)
        chosen = np.searchsorted(self.least, events, side="right") - 1
        scores = np.empty((len(histories), len(self.items)), dtype=np.float32)
        for place in np.unique(chosen).tolist():  # members, not people
            rows = np.flatnonzero(chosen == place)
            scores[rows] = self.scores_of(place, histories.at(rows))
        origin = np.broadcast_to(chosen.astype(np.int32)[:, None], scores.shape)
        return scores, origin

    @override
    def _settings(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        return {"least": list(self.least)}, {}


def _check_least(least: tuple[int, ...], n_arms: int) -> None:
    rising = all(low < high for low, high in itertools.pairwise(least))
    if len(least) != n_arms or least[0] != 0 or not rising:
        raise InvalidParameterError("least", least, f"{n_arms} numbers that rise from 0")
