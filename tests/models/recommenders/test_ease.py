"""EASE against its slow definition, and its laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from siamrec.data import Feedback, Truth
from siamrec.errors import InvalidDataError, InvalidParameterError, ModelLoadError
from siamrec.metrics import Suite
from siamrec.models.recommenders import EASE, Histories
from siamrec.models.recommenders._ridge import DualRidge, PrimalRidge
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedEASE
    from siamrec.typing import FloatArray


class TestEASE(RecommenderContract):
    @override
    def make(self) -> EASE:
        return EASE(l2=5.0)

    @override
    def load(self, path: Path) -> FittedEASE:
        return EASE.load(path)


class TestEASEOverUsers(TestEASE):
    """Three users, many items: the dual form."""

    def test_the_form_follows_the_shape(self) -> None:
        wide = Feedback.of(user=["a", "a", "b"] * 4, item=list("pqrstuvwxyzp"))
        assert isinstance(EASE(l2=2.0).fit(wide)._ridge, DualRidge)
        assert isinstance(EASE(l2=5.0).fit(small_feedback())._ridge, PrimalRidge)


def matrix_of(feedback: Feedback) -> FloatArray:
    x = np.zeros((len(feedback.users), len(feedback.items)))
    x[feedback.user, feedback.item] = 1.0
    return x


def by_columns(x: FloatArray, l2: float) -> FloatArray:
    """Ridge regression of each column on the others, as the paper defines it."""
    n_items = x.shape[1]
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = [other for other in range(n_items) if other != item]
        a = x[:, others]
        weights[others, item] = np.linalg.solve(
            a.T @ a + l2 * np.eye(n_items - 1), a.T @ x[:, item]
        )
    return weights


@pytest.mark.parametrize("l2", [0.5, 5.0, 500.0])
@pytest.mark.parametrize("form", [PrimalRidge.solve, DualRidge])
def test_both_forms_equal_ridge_regression_column_by_column(l2: float, form: object) -> None:
    feedback = small_feedback()
    liked = Histories.of(feedback, feedback.users, feedback.items).liked(None)
    ridge = form(liked, l2)  # type: ignore[operator]
    expected = by_columns(liked.toarray().astype(float), l2)
    np.testing.assert_allclose(ridge.scores(liked), liked @ expected, atol=1e-4)
    for item in (0, 3, 23):
        np.testing.assert_allclose(ridge.incoming(item), expected[:, item], atol=1e-6)
        np.testing.assert_allclose(ridge.outgoing(item), expected[item], atol=1e-6)


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=25),
    more=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), min_size=1, max_size=10),
)
@settings(max_examples=40, deadline=None)
def test_update_equals_fitting_everything(
    rows: list[tuple[int, int]], more: list[tuple[int, int]]
) -> None:
    first, second = (
        Feedback.of(user=[u for u, _ in part], item=[i for _, i in part], time=at)
        for part, at in ((rows, 1), (more, 2))
    )
    updated = EASE(l2=2.0).fit(first).update(second)
    refitted = EASE(l2=2.0).fit(Feedback.concat([first, second]))
    users = refitted.users.ids
    one = updated.score(Histories(updated.history.value[updated.users.encode(users)]))
    two = refitted.score(Histories(refitted.history.value[refitted.users.encode(users)]))
    place = refitted.items.translate(updated.items)
    np.testing.assert_allclose(one[:, place], two, atol=1e-5)


def test_explanation_sums_to_the_score() -> None:
    arm = EASE(l2=5.0).fit(small_feedback())
    rankings = arm.recommend(["u3"], k=4)
    assert rankings.score is not None
    for item, score in zip(rankings.lists()["u3"], rankings.score, strict=True):
        parts = arm.explain("u3", item, n=100)
        assert sum(part for _, part in parts) == pytest.approx(score, abs=1e-5)
        sizes = [abs(part) for _, part in parts]
        assert sizes == sorted(sizes, reverse=True)


def test_users_and_items_may_come_in_any_order() -> None:
    feedback = small_feedback()
    mixed = feedback.where(np.random.default_rng(0).permutation(len(feedback)))
    turned = Feedback.of(
        user=mixed.users.decode(mixed.user), item=mixed.items.decode(mixed.item), value=mixed.value
    )
    one, two = (EASE(l2=5.0).fit(each) for each in (feedback, turned))
    users = list(feedback.users.ids)
    table = [
        arm.score(Histories(arm.history.value[arm.users.encode(users)])) for arm in (one, two)
    ]
    np.testing.assert_allclose(table[0], table[1][:, one.items.translate(two.items)], atol=1e-5)


def test_everybody_twice_is_half_the_penalty() -> None:
    feedback = small_feedback()
    again = Feedback.of(
        user=[f"again {user}" for user in feedback.users.decode(feedback.user)],
        item=feedback.items.decode(feedback.item),
    )
    twice = EASE(l2=6.0).fit(Feedback.concat([feedback, again]))
    once = EASE(l2=3.0).fit(feedback)
    np.testing.assert_allclose(twice.score(once.history), once.score(once.history), atol=1e-5)


def test_of_repeated_events_the_last_counts() -> None:
    feedback = Feedback.of(
        user=["a", "a", "b", "b"], item=["x", "x", "x", "y"], value=[5, 1, 5, 5], time=[1, 2, 1, 1]
    )
    history = EASE(l2=1.0).fit(feedback).history
    np.testing.assert_array_equal(history.value.toarray(), [[1, 0], [5, 5]])


def test_who_has_no_history_gets_what_is_popular_and_is_told() -> None:
    feedback = small_feedback()
    arm = EASE(l2=5.0).fit(feedback)
    rankings = arm.recommend_for_history([["i1"], []], k=4)
    counts = np.bincount(feedback.item)
    best = sorted(range(24), key=lambda code: (-counts[code], code))[:4]
    assert rankings.lists()[1] == [feedback.items[code] for code in best]
    assert rankings.arms == ("EASE", "popularity")
    assert rankings.source is not None
    assert rankings.source.tolist() == [0] * 4 + [1] * 4
    assert arm.recommend(["u1"]).source is None


def test_files_of_another_version_are_refused(tmp_path: Path) -> None:
    EASE(l2=5.0).fit(small_feedback()).save(tmp_path / "arm")
    head = tmp_path / "arm" / "arm.json"
    head.write_text(head.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(ModelLoadError, match="'ease' of format 99, not 'ease' of format 1"):
        EASE.load(tmp_path / "arm")


def test_similar_items_are_those_that_people_take_together() -> None:
    feedback = Feedback.of(
        user=[1, 1, 2, 2, 3, 3, 4], item=["tea", "cup", "tea", "cup", "cat", "dog", "tea"]
    )
    assert EASE(l2=1.0).fit(feedback).similar("tea", k=1)[0][0] == "cup"


def test_only_likes_count() -> None:
    feedback = Feedback.of(
        user=["a", "a", "b", "b"], item=["x", "y", "x", "y"], value=[5, 1, 5, 1]
    )
    arm = EASE(l2=1.0, positive=4.0).fit(feedback)
    assert arm.similar("x") == []


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan")])
def test_penalty_must_be_positive(l2: float) -> None:
    with pytest.raises(InvalidParameterError, match="l2 must be a finite number above 0"):
        EASE(l2=l2)


def test_data_that_cannot_be_fitted() -> None:
    with pytest.raises(InvalidDataError, match="EASE needs at least one liked item"):
        EASE(positive=6.0).fit(small_feedback())
    with pytest.raises(InvalidDataError, match=r"side 24; .* raise max_side \(now 5\)"):
        EASE(max_side=5).fit(small_feedback())


def test_changed_files_are_refused(tmp_path: Path) -> None:
    EASE(l2=5.0).fit(small_feedback()).save(tmp_path / "arm")
    head = tmp_path / "arm" / "arm.json"
    head.write_text(head.read_text().replace('"hash": "', '"hash": "0'))
    with pytest.raises(ModelLoadError, match="do not match their hash"):
        EASE.load(tmp_path / "arm")
    with pytest.raises(ModelLoadError, match="No fitted arm can be read"):
        EASE.load(tmp_path / "nothing")


@pytest.mark.realdata
def test_quality_on_a_fifth_held_out_of_every_user(real_data: Path) -> None:
    table = np.loadtxt(real_data / "ml-100k" / "u.data", dtype=np.int64)
    feedback = Feedback.of(user=table[:, 0].tolist(), item=table[:, 1].tolist())
    order = np.lexsort((np.random.default_rng(0).random(len(feedback)), feedback.user))
    length = np.bincount(feedback.user)
    place = np.arange(len(feedback)) - np.repeat(np.cumsum(length) - length, length)
    held = place < np.repeat(np.round(0.2 * length), length)
    train, test = feedback.where(order[~held]), feedback.where(order[held])
    lists = EASE(l2=500.0).fit(train).recommend(train.users.ids, k=10)
    truth = Truth.from_frame(test.to_arrow(), user="user", item="item")
    found = Suite(["ndcg@10"]).evaluate(lists, truth)["ndcg@10"].mean
    assert found == pytest.approx(0.4503, abs=5e-4)  # that of two other libraries on this split
