"""The long-tail arm lifts what few have met."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.errors import InvalidParameterError
from siamrec.models.recommenders import EASE, LongTail
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedLongTail


class TestLongTail(RecommenderContract):
    @override
    def make(self) -> LongTail:
        return LongTail(base=EASE(l2=5.0), strength=0.4)

    @override
    def load(self, path: Path) -> FittedLongTail:
        return LongTail.load(path)


def test_without_strength_the_order_is_that_of_the_base() -> None:
    base = EASE(l2=5.0).fit(small_feedback())
    users = base.users.ids
    assert LongTail.over(base, 0.0).recommend(users).lists() == base.recommend(users).lists()


def test_more_strength_means_less_popular_lists() -> None:
    feedback = small_feedback()
    counts = np.bincount(feedback.item)
    base = EASE(l2=5.0).fit(feedback)
    means = [
        counts[LongTail.over(base, strength).recommend(base.users.ids, k=5).item].mean()
        for strength in (0.0, 0.5, 2.0, 10.0)
    ]
    assert means == sorted(means, reverse=True)
    assert means[-1] < means[0]


def test_strength_must_not_be_negative() -> None:
    with pytest.raises(
        InvalidParameterError, match="strength must be a finite number not below 0"
    ):
        LongTail(strength=-0.1)
