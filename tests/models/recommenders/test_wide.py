"""Arms for many items: what they compute, and that none holds a matrix of items by items."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typing_extensions import override

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.metrics import Suite
from siamrec.metrics.splits import RandomShare
from siamrec.models.recommenders import (
    EASE,
    EDLAE,
    ELSA,
    GFCF,
    IALS,
    SANSA,
    Histories,
    ItemKNN,
    Popularity,
    RP3beta,
)
from siamrec.models.recommenders._lists import Lists
from siamrec.simulation import WideWorld
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from siamrec.data import Feedback
    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe
    from siamrec.typing import FloatArray

WIDE = WideWorld(n_users=4000, n_items=4000).simulate(3)
FOLD = next(RandomShare(share=0.2, per_user=True).split(WIDE, rng=np.random.default_rng(0)))
TRAIN, TRUTH = FOLD.training, FOLD.truth()


class TestSANSA(RecommenderContract):
    @override
    def make(self) -> SANSA:
        return SANSA(l2=5.0, support=8)


class TestELSA(RecommenderContract):
    @override
    def make(self) -> ELSA:
        return ELSA(factors=8, epochs=3)


class TestItemKNNByTfIdf(RecommenderContract):
    @override
    def make(self) -> ItemKNN:
        return ItemKNN(weighting="tf-idf")


class TestItemKNNByBM25(RecommenderContract):
    @override
    def make(self) -> ItemKNN:
        return ItemKNN(weighting="bm25", strength="events")


def liked(feedback: Feedback) -> FloatArray:
    history = Histories.of(feedback, feedback.users, feedback.items)
    return history.liked(None).toarray().astype(np.float64)  # type: ignore[no-any-return]


def test_with_the_support_of_all_items_sansa_is_ease() -> None:
    feedback = small_feedback()
    one = SANSA(l2=5.0, support=99, neighbours=99).fit(feedback)
    two = EASE(l2=5.0).fit(feedback)
    np.testing.assert_allclose(one.score(one.history), two.score(two.history), atol=1e-5)


def test_a_row_of_the_factor_is_the_best_that_its_support_allows() -> None:
    x = liked(small_feedback())
    gram = x.T @ x + 5.0 * np.eye(x.shape[1])
    order = np.argsort(-x.sum(axis=0), kind="stable")
    size = np.sqrt(np.diag(gram))
    inverse = np.zeros_like(gram)
    for place, item in enumerate(order):
        before = order[:place]
        alike = gram[item, before] / (size[item] * size[before])
        alike[gram[item, before] == 0] = -np.inf
        own = [*before[np.argsort(-alike, kind="stable")[:4]], item]
        own = [other for other in own if gram[item, other] > 0]
        solved = np.linalg.solve(gram[np.ix_(own, own)], np.eye(len(own))[-1])
        row = np.zeros(len(gram))
        row[own] = solved / np.sqrt(solved[-1])
        inverse += np.outer(row, row)
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    weights: Any = SANSA(l2=5.0, support=4, neighbours=99).fit(small_feedback()).weights
    found = weights.toarray()
    # equal likenesses may be told apart in another way
    assert np.isclose(found, expected, atol=1e-5).mean() > 0.95


def test_elsa_rebuilds_without_the_item_itself() -> None:
    arm = ELSA(factors=4, epochs=2).fit(small_feedback())
    np.testing.assert_allclose(np.linalg.norm(arm.vectors, axis=1), 1.0, rtol=1e-5)
    x = liked(small_feedback())
    expected = x @ (arm.vectors @ arm.vectors.T - np.eye(x.shape[1]))
    np.testing.assert_allclose(arm.score(arm.history), expected, atol=1e-4)
    assert torch.isfinite(torch.tensor(arm.training.loss)).all()
    assert arm.training.loss[-1] < arm.training.loss[0]


def test_tf_idf_and_bm25_against_slow_definitions() -> None:
    x = liked(small_feedback())
    of_user, of_item, n = x.sum(axis=1), x.sum(axis=0), x.shape[1]
    rare = np.maximum(np.log(n / (1 + of_user)), 0)[:, None]
    tf_idf = np.sqrt(x) * rare
    size = np.linalg.norm(tf_idf, axis=0)
    expected = tf_idf.T @ tf_idf / (np.outer(size, size) + 3.0)
    long = 1 - 0.75 + 0.75 * of_item / of_item.mean()
    bm25 = x * 2.2 / (x + 1.2 * long) * rare
    for name, wanted in (("tf-idf", expected), ("bm25", bm25.T @ bm25)):
        np.fill_diagonal(wanted, 0.0)
        recipe: Any = ItemKNN(weighting=name, shrinkage=3.0, neighbours=99)  # type: ignore[arg-type]
        found = recipe.fit(small_feedback()).weights.toarray()
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


WIDE_ARMS: dict[str, RecommenderRecipe] = {
    "item-knn": ItemKNN(),
    "tf-idf": ItemKNN(weighting="tf-idf"),
    "bm25": ItemKNN(weighting="bm25"),
    "rp3beta": RP3beta(),
    "ials": IALS(factors=32, iterations=8),
    "sansa": SANSA(),
    "elsa": ELSA(factors=64, epochs=8),
}


@pytest.mark.parametrize("name", WIDE_ARMS)
def test_no_default_loses_to_popularity_on_wide_sparse_data(name: str) -> None:
    suite = Suite(["recall@20"], missing_user="exclude")

    def recall(recipe: RecommenderRecipe) -> float:
        ranked = recipe.fit(TRAIN).recommend(list(TRAIN.users.ids), k=20)
        return float(suite.evaluate(ranked, TRUTH)["recall@20"].mean)

    assert recall(WIDE_ARMS[name]) > 1.5 * recall(Popularity())


def test_what_is_not_liked_weighs_by_density() -> None:
    dense = IALS(factors=4, iterations=1).fit(small_feedback())
    wide = IALS(factors=4, iterations=1).fit(TRAIN)
    assert dense.recipe.unobserved == 0.3
    density = len(TRAIN) / len(TRAIN.users) / len(TRAIN.items)
    assert wide.recipe.unobserved == pytest.approx(6 * density)
    assert IALS(unobserved=0.1, factors=4, iterations=1).fit(TRAIN).recipe.unobserved == 0.1


@pytest.mark.parametrize("recipe", [EASE(max_side=5), EDLAE(max_items=5), GFCF(max_items=5)])
def test_who_cannot_hold_so_many_items_names_who_can(recipe: Any) -> None:
    with pytest.raises(InvalidDataError, match=r"SANSA, ELSA.*or raise max_\w+ \(now 5\)"):
        recipe.fit(small_feedback())


@pytest.mark.parametrize(
    "recipe",
    [ItemKNN(neighbours=40), RP3beta(neighbours=40), SANSA(support=5, neighbours=40)],
)
def test_lists_from_few_scores_are_those_from_all(recipe: Any) -> None:
    train = WideWorld(n_users=1500, n_items=5000).simulate(2)
    arm: FittedRecommender = recipe.fit(train)
    users = list(train.users.ids)
    denied, some = list(train.items.ids[::7]), list(train.items.ids[:900])
    few = arm.few_scores(arm.history)
    assert few is not None
    whole: Any = replace(recipe).fit(train)
    whole.__class__ = type("Whole", (type(whole),), {"few_scores": lambda _, __: None})
    for asked in ({}, {"deny": denied}, {"candidates": some}, {"exclude_seen": False}):
        one, two = (each.recommend(users, k=20, **asked) for each in (arm, whole))
        np.testing.assert_array_equal(one.item, two.item)
        np.testing.assert_array_equal(one.start, two.start)
        assert one.score is not None
        assert two.score is not None
        np.testing.assert_allclose(one.score, two.score, rtol=1e-6)
        assert one.arms == two.arms
    made = Lists.few(few, arm.history.value, np.ones(len(arm.items), bool), 20)
    assert (made.length == 20).mean() > 0.4  # the quick way is taken


def test_neighbours_hold_no_matrix_of_items_by_items() -> None:
    feedback = WideWorld(n_users=3000, n_items=12_000).simulate(1)
    whole = 8 * len(feedback.items) ** 2
    for recipe in (ItemKNN(), RP3beta()):
        tracemalloc.start()
        arm: Any = recipe.fit(feedback)
        arm.recommend(list(feedback.users.ids[:500]), k=20)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < whole / 4


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="support must be a whole number"):
        SANSA(support=0)
    with pytest.raises(InvalidParameterError, match="negatives must be a whole number"):
        ELSA(negatives=-1)
    with pytest.raises(UnknownNameError, match="No weighting is named 'bm52'"):
        ItemKNN(weighting="bm52")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="No strength is named"):
        IALS(strength="plays")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="shrinkage must be a finite number not below"):
        RP3beta(shrinkage=-1.0)
