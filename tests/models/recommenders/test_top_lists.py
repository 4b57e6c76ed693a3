"""Graph, spectral and neural arms of top lists against slow definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import sparse
from typing_extensions import override

from siamrec.data import Catalog, Feedback
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingCapabilityError,
    MissingInputError,
    TrainingDivergedError,
    UnknownNameError,
)
from siamrec.losses import feedback_infonce
from siamrec.models import HashingEncoder
from siamrec.models.recommenders import (
    GFCF,
    Histories,
    LightGCN,
    MultVAE,
    PureSVD,
    Random,
    TwoTower,
)
from siamrec.models.recommenders._holdout import hold_out, hold_out_latest, watch
from siamrec.models.recommenders._item_features import item_features
from siamrec.models.recommenders._light_gcn_net import LightGCNNet
from siamrec.models.recommenders._two_tower_net import log_q, sampled_softmax
from siamrec.models.recommenders.pure_svd import leading_directions
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe


class ArmContract(RecommenderContract):
    recipe: Any

    @override
    def make(self) -> RecommenderRecipe:
        made: RecommenderRecipe = self.recipe
        return made

    @override
    def load(self, path: Path) -> FittedRecommender:
        loaded: FittedRecommender = type(self.recipe).load(path)
        return loaded


class TestGFCF(ArmContract):
    recipe = GFCF(directions=5)


class TestPureSVD(ArmContract):
    recipe = PureSVD(factors=4)


class TestRandom(ArmContract):
    recipe = Random(seed=3)


class TestMultVAE(ArmContract):
    recipe = MultVAE(hidden=8, factors=4, epochs=2, batch_size=16)


class TestLightGCN(ArmContract):
    recipe = LightGCN(factors=4, epochs=2)


class TestTwoTower(ArmContract):
    recipe = TwoTower(factors=4, epochs=2, batch_size=64, even_negatives=8)


class TestTwoTowerOnTexts(ArmContract):
    recipe = TwoTower(
        encoder=HashingEncoder(dim=16), factors=4, epochs=2, batch_size=64, even_negatives=8
    )


def liked() -> Any:
    feedback = small_feedback()
    return (
        Histories.of(feedback, feedback.users, feedback.items).liked(None).toarray().astype(float)
    )


def test_pure_svd_is_the_best_approximation_of_its_rank() -> None:
    x = liked()
    arm = PureSVD(factors=4).fit(small_feedback())
    left, size, right = np.linalg.svd(x, full_matrices=False)
    expected = (left[:, :4] * size[:4]) @ right[:4]
    np.testing.assert_allclose(arm.score(arm.history), expected, atol=1e-5)


def test_directions_of_large_matrices_are_those_of_the_whole_decomposition() -> None:
    matrix = sparse.random_array((90, 120), density=0.2, rng=np.random.default_rng(0)).tocsr()
    found = leading_directions(matrix, 5)
    _, _, rows = np.linalg.svd(matrix.toarray())
    np.testing.assert_allclose(np.abs(np.sum(found.T[::-1] * rows[:5], axis=1)), 1.0, atol=1e-8)
    np.testing.assert_array_equal(found, leading_directions(matrix, 5))


def test_the_graph_filter_is_its_formula() -> None:
    x = liked()
    arm = GFCF(directions=3, ideal=0.4).fit(small_feedback())
    of_user, of_item = x.sum(axis=1), x.sum(axis=0)
    even = x / np.sqrt(of_user)[:, None] / np.sqrt(of_item)
    v = np.linalg.svd(even)[2][:3].T
    low = np.diag(of_item**-0.5) @ v @ v.T @ np.diag(of_item**0.5)
    expected = x @ (even.T @ even + 0.4 * low)
    np.testing.assert_allclose(arm.score(arm.history), expected, rtol=1e-4)


def test_random_lists_differ_by_person_and_by_seed_and_are_even() -> None:
    feedback = Feedback.of(user=range(4000), item=[f"i{code % 50}" for code in range(4000)])
    one, two = (Random(seed=seed).fit(feedback) for seed in (0, 1))
    users = list(range(50))
    assert one.recommend(users, k=3).lists() != two.recommend(users, k=3).lists()
    some = Feedback.of(
        user=np.repeat(np.arange(2000), 2), item=np.random.default_rng(0).integers(0, 40, 4000)
    )
    first = Random().fit(some).recommend(some.users.ids, k=1, exclude_seen=False)
    counts = np.bincount(first.item, minlength=40)
    distinct = len({tuple(np.sort(some.item[some.user == u])) for u in range(2000)})
    # people who did the same get the same draw: about 760 draws, 19 an item, 5 sigma = 22
    assert distinct > 600
    assert counts.max() < 50 + 5 * 14


def test_smoothing_is_the_mean_of_the_layers() -> None:
    x = liked()
    even = x / np.sqrt(x.sum(axis=1))[:, None] / np.sqrt(x.sum(axis=0))
    net = LightGCNNet(sparse.csr_array(even), factors=3, layers=2)
    people, items = net()
    p, i = net.person.detach().numpy(), net.item.detach().numpy()
    p1, i1 = even @ i, even.T @ p
    p2, i2 = even @ i1, even.T @ p1
    np.testing.assert_allclose(people.detach().numpy(), (p + p1 + p2) / 3, atol=1e-5)
    np.testing.assert_allclose(items.detach().numpy(), (i + i1 + i2) / 3, atol=1e-5)
    weight = torch.as_tensor(np.random.default_rng(0).normal(size=people.shape))
    (people * weight).sum().backward()
    # d/dp of Σ w·(p + Âi + ÂÂᵀp)/3 is (w + ÂÂᵀw)/3
    expected = (weight.numpy() + even @ (even.T @ weight.numpy())) / 3
    assert net.person.grad is not None
    np.testing.assert_allclose(net.person.grad.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_lightgcn_learns_what_goes_together(loss: Any) -> None:
    feedback = two_worlds()
    recipe = LightGCN(factors=8, epochs=60, validation=0, loss=loss, learning_rate=0.05)
    lists = recipe.fit(feedback).recommend(feedback.users.ids, k=2).lists()
    assert share_of_own_world(lists) > 0.95


def two_worlds() -> Feedback:
    """Forty people of two tastes, each of whom likes five of the eight items of one kind."""
    rng = np.random.default_rng(0)
    user, item = [], []
    for person in range(40):
        for code in rng.permutation(8)[:5].tolist():
            user.append(person)
            item.append(f"{'ab'[person % 2]}{code}")
    return Feedback.of(user=user, item=item, time=np.arange(len(user)))


def share_of_own_world(lists: dict[Any, list[str]]) -> float:
    own = [item[0] == "ab"[user % 2] for user, items in lists.items() for item in items]
    return float(np.mean(own))


@pytest.mark.parametrize(
    "recipe",
    [
        MultVAE(hidden=16, factors=4, epochs=60, learning_rate=0.01),
        TwoTower(factors=8, epochs=40, batch_size=64, even_negatives=4, learning_rate=0.02),
    ],
)
def test_neural_arms_learn_what_goes_together(recipe: Any) -> None:
    feedback = two_worlds()
    arm = recipe.fit(feedback)
    assert share_of_own_world(arm.recommend(feedback.users.ids, k=2).lists()) > 0.95
    assert arm.recommend_for_history([["a1", "a2", "a3"]], k=1).lists()[0][0] in {
        f"a{c}" for c in range(8)
    }
    assert arm.training.best_epoch >= 1


def test_two_towers_rank_items_without_feedback_by_their_features() -> None:
    feedback = two_worlds()
    ids: list[Any] = [*feedback.items.ids, "a-new", "b-new", "bare"]
    kind = [*(str(id_)[0] for id_ in feedback.items.ids), "a", "b", None]
    catalog = Catalog.from_frame({"item": ids, "kind": kind}, attributes=["kind"])
    recipe = TwoTower(
        features=("kind",),
        factors=8,
        epochs=60,
        batch_size=64,
        even_negatives=4,
        learning_rate=0.02,
        unnamed=0.5,
    )
    arm = recipe.fit(feedback, catalog=catalog)
    news = ["a-new", "b-new", "bare"]
    lists = arm.recommend(feedback.users.ids, k=5, candidates=news).lists()
    assert all("bare" not in items for items in lists.values())
    assert share_of_own_world({user: items[:1] for user, items in lists.items()}) > 0.9


def test_log_q_makes_a_sampled_softmax_unbiased() -> None:
    # The corrected gradient is that of the full softmax, however skewed the sampling; without
    # the correction it is far off.
    rng = np.random.default_rng(0)
    n, batch, rounds = 20, 2000, 40
    count = 1.0 / np.arange(1, n + 1)
    items = torch.as_tensor(rng.normal(size=(n, 4)))
    anchor = torch.eye(1, 4, dtype=torch.float64)
    wanted = 3

    def gradient(codes: Any, rate: Any) -> Any:
        vectors = items.clone().requires_grad_()
        place = torch.tensor([int(np.flatnonzero(codes == wanted)[0])])
        logits = anchor @ vectors[codes].T
        logits = logits if rate is None else logits - rate
        loss = sampled_softmax(logits, place, torch.as_tensor(codes == wanted)[None])
        loss.backward()  # type: ignore[no-untyped-call]
        assert vectors.grad is not None
        return vectors.grad.numpy()

    full = gradient(np.arange(n), None)
    share = count / count.sum()
    found, plain = np.zeros_like(full), np.zeros_like(full)
    for _ in range(rounds):
        drawn = rng.choice(n, batch, p=share)
        codes = np.append(drawn[drawn != wanted], wanted)
        rate = log_q(count, batch, 0)[codes]
        rate[-1] = 0.0  # the wanted item is there for certain
        found += gradient(codes, torch.as_tensor(rate)) / rounds
        plain += gradient(codes, None) / rounds
    np.testing.assert_allclose(found, full, atol=5e-3)
    assert np.abs(plain - full).max() > 0.05


def test_the_softmax_of_the_towers_is_the_contrastive_loss_of_the_house() -> None:
    rng = torch.Generator().manual_seed(0)
    people, items = torch.randn(6, 4, generator=rng), torch.randn(9, 4, generator=rng)
    place, rate = torch.arange(6), torch.randn(9, generator=rng)
    known = torch.rand(6, 9, generator=rng) < 0.3
    cosine = torch.nn.functional.normalize(people) @ torch.nn.functional.normalize(items).T
    found = sampled_softmax(cosine / 0.2 - rate, place, known)
    expected = feedback_infonce(people, items, place, scale=5.0, known=known, log_q=rate)
    torch.testing.assert_close(found, expected)


def test_the_expected_count_of_a_negative() -> None:
    found = np.exp(log_q(np.array([3.0, 1.0, 0.0]), 8, 6))
    np.testing.assert_allclose(found, [6 + 2, 2 + 2, 2])


def test_features_are_shares_and_standard_scores() -> None:
    catalog = Catalog.from_frame(
        {
            "item": [1, 2, 3],
            "genres": ["war|love", "love", None],
            "year": [1990, 2000, None],
            "same": ["x", "x", "x"],
        },
        attributes=["year", "same"],
        lists={"genres": "|"},
    )
    table, known = item_features(catalog, encoder=None, features=("genres", "year", "same"))
    expected = [[0.5, 0.5, -1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]  # what never varies is gone
    np.testing.assert_allclose(table, expected)
    assert known.tolist() == [True, True, True]
    with pytest.raises(UnknownNameError, match="No attribute is named 'genre'"):
        item_features(catalog, encoder=None, features=("genre",))
    with pytest.raises(MissingInputError, match="catalog is needed"):
        TwoTower(features=("genres",)).fit(two_worlds())


def test_what_is_held_out_is_liked_and_leaves_something() -> None:
    feedback = small_feedback()
    history = Histories.of(feedback, feedback.users, feedback.items)
    left, held = hold_out(history, 0.9, 0, positive=4.0)
    assert held is not None
    assert (np.diff(left.value.indptr) >= 1).all()
    assert (held.data >= 4).all()
    np.testing.assert_array_equal(left.value.toarray() + held.toarray(), history.value.toarray())
    left, held = hold_out_latest(history, 1.0, 0)
    assert held is not None
    last = history.latest(1)[0][:, 0]
    np.testing.assert_array_equal(held.indices, last[np.diff(held.indptr) > 0])
    assert hold_out(history, 0.0, 0) == (history, None)
    assert watch(history, None, lambda _, h: h.value.toarray()) is None


def test_watching_measures_ndcg() -> None:
    value = sparse.csr_array(np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]))
    held = sparse.csr_array(np.array([[0, 1.0, 0, 1.0], [0, 0, 0, 0]]))
    table = np.array([[9.0, 1, 2, 3], [0, 0, 0, 0]])
    measure = watch(Histories(value), held, lambda users, _: table[users].copy())
    # seen item 0 is left out; then 3 (hit), 2, 1 (hit)
    expected = (1 + 1 / 2) / (1 + 1 / np.log2(3))
    assert measure is not None
    assert measure() == pytest.approx(expected)


def test_who_is_unknown_is_refused_by_arms_that_know_training_users_only() -> None:
    arm = LightGCN(factors=2, epochs=1).fit(small_feedback())
    with pytest.raises(MissingCapabilityError, match=r"COLD_USER.* EASE, "):
        arm.recommend_for_history([["i1"]])
    with pytest.raises(MissingCapabilityError, match="FittedLightGCN does not have"):
        arm.score(Histories(arm.history.value))


def test_a_step_that_is_not_finite_ends_training() -> None:
    recipe = MultVAE(hidden=4, factors=2, epochs=30, learning_rate=1e30, validation=0)
    with pytest.raises(TrainingDivergedError, match="lower learning_rate"):
        recipe.fit(small_feedback())


@pytest.mark.parametrize(
    "recipe", [GFCF(), PureSVD(), MultVAE(epochs=1), LightGCN(epochs=1), TwoTower(epochs=1)]
)
def test_nothing_liked_cannot_be_learned(recipe: Any) -> None:
    from dataclasses import replace

    with pytest.raises(InvalidDataError, match="needs at least one liked item"):
        replace(recipe, positive=9.0).fit(small_feedback())


@pytest.mark.parametrize(
    "recipe",
    [GFCF(), PureSVD(), MultVAE(epochs=1), LightGCN(epochs=1), TwoTower(epochs=1), Random()],
)
def test_one_item_is_enough(recipe: Any) -> None:
    arm = recipe.fit(Feedback.of(user=["a", "b"], item=["x", "x"]))
    assert arm.recommend(["a"], k=3).lists() == {"a": []}
    assert arm.recommend(["a"], k=3, exclude_seen=False).lists() == {"a": ["x"]}


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match=r"dropout must be in \[0, 1\)"):
        MultVAE(dropout=1.0)
    with pytest.raises(UnknownNameError, match="No loss is named 'brp'. Did you mean 'bpr'"):
        LightGCN(loss="brp")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="temperature must be a finite number above 0"):
        TwoTower(temperature=0.0)
    with pytest.raises(InvalidDataError, match="side 24; .*use RP3beta, .*or raise max_items"):
        GFCF(max_items=3).fit(small_feedback())
