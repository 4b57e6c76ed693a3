"""Every ensemble is an arm: the contract of arms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.models.encoders import HashingEncoder
from siamrec.models.ensembles import Cascade, Fallback, Stacking, Switching, Weighted
from siamrec.models.recommenders import (
    EASE,
    BiasModel,
    ExplicitMF,
    FittedRecommender,
    ItemKNN,
    Popularity,
    TextProfile,
)
from siamrec.testing.recommenders import RecommenderContract, small_catalog, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import RecommenderRecipe

ARMS: dict[str, RecommenderRecipe] = {"ease": EASE(l2=5.0), "popularity": Popularity()}


class TestWeighted(RecommenderContract):
    @override
    def make(self) -> Weighted:
        return Weighted(arms=ARMS, weights={"ease": 2.0, "popularity": 1.0})

    @override
    def load(self, path: Path) -> FittedRecommender:
        return Weighted.load(path)


class TestLearnedWeights(RecommenderContract):
    @override
    def make(self) -> Weighted:
        return Weighted(arms=ARMS, rounds=5)

    @override
    def load(self, path: Path) -> FittedRecommender:
        return Weighted.load(path)


class TestWeightedOverTexts(RecommenderContract):
    """One member ranks an item that the other does not know."""

    @override
    def make(self) -> Weighted:
        texts = TextProfile(encoder=HashingEncoder(dim=32))
        arms = {"ease": EASE(l2=5.0), "text": texts}
        return Weighted(arms=arms, weights={"ease": 1.0, "text": 0.5})

    @override
    def load(self, path: Path) -> FittedRecommender:
        def texts(folder: Path) -> FittedRecommender:
            return TextProfile.load(folder)

        return Weighted.load(path, loaders={"text": texts})


class TestSwitching(RecommenderContract):
    @override
    def make(self) -> Switching:
        return Switching(
            arms={"popularity": Popularity(), "knn": ItemKNN(), "ease": EASE(l2=5.0)},
            least=(0, 6, 8),
        )

    @override
    def load(self, path: Path) -> FittedRecommender:
        return Switching.load(path)


class TestCascade(RecommenderContract):
    @override
    def make(self) -> Cascade:
        return Cascade(retrieve=Popularity(), rank=EASE(l2=5.0), depth=9)

    @override
    def load(self, path: Path) -> FittedRecommender:
        return Cascade.load(path)


class TestFallback(RecommenderContract):
    @override
    def make(self) -> Fallback:
        return Fallback(arms=ARMS)

    @override
    def load(self, path: Path) -> FittedRecommender:
        return Fallback.load(path)


class TestStackedRatings(RecommenderContract):
    @override
    def make(self) -> Stacking:
        return Stacking(arms={"bias": BiasModel(), "mf": ExplicitMF(factors=2)})

    @override
    def load(self, path: Path) -> FittedRecommender:
        return Stacking.load(path)


class TestStackedRanks(RecommenderContract):
    @override
    def make(self) -> Stacking:
        return Stacking(arms=ARMS, target="ranking", meta="non-negative")

    @override
    def load(self, path: Path) -> FittedRecommender:
        return Stacking.load(path)


@pytest.mark.parametrize(
    "recipe",
    [
        lambda arms: Weighted(arms=arms),
        lambda arms: Switching(arms=arms),
        lambda arms: Fallback(arms=arms),
        lambda arms: Stacking(arms=arms),
    ],
)
def test_arms_must_be_recipes(recipe: Any) -> None:
    with pytest.raises(InvalidParameterError, match="arms must be"):
        recipe({})
    with pytest.raises(InvalidParameterError, match="not its class"):
        recipe({"ease": EASE, "other": EASE()})


def test_members_must_know_the_same_users() -> None:
    other = Feedback.of(user=["somebody"], item=["i1"])
    arms = {"one": Popularity().fit(small_feedback()), "two": Popularity().fit(other)}
    with pytest.raises(InvalidDataError, match="the same users"):
        Weighted.over(arms, {"one": 1.0, "two": 1.0})


def test_a_member_without_a_known_recipe_needs_a_loader(tmp_path: Path) -> None:
    arm = Fallback.over({"popularity": Popularity().fit(small_feedback())})
    arm.save(tmp_path / "arm")
    with pytest.raises(MissingInputError, match="a loader of 'popularity'"):
        Fallback.load(tmp_path / "arm")
    loaded = Fallback.load(tmp_path / "arm", loaders={"popularity": Popularity.load})
    users = ["u1", "u2"]
    assert loaded.recommend(users, k=5).lists() == arm.recommend(users, k=5).lists()


def test_an_item_that_only_one_member_knows_is_ranked() -> None:
    arm = TestWeightedOverTexts().make().fit(small_feedback(), catalog=small_catalog())
    everything = arm.recommend(["u0"], k=50).lists()["u0"]
    assert everything == ["new"]
    np.testing.assert_array_equal(arm.items.ids[-1], "new")
