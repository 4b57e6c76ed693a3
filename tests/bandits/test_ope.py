"""Off-policy evaluation: laws, hand-computed answers, coverage, refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.bandits import BetaThompson, ContextualBandit
from siamrec.bandits.ope import (
    IPS,
    MIPS,
    MRDR,
    SNIPS,
    DirectMethod,
    DoublyRobust,
    DRos,
    Estimator,
    Log,
    Replay,
    Ridge,
    Slope,
    SubGaussian,
    SwitchDR,
    Tally,
    adaptive_value,
    diagnose,
    evaluate,
    pooled_propensity,
    slate_value,
)
from siamrec.data import Decisions, Rewards
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
    UnsupportedEstimate,
)
from siamrec.statistics import wilson

if TYPE_CHECKING:
    from siamrec.typing import FloatArray

N_ACTIONS = 4


def make(n: int, seed: int, *, features: bool = False) -> tuple[Log, FloatArray, float]:
    """Return a log, a target and the target's true value."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    logging = np.exp(0.5 * x @ rng.normal(size=(2, N_ACTIONS)))
    logging /= logging.sum(axis=1, keepdims=True)
    target = np.exp(x @ rng.normal(size=(2, N_ACTIONS)))
    target /= target.sum(axis=1, keepdims=True)
    rate = 1 / (1 + np.exp(-(x @ rng.normal(size=(2, N_ACTIONS)) + rng.normal(size=N_ACTIONS))))
    action = (rng.random(n)[:, None] > logging.cumsum(axis=1)).sum(axis=1)
    log = Log(
        action=action,
        reward=(rng.random(n) < rate[np.arange(n), action]).astype(float),
        propensity=logging[np.arange(n), action],
        features=x if features else None,
        logging=logging,
        n_actions=N_ACTIONS,
    )
    return log, target, float((target * rate).sum(axis=1).mean())


ALL: tuple[Estimator, ...] = (
    IPS(),
    IPS(clip=20.0),
    SNIPS(),
    SubGaussian(shrinkage=0.01),
    DirectMethod(),
    DoublyRobust(),
    DoublyRobust(normalised=True),
    SwitchDR(threshold=20),
    DRos(shrinkage=1000),
    MRDR(),
    MIPS(groups=(0, 1, 2, 3)),
    Slope(candidates=(IPS(), IPS(clip=5.0))),
)


def count_misses(estimator: Estimator, n: int = 600, *, features: bool = True) -> int:
    """Return how many of 80 intervals of 99 % miss the truth."""
    misses = 0
    for seed in range(80):
        log, target, truth = make(n, seed, features=features)
        low, high = estimator.estimate(log, target, confidence=0.99).interval
        misses += not low <= truth <= high
    return misses


@pytest.mark.parametrize("estimator", ALL, ids=lambda each: each.name)
def test_intervals_cover_the_truth(estimator: Estimator) -> None:
    # If they cover, 12 or more misses have probability below 1e-9.
    assert count_misses(estimator) < 12


BIASED: tuple[Estimator, ...] = (
    DirectMethod(),
    IPS(clip=0.7),
    SubGaussian(shrinkage=0.9),
    SwitchDR(threshold=0.5),
    DRos(shrinkage=0.3),
    Slope(candidates=(IPS(clip=0.7),)),
)


@pytest.mark.parametrize("estimator", BIASED, ids=lambda each: each.name)
def test_what_is_left_out_is_in_the_interval(estimator: Estimator) -> None:
    # Without the features that the log was made by, the model is wrong, the weights are right.
    missed = own = 0
    for seed in range(80):
        log, target, truth = make(3000, seed)
        found = estimator.estimate(log, target, confidence=0.99)
        missed += not found.interval[0] <= truth <= found.interval[1]
        own += abs(found.raw - truth) > 2.6 * found.error
        assert found.interval[0] <= found.raw <= found.interval[1]
    assert own > 30  # the number alone is off
    assert missed < 12  # of intervals that cover, so many have probability below 1e-9
    plain = IPS if "ips" in found.estimator or "gauss" in found.estimator else DoublyRobust
    if not isinstance(estimator, Slope):
        unbiased = plain().estimate(log, target)
        assert found.raw + found.left_out == pytest.approx(unbiased.raw)
        assert unbiased.left_out == 0


@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_few_rewards_are_refused_whatever_the_weights(reward: float) -> None:
    rare = np.full(1000, reward)
    log = Log(action=np.zeros(1000), reward=rare, propensity=np.ones(1000), n_actions=1,
              reward_range=(0.0, 1.0))  # fmt: skip
    none = SNIPS().estimate(log, np.ones(1000))
    assert not none.diagnostics.supported
    assert none.interval == pytest.approx(wilson(1000 * reward, 1000))
    with pytest.raises(UnsupportedEstimate, match=r"effective rewards are 0\.0, below 2.5"):
        _ = none.value
    for seen, supported in ((2, False), (3, True)):
        rare = rare.copy()
        rare[:seen] = 1 - reward
        log = Log(action=np.zeros(1000), reward=rare, propensity=np.ones(1000), n_actions=1)
        found = SNIPS().estimate(log, np.ones(1000)).diagnostics
        assert found.effective_rewards == pytest.approx(seen, rel=0.01)
        assert found.supported is supported
        sums = Tally.of(log, np.ones(1000)).snips().diagnostics
        assert sums.supported is supported
        assert sums.effective_rewards == pytest.approx(found.effective_rewards)


@pytest.mark.parametrize("estimator", ALL, ids=lambda each: each.name)
def test_on_policy_estimates_are_the_mean(estimator: Estimator) -> None:
    log, _, _ = make(500, 3)
    assert log.logging is not None
    found = estimator.estimate(log, log.logging)
    slack = 0.06 if "direct" in estimator.name or "robust" in estimator.name else 0.02
    slack = 1e-9 if isinstance(estimator, IPS | SNIPS | MIPS | SubGaussian) else slack
    assert found.value == pytest.approx(log.reward.mean(), abs=slack)
    assert found.effective_sample_size == pytest.approx(500)


@given(st.floats(-5, 5), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_snips_moves_with_the_rewards(shift: float, seed: int) -> None:
    log, target, _ = make(200, seed)
    moved = Log(action=log.action, reward=log.reward + shift, propensity=log.propensity)
    before, after = (SNIPS().estimate(each, log.chosen(target)) for each in (log, moved))
    assert after.raw == pytest.approx(before.raw + shift)
    assert after.error == pytest.approx(before.error, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("interval", ["normal", "bootstrap"])
def test_a_constant_reward_is_judged_by_its_range(interval: str) -> None:
    """Resampling weighted rewards without renormalising would give [0.97, 1.03] here."""
    log, target, _ = make(1000, 4)
    intervals = []
    for reward_range in ((-np.inf, np.inf), (0.0, 1.0)):
        ones = Log(
            action=log.action,
            reward=np.ones(1000),
            propensity=log.propensity,
            reward_range=reward_range,
        )
        found = SNIPS().estimate(
            ones,
            log.chosen(target),
            interval=interval,  # type: ignore[arg-type]
            rng=np.random.default_rng(0),
        )
        assert found.raw == 1.0
        intervals.append(found.interval)
    alike = found.effective_sample_size
    assert intervals == [(-np.inf, np.inf), pytest.approx(wilson(alike, alike))]


def test_rewards_keep_to_their_range() -> None:
    with pytest.raises(InvalidDataError, match=r"reward must be in \[0, 1\], got 0.0 to 2.0"):
        Log(
            action=np.zeros(2),
            reward=np.array([0.0, 2.0]),
            propensity=np.ones(2),
            reward_range=(0.0, 1.0),
        )


def test_sums_keep_their_digits_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    noise, weight = rng.normal(size=500), rng.uniform(0.2, 1, 500)
    widths = []
    for shift in (0.0, 1e8):
        log = Log(action=np.zeros(500), reward=noise + shift, propensity=np.full(500, 0.5))
        parts = [
            Tally.of(log.rows(rows), weight[rows]) for rows in np.array_split(np.arange(500), 3)
        ]
        low, high = (parts[0] + parts[1] + parts[2]).snips().interval
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=1e-6)


def test_by_hand() -> None:
    # weights 2, 0.5, 1; IPS = (2 + 0 + 3) / 3, SNIPS = 5 / 3.5
    log = Log(
        action=np.array([0, 1, 0]),
        reward=np.array([1.0, 0.0, 3.0]),
        propensity=np.array([0.25, 0.5, 0.5]),
    )
    target = np.array([0.5, 0.25, 0.5])
    assert IPS().estimate(log, target).raw == pytest.approx(5 / 3)
    assert IPS(clip=1.5).estimate(log, target).raw == pytest.approx(4.5 / 3)
    assert SNIPS().estimate(log, target).raw == pytest.approx(5 / 3.5)
    w = np.array([2.0, 0.5, 1.0])
    shrunk = w / (0.9 + 0.1 * w)
    assert SubGaussian(shrinkage=0.1).estimate(log, target).raw == pytest.approx(
        (shrunk * log.reward).mean()
    )
    # delta method: residuals w (r - theta) / mean(w)
    residual = w * (log.reward - 5 / 3.5) / w.mean()
    assert SNIPS().estimate(log, target).error == pytest.approx(residual.std(ddof=1) / np.sqrt(3))
    assert diagnose(w).effective_sample_size == pytest.approx(3.5**2 / 5.25)


def test_doubly_robust_is_the_direct_method_without_residuals() -> None:
    log, target, _ = make(300, 5)
    none = np.zeros((300, N_ACTIONS))
    unreachable = SwitchDR(threshold=1e-9)  # no weight is this small: residuals drop out
    direct = DirectMethod().estimate(log, target)
    assert unreachable.estimate(log, target).raw == pytest.approx(direct.raw)
    assert DRos(shrinkage=1e-12).estimate(log, target).raw == pytest.approx(direct.raw, abs=1e-9)
    assert DRos(shrinkage=1e12).estimate(log, target).raw == pytest.approx(
        DoublyRobust().estimate(log, target).raw, abs=1e-6
    )
    assert none.shape == target.shape


def test_doubly_robust_with_a_perfect_model_has_no_residuals() -> None:
    rng = np.random.default_rng(6)
    action = rng.integers(0, 2, 400)
    log = Log(action=action, reward=action * 1.0, propensity=np.full(400, 0.5))
    target = np.tile([0.2, 0.8], (400, 1))
    found = DoublyRobust(model=Ridge(strength=1e-9)).estimate(log, target)
    assert found.raw == pytest.approx(0.8, abs=1e-6)
    assert found.error < 1e-6


def test_models_reduce_the_error() -> None:
    log, target, truth = make(20_000, 7, features=True)
    ips, robust = IPS().estimate(log, target), DoublyRobust().estimate(log, target)
    assert robust.error < 0.9 * ips.error
    assert abs(robust.value - truth) < 5 * robust.error


def test_grouped_actions_reduce_the_variance() -> None:
    log, target, truth = make(20_000, 8)
    grouped = MIPS(groups=(0, 0, 0, 0)).estimate(log, target)
    assert grouped.raw == pytest.approx(log.reward.mean())
    assert MIPS(groups=(0, 1, 2, 3)).estimate(log, target).raw == pytest.approx(
        IPS().estimate(log, target).raw
    )
    assert abs(IPS().estimate(log, target).value - truth) < 0.1
    with pytest.raises(InvalidDataError, match="groups must hold 4 entries"):
        MIPS(groups=(0, 1)).estimate(log, target)


def test_replay_counts_the_agreeing_rows() -> None:
    log = Log(
        action=np.array([0, 1, 0, 1]),
        reward=np.array([1.0, 0.0, 0.0, 1.0]),
        propensity=np.full(4, 0.5),
    )
    agree = np.array([1.0, 0.0, 1.0, 0.0])
    assert Replay().estimate(log, agree).raw == 0.5
    with pytest.raises(InvalidDataError, match="probabilities 0 and 1"):
        Replay().estimate(log, np.full(4, 0.5))
    uneven = Log(action=log.action, reward=log.reward, propensity=np.array([0.5, 0.5, 0.5, 0.2]))
    with pytest.raises(InvalidDataError, match="equal propensities"):
        Replay().estimate(uneven, agree)


def test_a_log_without_support_is_refused() -> None:
    rng = np.random.default_rng(9)
    action = rng.integers(0, 2, 1000)  # the log never takes action 2
    log = Log(action=action, reward=np.ones(1000), propensity=np.full(1000, 0.5), n_actions=3)
    target = np.tile([0.1, 0.1, 0.8], (1000, 1))
    found = IPS().estimate(log, target)
    with pytest.raises(UnsupportedEstimate, match=r"The mean weight is 0\.2"):
        _ = found.value
    assert found.raw == pytest.approx(0.2)
    assert "withheld" in evaluate(log, target).to_markdown()


def test_a_small_effective_sample_is_refused() -> None:
    propensity = np.full(1000, 0.5)
    target = np.where(np.arange(1000) < 20, 0.5, 1e-9)
    log = Log(action=np.zeros(1000), reward=np.ones(1000), propensity=propensity)
    with pytest.raises(UnsupportedEstimate, match=r"effective sample size is 20\.0 of 1000"):
        _ = SNIPS().estimate(log, target).value


def test_sums_stream_and_merge() -> None:
    log, target, _ = make(3000, 10)
    whole = Tally.of(log, target)
    parts = [
        Tally.of(log.rows(rows), target[rows])
        for rows in np.array_split(np.random.default_rng(0).permutation(3000), 7)
    ]
    merged = sum(parts[1:], start=parts[0])
    for tally in (whole, merged):
        for ours, estimator in ((tally.snips(), SNIPS()), (tally.ips(), IPS())):
            found = estimator.estimate(log, target)
            assert ours.raw == pytest.approx(found.raw)
            assert ours.interval == pytest.approx(found.interval, rel=1e-6)
            assert ours.error == pytest.approx(found.error)
            for name in ("max_weight", "mean_weight", "mean_weight_error", "effective_rewards"):
                told = (getattr(each.diagnostics, name) for each in (ours, found))
                assert next(told) == pytest.approx(next(told))
    with pytest.raises(UnsupportedEstimate, match="effective sample size"):
        _ = Tally.of(log.rows(np.arange(5)), target[:5]).snips().value


def test_slope_keeps_no_state() -> None:
    candidates = tuple(IPS(clip=clip) for clip in (1.5, 3.0, 10.0, 100.0))
    slope = Slope(candidates=candidates)
    first, second = make(400, 11), make(5000, 12)
    alone = slope.estimate(second[0], second[1]).raw
    slope.estimate(first[0], first[1])
    assert slope.estimate(second[0], second[1]).raw == alone
    assert slope.pick(second[0], second[1]) in candidates


def test_a_bandit_log_joins_its_rewards() -> None:
    bandit = ContextualBandit(BetaThompson(), arms=("a", "b"), seed=3)
    decisions = bandit.select_many([{}] * 200)
    rewards = Rewards(decision=decisions.id[::2], reward=np.ones(100))
    assert len(Log.of(decisions, rewards)) == 100
    whole = Log.of(decisions, rewards, default=0.0)
    assert len(whole) == 200
    np.testing.assert_allclose(whole.propensity, decisions.propensity)
    with pytest.raises(InvalidDataError, match="At least one decision"):
        Log.of(decisions, Rewards(decision=np.array(["x"]), reward=np.array([1.0])))


@pytest.mark.slow
def test_adaptive_logs_need_adaptive_weights() -> None:
    """Means of a greedy bandit's arms are biased; the weighted estimate covers.

    300 runs at 90 %: fewer than 240 covering has probability below 1e-7.
    """
    covered, naive = 0, []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n, rates = 400, np.array([0.5, 0.5])
        chance, action = np.full((n, 2), 0.5), np.zeros(n, dtype=int)
        reward, wins, seen = np.zeros(n), np.ones(2), np.full(2, 2.0)
        for row in range(n):
            lead = int(np.argmax(wins / seen))
            chance[row] = 0.05
            chance[row, lead] = 0.95
            action[row] = int(rng.random() < chance[row, 1])
            reward[row] = rng.random() < rates[action[row]]
            wins[action[row]] += reward[row]
            seen[action[row]] += 1
        log = Log(action=action, reward=reward, n_actions=2, logging=chance,
                  propensity=chance[np.arange(n), action])  # fmt: skip
        found = adaptive_value(log, np.tile([0.0, 1.0], (n, 1)), confidence=0.9)
        covered += found.interval[0] <= 0.5 <= found.interval[1]
        if (action == 1).any():
            naive.append(reward[action == 1].mean())
    assert covered >= 240
    assert np.mean(naive) < 0.5 - 3 * np.std(naive) / np.sqrt(len(naive))


def test_adaptive_value_on_an_even_log_is_close_to_doubly_robust() -> None:
    rng = np.random.default_rng(13)
    action = rng.integers(0, 2, 5000)
    log = Log(action=action, reward=rng.random(5000) < 0.3 + 0.2 * action,
              propensity=np.full(5000, 0.5), logging=np.full((5000, 2), 0.5))  # fmt: skip
    found = adaptive_value(log, np.tile([0.0, 1.0], (5000, 1)))
    assert found.value == pytest.approx(0.5, abs=5 * 0.01)
    with pytest.raises(MissingInputError, match="whole logging distribution"):
        adaptive_value(Log(action=action, reward=log.reward, propensity=log.propensity),
                       np.tile([0.0, 1.0], (5000, 1)))  # fmt: skip


def slates(n: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Lists of two ranks out of three items; a cascade: the second counts after a miss."""
    rng = np.random.default_rng(seed)
    attract = np.array([0.2, 0.5, 0.8])
    logged, wanted = np.array([0.4, 0.3, 0.3]), np.array([0.2, 0.3, 0.5])
    keys = rng.exponential(size=(n, 3)) / logged
    items = np.argsort(keys, axis=1)[:, :2]
    first = rng.random(n) < attract[items[:, 0]]
    second = ~first & (rng.random(n) < attract[items[:, 1]])

    def chance(shares: FloatArray) -> FloatArray:
        top = shares[items[:, 0]]
        return np.column_stack([top, shares[items[:, 1]] / (1 - top)])

    truth = 0.0
    for a in range(3):
        for b in range(3):
            if a != b:
                p = wanted[a] * wanted[b] / (1 - wanted[a])
                truth += p * (attract[a] + (1 - attract[a]) * attract[b])
    rewards = np.column_stack([first, second]).astype(float)
    return rewards, chance(logged), chance(wanted), truth


@pytest.mark.parametrize("interaction", ["cascade", "full"])
def test_lists_follow_their_truth(interaction: str) -> None:
    rewards, logged, wanted, truth = slates(20_000, 1)
    found = slate_value(rewards, logged, wanted, interaction=interaction)  # type: ignore[arg-type]
    assert abs(found.value - truth) < 5 * found.error
    on_policy = slate_value(rewards, logged, logged)
    assert on_policy.value == pytest.approx(rewards.sum(axis=1).mean())


def test_weaker_assumptions_cost_variance() -> None:
    rewards, logged, wanted, _ = slates(20_000, 2)
    alone = slate_value(rewards, logged, wanted, interaction="independent").error
    cascade = slate_value(rewards, logged, wanted, interaction="cascade").error
    whole = slate_value(rewards, logged, wanted, interaction="full").error
    assert alone < cascade < whole
    with pytest.raises(InvalidDataError, match="one shape"):
        slate_value(rewards, logged[:, :1], wanted)


def test_support_is_judged_by_the_weights_that_the_estimate_uses() -> None:
    """The first rank is one that the target hardly ever fills alike, the last is fine."""
    rng = np.random.default_rng(1)
    first = rng.random(400) < 0.01
    logged = np.stack([np.where(first, 0.01, 0.99), np.full(400, 0.5)], axis=1)
    wanted = np.stack([np.where(first, 0.99, 0.01), np.full(400, 0.5)], axis=1)
    rewards = rng.integers(0, 2, (400, 2)).astype(float)
    found = slate_value(rewards, logged, wanted, interaction="independent")
    assert found.effective_sample_size < 30
    assert not found.diagnostics.supported
    # Actions apart, groups alike: by groups, all weights are 1.
    action = rng.integers(0, 4, 400)
    log = Log(action=action, reward=rewards[:, 0], propensity=np.full(400, 0.25),
              logging=np.full((400, 4), 0.25))  # fmt: skip
    target = np.tile([0.5, 0.0, 0.5, 0.0], (400, 1))
    by_action, by_group = (
        each.estimate(log, target) for each in (IPS(), MIPS(groups=(0, 0, 1, 1)))
    )
    assert by_action.effective_sample_size < 250
    assert by_group.effective_sample_size == pytest.approx(400)


def test_several_loggers_are_one_mixture() -> None:
    rng = np.random.default_rng(3)
    loggers, size = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([600, 1400])
    who = np.repeat([0, 1], size)
    action = (rng.random(2000) > loggers[who, 0]).astype(int)
    log = Log(
        action=action,
        reward=(rng.random(2000) < 0.3 + 0.4 * action).astype(float),
        propensity=pooled_propensity(loggers[:, action].T, size),
    )
    found = IPS().estimate(log, np.where(action == 1, 0.5, 0.5))
    assert abs(found.value - 0.5) < 5 * found.error
    with pytest.raises(InvalidDataError, match="by_logger"):
        pooled_propensity(loggers, np.array([1, 2, 3]))


def test_bad_logs_and_targets_are_refused() -> None:
    log, target, _ = make(100, 14)
    row = {"action": np.array([0]), "reward": np.array([1.0]), "propensity": np.array([0.5])}
    for change, message in (
        ({"propensity": np.array([0.0])}, r"propensity must be in \(0, 1\]"),
        ({"reward": np.array([np.nan])}, "reward must be finite"),
        ({"action": np.array([-1])}, "action must hold codes"),
        ({"action": np.array([0, 1])}, "one length"),
        ({"logging": np.array([[0.9, 0.1]]), "n_actions": 2}, "agree with propensity"),
        ({"features": np.ones(3)}, "features must have shape"),
    ):
        with pytest.raises(InvalidDataError, match=message):
            Log(**{**row, **change})  # type: ignore[arg-type]
    with pytest.raises(InvalidDataError, match="at least one row"):
        Log(action=np.array([]), reward=np.array([]), propensity=np.array([]))
    with pytest.raises(InvalidDataError, match="target must have shape"):
        IPS().estimate(log, np.ones(3))
    with pytest.raises(InvalidDataError, match="sum to 1"):
        IPS().estimate(log, target * 0.5)
    with pytest.raises(InvalidDataError, match=r"target must be in \[0, 1\]"):
        IPS().estimate(log, np.full(100, 1.5))
    with pytest.raises(MissingInputError, match="whole distribution"):
        DoublyRobust().estimate(log, log.chosen(target))
    with pytest.raises(MissingInputError, match="rng"):
        IPS().estimate(log, target, interval="bootstrap")
    with pytest.raises(UnknownNameError, match="interval"):
        IPS().estimate(log, target, interval="bootstap")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="estimator"):
        evaluate(log, target)["dr"]
    with pytest.raises(InvalidParameterError, match="clip"):
        IPS(clip=0.0)
    with pytest.raises(InvalidParameterError, match="threshold"):
        SwitchDR(threshold=-1)
    with pytest.raises(InvalidDataError, match="at least one estimator"):
        Slope(candidates=())


EIGHT = ["ips", "snips", "sub-gaussian", "dm", "dr", "dros", "mrdr", "switch-dr"]


def even(reward: FloatArray, seed: int = 0) -> tuple[Log, FloatArray]:
    """Return a log of two actions taken evenly, and a target that leans to the first."""
    n = len(reward)
    action = np.random.default_rng(seed).integers(0, 2, n)
    log = Log(
        action=action,
        reward=reward,
        propensity=np.full(n, 0.5),
        logging=np.full((n, 2), 0.5),
        features=np.ones((n, 1)),
        reward_range=(0.0, 1.0),
    )
    return log, np.tile([0.6, 0.4], (n, 1))


@pytest.mark.parametrize("name", EIGHT)
def test_equal_rewards_have_an_honest_interval(name: str) -> None:
    zeros = evaluate(*even(np.zeros(400)), estimators=[name])[name]
    ones = evaluate(*even(np.ones(400)), estimators=[name])[name]
    alike = zeros.effective_sample_size
    assert zeros.interval == pytest.approx(wilson(0, alike))
    assert ones.interval[1] - ones.interval[0] > 0.009
    assert ones.interval[0] <= ones.raw <= ones.interval[1]
    assert not zeros.diagnostics.supported
    if name not in ("ips", "sub-gaussian"):  # these two vary with the weights
        assert ones.interval == pytest.approx((1 - zeros.interval[1], 1.0))


def test_ridge_follows_a_constant() -> None:
    log, _ = even(np.random.default_rng(1).random(90) / 2)
    more = Log(action=log.action, reward=log.reward + 0.5, propensity=log.propensity,
               logging=log.logging, features=log.features)  # fmt: skip
    before, after = (Ridge().predict(each, np.ones(90), each) for each in (log, more))
    assert after == pytest.approx(before + 0.5)


def test_the_direct_method_covers_without_a_bias() -> None:
    # 200 logs of fair coins: more than 22 misses at 5 % have a probability below 2e-4.
    missed = 0
    for seed in range(200):
        coins = np.random.default_rng([1, seed]).integers(0, 2, 300).astype(float)
        low, high = DirectMethod().estimate(*even(coins, seed)).interval
        missed += not low <= 0.5 <= high
    assert missed <= 22


def test_values_stay_within_the_range_of_rewards() -> None:
    for seed in range(20):
        log, target = even(np.ones(400), seed)
        found = IPS().estimate(log, target)
        tally = Tally.of(log, target).ips()
        for each in (found, tally):
            assert 0 <= each.interval[0] <= each.raw <= each.interval[1] <= 1
    betting = IPS().estimate(log, target, interval="betting", within=(0.0, 1.2))
    assert betting.interval[0] <= betting.raw <= betting.interval[1]


def test_estimates_are_found_by_the_name_that_was_asked_for() -> None:
    log, target = even(np.tile([0.0, 1.0], 200))
    names = [*EIGHT, "switch-dr:threshold=5"]
    found = evaluate(log, target, estimators=names)
    assert [found[name].estimator for name in names] == [
        *("ips", "snips", "sub-gaussian", "direct method", "doubly robust", "dros (100)"),
        *("more robust doubly robust", "switch-dr (10)", "switch-dr (5)"),
    ]
    assert found["dr"] is found["doubly robust"]
    with pytest.raises(UnknownNameError, match="estimator"):
        found["replay"]


def _decided() -> Decisions:
    return Decisions(
        id=np.array(["p", "q", "r"]), arm=np.array([0, 1, 0]), propensity=np.full(3, 0.5),
        cell=np.zeros(3, np.int32), time=np.zeros(3, np.int64), arms=("svd", "graph"),
    )  # fmt: skip


def test_rewards_of_a_log_weigh_alike_and_those_of_nothing_are_not_there() -> None:
    def rewards(*weight: float) -> Rewards:
        return Rewards(
            decision=np.array(["p", "q", "r"]), reward=np.array([1.0, 0.0, 1.0]),
            weight=np.array(weight),
        )  # fmt: skip

    assert Log.of(_decided(), rewards(2.0, 2.0, 0.0)).reward.tolist() == [1.0, 0.0]
    with pytest.raises(InvalidDataError, match="same for all rewards, got 1 to"):
        Log.of(_decided(), rewards(1.0, 2.0, 0.0))


def test_a_log_takes_the_latest_reward_of_the_first_arm() -> None:
    rewards = Rewards(
        decision=np.array(["p", "p", "p", "q"]), reward=np.array([1.0, 0.25, 0.5, 0.75]),
        time=np.array([3, 9, 2, 1]), arm=("svd", "graph", "svd", "graph"),
    )  # fmt: skip
    for order in ([0, 1, 2, 3], [2, 1, 3, 0]):
        log = Log.of(_decided(), rewards.where(np.array(order)))
        assert log.reward.tolist() == [1.0, 0.75]
