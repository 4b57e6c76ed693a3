"""Exact sequential tests: known values, and error rates under continuous looking (slow)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import special

from siamrec.data.moments import Moments
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.experiments import (
    AsymptoticCS,
    GroupSequential,
    Mean,
    NormalMixture,
    Plan,
    Proportion,
    analyze,
)
from siamrec.experiments.analysis import adaptive_effect, sequential_sample_ratio
from siamrec.statistics import bounded_difference

if TYPE_CHECKING:
    from siamrec.experiments.sequential.confidence_sequences import Sequence
    from siamrec.experiments.sequential.group_sequential import Spending

EVEN = {"a": 0.5, "b": 0.5}


def test_sample_ratio_by_hand() -> None:
    # Two variants: a beta-binomial against the fair coin.
    found = sequential_sample_ratio({"a": 130, "b": 70}, EVEN, strength=5)
    log_e = special.betaln(5 + 130, 5 + 70) - special.betaln(5, 5) + 200 * np.log(2)
    assert found.log_p == pytest.approx(min(-log_e, 0.0))
    assert found.expected == {"a": 100.0, "b": 100.0}


def adaptive(seed: int, effect: float, n: int = 1500) -> tuple[Any, Any, Any]:
    """Traffic that leans, nine to one, to whichever variant leads."""
    rng = np.random.default_rng(seed)
    noise, coin = rng.normal(size=n), rng.random(n)
    treated, outcome, propensity = np.zeros(n), np.zeros(n), np.full(n, 0.5)
    total, count = np.zeros(2), np.zeros(2)
    for row in range(n):
        if row > 20 and count.min() > 0:
            lead = total[1] / count[1] > total[0] / count[0]
            propensity[row] = 0.9 if lead else 0.1
        treated[row] = coin[row] < propensity[row]
        arm = int(treated[row])
        outcome[row] = effect * arm + noise[row]
        total[arm] += outcome[row]
        count[arm] += 1
    return treated, outcome, propensity


def test_effects_from_adaptive_traffic() -> None:
    found = adaptive_effect(*adaptive(1, 0.5), planned=1500)
    assert found.interval[0] < 0.5 < found.interval[1]
    assert found.p < 0.05


def logged(treated: Any, propensity: Any) -> Any:
    """Return the probability of the variant that was given, as decisions log it."""
    return np.where(treated == 1, propensity, 1 - propensity)


@pytest.mark.parametrize("method", ["aipw", "ipw"])
def test_both_forms_of_the_propensity_say_the_same(method: Any) -> None:
    treated, outcome, propensity = adaptive(1, 0.5)
    given = logged(treated, propensity)
    one = adaptive_effect(treated, outcome, propensity, planned=1500, method=method)
    assert one == adaptive_effect(treated, outcome, given=given, planned=1500, method=method)
    assert one.interval[0] < 0.5 < one.interval[1]


def test_the_plain_method_by_hand() -> None:
    treated, outcome = np.array([1, 0, 1, 0]), np.array([2.0, 1.0, 3.0, 1.0])
    given = np.array([0.5, 0.5, 0.75, 0.25])
    found = adaptive_effect(treated, outcome, given=given, planned=9, method="ipw")
    assert found.estimate == pytest.approx((2 / 0.5 - 1 / 0.5 + 3 / 0.75 - 1 / 0.25) / 4)
    assert found.rule == "inverse propensity, asymptotic confidence sequence"


def test_mixed_up_propensities_are_told() -> None:
    """The column that decisions log is not the probability of the treatment, nor the reverse."""
    treated, outcome, propensity = adaptive(1, 0.0)
    given = logged(treated, propensity)
    with pytest.raises(InvalidDataError, match=r"must fit how often .* Pass it as given="):
        adaptive_effect(treated, outcome, given, planned=1500)
    with pytest.raises(InvalidDataError, match=r"must fit how often .* Pass it as propensity="):
        adaptive_effect(treated, outcome, given=propensity, planned=1500)
    rng = np.random.default_rng(3)
    leaning = np.where(np.arange(3000) < 1000, 0.5, 0.9)
    treated = (rng.random(3000) < leaning).astype(float)
    with pytest.raises(InvalidDataError, match="given="):
        adaptive_effect(treated, treated, logged(treated, leaning), planned=3000)


def test_sound_propensities_are_not_refused() -> None:
    # Ville: each of 600 runs is refused with probability of at most 1e-6.
    rng = np.random.default_rng(4)
    for _ in range(600):
        e = rng.choice([0.001, 0.1, 0.5, 0.99], 200)
        treated = (rng.random(200) < e).astype(float)
        adaptive_effect(treated, rng.normal(size=200), e, planned=200)


def several_arms(seed: int, n: int = 2000) -> tuple[Any, Any, Any]:
    """Three variants whose shares move; the treatment is better by 0.5, the third by 3."""
    rng = np.random.default_rng(seed)
    lean = np.linspace(0.2, 0.6, n)
    arm = np.select([u := rng.random(n) < lean, rng.random(n) < 0.5], [1, 0], -1)
    chance = np.where(u, lean, (1 - lean) / 2)
    outcome = rng.normal(np.select([arm == 1, arm == 0], [0.5, 0.0], 3.0))
    return arm, outcome, chance


@pytest.mark.parametrize("method", ["aipw", "ipw"])
def test_other_variants_have_no_part_in_the_effect(method: Any) -> None:
    # 60 means of unbiased scores: 5 standard errors of their mean.
    found = []
    for seed in range(60):
        arm, outcome, given = several_arms(seed)
        found.append(adaptive_effect(arm, outcome, given=given, planned=2000, method=method))
    spread = np.std([each.estimate for each in found]) / np.sqrt(60)
    assert np.mean([each.estimate for each in found]) == pytest.approx(0.5, abs=5 * spread)
    assert sum(each.interval[0] <= 0.5 <= each.interval[1] for each in found) >= 55


@pytest.mark.slow
@pytest.mark.parametrize("method", ["aipw", "ipw"])
def test_adaptive_intervals_cover_at_every_look(method: Any) -> None:
    # 200 runs, 15 looks each: more than 20 misses at 5 % have probability below 1e-3.
    misses = 0
    for seed in range(200):
        treated, outcome, propensity = adaptive(seed, 0.0)
        looks = [
            adaptive_effect(
                treated[:n], outcome[:n], propensity[:n], planned=1500, method=method
            ).interval
            for n in range(100, 1501, 100)
        ]
        misses += any(not low <= 0.0 <= high for low, high in looks)
    assert misses <= 20


def looks_crossed(rule: Sequence, data: np.ndarray, n_looks: int = 100) -> float:
    """Return the share of A/A experiments that ever look significant; data: (runs, 2, n)."""
    n = data.shape[2]
    sizes = np.unique(np.linspace(n // n_looks, n, n_looks).astype(int))
    sums, squares = np.cumsum(data, axis=2), np.cumsum(data**2, axis=2)
    crossed = np.zeros(len(data), dtype=bool)
    for size in sizes:
        mean = sums[:, :, size - 1] / size
        variance = (squares[:, :, size - 1] - size * mean**2) / (size - 1)
        error = np.sqrt(variance.sum(axis=1) / size)
        z = np.divide(mean[:, 1] - mean[:, 0], error, out=np.zeros(len(data)), where=error > 0)
        crossed |= np.abs(z) > rule.multiplier(2.0 * size, 0.05)
    return float(crossed.mean())


SPENDING: tuple[Spending, ...] = ("obrien-fleming", "pocock", "power", "hwang-shih-decani")
RULES: list[Sequence] = [
    AsymptoticCS(planned=8000),
    NormalMixture(effect=0.05),
    AsymptoticCS(planned=800),
    *(
        GroupSequential(
            planned=8000,
            looks=tuple(np.arange(1, 101) / 100),
            spending=spending,
            shape=-4.0 if spending == "hwang-shih-decani" else 2.0,
        )
        for spending in SPENDING
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("kind", ["normal", "bernoulli", "lognormal"])
def test_a_hundred_looks_keep_the_level(rule: Sequence, kind: str) -> None:
    """A/A experiments, 100 looks, 5 %: at most 5 % + 3 s.e. of 800 runs (fails 1 in 700)."""
    rng = np.random.default_rng(11)
    shape = (800, 2, 4000)
    if kind == "normal":
        data = rng.normal(size=shape)
    elif kind == "bernoulli":
        data = (rng.random(shape) < 0.02).astype(float)
    else:
        data = rng.lognormal(0, 1, shape)
    assert looks_crossed(rule, data) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 800)


def drawn(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Return outcomes of two variants, 2,000 units each."""
    if kind == "normal":
        return rng.normal(size=(2, 2000))
    if kind == "bernoulli":
        return (rng.random((2, 2000)) < 0.02).astype(float)
    return rng.lognormal(size=(2, 2000))


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [
        AsymptoticCS(planned=400),
        AsymptoticCS(planned=200_000),
        NormalMixture(effect=0.1),
        GroupSequential(planned=4000, looks=(0.2, 0.4, 0.6, 0.8, 1.0), spending="pocock"),
    ],
    ids=["soon", "late", "mixture", "pocock"],
)
@pytest.mark.parametrize("kind", ["normal", "bernoulli", "lognormal"])
def test_analyses_may_be_read_at_every_look(rule: Sequence, kind: str) -> None:
    """The same by `analyze` itself, most from 20 units on: 21 of 200 have probability 1e-3."""
    rng = np.random.default_rng(14)
    plan = Plan(metrics=[Proportion("y") if kind == "bernoulli" else Mean("y")], sequential=rule)
    sizes = np.arange(1, 6) * 400
    if not isinstance(rule, GroupSequential):
        sizes = np.unique(np.geomspace(10, 2000, 100).astype(int))
    crossed = 0
    for _ in range(200):
        draws = drawn(rng, kind)
        parts = [Moments.empty(["y"]), Moments.empty(["y"])]
        for start, stop in itertools.pairwise([0, *sizes.tolist()]):
            parts = [
                part + Moments.of({"y": row[start:stop]})
                for part, row in zip(parts, draws, strict=True)
            ]
            report = analyze(dict(zip(["control", "new"], parts, strict=True)), plan)
            if report["y"].absolute.significant:
                crossed += 1
                break
    assert crossed <= 20


@pytest.mark.slow
def test_a_plain_test_does_not_survive_a_hundred_looks() -> None:
    data = np.random.default_rng(12).normal(size=(400, 2, 2000))
    crossed = looks_crossed(GroupSequential(planned=1.0, looks=(1.0,)), data)
    # One look at 1.96 is what `GroupSequential` with one look means at every n past its plan.
    assert crossed > 0.25


@pytest.mark.slow
def test_rare_events_are_exact() -> None:
    """Conversions of 0.1 %, looked at after each of them, under equal rates: at most 5 %."""
    rng = np.random.default_rng(13)
    crossed = 0
    for _ in range(1000):
        wins = np.cumsum(rng.random(120) < 0.5)
        crossed += any(
            sequential_sample_ratio({"a": int(w), "b": n - int(w)}, EVEN, strength=10).p < 0.05
            for n, w in enumerate(wins, 1)
        )
    assert crossed / 1000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="shares above 0"):
        sequential_sample_ratio({"a": 1}, {"a": 1.0, "b": 0.0})
    for bad in (-1, float("nan"), float("inf")):
        with pytest.raises(
            InvalidDataError, match="observed must hold finite counts of 0 or more"
        ):
            sequential_sample_ratio({"a": bad, "b": 0}, EVEN)  # type: ignore[dict-item]
    with pytest.raises(InvalidDataError, match="observed must hold counts of"):
        sequential_sample_ratio({"c": 1}, EVEN)
    for shares in ({}, {"a": float("nan"), "b": 0.5}):
        with pytest.raises(InvalidParameterError, match="shares above 0"):
            sequential_sample_ratio({"a": 1}, shares)
    ones = np.ones(3)
    with pytest.raises(InvalidDataError, match="treated must be 0 or 1"):
        adaptive_effect(ones * 2, ones, ones * 0.5, planned=10)
    with pytest.raises(InvalidDataError, match=r"propensity must be in \(0, 1\)"):
        adaptive_effect(ones, ones, ones, planned=10)
    with pytest.raises(InvalidDataError, match=r"-1 for other variants, got -1"):
        adaptive_effect(-ones, ones, ones * 0.5, planned=10)
    with pytest.raises(InvalidDataError, match="treated must be 0 or 1 or -1, got 2"):
        adaptive_effect(ones * 2, ones, given=ones * 0.5, planned=10)
    with pytest.raises(MissingInputError, match="One of given and propensity is needed"):
        adaptive_effect(ones, ones, planned=10)
    with pytest.raises(MissingInputError, match="One of given and propensity is needed"):
        adaptive_effect(ones, ones, ones * 0.5, given=ones * 0.5, planned=10)
    with pytest.raises(UnknownNameError, match="aipw"):
        adaptive_effect(ones, ones, given=ones * 0.5, planned=10, method="dr")  # type: ignore[arg-type]
    with pytest.raises(InvalidDataError, match="2 rows or more"):
        adaptive_effect(ones[:1], ones[:1], ones[:1] * 0.5, planned=10)


def test_rare_outcomes_are_not_nearly_normal() -> None:
    rng = np.random.default_rng(7)
    chance = np.where(np.arange(4000) % 4 == 0, 0.02, 0.5)
    new = rng.random(4000) < chance
    given = np.where(new, chance, 1 - chance)
    rare = (rng.random(4000) < 0.01).astype(float)
    found = adaptive_effect(new, rare, given=given, planned=4000)
    assert (found.interval, found.p) == ((-np.inf, np.inf), 1.0)
    assert 0 < found.error < np.inf
    low, high = bounded_difference(new, rare, given=given, least=0.02).interval
    assert -1 < low < 0 < high < 1  # what is known of the range serves
    even, half = rng.random(4000) < 0.5, np.full(4000, 0.5)
    many = adaptive_effect(even, rng.random(4000), given=half, planned=4000)
    assert many.interval[0] < 0 < many.interval[1] < 1


def test_an_effect_of_which_nothing_is_seen_has_no_interval() -> None:
    found = adaptive_effect(np.tile([0, 1], 50), np.zeros(100), np.full(100, 0.5), planned=100)
    assert (found.interval, found.p, found.error) == ((-np.inf, np.inf), 1.0, np.inf)
