"""The bandit: replay, exactly once, exact propensities, arms that come and go, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamrec._core.clock import DAY, ManualClock
from siamrec.bandits import (
    Baseline,
    BetaThompson,
    Context,
    ContextualBandit,
    HierarchicalBeta,
    Learning,
    Limits,
    Snapshot,
    exploration,
    performance,
)
from siamrec.data import Decision, Rewards
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)

ARMS = ("svd", "embeddings", "graph", "item_cf")


def make(**settings_: Any) -> ContextualBandit[Any]:
    options = {"context": Context.default(), "clock": ManualClock(1000), "seed": 7, **settings_}
    policy = options.pop("policy", BetaThompson())
    return ContextualBandit(policy, options.pop("arms", ARMS), **options)


def same_sums(left: ContextualBandit[Any], right: ContextualBandit[Any]) -> None:
    ours, theirs = left.sums(time=DAY), right.sums(time=DAY)
    assert ours.keys() == theirs.keys()
    for name, total in ours.items():
        np.testing.assert_allclose(total, theirs[name], atol=1e-9)


events = st.lists(
    st.tuples(st.integers(0, 19), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 50)),
    max_size=40,
)


def logged(**settings_: Any) -> tuple[ContextualBandit[Any], list[Decision]]:
    bandit = make(**settings_)
    contexts = ({"segment": "cold"}, {"segment": "power", "day": "weekend"})
    return bandit, [bandit.select(contexts[place % 2], time=place * 10) for place in range(20)]


@pytest.mark.parametrize(
    "learning", [Learning(), Learning(half_life=40e-9), Learning(window=100e-9)]
)
@given(events=events, seed=st.integers(0, 2**16), cut=st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_state_is_a_fold_over_the_log(
    learning: Learning, events: list[tuple[int, float, int]], seed: int, cut: int
) -> None:
    """Any order, any batching, repeats, rewards before decisions: one state."""
    bandit, decisions = logged(learning=learning)
    for place, reward, time in events:
        bandit.learn(decisions[place].id, reward, time=1000 + time)

    shuffled = [events[place] for place in np.random.default_rng(seed).permutation(len(events))]
    other = make(learning=learning)
    for part in (shuffled[:cut], shuffled[cut:], shuffled[:5]):
        if part:
            other.learn(
                Rewards(
                    decision=np.array([decisions[place].id for place, _, _ in part]),
                    reward=np.array([reward for _, reward, _ in part]),
                    time=np.array([1000 + time for _, _, time in part]),
                )
            )
        for decision in decisions:
            other.record(decision)
    same_sums(bandit, other)
    assert other.n_early == 0


@given(events=events, owner=st.lists(st.booleans(), min_size=40, max_size=40))
@settings(max_examples=20, deadline=None)
def test_workers_merge_in_any_order(
    events: list[tuple[int, float, int]], owner: list[bool]
) -> None:
    one, _ = logged(worker="one")
    two, theirs = logged(worker="two")
    _, ours = logged(worker="one")
    for (place, reward, time), mine in zip(events, owner, strict=False):
        decisions = ours if place % 2 else theirs
        (one if mine else two).learn(decisions[place].id, reward, time=time)
    left, right = make(worker="left"), make(worker="right")
    left.merge(one.snapshot())
    left.merge(two.snapshot())
    right.merge(two.snapshot())
    right.merge(one.snapshot())
    right.merge(two.snapshot())
    same_sums(left, right)
    assert left.n_early == 0


def test_settled_sums_are_not_counted_twice() -> None:
    one, decisions = logged(worker="one")
    for decision in decisions:
        one.learn(decision.id, 1.0, time=500)
    before = one.sums()
    early = one.snapshot()
    assert one.settle(100) == 10
    for name, total in one.sums().items():
        np.testing.assert_allclose(total, before[name])
    two = make(worker="two")
    for state in (early, one.snapshot(), early):
        two.merge(state)
        same_sums(one, two)


def test_a_correction_replaces_the_reward() -> None:
    bandit = make(context=None)
    decision = bandit.select()
    code = ARMS.index(decision.arm)
    assert bandit.learn(decision.id, 0.0, time=5).applied == 1
    assert bandit.learn(decision.id, 1.0, time=9).applied == 1
    assert bandit.learn(decision.id, 1.0, time=9).unchanged == 1
    assert bandit.learn(decision.id, 0.0, time=7).unchanged == 1
    assert bandit.sums()["wins"][0, code] == 1
    assert bandit.sums()["losses"][0, code] == 0
    assert bandit.n_pending == 0


def test_a_restored_bandit_goes_on_as_if_nothing_happened() -> None:
    bandit, decisions = logged(policy=HierarchicalBeta(), limits=Limits(floor=0.02, cap=0.7))
    bandit.learn(decisions[3].id, 1.0, time=300)
    state = Snapshot.from_bytes(bandit.snapshot().to_bytes())
    twin = ContextualBandit.restore(
        state, HierarchicalBeta(), context=Context.default(), clock=ManualClock(1000)
    )
    for _ in range(5):
        assert twin.select({"segment": "cold"}, n=2) == bandit.select({"segment": "cold"}, n=2)


def test_equal_bandits_choose_equally_and_ids_sort_by_time() -> None:
    first, second = logged()[1], logged()[1]
    assert first == second
    assert [d.id for d in first] == sorted(d.id for d in first)
    assert {d.id for d in first}.isdisjoint(d.id for d in logged(worker="two")[1])


def test_one_by_one_equals_many() -> None:
    single, many = make(), make()
    columns = {"segment": ["cold", "power", "regular"] * 20}
    batch = many.select_many(columns, time=5)
    for row, segment in enumerate(columns["segment"]):
        decision = single.select({"segment": segment}, time=5)
        assert decision.id == batch.id[row]
        assert decision.arm == batch.names()[row]
        assert decision.propensity == pytest.approx(batch.propensity[row], abs=1e-12)
    assert many.learn(Rewards(decision=batch.id, reward=np.ones(60))).applied == 60


def test_draws_follow_the_logged_propensities() -> None:
    # Chi-square with 3 degrees of freedom over 100 000 draws; fails once in 1e6 seeds.
    bandit = make(context=None, limits=Limits(floor=0.05, cap=0.6, holdout=0.1))
    for _ in range(30):
        decision = bandit.select()
        bandit.learn(decision.id, float(decision.arm == "graph"))
    chance = bandit.probabilities()
    batch = bandit.select_many([{}] * 100_000)
    observed = np.bincount(batch.arm, minlength=4)
    expected = 100_000 * np.array([chance[arm] for arm in ARMS])
    np.testing.assert_allclose(batch.propensity, np.array([chance[a] for a in ARMS])[batch.arm])
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, 3) > 1e-6


def test_ranked_draws_have_the_product_of_their_propensities() -> None:
    bandit = make(context=None, arms=("a", "b", "c"))
    for reward in (1.0, 0.0, 1.0, 1.0):
        bandit.learn(bandit.select().id, reward)
    seen: dict[tuple[str, ...], list[float]] = {}
    n = 20_000
    for _ in range(n):
        decision = bandit.select(n=2)
        seen.setdefault(decision.arms, []).append(float(np.prod(decision.propensities)))
    assert sum(values[0] for values in seen.values()) == pytest.approx(1.0, abs=1e-9)
    for values in seen.values():
        share = values[0]
        assert len(values) / n == pytest.approx(share, abs=5 * np.sqrt(share / n))


def test_each_blended_arm_learns_from_its_own_items() -> None:
    bandit = make(context=None)
    decision = bandit.select(n=3)
    bandit.learn(decision.id, 1.0, arm=decision.arms[2])
    bandit.learn(decision.id, 0.0)
    wins, losses = bandit.sums()["wins"][0], bandit.sums()["losses"][0]
    assert wins[ARMS.index(decision.arms[2])] == 1
    assert losses[ARMS.index(decision.arms[0])] == 1
    assert wins.sum() + losses.sum() == 2
    absent = next(arm for arm in ARMS if arm not in decision.arms)
    with pytest.raises(InvalidDataError, match="did not choose the arm"):
        bandit.learn(decision.id, 1.0, arm=absent)


def test_limits_hold_in_every_decision() -> None:
    bandit = make(limits=Limits(floor=0.05, cap=0.7))
    for _ in range(200):
        decision = bandit.select({"segment": "cold"})
        assert 0.05 - 1e-12 <= decision.propensity <= 0.7 + 1e-12
        bandit.learn(decision.id, float(decision.arm == "svd"))
    view = bandit.describe({"segment": "cold"})["svd"]
    assert view.probability == pytest.approx(0.7)
    assert view.confidence > 0.99


def test_half_life_halves() -> None:
    clock = ManualClock(0)
    bandit = make(context=None, learning=Learning(half_life="10d"), clock=clock)
    bandit.learn(bandit.select(arms=["svd"]).id, 1.0)
    clock.set(10 * DAY)
    # The look advances in steps of 1/1024 half-life.
    assert bandit.sums()["wins"].sum() == pytest.approx(0.5, rel=1e-3)
    clock.set(20_000 * DAY)
    bandit.learn(bandit.select(arms=["svd"]).id, 1.0)
    assert bandit.sums()["wins"].sum() == pytest.approx(1.0, rel=1e-3)


def test_a_window_forgets_what_is_older() -> None:
    clock = ManualClock(0)
    bandit = make(context=None, learning=Learning(window="8d"), clock=clock)
    bandit.learn(bandit.select().id, 1.0)
    clock.set(7 * DAY)
    assert bandit.sums()["wins"].sum() == 1
    clock.set(9 * DAY)
    assert bandit.sums()["wins"].sum() == 0


def test_attribution_and_expiry() -> None:
    clock = ManualClock(0)
    bandit = make(context=None, learning=Learning(attribution="1h"), clock=clock)
    slow, silent = bandit.select(), bandit.select()
    clock.set(DAY)
    assert bandit.learn(slow.id, 1.0).late == 1
    assert bandit.expire().applied == 2
    assert bandit.expire().applied == 0
    assert bandit.sums()["losses"].sum() == 2
    assert bandit.n_pending == 0
    assert silent.id != slow.id
    with pytest.raises(MissingInputError, match="attribution"):
        make().expire()


def test_waiting_picks_count_little_by_little() -> None:
    """Successes come after a day on average; without the correction only they would count."""
    clock = ManualClock(0)
    bandit = make(context=None, arms=("a", "b"), learning=Learning(delay="1d"), clock=clock)
    silent = [bandit.select(arms=["a"]) for _ in range(10)]
    assert bandit.sums()["losses"].sum() == 0
    clock.set(DAY)
    seen = 10 * (1 - np.exp(-1))
    assert bandit.sums()["losses"].sum() == pytest.approx(seen, rel=0.02)
    assert bandit.probabilities()["a"] < 0.25
    for decision in silent[:6]:
        bandit.learn(decision.id, 1.0)
    assert bandit.sums()["wins"].sum() == 6
    assert bandit.sums()["losses"].sum() == pytest.approx(seen * 0.4, rel=0.02)
    assert bandit.probabilities()["a"] > 0.5
    clock.set(50 * DAY)
    assert bandit.sums()["losses"].sum() == pytest.approx(4, rel=1e-6)


def test_an_early_reward_keeps_to_the_window() -> None:
    maker = make(context=None, learning=Learning(attribution="1h"), clock=ManualClock(0))
    decisions = [maker.select(time=0), maker.select(time=0)]
    other = make(context=None, learning=Learning(attribution="1h"))
    other.learn(decisions[0].id, 1.0, time=DAY)
    other.learn(decisions[1].id, 1.0, time=60 * 10**9)
    for decision in decisions:
        other.record(decision)
    assert other.sums()["wins"].sum() == 1
    with pytest.raises(InvalidDataError, match="weight must not be below 0"):
        other.learn(decisions[0].id, 1.0, weight=-1.0)


def test_tempering_explores_more() -> None:
    bandit = make(tempering={"session_position": {"early": 0.5, "late": 3.0}})
    for position in ("early", "middle", "late"):
        for arm in ARMS:
            decision = bandit.select({"session_position": position}, arms=[arm])
            bandit.learn(decision.id, float(arm == "svd"))
    early, middle, late = (
        bandit.probabilities({"session_position": position})["svd"]
        for position in ("early", "middle", "late")
    )
    assert early > middle > late
    confidences = {
        bandit.describe({"session_position": position})["svd"].confidence
        for position in ("early", "middle", "late")
    }
    assert len(confidences) == 1
    with pytest.raises(UnknownNameError, match="Did you mean 'late'"):
        make(tempering={"session_position": {"lat": 2.0}})


def test_arms_come_and_go() -> None:
    bandit = make(context=None)
    decision = bandit.select(arms=["graph"])
    with pytest.raises(InvalidDataError, match="1 decisions for 'graph' wait for their reward"):
        bandit.remove_arm("graph")
    bandit.remove_arm("graph", pending="keep")
    assert bandit.arms == ("svd", "embeddings", "item_cf")
    bandit.learn(decision.id, 1.0)
    assert "graph" not in bandit.probabilities()
    bandit.add_arm("new")
    assert bandit.probabilities()["new"] == pytest.approx(0.25)
    bandit.add_arm("graph")
    assert bandit.probabilities()["graph"] > 0.2
    bandit.disable("svd")
    assert "svd" not in bandit.probabilities()
    bandit.enable("svd")
    assert "svd" in bandit.probabilities()
    with pytest.raises(InvalidParameterError, match="arm must be a new name"):
        bandit.add_arm("svd")
    state = bandit.snapshot()
    narrow = make(context=None, worker="w2")
    narrow.merge(state)
    assert "new" in narrow.arms


def test_a_trusted_arm_bounds_the_cost_of_exploring() -> None:
    bandit = make(context=None, limits=Limits(baseline=Baseline(arm="svd", slack=0.05)))
    for arm, n, wins in (("svd", 400, 200), ("graph", 400, 200), ("item_cf", 10, 3)):
        for number in range(n):
            bandit.learn(bandit.select(arms=[arm]).id, float(number < wins))
    views = bandit.describe()
    earned = sum(view.probability * view.mean for view in views.values())
    assert earned >= 0.95 * views["svd"].mean - 1e-9
    plain = make(context=None)
    plain_views = plain.describe()
    assert sum(view.probability for view in plain_views.values()) == pytest.approx(1.0)
    twin = ContextualBandit.restore(bandit.snapshot(), BetaThompson(), clock=ManualClock(1000))
    assert twin.describe() == views
    with pytest.raises(UnknownNameError, match="Did you mean 'svd'"):
        make(limits=Limits(baseline=Baseline(arm="svdd")))
    with pytest.raises(InvalidParameterError, match="slack"):
        Baseline(arm="svd", slack=-1.0)


def test_performance_per_context() -> None:
    rng = np.random.default_rng(8)
    bandit = make(seed=3)
    segments = {"segment": ["cold", "power"] * 2000}
    batch = bandit.select_many(segments)
    rate = np.where(np.arange(4000) % 2 == 0, 0.2, 0.4) + 0.1 * (batch.arm == 2)
    bandit.learn(Rewards(decision=batch.id, reward=(rng.random(4000) < rate).astype(float)))
    found = performance(bandit.memory, "segment")
    assert {level for level, _ in found} == {"cold", "power"}
    for (level, arm), each in found.items():
        truth = (0.2 if level == "cold" else 0.4) + 0.1 * (arm == "graph")
        low, high = each.interval
        assert low - 0.02 < truth < high + 0.02
        assert 300 < each.n < 700
    assert set(performance(bandit.memory)) == {("", arm) for arm in ARMS}
    assert 0.0 < exploration(bandit.memory, 1000) < 0.75
    assert exploration(make().memory, 1000) == 0.0


def test_the_picture_shows_every_arm() -> None:
    pytest.importorskip("plotly")
    figure = make().plot({"segment": "cold"})
    labels = list(figure.data[0].y)
    assert [label.partition(" ")[0] for label in labels] == list(ARMS)
    chosen = [float(label.rpartition(" ")[2].rstrip("%)")) for label in labels]
    assert sum(chosen) == pytest.approx(100, abs=len(ARMS) / 2)  # whole per cents


def test_whole_numbers_may_be_decision_ids() -> None:
    bandit = make(context=None)
    bandit.record(Decision(id="17", bandit="b", arms=("svd",), propensities=(0.3,)))
    assert bandit.learn(17, 1.0).applied == 1
    assert bandit.sums()["wins"][0, 0] == 1


def test_seed_form_of_the_notes() -> None:
    arms, confidences = make().select_arms({"segment": "cold"}, n_arms=3)
    assert len(set(arms)) == 3
    assert all(0 < confidence < 1 for confidence in confidences)


@pytest.mark.parametrize("reward", [1.5, -0.1, float("nan"), float("inf")])
def test_a_bad_reward_leaves_the_state_untouched(reward: float) -> None:
    bandit = make(context=None)
    decision = bandit.select()
    with pytest.raises(InvalidDataError, match="reward must be"):
        bandit.learn(decision.id, reward)
    assert bandit.state_version == 0
    assert bandit.n_pending == 1


def test_errors_name_what_is_wrong() -> None:
    bandit = make(context=None)
    with pytest.raises(UnknownNameError, match="Did you mean 'graph'"):
        bandit.select(arms=["grahp"])
    with pytest.raises(InvalidParameterError, match="at most the number of eligible arms, 0"):
        bandit.select(arms=[])
    with pytest.raises(InvalidParameterError, match="at most the number of eligible arms, 4"):
        bandit.select(n=5)
    with pytest.raises(InvalidParameterError, match=r"floor must be at most 0\.25 for 4 arms"):
        make(limits=Limits(floor=0.3))
    with pytest.raises(MissingInputError, match="learn"):
        bandit.learn("x")  # type: ignore[call-overload]
    with pytest.raises(InvalidParameterError, match="window"):
        make(learning=Learning(half_life="3d", window="3d"))
    with pytest.raises(InvalidDataError, match="features must have shape"):
        bandit.select(features=np.ones(3))
    assert bandit.learn("nobody", 1.0).early == 1
    assert bandit.n_early == 1


def test_a_foreign_snapshot_is_refused() -> None:
    bandit = make(context=None)
    with pytest.raises(InvalidDataError, match="same policy"):
        bandit.merge(make(context=None, policy=HierarchicalBeta()).snapshot())
    with pytest.raises(InvalidDataError, match="same name"):
        bandit.merge(make(context=None, name="other").snapshot())
    with pytest.raises(InvalidDataError, match="other arms"):
        bandit.merge(make(context=None, arms=("svd", "x")).snapshot())
    state = bandit.snapshot()
    newer = Snapshot({**state.header, "format": 99}, state.arrays)
    with pytest.raises(InvalidDataError, match="layout 99"):
        Snapshot.from_bytes(newer.to_bytes())
    with pytest.raises(InvalidDataError, match="bandit snapshot"):
        Snapshot.from_bytes(b"junk")
