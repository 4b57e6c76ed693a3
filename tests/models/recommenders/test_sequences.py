"""Arms that look at order: rules, ridge regression of the future, self-attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typing_extensions import override

from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.models.recommenders import EASE, SLIT, Histories, SASRec, SequentialRules
from siamrec.models.recommenders._sasrec_net import SASRecNet, gbce
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe


class SequenceContract(RecommenderContract):
    recipe: Any

    @override
    def make(self) -> RecommenderRecipe:
        made: RecommenderRecipe = self.recipe
        return made

    @override
    def load(self, path: Path) -> FittedRecommender:
        loaded: FittedRecommender = type(self.recipe).load(path)
        return loaded

    def test_the_order_of_a_history_counts(self) -> None:
        arm = self.fitted()
        histories = [["i1", "i2", "i3", "i4"], ["i4", "i3", "i2", "i1"]]
        rankings = arm.recommend_for_history(histories, k=20)
        assert rankings.score is not None
        one, two = np.split(rankings.score, [rankings.start[1]])
        assert not np.array_equal(one, two)


class TestSequentialRules(SequenceContract):
    recipe = SequentialRules()


class TestSLIT(SequenceContract):
    recipe = SLIT(l2=5.0)


class TestSASRec(SequenceContract):
    recipe = SASRec(factors=8, blocks=1, length=6, epochs=2, batch_size=16)


class TestSASRecByCalibratedSampling(SequenceContract):
    recipe = SASRec(
        factors=8, blocks=1, length=6, epochs=2, batch_size=16, loss="gbce", negatives=5
    )


def walks() -> list[list[int]]:
    feedback = small_feedback()
    return [
        feedback.item[feedback.user == user][np.argsort(feedback.time[feedback.user == user])]
        .astype(int)
        .tolist()
        for user in range(len(feedback.users))
    ]


def test_rules_are_counts_over_distance() -> None:
    n = 24
    expected = np.zeros((n, n))
    for walk in walks():
        for place, item in enumerate(walk):
            for distance, later in enumerate(walk[place + 1 : place + 4], start=1):
                expected[item, later] += 1 / distance
    expected /= np.maximum(expected.sum(axis=1, keepdims=True), 1e-12)
    arm = SequentialRules(window=3, recent=2, decay=0.5).fit(small_feedback())
    weights: Any = arm.weights
    np.testing.assert_allclose(weights.toarray(), expected, atol=1e-6)
    last = walks()[4][-2:]
    scores = arm.score(arm.history.people(np.array([4], dtype=np.int32)))[0]
    np.testing.assert_allclose(scores, expected[last[1]] + 0.5 * expected[last[0]], atol=1e-6)


def test_slit_is_ridge_regression_of_the_future_on_the_past() -> None:
    past, future = [], []
    for walk in walks():
        for place in range(len(walk) - 1):
            s, t = np.zeros(24), np.zeros(24)
            for back, item in enumerate(reversed(walk[max(0, place - 2) : place + 1])):
                s[item] += 0.7**back
            for ahead, item in enumerate(walk[place + 1 : place + 3]):
                t[item] += 0.5**ahead
            past.append(s)
            future.append(t)
    x, y = np.array(past), np.array(future)
    expected = np.linalg.solve(x.T @ x + 4.0 * np.eye(24), x.T @ y)
    recipe = SLIT(l2=4.0, recent=3, decay=0.7, future=2, future_decay=0.5)
    np.testing.assert_allclose(recipe.fit(small_feedback()).weights, expected, atol=1e-5)


def ring(n_people: int = 60, n_items: int = 12) -> Feedback:
    """People who go round a ring of items, each from a start of their own."""
    user = np.repeat(np.arange(n_people), 6)
    item = (np.tile(np.arange(6), n_people) + np.repeat(np.arange(n_people) * 5, 6)) % n_items
    return Feedback.of(
        user=user.tolist(), item=[f"i{code}" for code in item], time=np.arange(user.size)
    )


@pytest.mark.parametrize(
    "recipe",
    [
        SequentialRules(),
        SLIT(l2=1.0),
        SASRec(factors=16, blocks=1, length=8, epochs=60, dropout=0.0, batch_size=16,
               learning_rate=0.01, validation=0),
        SASRec(factors=16, blocks=1, length=8, epochs=60, dropout=0.0, batch_size=16,
               learning_rate=0.01, validation=0, loss="gbce", negatives=6),
    ],
)  # fmt: skip
def test_the_next_item_of_a_ring_is_found(recipe: Any) -> None:
    arm = recipe.fit(ring())
    histories = [[f"i{(start + step) % 12}" for step in range(3)] for start in range(12)]
    lists = arm.recommend_for_history(histories, k=1).lists()
    assert [lists[start] for start in range(12)] == [[f"i{(s + 3) % 12}"] for s in range(12)]


def test_attention_never_looks_ahead_and_padding_says_nothing() -> None:
    recipe = SASRec(factors=8, length=5, dropout=0.0)
    net = SASRecNet(9, recipe).eval()
    item = torch.tensor([[1, 2, 3, 4, 5]])
    there = torch.ones_like(item, dtype=torch.bool)
    changed = item.clone()
    changed[0, 3:] = 7
    one, two = net(item, there), net(changed, there)
    torch.testing.assert_close(one[:, :3], two[:, :3])
    short = torch.tensor([[True, True, True, False, False]])
    torch.testing.assert_close(net(item, short)[:, :3], net(changed, short)[:, :3])


def test_calibration_corrects_for_sampling() -> None:
    # At calibration 1 the minimum over a score per item is at the log odds among all items.
    read, items = torch.ones(1, 1, 1, dtype=torch.float64), torch.zeros(11, 1, dtype=torch.float64)
    target, drawn = torch.tensor([[0]]), torch.tensor([[1, 2]])
    # rate .2: beta = .2 (1 (1 - 5) + 5) = .2, against two negatives at softplus(0) = log 2
    found = gbce(read, target, drawn, items, 1.0)
    assert float(found) == pytest.approx((0.2 + 2) * np.log(2))
    assert float(gbce(read, target, drawn, items, 0.0)) == pytest.approx(3 * np.log(2))
    same = gbce(read, target, torch.tensor([[0, 2]]), items, 0.0)
    assert float(same) == pytest.approx(2 * np.log(2))  # the target is no negative of itself


def test_latest_items_come_in_order_and_repeats_count_once() -> None:
    feedback = Feedback.of(
        user=["a", "a", "a", "b"], item=["x", "y", "x", "z"], time=[1, 2, 3, 1], value=[5, 1, 5, 5]
    )
    history = Histories.of(feedback, feedback.users, feedback.items)
    item, there = history.latest(3)
    assert item[0, :2].tolist() == [1, 0]
    assert there.tolist() == [[True, True, False], [True, False, False]]
    item, there = history.latest(3, positive=4.0)
    assert item[0, 0] == 0
    assert there.sum(axis=1).tolist() == [1, 1]


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="factors must be a multiple of 3"):
        SASRec(factors=8, heads=3)
    with pytest.raises(UnknownNameError, match="No loss is named 'bce'. Did you mean 'gbce'"):
        SASRec(loss="bce")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match=r"decay must be in \[0, 1\]"):
        SequentialRules(decay=1.5)
    with pytest.raises(InvalidParameterError, match="decay must be a finite number above 0"):
        SLIT(decay=0.0)
    with pytest.raises(InvalidDataError, match="side 24; .*use SequentialRules"):
        SLIT(max_items=3).fit(small_feedback())
    with pytest.raises(InvalidDataError, match="SASRec needs somebody who liked two items"):
        SASRec().fit(Feedback.of(user=["a", "b"], item=["x", "y"]))
    for recipe in (SequentialRules(positive=9.0), SLIT(positive=9.0)):
        with pytest.raises(InvalidDataError, match="needs at least one liked item"):
            recipe.fit(small_feedback())


@pytest.mark.realdata
def test_rules_find_the_next_item_more_often_than_ease(real_data: Path) -> None:
    table = np.loadtxt(real_data / "ml-100k" / "u.data", dtype=np.int64)
    table = table[np.lexsort((table[:, 3], table[:, 0]))]
    last = np.append(np.diff(table[:, 0]) != 0, True)
    train = Feedback.of(
        user=table[~last, 0].tolist(), item=table[~last, 1].tolist(), time=table[~last, 3]
    )
    wanted = dict(zip(table[last, 0].tolist(), table[last, 1].tolist(), strict=True))
    hits = []
    for recipe in (SequentialRules(), EASE(l2=500.0)):
        lists = recipe.fit(train).recommend(train.users.ids, k=10).lists()
        hits.append(np.mean([wanted[user] in items for user, items in lists.items()]))
    assert hits[0] > 1.2 * hits[1]  # .205 against .145 when written
