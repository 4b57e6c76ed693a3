"""Every registered arm and ensemble, made small and quick; a new one joins by being registered."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from siamrec.models.recommenders import RECOMMENDERS, NeuralRecipe
from siamrec.models.recommenders.search import Float

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe

SMALL: dict[str, dict[str, Any]] = {
    "text-profile": {"encoder": "hashing:dim=16"},
    "text-to-factor": {"encoder": "hashing:dim=16"},
    "niche": {"attribute": "kind"},
    "stacking": {"arms": ["bias", "explicit-mf:factors=2"], "folds": 2},
    "switching": {"arms": ["popularity", "item-knn"], "least": [0, 3]},
    "fallback": {"arms": ["item-knn", "popularity"]},
    "weighted": {"arms": ["ease", "popularity"], "rounds": 3, "validation": 0.5},
    "cascade": {"retrieve": "popularity", "rank": "ease"},
}
"""Settings that an arm cannot do without, or that make it quick."""
_QUICK = {"factors": 4, "hidden": 8, "even_negatives": 8, "epochs": 2, "iterations": 3, "l2": 1.0}

NAMES = sorted(RECOMMENDERS.house())
"""Every arm of the house by name."""


def make(name: str, **settings: Any) -> RecommenderRecipe:
    """Return the arm of this name with settings that suit a handful of users."""
    recipe: Any = RECOMMENDERS.make({"name": name, **SMALL.get(name, {})})
    own = {field.name for field in fields(recipe)}
    quick = {key: value for key, value in _QUICK.items() if key in own}
    if isinstance(recipe, NeuralRecipe) or not isinstance(recipe.search_space.get("l2"), Float):
        quick.pop("l2", None)
    return replace(recipe, **{**quick, **settings})  # type: ignore[no-any-return]


def is_deep(name: str) -> bool:
    """Whether an arm is trained by gradient descent."""
    return isinstance(make(name), NeuralRecipe)


def load(recipe: RecommenderRecipe, path: Path) -> FittedRecommender:
    """Return a saved arm, as its recipe loads it."""
    own: Any = recipe
    return own.load(path)  # type: ignore[no-any-return]
