"""EDLAE, item neighbours and RP3beta against slow definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.recommenders import EASE, EDLAE, Histories, ItemKNN, RP3beta
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedItemWeights
    from siamrec.typing import FloatArray


class TestEDLAE(RecommenderContract):
    @override
    def make(self) -> EDLAE:
        return EDLAE(l2=5.0)

    @override
    def load(self, path: Path) -> FittedItemWeights:
        return EDLAE.load(path)


class TestItemKNN(RecommenderContract):
    @override
    def make(self) -> ItemKNN:
        return ItemKNN(neighbours=8)

    @override
    def load(self, path: Path) -> FittedItemWeights:
        return ItemKNN.load(path)


class TestRP3beta(RecommenderContract):
    @override
    def make(self) -> RP3beta:
        return RP3beta(neighbours=8)

    @override
    def load(self, path: Path) -> FittedItemWeights:
        return RP3beta.load(path)


def liked() -> FloatArray:
    feedback = small_feedback()
    matrix: FloatArray = (
        Histories.of(feedback, feedback.users, feedback.items).liked(None).toarray()
    ).astype(np.float64)
    return matrix


def dense(arm: FittedItemWeights) -> FloatArray:
    weights: Any = arm.weights
    return np.asarray(weights.toarray() if hasattr(weights, "toarray") else weights)


def test_edlae_without_dropout_is_ease() -> None:
    feedback = small_feedback()
    one = EDLAE(l2=5.0, dropout=0.0).fit(feedback)
    two = EASE(l2=5.0).fit(feedback)
    rows = one.history
    np.testing.assert_allclose(one.score(rows), two.score(rows), atol=1e-5)


def test_edlae_is_ridge_regression_with_a_penalty_by_popularity() -> None:
    x, l2, dropout = liked(), 5.0, 0.4
    gram = x.T @ x
    penalty = np.diag(l2 + dropout / (1 - dropout) * np.diag(gram))
    weights = dense(EDLAE(l2=l2, dropout=dropout).fit(small_feedback()))
    for item in range(x.shape[1]):
        others = np.arange(x.shape[1]) != item
        inside = np.ix_(others, others)
        expected = np.linalg.solve(gram[inside] + penalty[inside], gram[others, item])
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-5)
        assert weights[item, item] == 0


def test_neighbours_are_shrunk_cosines() -> None:
    x = liked()
    weights = dense(ItemKNN(neighbours=5, shrinkage=3.0).fit(small_feedback()))
    together, size = x.T @ x, x.sum(axis=0)
    for i in range(x.shape[1]):
        expected = together[i] / (np.sqrt(size[i] * size) + 3.0)
        expected[i] = 0.0
        kept = np.argsort(-expected, kind="stable")[:5]
        assert set(np.flatnonzero(weights[i])) == set(kept[expected[kept] > 0])
        np.testing.assert_allclose(weights[i, kept], expected[kept], rtol=1e-5)


def test_the_walk_takes_three_steps() -> None:
    x = liked()
    weights = dense(
        RP3beta(alpha=1.0, beta=0.5, shrinkage=0.0, neighbours=99).fit(small_feedback())
    )
    to_user = (x / x.sum(axis=0)).T
    to_item = x / x.sum(axis=1, keepdims=True)
    expected = to_user @ to_item / x.sum(axis=0) ** 0.5
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(weights, expected, atol=1e-6)


@pytest.mark.parametrize("recipe", [EDLAE(l2=5.0), ItemKNN(), RP3beta()])
def test_explanations_sum_to_the_score(recipe: Any) -> None:
    arm = recipe.fit(small_feedback())
    rankings = arm.recommend(["u3"], k=3)
    for item, score in zip(rankings.lists()["u3"], rankings.score, strict=True):
        parts = arm.explain("u3", item, n=99)
        assert sum(part for _, part in parts) == pytest.approx(score, abs=1e-5)


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match=r"dropout must be in \[0, 1\)"):
        EDLAE(dropout=1.0)
    with pytest.raises(InvalidParameterError, match="neighbours must be a whole number"):
        ItemKNN(neighbours=0)
    with pytest.raises(InvalidParameterError, match="shrinkage must be a finite number not below"):
        ItemKNN(shrinkage=-1.0)
    with pytest.raises(InvalidParameterError, match="alpha must be a finite number above 0"):
        RP3beta(alpha=0.0)
    with pytest.raises(InvalidDataError, match=r"side 24; .* raise max_items \(now 5\)"):
        EDLAE(max_items=5).fit(small_feedback())
    with pytest.raises(InvalidDataError, match="EDLAE needs at least one liked item"):
        EDLAE(positive=9.0).fit(Feedback.of(user=["a"], item=["x"]))
