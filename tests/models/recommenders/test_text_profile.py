"""The text arm: cosines with what was liked, nothing without a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Catalog, Feedback
from siamrec.errors import InvalidDataError, MissingInputError
from siamrec.models import HashingEncoder
from siamrec.models.recommenders import TextProfile
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedTextProfile


class TestTextProfile(RecommenderContract):
    @override
    def make(self) -> TextProfile:
        return TextProfile(encoder=HashingEncoder(dim=32), positive=None)

    @override
    def load(self, path: Path) -> FittedTextProfile:
        return TextProfile.load(path)


CATALOG = Catalog.from_frame(
    {"item": ["a", "b", "c", "new"], "text": ["red car", "blue sky", None, "red bus"]}, text="text"
)
FEEDBACK = Feedback.of(user=[1, 1, 2], item=["a", "c", "b"], value=[5, 5, 5])


def test_scores_are_cosines_with_the_mean_of_the_likes() -> None:
    encoder = HashingEncoder(dim=64)
    arm = TextProfile(encoder=encoder).fit(FEEDBACK, catalog=CATALOG)
    red, blue, bus = encoder.encode(["red car", "blue sky", "red bus"])
    rankings = arm.recommend([1], k=5)
    assert rankings.lists()[1] == ["new", "b"]
    assert rankings.score is not None
    np.testing.assert_allclose(rankings.score, [red @ bus, red @ blue], atol=1e-6)


def test_items_without_text_are_never_ranked() -> None:
    arm = TextProfile(encoder=HashingEncoder(dim=16)).fit(FEEDBACK, catalog=CATALOG)
    assert "c" not in arm.recommend([2], k=9, exclude_seen=False).lists()[2]


def test_similar_items_are_the_nearest_texts() -> None:
    arm = TextProfile(encoder=HashingEncoder(dim=64)).fit(FEEDBACK, catalog=CATALOG)
    similar = arm.similar("a", k=5)
    assert [item for item, _ in similar] == ["new", "b"]


def test_texts_are_needed() -> None:
    recipe = TextProfile(encoder=HashingEncoder(dim=16))
    with pytest.raises(MissingInputError, match=r"fit\(feedback, catalog=catalog\)"):
        recipe.fit(small_feedback())
    empty = Catalog.from_frame({"item": ["i1"], "text": [None]}, text="text")
    with pytest.raises(InvalidDataError, match="TextProfile needs items with texts"):
        recipe.fit(small_feedback(), catalog=empty)
