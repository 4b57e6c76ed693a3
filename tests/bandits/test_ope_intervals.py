"""Intervals of bounded scores: by hand, against a slow search, laws, coverage, refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.bandits.ope import IPS, SNIPS, DoublyRobust, Log
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError

if TYPE_CHECKING:
    from siamrec.bandits.ope.estimate import Method
    from siamrec.typing import FloatArray

EXACT: tuple[Method, ...] = ("betting", "empirical-bernstein")


def made(reward: FloatArray) -> tuple[Log, FloatArray]:
    """Return a log whose weights are all 1, and its target."""
    half = np.full(len(reward), 0.5)
    return Log(action=np.zeros(len(reward)), reward=reward, propensity=half), half


def interval(
    reward: FloatArray,
    kind: Method,
    within: tuple[float, float] = (0.0, 1.0),
    confidence: float = 0.95,
) -> tuple[float, float]:
    log, target = made(reward)
    return (
        IPS().estimate(log, target, confidence=confidence, interval=kind, within=within).interval
    )


def test_bernstein_by_hand() -> None:
    reward = np.tile([0.2, 0.4], 500)
    variance, doubt = 0.01 * 1000 / 999, np.log(80)
    reach = np.sqrt(2 * variance * doubt / 1000) + 7 * doubt / (3 * 999)
    assert interval(reward, "empirical-bernstein") == pytest.approx((0.3 - reach, 0.3 + reach))


def capital(scores: list[float], mean: float, alpha: float) -> float:
    """Return the greatest capital of the gambler who believes in more than `mean`; row by row."""
    seen, total, spread, worth, most = 0, 0.5, 0.25, 1.0, 0.0
    for score in scores:
        bet = np.sqrt(2 * np.log(2 / alpha) / (len(scores) * spread / (seen + 1)))
        worth *= 1 + min(bet, 0.5 / mean) * (score - mean)
        most = max(most, worth)
        seen, total = seen + 1, total + score
        spread += (score - total / (seen + 1)) ** 2
    return most


@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_betting_is_the_set_that_no_gambler_refutes(alpha: float) -> None:
    scores = np.random.default_rng(1).beta(2, 5, 60)
    grid = np.linspace(0.001, 0.999, 999)
    kept = [
        mean
        for mean in grid.tolist()
        if capital(scores.tolist(), mean, alpha) < 2 / alpha
        and capital((1 - scores).tolist(), 1 - mean, alpha) < 2 / alpha
    ]
    assert interval(scores, "betting", confidence=1 - alpha) == pytest.approx(
        (min(kept), max(kept)), abs=0.0011
    )


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.sampled_from(EXACT),
    st.floats(0.1, 10),
)
@settings(max_examples=60, deadline=None)
def test_intervals_scale_with_the_reward(scores: list[float], kind: Method, factor: float) -> None:
    reward = np.array(scores)
    low, high = interval(reward, kind)
    assert 0 <= low < high <= 1
    scaled = interval(factor * reward, kind, (0.0, factor))
    assert scaled == pytest.approx((factor * low, factor * high), abs=1e-7 * factor)
    wider = interval(reward, kind, confidence=0.99)
    assert wider[0] <= low + 1e-12
    assert wider[1] >= high - 1e-12


def test_betting_is_narrower_where_little_varies() -> None:
    reward = np.random.default_rng(2).uniform(0.45, 0.55, 400)
    widths = [np.ptp(interval(reward, kind)) for kind in EXACT]
    assert widths[0] < 0.5 * widths[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("n", [30, 300])
def test_rare_rewards_with_great_weights_are_covered(kind: Method, n: int) -> None:
    """At most alpha = 10 % of the intervals miss; 85 of 500 have probability 1e-6."""
    rng = np.random.default_rng(n)
    misses = 0
    for _ in range(500):
        action = (rng.random(n) < 0.1).astype(np.int64)
        propensity = np.where(action == 1, 0.1, 0.9)
        reward = (rng.random(n) < np.where(action == 1, 0.05, 0.3)).astype(np.float64)
        log = Log(action=action, reward=reward, propensity=propensity)
        found = IPS().estimate(
            log, np.full(n, 0.5), confidence=0.9, interval=kind, within=(0.0, 5.0)
        )
        misses += not found.interval[0] <= 0.5 * 0.05 + 0.5 * 0.3 <= found.interval[1]
    assert misses < 85


def test_one_row_says_nothing_to_bernstein() -> None:
    assert interval(np.ones(1), "empirical-bernstein") == (0.0, 1.0)


@pytest.mark.parametrize("kind", EXACT)
def test_what_does_not_suit_is_refused(kind: Method) -> None:
    log, target = made(np.array([0.0, 1.0, 1.0]))
    with pytest.raises(MissingInputError, match="within"):
        IPS().estimate(log, target, interval=kind)
    with pytest.raises(InvalidDataError, match="Weighted rewards must be within"):
        IPS().estimate(log, target, interval=kind, within=(0.0, 0.5))
    with pytest.raises(InvalidParameterError, match="finite range"):
        IPS().estimate(log, target, interval=kind, within=(1.0, 0.0))
    two = Log(action=np.array([0, 1, 0]), reward=np.ones(3), propensity=np.full(3, 0.5))
    table = np.tile([0.4, 0.6], (3, 1))
    for estimator in (SNIPS(), DoublyRobust()):
        with pytest.raises(InvalidParameterError, match="plain mean of weighted rewards"):
            estimator.estimate(two, table, interval=kind, within=(0.0, 2.0))
