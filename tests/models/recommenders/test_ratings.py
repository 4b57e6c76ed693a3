"""Rating arms: biases, neighbours and factors against slow definitions."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse
from typing_extensions import override

from siamrec._core.clock import DAY
from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.recommenders import (
    BiasModel,
    EpochEnd,
    ExplicitMF,
    Histories,
    ItemKNNBaseline,
    SVDpp,
    TimeSVDpp,
    UserKNN,
)
from siamrec.models.recommenders._ratings import ridge_rows
from siamrec.models.recommenders.neighbour_ratings import shrunk_correlation
from siamrec.models.recommenders.time_svdpp import deviation
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe


class RatingContract(RecommenderContract):
    recipe: Any

    @override
    def make(self) -> RecommenderRecipe:
        made: RecommenderRecipe = self.recipe
        return made

    @override
    def load(self, path: Path) -> FittedRecommender:
        loaded: FittedRecommender = type(self.recipe).load(path)
        return loaded


class TestBiasModel(RatingContract):
    recipe = BiasModel()


class TestItemKNNBaseline(RatingContract):
    recipe = ItemKNNBaseline(neighbours=5)


class TestUserKNN(RatingContract):
    recipe = UserKNN(neighbours=5)


class TestExplicitMF(RatingContract):
    recipe = ExplicitMF(factors=4, iterations=4)


class TestSVDpp(RatingContract):
    recipe = SVDpp(factors=4, epochs=3)


class TestTimeSVDpp(RatingContract):
    untimed = False

    recipe = TimeSVDpp(factors=4, epochs=3, spans=3)


def test_biases_are_damped_means() -> None:
    feedback = Feedback.of(user=["a", "a", "b"], item=["x", "y", "x"], value=[5, 1, 3])
    arm = BiasModel(user_damping=1, item_damping=2, iterations=1).fit(feedback)
    # mean 3; x: (2 + 0)/(2 + 2) = .5, y: -2/(1 + 2); a: (2 - .5 - 2 + 2/3)/(2 + 1), b: -.5/(1 + 1)
    np.testing.assert_allclose(arm.bias.item, [0.5, -2 / 3])
    a, b = (2 - 0.5 - 2 + 2 / 3) / 3, -0.25
    expected = [3 + a + 0.5, 3 + b - 2 / 3]
    np.testing.assert_allclose(arm.predict(["a", "b"], ["x", "y"]), expected)


@pytest.mark.parametrize(
    "recipe", [BiasModel(), ItemKNNBaseline(), UserKNN(), ExplicitMF(), SVDpp(epochs=2)]
)
def test_equal_ratings_are_predicted_as_they_are(recipe: Any) -> None:
    feedback = Feedback.of(user=["a", "a", "b"], item=["x", "y", "x"], value=4)
    assert recipe.fit(feedback).predict(["b"], ["y"]).tolist() == [4.0]


@pytest.mark.parametrize("recipe", [BiasModel(), ItemKNNBaseline(), UserKNN(), ExplicitMF()])
def test_one_item_is_enough(recipe: Any) -> None:
    arm = recipe.fit(Feedback.of(user=["a", "b"], item=["x", "x"], value=[2, 4]))
    assert arm.recommend(["a"], k=3).lists() == {"a": []}
    assert 2 <= arm.predict(["a"], ["x"])[0] <= 4


@pytest.mark.parametrize("recipe", [BiasModel(), ItemKNNBaseline(), UserKNN(), ExplicitMF()])
def test_nothing_cannot_be_learned(recipe: Any) -> None:
    with pytest.raises(InvalidDataError, match="needs at least one rating"):
        recipe.fit(Feedback.of(user=[], item=[]))


def test_correlations_are_symmetric_and_bounded() -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(12, 15)) * (rng.random((12, 15)) < 0.5)
    matrix = sparse.csr_array(dense)
    found = shrunk_correlation(matrix, matrix, 3.0)
    np.testing.assert_allclose(found, found.T)
    assert (np.abs(found) <= 1).all()
    for i in range(12):
        for j in range(12):
            both = (dense[i] != 0) & (dense[j] != 0)
            n = both.sum()
            size = np.sqrt((dense[i, both] ** 2).sum() * (dense[j, both] ** 2).sum())
            expected = 0.0 if n < 2 else (n - 1) / (n + 2) * dense[i, both] @ dense[j, both] / size
            assert found[i, j] == pytest.approx(expected)


@pytest.mark.parametrize("recipe", [ItemKNNBaseline(neighbours=3), UserKNN(neighbours=3)])
def test_neighbours_give_weighted_means(recipe: Any) -> None:
    feedback = small_feedback()
    arm = recipe.fit(feedback)
    history = Histories.of(feedback, feedback.users, feedback.items)
    left = arm.bias.residuals(history).toarray()
    rated = history.value.toarray() != 0
    of_items = isinstance(recipe, ItemKNNBaseline)
    rows = sparse.csr_array(left.T if of_items else left)
    rows = arm.bias.residuals(history).T.tocsr() if of_items else arm.bias.residuals(history)
    likeness = shrunk_correlation(rows, rows, recipe.shrinkage)
    base = arm.bias.table(history)
    for u, i in [(3, 4), (5, 1), (9, 20), (20, 7)]:
        if of_items:
            near = [j for j in np.flatnonzero(rated[u]) if j != i]
            pairs = [(likeness[i, j], left[u, j]) for j in near]
        else:
            near = [v for v in np.flatnonzero(rated[:, i]) if v != u]
            pairs = [(likeness[u, v], left[v, i]) for v in near]
        kept = sorted((p for p in pairs if p[0] > 0), reverse=True)[:3]
        lift = sum(s * e for s, e in kept) / (sum(s for s, _ in kept) + recipe.calm)
        expected = np.clip(base[u, i] + lift, 1, 5)
        user, item = feedback.users[u], feedback.items[i]
        assert arm.predict([user], [item])[0] == pytest.approx(expected, abs=1e-5)


def test_factors_lower_the_loss_at_every_half_step_and_fold_in_what_was_learned() -> None:
    feedback, recipe = small_feedback(), ExplicitMF(factors=3, l2=0.1)
    arm = recipe.fit(feedback)
    left = arm.bias.residuals(arm.history)
    vectors = np.random.default_rng(0).normal(0, 0.3, (left.shape[1], 3))
    losses = []
    for _ in range(5):
        people = ridge_rows(left, vectors, recipe.l2)
        losses.append(recipe.loss(left, people, vectors))
        vectors = ridge_rows(left.T.tocsr(), people, recipe.l2)
        losses.append(recipe.loss(left, people, vectors))
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(losses))
    _, folded = arm.people(arm.history)
    np.testing.assert_allclose(folded, ridge_rows(left, arm.vectors, recipe.l2))


def test_rows_of_a_ridge_regression() -> None:
    rng = np.random.default_rng(1)
    dense = rng.normal(size=(6, 9)) * (rng.random((6, 9)) < 0.6)
    dense[2] = 0.0
    other = rng.normal(size=(9, 4))
    found = ridge_rows(sparse.csr_array(dense), other, 0.3, block=4)
    for row in range(6):
        own = other[dense[row] != 0]
        normal = own.T @ own + 0.3 * max(len(own), 1) * np.eye(4)
        expected = np.linalg.solve(normal, own.T @ dense[row][dense[row] != 0])
        np.testing.assert_allclose(found[row], expected)


def test_the_persons_side_of_svdpp_is_where_the_gradient_is_zero() -> None:
    arm = SVDpp(factors=3, epochs=3, l2=0.2).fit(small_feedback())
    row = arm.history.people(np.array([4], dtype=np.int32))
    bias, person = arm.people(row)
    rating, items = row.value.data, row.value.indices
    known = arm.rated[items].sum(axis=0) / np.sqrt(items.size)

    def objective(own_bias: float, own: Any) -> float:
        predicted = (
            arm.bias.mean + own_bias + arm.bias.item[items] + arm.vectors[items] @ (own + known)
        )
        size = own_bias**2 + (own**2).sum()
        return float(((rating - predicted) ** 2).sum() + 0.2 * items.size * size)

    best = objective(bias[0], person[0] - known)
    for column in range(3):
        for step in (1e-3, -1e-3):
            moved = person[0] - known
            moved[column] += step
            assert objective(bias[0], moved) > best
            assert objective(bias[0] + step, person[0] - known) > best


def test_the_drift_of_timesvdpp_is_read_at_the_time_asked() -> None:
    np.testing.assert_allclose(deviation(np.array([-32.0, 0.0, 1.0])), [-4.0, 0.0, 1.0])
    n = 40
    feedback = Feedback.of(
        user=[f"u{code % 8}" for code in range(n)],
        item=[f"i{code % 5}" for code in range(n)],
        value=[1 if code < n // 2 else 5 for code in range(n)],
        time=np.arange(n) * DAY,
    )
    recipe = TimeSVDpp(factors=2, spans=2, epochs=60, calm=0.1, l2=0.01, learning_rate=0.02)
    arm = recipe.fit(feedback)
    early, late = arm.predict(["u1"] * 2, ["i1"] * 2, time=[0, (n - 1) * DAY])
    assert early < 2.5
    assert late > 3.5
    assert arm.predict(["u1"], ["i1"])[0] == pytest.approx(late, abs=1e-5)
    with pytest.raises(InvalidDataError, match="TimeSVDpp needs the time of every rating"):
        recipe.fit(Feedback.of(user=["a"], item=["x"]))


def test_training_is_recorded_and_stops_early() -> None:
    heard: list[EpochEnd] = []
    recipe = SVDpp(factors=4, epochs=60, validation=0.3, patience=2, learning_rate=0.05)
    arm = recipe.fit(small_feedback(), progress=heard.append)
    record = arm.training
    assert len(heard) == record.validation.size < 60
    assert record.best_epoch == int(np.argmax(record.validation)) + 1
    assert record.loss.size == record.gradient_norm.size == record.learning_rate.size
    assert record.learning_rate[0] == pytest.approx(0.05)
    assert (np.diff(record.learning_rate) <= 0).all()
    figure = record.plot()
    assert len(figure.data) == 4


def test_warm_restarts_begin_anew() -> None:
    arm = SVDpp(factors=2, epochs=6, cycle=2, learning_rate=0.01).fit(small_feedback())
    rates = arm.training.learning_rate
    assert rates[2] == pytest.approx(rates[0])  # cycles of two and of four passes
    assert rates[1] < rates[0]


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="neighbours must be a whole number"):
        UserKNN(neighbours=0)
    with pytest.raises(InvalidParameterError, match=r"validation must be in \[0, 1\)"):
        SVDpp(validation=1.0)
    with pytest.raises(InvalidParameterError, match="device must be 'auto' or a device"):
        SVDpp(device="abacus", epochs=1).fit(small_feedback())
    with pytest.raises(InvalidParameterError, match="l2 must be a finite number above 0"):
        ExplicitMF(l2=0)
    with pytest.raises(
        InvalidDataError, match="side 24; use ExplicitMF, which holds none over items"
    ):
        ItemKNNBaseline(max_side=5).fit(small_feedback())
    with pytest.raises(InvalidDataError, match="columns must have one length|one length"):
        BiasModel().fit(small_feedback()).predict(["u1"], ["i1", "i2"])


def fold(folder: Path, part: str) -> Feedback:
    table = np.loadtxt(folder / "ml-100k" / part, dtype=np.int64)
    return Feedback.of(user=table[:, 0].tolist(), item=table[:, 1].tolist(), value=table[:, 2])


@pytest.mark.realdata
def test_svdpp_on_the_five_folds_of_ml_100k(real_data: Path) -> None:
    errors = []
    for k in range(1, 6):
        test = fold(real_data, f"u{k}.test")
        arm = SVDpp().fit(fold(real_data, f"u{k}.base"))
        users, items = test.users.decode(test.user), test.items.decode(test.item)
        error = arm.predict(users, items, unknown="fallback") - test.value
        errors.append(np.sqrt((error**2).mean()))
    assert np.mean(errors) < 0.915  # .9092 when written
