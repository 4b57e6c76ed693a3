"""Popularity, with and without age."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec._core.clock import DAY
from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.recommenders import Popularity
from siamrec.testing.recommenders import RecommenderContract

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedPopularity


class TestPopularity(RecommenderContract):
    @override
    def make(self) -> Popularity:
        return Popularity()

    @override
    def load(self, path: Path) -> FittedPopularity:
        return Popularity.load(path)


def test_only_likes_count() -> None:
    feedback = Feedback.of(user=[1, 2, 3, 4], item=["x", "x", "y", "z"], value=[1, 1, 5, 3])
    arm = Popularity(positive=4.0).fit(feedback)
    np.testing.assert_array_equal(arm.weight, [0.0, 1.0, 0.0])


def test_an_event_of_one_half_life_counts_half() -> None:
    feedback = Feedback.of(user=[1, 2, 3], item=["old", "new", "old"], time=[0, 30 * DAY, 0])
    arm = Popularity(half_life="30d").fit(feedback)
    np.testing.assert_allclose(arm.weight, [1.0, 1.0])


def test_age_needs_times_and_a_duration() -> None:
    with pytest.raises(InvalidDataError, match="half_life needs the time of every event"):
        Popularity(half_life="30d").fit(Feedback.of(user=[1], item=["x"]))
    with pytest.raises(InvalidParameterError, match="half_life must be a duration"):
        Popularity(half_life="soon")


def test_ties_follow_the_order_of_the_items() -> None:
    feedback = Feedback.of(user=[1, 2, 3], item=["b", "a", "c"])
    listed = Popularity().fit(feedback).recommend([1], k=2, exclude_seen=False)
    assert listed.lists()[1] == ["b", "a"]
