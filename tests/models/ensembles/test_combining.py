"""What each ensemble makes of its members' scores, by hand and against obvious loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from siamrec.bandits import BetaThompson, ContextualBandit
from siamrec.data import Feedback
from siamrec.errors import (
    InvalidParameterError,
    MissingCapabilityError,
    UnknownNameError,
)
from siamrec.models.ensembles import (
    BanditMixture,
    Cascade,
    Fallback,
    Stacking,
    Switching,
    Weighted,
    rescaled,
)
from siamrec.models.ensembles._meta import Sums
from siamrec.models.recommenders import (
    EASE,
    BiasModel,
    Capability,
    ExplicitMF,
    FittedRecommender,
    Histories,
    Popularity,
    RecommenderRecipe,
)
from siamrec.testing.recommenders import small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Catalog
    from siamrec.typing import Float32Array


@final
class Fixed(FittedRecommender):
    """The same scores for everybody, or a table by training user."""

    capabilities: ClassVar[Capability] = Capability.RANKING | Capability.COLD_USER

    def __init__(self, feedback: Feedback, scores: list[float]) -> None:
        self.users, self.items = feedback.users, feedback.items
        self.history = Histories.of(feedback, feedback.users, feedback.items)
        self.scores = np.array(scores, dtype=np.float32)

    @override
    def score(self, histories: Histories) -> Float32Array:
        return np.tile(self.scores, (len(histories), 1))

    @override
    def save(self, path: str | Path) -> None:
        raise NotImplementedError


class Noise(RecommenderRecipe):
    """Scores without any meaning."""

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedRecommender:
        rng = np.random.default_rng(3)
        return Fixed(feedback, rng.normal(size=len(feedback.items)).tolist())


def four_items() -> Feedback:
    """Everybody has met one of four items; dee has met nothing that others have."""
    return Feedback.of(user=["ann", "bob", "cid", "dee"], item=["w", "x", "y", "z"])


def test_weighted_by_hand() -> None:
    data = four_items()
    arms = {"one": Fixed(data, [0, 1, 2, 3]), "two": Fixed(data, [9, 6, 6, 3])}
    mixed = Weighted.over(arms, {"one": 3.0, "two": 1.0}, scale="minmax")
    assert mixed.weights == {"one": 0.75, "two": 0.25}
    lists = mixed.recommend(["ann"], k=4, exclude_seen=False)
    assert lists.lists() == {"ann": ["z", "y", "x", "w"]}
    assert lists.score is not None
    np.testing.assert_allclose(lists.score, [0.75, 0.625, 0.375, 0.25], rtol=1e-6)


scores = st.lists(
    st.one_of(st.integers(-3, 3).map(float), st.just(-np.inf)), min_size=1, max_size=8
)


@given(scores)
@settings(max_examples=200, deadline=None)
def test_scales_agree_with_loops(row: list[float]) -> None:
    table = np.array([row], dtype=np.float32)
    known = [value for value in row if np.isfinite(value)]
    least = min(known, default=0.0)
    filled = [value if np.isfinite(value) else least for value in row]
    flat = len(set(known)) < 2
    spread = float(np.std(known)) if known else 0.0
    expected = {
        "z": [(value - np.mean(known)) / spread for value in filled] if not flat else None,
        "minmax": [(value - least) / (max(known) - least) for value in filled]
        if not flat
        else None,
        "rank": [1 - sum(other > value for other in filled) / len(row) for value in filled],
        "rrf": [61 / (61 + sum(other > value for other in filled)) for value in filled],
    }
    for scale, wanted in expected.items():
        found = rescaled(table, scale)  # type: ignore[arg-type]
        correct = [0.0] * len(row) if flat or wanted is None else wanted
        np.testing.assert_allclose(found[0], np.array(correct), atol=2e-5, err_msg=scale)


def test_a_weak_arm_is_dropped_and_said() -> None:
    rng = np.random.default_rng(5)
    rows = [
        (f"u{user}", f"i{item}")
        for user in range(300)
        for item in rng.permutation(60)[:40]
        if rng.random() < (0.6 if item % 2 == user % 2 else 0.05)
    ]
    data = Feedback.of(user=[row[0] for row in rows], item=[row[1] for row in rows])
    fused = Weighted(arms={"ease": EASE(l2=20.0), "noise": Noise()}, rounds=4).fit(data)
    assert fused.dropped == {"noise": "on validation its weight is 0"}
    assert fused.weights == {"ease": 1.0}


def test_weights_must_make_sense() -> None:
    arms = {"ease": EASE(), "popularity": Popularity()}
    with pytest.raises(UnknownNameError, match="arm"):
        Weighted(arms=arms, weights={"eas": 1.0})
    with pytest.raises(InvalidParameterError, match="above 0 for at least one arm"):
        Weighted(arms=arms, weights={"ease": -1.0}).fit(small_feedback())
    fused = Weighted(arms=arms, weights={"ease": 1.0, "popularity": -0.5}).fit(small_feedback())
    assert fused.dropped == {"popularity": "its weight is -0.5"}
    with pytest.raises(UnknownNameError, match="scale"):
        Weighted(arms=arms, scale="zz")  # type: ignore[arg-type]


def test_switching_takes_each_list_whole_from_one_arm() -> None:
    data = small_feedback()
    arms = {"popularity": Popularity().fit(data), "ease": EASE(l2=5.0).fit(data)}
    lists = Switching.over(arms, (0, 8)).recommend(data.users.ids, k=5)
    own = {name: arm.recommend(data.users.ids, k=5).lists() for name, arm in arms.items()}
    events = np.bincount(data.user, minlength=len(data.users))
    assert lists.source is not None
    for row, (user, items) in enumerate(lists.lists().items()):
        name = "ease" if events[row] >= 8 else "popularity"
        assert items == own[name][user]
        part = lists.source[lists.start[row] : lists.start[row + 1]]
        assert {lists.arms[place] for place in part} <= {name}
    with pytest.raises(InvalidParameterError, match="2 numbers that rise from 0"):
        Switching.over(arms, (0, 0))


@pytest.mark.parametrize("depth", [1, 4, 100])
def test_cascade_reorders_the_best_of_the_first(depth: int) -> None:
    data = small_feedback()
    first, second = Popularity().fit(data), EASE(l2=5.0).fit(data)
    users = ["u3", "u4", "u0"]
    lists = Cascade.over(first, second, depth=depth).recommend(users, k=50).lists()
    passed = first.recommend(users, k=depth).lists()
    order = second.recommend(users, k=100).lists()
    for user in users:
        assert lists[user] == [item for item in order[user] if item in set(passed[user])]


def test_cascade_keeps_what_the_second_cannot_rank_below() -> None:
    data = four_items()
    first = Fixed(data, [1, 2, 3, 4])
    second = Fixed(data, [5, -np.inf, 7, -np.inf])
    lists = Cascade.over(first, second, depth=4).recommend(["ann"], k=4, exclude_seen=False)
    assert lists.lists() == {"ann": ["y", "w", "z", "x"]}


def test_fallback_fills_from_the_next() -> None:
    data = four_items()
    first = Fixed(data, [-np.inf, 2, 1, -np.inf])
    chain = Fallback.over({"first": first, "next": Fixed(data, [1, 2, 3, 4])})
    lists = chain.recommend(["dee"], k=4)
    assert lists.lists() == {"dee": ["x", "y", "w"]}
    assert lists.source is not None
    assert [lists.arms[place] for place in lists.source] == ["first", "first", "next"]
    # Scores that are all alike say nothing.
    silent = Fallback.over({"first": Fixed(data, [2, 2, 2, 2]), "next": first})
    assert silent.recommend(["dee"], k=1).lists() == {"dee": ["x"]}


def test_stacked_weights_are_those_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    predicted, user, item = rng.normal(3, 1, (500, 2)), rng.random(500), rng.random(500)
    wanted = predicted @ [0.7, 0.4] + 0.3 * user * predicted[:, 0] + rng.normal(0, 0.1, 500)
    sums = Sums.empty(2, counts=True)
    for part in np.array_split(np.arange(500), 3):
        sums.add(predicted[part], user[part], item[part], wanted[part])
    kept, meta = sums.solve(0.0, non_negative=False)
    features = np.stack([np.ones(500), user, item], axis=1)
    design = np.concatenate(
        [features, *(predicted[:, [arm]] * features for arm in (0, 1))], axis=1
    )
    known = np.linalg.lstsq(design, wanted, rcond=None)[0]
    assert kept == [0, 1]
    np.testing.assert_allclose([*meta.constant, *meta.weight.ravel()], known, atol=1e-6)
    np.testing.assert_allclose(meta.apply(predicted, user, item), design @ known, atol=1e-6)


def test_an_arm_that_points_the_wrong_way_is_dropped() -> None:
    rng = np.random.default_rng(2)
    predicted = rng.normal(3, 1, (300, 3))
    wanted = predicted @ [1.0, -0.5, 0.2]
    for non_negative in (False, True):
        sums = Sums.empty(3, counts=not non_negative)
        sums.add(predicted, np.ones(300), np.ones(300), wanted)
        kept, meta = sums.solve(1e-6, non_negative=non_negative)
        assert kept == [0, 2]
        assert (meta.weight.sum(axis=1) > 0).all()


def test_a_stack_of_ratings_beats_its_members_on_held_out_ratings() -> None:
    rng = np.random.default_rng(4)
    user, item = np.divmod(rng.permutation(120 * 60)[:3000], 60)
    tastes, traits = rng.normal(size=(120, 2)), rng.normal(size=(60, 2))
    rating = 3 + 0.4 * rng.normal(size=120)[user] + 0.4 * rng.normal(size=60)[item]
    rating = rating + 0.7 * (tastes[user] * traits[item]).sum(axis=1) + rng.normal(0, 0.4, 3000)
    rating = np.clip(rating, 1, 5)
    data = Feedback.of(user=user.tolist(), item=item.tolist(), value=rating)
    train, test = data.where(np.arange(2400)), data.where(np.arange(2400, 3000))
    arms = {"bias": BiasModel(), "mf": ExplicitMF(factors=2)}
    users, items = test.users.decode(test.user), test.items.decode(test.item)

    def error(arm: FittedRecommender) -> float:
        guess = arm.predict(users, items, unknown="fallback")
        return float(np.sqrt(np.mean((guess - test.value) ** 2)))

    alone = [error(recipe.fit(train)) for recipe in arms.values()]
    assert error(Stacking(arms=arms).fit(train)) < min(alone)


def test_a_stack_of_ratings_needs_arms_that_rate() -> None:
    with pytest.raises(MissingCapabilityError, match="RATINGS"):
        Stacking(arms={"ease": EASE(), "bias": BiasModel()}).fit(small_feedback())


def mixture(n_arms: int = 2) -> BanditMixture:
    data = small_feedback()
    arms = {"ease": EASE(l2=5.0).fit(data), "popularity": Popularity().fit(data)}
    bandit = ContextualBandit(BetaThompson(), arms=tuple(arms), seed=3)
    return BanditMixture(bandit, arms)


def test_a_mixture_learns_which_arm_is_clicked() -> None:
    mixed = mixture()
    for turn in range(150):
        shown = mixed.recommend(f"u{turn % 29 + 1}", k=4)
        assert set(shown.sources) == {shown.decision.arm}
        mixed.learn(shown, clicked=shown.items[:1] if "ease" in shown.sources else [])
    assert mixed.bandit.probabilities()["ease"] > 0.9  # type: ignore[attr-defined]


def test_arms_share_a_list_and_each_learns_from_its_own() -> None:
    mixed = mixture()
    shown = mixed.recommend("u5", k=6, n=2)
    assert set(shown.sources) == {"ease", "popularity"}
    assert len(set(shown.items)) == len(shown.items) == 6
    mine = [item for item, arm in zip(shown.items, shown.sources, strict=True) if arm == "ease"]
    rewards = shown.rewards([*mine, "never shown"])
    assert rewards.arm is not None
    assert dict(zip(rewards.arm, rewards.reward.tolist(), strict=True)) == {
        "ease": 1.0,
        "popularity": 0.0,
    }
    assert mixed.learn(shown, mine).applied == 2


def test_many_lists_at_once() -> None:
    mixed = mixture()
    users = [f"u{number}" for number in range(1, 30)]
    lists, decisions = mixed.recommend_many(users, k=4)
    assert list(lists.lists()) == users
    assert lists.source is not None
    for row, user in enumerate(users):
        name = decisions.names()[row]
        assert lists.lists()[user] == mixed.arms[name].recommend([user], k=4).lists()[user]
        assert set(lists.source[lists.start[row] : lists.start[row + 1]]) == {decisions.arm[row]}


def test_a_mixture_refuses_what_does_not_fit() -> None:
    mixed = mixture()
    with pytest.raises(InvalidParameterError, match="those of the bandit"):
        BanditMixture(mixed.bandit, {"ease": mixed.arms["ease"]})
    with pytest.raises(UnknownNameError, match="No user is named 'nobody'"):
        mixed.recommend("nobody")
