"""Sequences for bounded outcomes: known answers, resolution, coverage at every look."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    UnknownNameError,
    UnsupportedEstimate,
)
from siamrec.statistics import bounded_difference, bounded_interval

if TYPE_CHECKING:
    from siamrec.statistics.bounded import Method

METHODS: tuple[Method, ...] = ("betting", "empirical-bernstein")
both = pytest.mark.parametrize("method", METHODS)


@both
def test_the_interval_narrows_around_the_mean(method: Method) -> None:
    x = np.random.default_rng(1).beta(2, 3, 4000)
    low, high = bounded_interval(x, method=method)
    assert low < 0.4 < high
    assert high - low < 0.05
    wide = bounded_interval(x[:100], method=method)
    assert wide[0] <= low
    assert wide[1] >= high
    scaled = bounded_interval(x * 4 + 1, low=1, high=5, method=method)
    assert scaled == pytest.approx((1 + 4 * low, 1 + 4 * high))
    mirrored = bounded_interval(1 - x, method=method)
    assert mirrored == pytest.approx((1 - high, 1 - low))
    assert bounded_interval(np.array([]), method=method) == (0.0, 1.0)
    assert bounded_interval(np.array([0.5]), method=method) == (0.0, 1.0)


def slow_bernstein(x: np.ndarray, alpha: float) -> tuple[float, float]:
    """Theorem 2 of Waudby-Smith and Ramdas, line by line."""
    low, high, top, price, total = 0.0, 1.0, 0.0, 0.0, 0.0
    for t in range(1, x.size + 1):
        means = [(0.5 + x[:i].sum()) / (i + 1) for i in range(t)]
        after = [(0.5 + x[: i + 1].sum()) / (i + 2) for i in range(t - 1)]
        spread = (0.25 + sum((x[i] - after[i]) ** 2 for i in range(t - 1))) / t
        bet = min(np.sqrt(2 * np.log(2 / alpha) / (spread * t * np.log(1 + t))), 0.5)
        psi = (-np.log(1 - bet) - bet) / 4
        top, total = top + bet * x[t - 1], total + bet
        price += 4 * (x[t - 1] - means[-1]) ** 2 * psi
        reach = (np.log(2 / alpha) + price) / total
        low, high = max(low, top / total - reach), min(high, top / total + reach)
    return low, high


def test_empirical_bernstein_by_its_theorem() -> None:
    x = np.random.default_rng(2).beta(1, 5, 60)
    found = bounded_interval(x, confidence=0.9, method="empirical-bernstein")
    assert found == pytest.approx(slow_bernstein(x, 0.1))


def test_betting_by_a_grid() -> None:
    """Every mean on a fine grid is kept or not as the definition says, at every time."""
    x = np.random.default_rng(3).beta(1, 8, 80)
    time = np.arange(1, 81)
    mean = (0.5 + np.cumsum(x)) / (time + 1)
    spread = np.append(0.25, (0.25 + np.cumsum((x - mean) ** 2)) / (time + 1))[:-1]
    bet = np.sqrt(2 * np.log(40) / (spread * time * np.log(1 + time)))
    grid = np.linspace(0.001, 0.999, 999)
    up = np.cumprod(1 + np.minimum(bet, 0.5 / grid[:, None]) * (x - grid[:, None]), axis=1)
    down = np.cumprod(1 - np.minimum(bet, 0.5 / (1 - grid[:, None])) * (x - grid[:, None]), axis=1)
    kept = grid[(np.maximum(up, down) < 40).all(axis=1)]
    low, high = bounded_interval(x)
    assert kept[0] - 0.001 <= low <= kept[0]
    assert kept[-1] <= high <= kept[-1] + 0.001


def test_rare_events_are_resolved() -> None:
    x = np.zeros(300_000)
    x[5_000::10_000] = 1.0
    low, high = bounded_interval(x)
    assert 3e-5 < low < 1e-4 < high < 2e-4
    assert bounded_interval(np.zeros(10_000))[1] < 2e-3
    assert bounded_interval(np.ones(10_000))[0] > 1 - 2e-3


def test_small_variances_beat_hoeffding() -> None:
    """Hoeffding's interval, even for one look only, does not know the variance."""
    x = np.random.default_rng(4).beta(40, 60, 2000)
    hoeffding = np.sqrt(np.log(2 / 0.05) / (2 * 2000))
    for method in METHODS:
        low, high = bounded_interval(x, method=method)
        assert (high - low) / 2 < 0.5 * hoeffding
    widths = [np.diff(bounded_interval(x, method=method))[0] for method in METHODS]
    assert widths[0] <= widths[1]


@both
def test_a_mean_that_moves_is_told(method: Method) -> None:
    with pytest.raises(UnsupportedEstimate, match="one mean over time, but at alpha = 0.05 none"):
        bounded_interval(np.r_[np.zeros(500), np.ones(3000)], method=method)


@pytest.mark.slow
@both
@pytest.mark.parametrize("kind", ["rare", "even", "beta"])
def test_intervals_cover_at_all_times(method: Method, kind: str) -> None:
    """The interval after n outcomes is the intersection over all looks up to n: it misses where
    any of them does. 600 runs: at most 5 % + 3 s.e. (fails 1 in 700)."""
    rng = np.random.default_rng(14)
    misses = 0
    for _ in range(600):
        if kind == "beta":
            x, mean = rng.beta(1, 3, 500), 0.25
        else:
            mean = 0.03 if kind == "rare" else 0.5
            x = (rng.random(500) < mean).astype(float)
        try:
            low, high = bounded_interval(x, method=method)
        except UnsupportedEstimate:  # nothing left: the mean is not either
            misses += 1
            continue
        misses += not low <= mean <= high
    assert misses / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def arms(
    rng: np.random.Generator, n: int, share: float, rates: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes of the control and of the treatment: both rates double in the second half."""
    new = rng.random(n) < share
    rise = 1 + (np.arange(n) >= n // 2)
    won = rng.random(n) < rates[0] * rise + (rates[1] - rates[0]) * new
    return new, won, np.where(new, share, 1 - share)


@both
def test_differences_are_found_and_scaled(method: Method) -> None:
    new, won, given = arms(np.random.default_rng(5), 20_000, 0.3, (0.1, 0.15))
    found = bounded_difference(new, won, given=given, method=method)
    assert found.interval[0] < 0.05 < found.interval[1]
    assert found.significant
    assert found.p < 0.05
    assert found.estimate == pytest.approx(0.05, abs=5 * found.error)
    rated = bounded_difference(new, 1 + 4.0 * won, given=given, low=1, high=5, method=method)
    assert rated.interval == pytest.approx(tuple(4 * end for end in found.interval))
    assert rated.p == pytest.approx(found.p)
    cautious = bounded_difference(new, won, given=given, least=0.1, method=method)
    assert cautious.interval[0] < 0.05 < cautious.interval[1]
    assert bounded_difference(new[:1], won[:1], given=given[:1]).p == 1.0


@both
def test_the_p_value_fits_the_interval(method: Method) -> None:
    for seed in range(30):
        new, won, given = arms(np.random.default_rng(seed), 2000, 0.5, (0.1, 0.16))
        found = bounded_difference(new, won, given=given, method=method)
        assert found.significant == (found.p <= 0.05)


def test_one_sequence_is_narrower_than_two() -> None:
    rng = np.random.default_rng(6)
    new = rng.random(20_000) < 0.5
    won = (rng.random(20_000) < 0.1).astype(float)
    low, high = bounded_difference(new, won).interval
    ends = [bounded_interval(won[each], confidence=0.975) for each in (new, ~new)]
    assert high - low < 0.85 * sum(end - start for start, end in ends)


@pytest.mark.slow
@both
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_differences_cover_at_all_times_while_rates_move(method: Method, share: float) -> None:
    """As above, with a bandit's shares or even ones, and rates that double on the way."""
    rng = np.random.default_rng(15)
    misses = 0
    for _ in range(400):
        new, won, given = arms(rng, 1500, share, (0.05, 0.08))
        try:
            low, high = bounded_difference(new, won, given=given, method=method).interval
        except UnsupportedEstimate:
            misses += 1
            continue
        misses += not low <= 0.03 <= high
    assert misses / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@both
def test_more_data_never_widen(method: Method) -> None:
    x = np.random.default_rng(7).beta(2, 2, 300)
    ends = [bounded_interval(x[:n], method=method) for n in range(1, 300, 20)]
    for before, after in pairwise(ends):
        assert before[0] <= after[0] + 1e-9
        assert after[1] <= before[1] + 1e-9


def test_bad_input_is_refused() -> None:
    half = np.array([0.5])
    with pytest.raises(
        InvalidDataError, match=r"outcomes must be in \[0.0, 1.0\], got 2.0 in row 1"
    ):
        bounded_interval(np.array([0.5, 2.0]))
    with pytest.raises(InvalidDataError, match="outcomes must be finite, got nan"):
        bounded_interval(np.array([np.nan]))
    with pytest.raises(InvalidParameterError, match="high must be above low, 1, got 0"):
        bounded_interval(half, low=1, high=0)
    with pytest.raises(InvalidParameterError, match="high must be a finite number, got inf"):
        bounded_interval(half, high=np.inf)
    with pytest.raises(InvalidParameterError, match="low must be a finite number, got nan"):
        bounded_interval(half, low=float("nan"))
    with pytest.raises(UnknownNameError, match="Did you mean 'betting'"):
        bounded_interval(half, method="bettin")  # type: ignore[arg-type]
    ones = np.ones(3)
    with pytest.raises(InvalidDataError, match="treated must be 0 or 1, got 2.0 in row 0"):
        bounded_difference(2 * ones, ones)
    with pytest.raises(InvalidDataError, match=r"given must be in \[0.5, 1\), got 0.2 in row 0"):
        bounded_difference(ones, ones, given=0.2, least=0.5)
    with pytest.raises(InvalidParameterError, match="least"):
        bounded_difference(ones, ones, given=1.0)
    with pytest.raises(InvalidDataError, match="one length"):
        bounded_difference(ones, np.ones(2))
    with pytest.raises(InvalidDataError, match="1 row or more"):
        bounded_difference(np.ones(0), np.ones(0), least=0.5)


@both
def test_a_fixed_number_of_outcomes_covers(method: Method) -> None:
    # 300 samples at 95 %: 5 sigma below is 88.7 %.
    rng, covered = np.random.default_rng(3), []
    for _ in range(300):
        low, high = bounded_interval(rng.beta(1, 9, 200), method=method, anytime=False)
        covered.append(low <= 0.1 <= high)
    assert np.mean(covered) > 0.887
    assert bounded_interval(np.array([0.5]), method=method, anytime=False) == (0.0, 1.0)


def test_a_number_fixed_beforehand_is_worth_width() -> None:
    x = np.random.default_rng(3).beta(1, 9, 500)
    low, high = bounded_interval(x, anytime=False)
    wide = bounded_interval(x)
    assert low <= x.mean() <= high
    assert high - low < wide[1] - wide[0]


def test_maurer_and_pontil_by_hand() -> None:
    x = np.tile([0.0, 1.0], 200)  # V = 400/399 / 4, ln 80 = 4.3820
    variance, doubt = 400 / 399 / 4, np.log(80)
    reach = np.sqrt(2 * variance * doubt / 400) + 7 * doubt / (3 * 399)
    found = bounded_interval(x, method="empirical-bernstein", anytime=False)
    assert found == pytest.approx((0.5 - reach, 0.5 + reach))


def test_a_floor_holds_up_to_its_last_digits() -> None:
    """What is left beside .9 is .1 less an ulp, and no other floor."""
    given = np.where(np.arange(400) % 2 == 0, 0.9, 1 - 0.9)
    assert given.min() < 0.1
    rows = np.arange(400) % 2 == 0, np.arange(400) % 3 == 0
    found = bounded_difference(*rows, given=given, least=0.1)
    exact = bounded_difference(*rows, given=np.maximum(given, 0.1))
    assert found.interval == pytest.approx(exact.interval)
