"""What an author's arm returns as scores: copied, and refused where it has another shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Feedback
from siamrec.errors import InvalidDataError
from siamrec.models.recommenders import FittedRecommender, Histories

if TYPE_CHECKING:
    from pathlib import Path

FEEDBACK = Feedback.of(user=["a", "a", "b"], item=["x", "y", "z"])


@final
class Returning(FittedRecommender):
    """An arm that returns what it was told to."""

    def __init__(self, scores: Any) -> None:
        self.users, self.items = FEEDBACK.users, FEEDBACK.items
        self.history = Histories.of(FEEDBACK, self.users, self.items)
        self.scores = scores

    @override
    def score(self, histories: Histories) -> Any:
        return self.scores

    @override
    def save(self, path: str | Path) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros((1, 4), np.float32),
        np.zeros(3, np.float32),
        np.zeros((3, 1), np.float32),
        [[1.0, 2.0], [3.0]],
        [["x", "y", "z"]],
        None,
        7,
    ],
    ids=repr,
)
def test_another_shape_is_refused(scores: Any) -> None:
    with pytest.raises(InvalidDataError, match=r"Returning must be numbers of the shape \(1, 3\)"):
        Returning(scores).recommend(["a"])


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_scores_are_copied_whatever_their_kind(kind: Any) -> None:
    scores = np.array([[1, 3, 2]], kind)
    arm = Returning(scores)
    assert arm.recommend(["a"], exclude_seen=False).lists() == {"a": ["y", "z", "x"]}
    assert arm.recommend(["a"]).lists() == {"a": ["z"]}
    assert scores.tolist() == [[1, 3, 2]]
    assert Returning([[1, 3, 2]]).recommend(["a"]).lists() == {"a": ["z"]}
