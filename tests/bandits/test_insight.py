"""Rewards from events, imbalance, change points, calibration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import integrate

from siamrec.bandits import (
    BetaThompson,
    ContextualBandit,
    Limits,
    SuccessRule,
    calibration,
    change_point,
    imbalance,
)
from siamrec.bandits.policies._book import POLICIES
from siamrec.data import Decisions, Feedback, FeedbackKind, Rewards
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, IntArray


def events(kinds: list[FeedbackKind], values: list[float]) -> Feedback:
    n = len(kinds)
    made = Feedback.of(
        user=["u"] * n, item=list(range(n)), value=values, kind=np.array(kinds), time=np.arange(n)
    )
    return replace(made, decision=np.array([f"d{place}" for place in range(n)]))


def test_each_kind_of_event() -> None:
    kind = FeedbackKind
    feedback = events(
        [kind.RATING] * 3 + [kind.THUMB] * 2 + [kind.DWELL] * 2 + [kind.CLICK, kind.VIEW],
        [4.0, 3.0, 2.0, 1.0, -1.0, 31.0, 5.0, 1.0, 1.0],
    )
    nan = np.nan
    np.testing.assert_array_equal(SuccessRule().score(feedback), [1, nan, 0, 1, 0, 1, 0, 1, nan])
    assert SuccessRule(between=0.5).score(feedback)[1] == 0.5
    assert np.isnan(SuccessRule(click=None).score(feedback)[7])
    assert len(SuccessRule().rewards(feedback)) == 7


def test_events_teach_a_bandit() -> None:
    bandit = ContextualBandit(BetaThompson(), arms=("a", "b"))
    chosen = bandit.select(time=5)
    feedback = Feedback.of(
        user=["u", "u"], item=[1, 1], value=[1.0, 1.0], time=[10, 20],
        kind=np.array([FeedbackKind.CLICK, FeedbackKind.RATING]),
    )  # fmt: skip
    feedback = replace(feedback, decision=np.array([chosen.id, chosen.id]))
    bandit.learn(SuccessRule().rewards(feedback))
    assert bandit.sums()["losses"].sum() == 1  # the later, low rating corrects the click
    assert bandit.sums()["wins"].sum() == 0


def test_bad_rules_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="bad_rating must be below"):
        SuccessRule(bad_rating=4.0)
    with pytest.raises(InvalidParameterError, match="click must be"):
        SuccessRule(click=2.0)
    bare = replace(events([FeedbackKind.CLICK], [1.0]), decision=None)
    with pytest.raises(MissingInputError, match="decision"):
        SuccessRule().rewards(bare)


def test_imbalance_by_integration() -> None:
    found = imbalance(("a", "b"), np.array([40, 5]), limit=0.7)
    evidence = integrate.quad(lambda p: p**40 * (1 - p) ** 5, 0.7, 1)[0] / 0.3
    expected = evidence / (0.7**40 * 0.3**5)
    assert found[0].log_p == pytest.approx(-np.log(expected))
    assert found[0].share == pytest.approx(40 / 45)
    assert found[1].log_p == 0.0


def test_imbalance_of_an_uncapped_bandit() -> None:
    bandit = ContextualBandit(BetaThompson(), arms=("a", "b"), seed=2)
    for _ in range(300):
        chosen = bandit.select()
        bandit.learn(chosen.id, float(chosen.arm == "a"))
    alarmed = {share.arm for share in bandit.imbalance() if share.alarmed}
    assert alarmed == {"a"}


def test_imbalance_rarely_alarms_at_the_limit() -> None:
    # Looked at 50 times at 5 %: 40 or more of 400 runs have probability below 1e-4.
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(400):
        picks = np.cumsum(rng.random(500) < 0.7)
        alarms += any(
            imbalance(("a", "b"), np.array([picks[n - 1], n - picks[n - 1]]), alpha=0.05)[
                0
            ].alarmed
            for n in range(10, 501, 10)
        )
    assert alarms < 40


def test_change_points() -> None:
    rng = np.random.default_rng(4)
    stream = np.concatenate([rng.random(300) < 0.2, rng.random(100) < 0.8]).astype(float)
    found = change_point(stream)
    assert found is not None
    assert abs(found.place - 300) < 15
    assert found.before < 0.3
    assert found.after > 0.7
    assert change_point(stream[:300]) is None
    assert change_point(np.array([1.0])) is None
    with pytest.raises(InvalidDataError, match=r"rewards must be in \[0, 1\]"):
        change_point(np.array([0.0, 2.0]))


def decided(name: str, floor: float, seed: int) -> Decisions:
    """Return 200 decisions of a policy that learns from rare clicks after every 40."""
    rng = np.random.default_rng([5, seed])
    n_features = 2 if name.startswith("linear") else 0
    bandit = ContextualBandit(
        POLICIES.make(name), arms=("a", "b", "c"), limits=Limits(floor=floor), seed=seed,
        n_features=n_features,
    )  # fmt: skip
    parts = []
    for _ in range(5):
        known = rng.normal(size=(40, n_features)) if n_features else None
        chosen = bandit.select_many([{}] * 40, features=known)
        won = (rng.random(40) < 0.05).astype(float)
        bandit.learn(Rewards(decision=chosen.id, reward=won))
        parts.append(replace(chosen, state_version=0))
    return Decisions.concat(parts)


@pytest.mark.parametrize("floor", [0.0, 1e-4])
@pytest.mark.parametrize("name", sorted(POLICIES.house()))
def test_honest_propensities_of_every_policy_are_left_in_peace(name: str, floor: float) -> None:
    # Ville: each of 96 logs is called wrong at 1e-6 with a probability of at most 1e-6.
    for seed in range(3):
        assert calibration(decided(name, floor, seed), floor=floor) > 1e-6


def logged_as(arm: IntArray, propensity: FloatArray, arms: tuple[str, ...]) -> Decisions:
    zeros = np.zeros(arm.size)
    columns: dict[str, Any] = {"arm": arm, "propensity": propensity, "cell": zeros, "time": zeros}
    return Decisions(id=np.arange(arm.size), arms=arms, **columns)


def test_calibration_finds_wrong_propensities() -> None:
    def logged(chance: list[float], told: list[float]) -> Decisions:
        arm = np.random.default_rng(5).choice(3, 5000, p=chance)
        return logged_as(arm, np.array(told)[arm], ("a", "b", "c"))

    honest, greedy = [0.8, 0.15, 0.05], [0.998, 0.001, 0.001]
    assert calibration(logged(honest, honest), floor=0.05) > 1e-6
    assert calibration(logged(honest, greedy)) < 1e-6  # explored, and not logged
    assert calibration(logged(greedy, honest)) == 1.0  # who knows what was not seen?
    assert calibration(logged(greedy, honest), floor=0.05) < 1e-6
    with pytest.raises(InvalidDataError, match="2 rows"):
        calibration(logged(honest, honest).where(np.arange(1)))
    with pytest.raises(InvalidDataError, match=r"at least the floor 0.1, got 0.05"):
        calibration(logged(honest, honest), floor=0.1)
    with pytest.raises(InvalidParameterError, match=r"floor must be in \[0, 0.3333\]"):
        calibration(logged(honest, honest), floor=0.4)


def test_calibration_by_hand() -> None:
    # Two arms of one half each: nothing can be won, whatever is chosen.
    even = logged_as(np.zeros(3, dtype=int), np.full(3, 0.5), ("a", "b"))
    assert calibration(even, floor=0.5) == 1.0
    rare = replace(even, propensity=np.full(3, 0.1))  # 1 / (2 · .1) = 5 times its expectation
    stakes = 0.9 * 0.25 ** np.arange(6)
    assert calibration(rare) == pytest.approx(1 / np.mean((1 + 4 * stakes) ** 3))


def test_bad_counts_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="counts must hold 2"):
        imbalance(("a", "b"), np.array([1]))
    with pytest.raises(InvalidParameterError, match="limit"):
        imbalance(("a", "b"), np.array([1, 2]), limit=1.0)
