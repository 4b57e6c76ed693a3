"""iALS: its loss falls, folding in equals training, explanations add up."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.recommenders import IALS, Histories
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedIALS


class TestIALS(RecommenderContract):
    @override
    def make(self) -> IALS:
        return IALS(factors=6, iterations=4)

    @override
    def load(self, path: Path) -> FittedIALS:
        return IALS.load(path)


@pytest.mark.parametrize("frequency", [0.0, 1.0])
def test_the_loss_falls_at_every_half_step(frequency: float) -> None:
    feedback = small_feedback()
    recipe = IALS(factors=5, frequency=frequency, l2=0.05)
    liked = Histories.of(feedback, feedback.users, feedback.items).liked(None)
    items = np.random.default_rng(0).normal(0, 0.1, (liked.shape[1], 5))
    losses = []
    for _ in range(6):
        users = recipe.solve(liked, items)
        losses.append(recipe.loss(liked, users, items))
        items = recipe.solve(liked.T.tocsr(), users)
        losses.append(recipe.loss(liked, users, items))
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(losses))
    assert losses[-1] < losses[0]


def test_a_half_step_is_where_the_gradient_is_zero() -> None:
    feedback = small_feedback()
    recipe = IALS(factors=3, l2=0.1, unobserved=0.2)
    liked = Histories.of(feedback, feedback.users, feedback.items).liked(None)
    items = np.random.default_rng(1).normal(0, 0.5, (liked.shape[1], 3))
    users = recipe.solve(liked, items)
    best = recipe.loss(liked, users, items)
    for row in range(5):
        for column in range(3):
            for step in (1e-3, -1e-3):
                moved = users.copy()
                moved[row, column] += step
                assert recipe.loss(liked, moved, items) > best


def test_folding_in_gives_the_vector_of_training() -> None:
    feedback = small_feedback()
    recipe = IALS(factors=5, iterations=3)
    arm = recipe.fit(feedback)
    liked = Histories.of(feedback, feedback.users, feedback.items).liked(None)
    np.testing.assert_allclose(arm.people(arm.history), recipe.solve(liked, arm.vectors))


def test_without_weight_on_the_unseen_only_likings_are_fitted() -> None:
    feedback = small_feedback()
    recipe = IALS(factors=3, unobserved=1e-12, l2=0.1)
    liked = Histories.of(feedback, feedback.users, feedback.items).liked(None)
    items = np.random.default_rng(1).normal(0, 0.5, (liked.shape[1], 3))
    users = recipe.solve(liked, items)
    for row in range(5):
        own = items[liked.indices[liked.indptr[row] : liked.indptr[row + 1]]]
        normal = own.T @ own + 0.1 * len(own) * np.eye(3)
        np.testing.assert_allclose(users[row], np.linalg.solve(normal, own.sum(axis=0)), rtol=1e-6)


def test_explanations_sum_to_the_score() -> None:
    arm = IALS(factors=6, iterations=5).fit(small_feedback())
    rankings = arm.recommend(["u3"], k=3)
    assert rankings.score is not None
    for item, score in zip(rankings.lists()["u3"], rankings.score, strict=True):
        parts = arm.explain("u3", item, n=99)
        assert sum(part for _, part in parts) == pytest.approx(score, abs=1e-5)


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="l2 must be a finite number above 0"):
        IALS(l2=0.0)
    with pytest.raises(InvalidParameterError, match=r"frequency must be in \[0, 1\]"):
        IALS(frequency=2.0)
    with pytest.raises(InvalidDataError, match="IALS needs at least one liked item"):
        IALS(positive=9.0).fit(small_feedback())
