"""Content and discovery arms: cold items, hidden gems, niches, coverage, surprise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Catalog, Feedback
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingCapabilityError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.models import HashingEncoder
from siamrec.models.recommenders import (
    EASE,
    IALS,
    Capability,
    Coverage,
    HiddenGems,
    LightGCN,
    LongTail,
    Niche,
    SerendipityExplorer,
    TextProfile,
    TextToFactor,
)
from siamrec.models.recommenders.discovery import standardised
from siamrec.testing.recommenders import (
    RecommenderContract,
    small_catalog,
    small_feedback,
)

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe


class DiscoveryContract(RecommenderContract):
    recipe: Any

    @override
    def make(self) -> RecommenderRecipe:
        made: RecommenderRecipe = self.recipe
        return made

    @override
    def load(self, path: Path) -> FittedRecommender:
        loaded: FittedRecommender = type(self.recipe).load(path)
        return loaded


class TestTextToFactor(DiscoveryContract):
    recipe = TextToFactor(encoder=HashingEncoder(dim=16), base=IALS(factors=4, iterations=3))


class TestHiddenGems(DiscoveryContract):
    recipe = HiddenGems(base=EASE(l2=5.0), votes=9, average=3.0)


class TestSmoothHiddenGems(DiscoveryContract):
    recipe = HiddenGems(base=EASE(l2=5.0), votes=9, average=3.0, smooth=0.5)


class TestCoverage(DiscoveryContract):
    recipe = Coverage(base=EASE(l2=5.0), depth=3)


class TestSerendipityExplorer(DiscoveryContract):
    recipe = SerendipityExplorer(base=EASE(l2=5.0), floor=0.3)


class TestSerendipityOfTexts(DiscoveryContract):
    recipe = SerendipityExplorer(base=EASE(l2=5.0), encoder=HashingEncoder(dim=16))


class TestNiche(DiscoveryContract):
    recipe: Niche = Niche(base=EASE(l2=5.0), attribute="kind")

    @override
    def fitted(self) -> FittedRecommender:
        kinds = ["rare" if code % 7 == 0 else "common" for code in range(24)]
        ids = [f"i{code}" for code in range(24)]
        catalog = Catalog.from_frame({"item": ids, "kind": kinds}, attributes=["kind"])
        return self.recipe.fit(small_feedback(), catalog=catalog)


FEEDBACK = Feedback.of(
    user=["a", "b", "c", "a", "b"],
    item=["hit", "hit", "hit", "gem", "dud"],
    value=[8, 9, 9, 9, 2],
)


def boost(recipe: Any, catalog: Catalog | None = None) -> dict[Any, float]:
    arm = recipe.fit(FEEDBACK, catalog=catalog)
    return dict(zip(arm.items.ids, arm.boost.tolist(), strict=True))


def test_gems_are_rare_and_good() -> None:
    rule = HiddenGems(base=EASE(l2=1.0), votes=2, average=7.5, weight=2.0)
    assert boost(rule) == {"hit": 0.0, "gem": 2.0, "dud": 0.0}
    catalog = Catalog.from_frame(
        {"item": ["hit", "dud"], "votes": [10, 3], "stars": [9.0, 8.0]},
        attributes=["votes", "stars"],
    )
    from_catalog = HiddenGems(
        base=EASE(l2=1.0), votes=5, average=7.5, counted="votes", averaged="stars"
    )
    assert boost(from_catalog, catalog) == {"hit": 0.0, "gem": 0.0, "dud": 1.0}
    smooth = boost(HiddenGems(base=EASE(l2=1.0), votes=2, average=7.5, smooth=0.7))
    expected = 1 / (1 + np.exp(-(np.log(2) - np.log(2)) / 0.7)) / (1 + np.exp(-1.5 / 0.7))
    assert smooth["gem"] == pytest.approx(expected)
    assert smooth["gem"] > smooth["hit"] > smooth["dud"]


def test_the_rarest_name_of_an_item_counts() -> None:
    catalog = Catalog.from_frame(
        {"item": ["hit", "gem", "dud"], "genres": ["war", "war|noir", None]},
        lists={"genres": "|"},
    )
    # war is met four times, noir once
    found = boost(Niche(base=EASE(l2=1.0), weight=2.0), catalog)
    assert found["hit"] == 0.0
    assert found["gem"] == pytest.approx(2 * (1 - np.log(2) / np.log(5)))
    assert found["dud"] == 0.0


def test_coverage_raises_what_is_never_shown() -> None:
    feedback = small_feedback()
    base = EASE(l2=5.0)
    shown = [
        len(set(arm.recommend(feedback.users.ids, k=3).item.tolist()))
        for arm in (base.fit(feedback), Coverage(base=base, weight=2.0, depth=3).fit(feedback))
    ]
    assert shown[1] > shown[0]


def test_without_weight_the_order_is_that_of_the_base() -> None:
    feedback = small_feedback()
    users = feedback.users.ids
    expected = EASE(l2=5.0).fit(feedback).recommend(users).lists()
    for recipe in (
        Coverage(base=EASE(l2=5.0), weight=0.0),
        SerendipityExplorer(base=EASE(l2=5.0), weight=0.0),
    ):
        assert recipe.fit(feedback).recommend(users).lists() == expected


def test_surprise_is_the_distance_to_the_nearest_item_of_the_history() -> None:
    encoder = HashingEncoder(dim=32)
    recipe = SerendipityExplorer(base=EASE(l2=5.0), encoder=encoder)
    arm = recipe.fit(small_feedback(), catalog=small_catalog())
    row = arm.history.people(np.array([4], dtype=np.int32))
    texts = dict(zip(small_catalog().items.ids, small_catalog().text, strict=True))
    vectors = encoder.encode([str(texts[id_]) for id_ in arm.items.ids])
    expected = 1 - (vectors[row.value.indices] @ vectors.T).max(axis=0)
    np.testing.assert_allclose(arm.surprise(row)[0], expected, atol=1e-6)
    by_people = SerendipityExplorer(base=EASE(l2=5.0)).fit(small_feedback())
    met = (by_people.history.value.toarray() != 0).astype(float)
    met /= np.linalg.norm(met, axis=0)
    expected = 1 - (met[:, row.value.indices].T @ met).max(axis=0)
    np.testing.assert_allclose(by_people.surprise(row)[0], expected, atol=1e-5)


def test_what_is_not_relevant_comes_last() -> None:
    feedback = small_feedback()
    base = EASE(l2=5.0).fit(feedback)
    arm = SerendipityExplorer(base=EASE(l2=5.0), weight=50.0, floor=0.8).fit(feedback)
    top = base.recommend(["u3"], k=24, exclude_seen=False).lists()["u3"][:5]
    assert set(arm.recommend(["u3"], k=5, exclude_seen=False).lists()["u3"]) == set(top)


def test_scores_are_standardised_over_what_can_be_ranked() -> None:
    scores = np.array([[1.0, 3.0, -np.inf], [2.0, 2.0, 2.0]], dtype=np.float32)
    np.testing.assert_allclose(standardised(scores), np.array([[-1, 1, -np.inf], [0, 0, 0]]))


def test_texts_take_the_factors_of_alike_items() -> None:
    rng = np.random.default_rng(0)
    user, item = [], []
    for person in range(60):
        for code in rng.permutation(8)[:5].tolist():
            user.append(person)
            item.append(f"{'ab'[person % 2]}{code}")
    feedback = Feedback.of(user=user, item=item)
    word = {"a": "space ship alien", "b": "wedding love kiss"}
    ids = [*(str(id_) for id_ in feedback.items.ids), "a-new", "b-new", "bare"]
    texts = [None if id_ == "bare" else f"{word[id_[0]]} {id_}" for id_ in ids]
    catalog = Catalog.from_frame({"item": ids, "text": texts}, text="text")
    recipe = TextToFactor(encoder=HashingEncoder(dim=64), base=IALS(factors=8), l2=1.0)
    arm = recipe.fit(feedback, catalog=catalog)
    lists = arm.recommend([0, 1], k=3, candidates=["a-new", "b-new", "bare"]).lists()
    assert lists == {0: ["a-new", "b-new"], 1: ["b-new", "a-new"]}
    parts = arm.explain(0, "a-new", n=99)
    score = arm.recommend([0], k=1, candidates=["a-new"]).score
    assert score is not None
    assert sum(part for _, part in parts) == pytest.approx(score[0], abs=1e-5)
    newer = arm.update(Feedback.of(user=[0], item=["b-new"]))
    assert newer.recommend([0], k=3, candidates=["a-new", "b-new"]).lists() == {0: ["a-new"]}
    assert newer.explain(0, "a-new", n=99) == parts


def test_the_map_is_weighted_ridge_regression_and_blends_by_count() -> None:
    rng = np.random.default_rng(1)
    recipe = TextToFactor(encoder=HashingEncoder(dim=16), l2=3.0, trust=2.0)
    factors, text = rng.normal(size=(9, 4)), rng.normal(size=(11, 5))
    written, count = np.ones(11), np.append(rng.integers(1, 9, 9), [0, 0])
    written[2] = 0
    placed = recipe._placed(factors, text, written, count)
    rows = np.flatnonzero((count > 0) & (written > 0))
    root = np.sqrt(count[rows])[:, None]
    x = np.column_stack([text, np.ones(11)])
    penalty = np.sqrt(3.0) * np.eye(5, 6)
    a = np.concatenate([root * x[rows], penalty])
    b = np.concatenate([root * factors[rows], np.zeros((5, 4))])
    solved = np.linalg.lstsq(a, b, rcond=None)[0]
    np.testing.assert_allclose(placed[9:], x[9:] @ solved, atol=1e-6)
    np.testing.assert_allclose(placed[2], factors[2])
    expected = (count[0] * factors[0] + 2 * x[0] @ solved) / (count[0] + 2)
    np.testing.assert_allclose(placed[0], expected, atol=1e-6)


def test_an_arm_over_another_promises_what_the_other_keeps() -> None:
    feedback = small_feedback()
    closed = LongTail(base=LightGCN(factors=2, epochs=1)).fit(feedback)
    assert closed.capabilities == Capability.RANKING | Capability.WEIGHTS
    with pytest.raises(MissingCapabilityError, match="COLD_USER"):
        closed.recommend_for_history([["i1"]])
    text = TextProfile(encoder=HashingEncoder(dim=16), positive=None)
    open_to_new = Coverage(base=text).fit(feedback, catalog=small_catalog())
    assert Capability.COLD_ITEM in open_to_new.capabilities
    assert open_to_new.recommend(["u3"], candidates=["new"]).lists() == {"u3": ["new"]}


def test_inputs_are_checked() -> None:
    encoder = HashingEncoder(dim=16)
    with pytest.raises(MissingInputError, match=r"fit\(feedback, catalog=catalog\)"):
        TextToFactor(encoder=encoder).fit(FEEDBACK)
    bare = Catalog.from_frame({"item": ["hit"], "text": [None]}, text="text")
    with pytest.raises(
        InvalidDataError, match="TextToFactor needs items with feedback and a text"
    ):
        TextToFactor(encoder=encoder).fit(FEEDBACK, catalog=bare)
    with pytest.raises(MissingInputError, match="catalog is needed"):
        Niche().fit(FEEDBACK)
    with pytest.raises(UnknownNameError, match="No attribute is named 'genres'"):
        Niche().fit(FEEDBACK, catalog=bare)
    named = Catalog.from_frame({"item": ["hit"], "votes": ["many"]}, attributes=["votes"])
    with pytest.raises(InvalidDataError, match="votes must hold numbers"):
        HiddenGems(counted="votes").fit(FEEDBACK, catalog=named)
    with pytest.raises(InvalidParameterError, match=r"floor must be in \[0, 1\)"):
        SerendipityExplorer(floor=1.0)
    with pytest.raises(MissingInputError, match="catalog is needed"):
        SerendipityExplorer(encoder=encoder).fit(FEEDBACK)
    with pytest.raises(InvalidParameterError, match="weight must be a finite number not below 0"):
        Coverage(weight=-1)
