"""The long-tail arm lifts what few have met."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Feedback, Truth
from siamrec.errors import InvalidParameterError
from siamrec.metrics import Suite
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


@pytest.mark.realdata
def test_a_little_damping_moves_the_tail_at_no_cost(real_data: Path) -> None:
    table = np.loadtxt(real_data / "ml-100k" / "u1.base", dtype=np.int64)
    held = np.loadtxt(real_data / "ml-100k" / "u1.test", dtype=np.int64)
    train = Feedback.of(user=table[:, 0].tolist(), item=table[:, 1].tolist())
    truth = Truth.from_frame({"user": held[:, 0], "item": held[:, 1]}, user="user", item="item")
    base = EASE(l2=500.0).fit(train)
    counts = np.bincount(train.item, minlength=len(train.items))
    suite = Suite(["ndcg@10", "long_tail_share@10"])
    plain, damped = (
        suite.evaluate(
            arm.recommend(train.users.ids, k=10),
            truth,
            popularity=counts,
            n_users=len(train.users),
        )
        for arm in (base, LongTail.over(base, 0.2))
    )
    assert damped["ndcg@10"].mean > 0.99 * plain["ndcg@10"].mean
    assert damped["long_tail_share@10"].mean > 1.4 * plain["long_tail_share@10"].mean
