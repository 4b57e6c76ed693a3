"""Proportions against SciPy, published intervals and enumeration."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.statistics import newcombe, two_proportions, wilson
from siamrec.statistics.proportions import score_limits, sign_test


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (7, 9), (50, 1000), (3, 3)])
def test_wilson_equals_scipy(successes: int, trials: int) -> None:
    theirs = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    own = wilson(successes, trials)
    assert own == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.floats(0, 1), st.integers(1, 5000), st.floats(0.1, 30))
@settings(max_examples=60, deadline=None)
def test_wilson_holds_its_share_and_its_own_error(share: float, n: int, reach: float) -> None:
    low, high = score_limits(share, n, reach)
    assert 0 <= low <= share <= high <= 1
    assert low < high
    for end in (low, high):
        if 0 < end < 1:
            error = reach * math.sqrt(end * (1 - end) / n)
            assert abs(share - end) == pytest.approx(error, rel=1e-6, abs=1e-9)


def test_wilson_by_hand_and_its_refusals() -> None:
    # 0 of 10 at 95 %: z² / (n + z²) = 3.8415 / 13.8415
    assert wilson(0, 10)[1] == pytest.approx(0.27753, abs=1e-5)
    assert score_limits(0.3, 10, math.inf) == (0.0, 1.0)
    with pytest.raises(InvalidDataError, match="successes must be at most 3"):
        wilson(4, 3)
    with pytest.raises(InvalidParameterError, match="confidence"):
        wilson(1, 3, confidence=1.0)


def test_newcombe_as_published() -> None:
    # Newcombe (1998), table II, method 10 of 56/70 - 48/80.
    assert newcombe((56, 48), (70, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    found = two_proportions((56, 48), (70, 80), interval="newcombe")
    assert found.interval == pytest.approx(newcombe((56, 48), (70, 80)), abs=1e-12)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_fisher_equals_scipy(n1: int, n0: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n0))
    found = two_proportions(wins, (n1, n0), test="fisher")
    table = [[wins[0], n1 - wins[0]], [wins[1], n0 - wins[1]]]
    assert found.p == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-6)
    low, high = found.interval
    assert -1 <= low <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= high <= 1


def test_miettinen_nurminen_as_published() -> None:
    # Newcombe (1998), table II, method "Mee / Miettinen-Nurminen" of 56/70 - 48/80.
    found = two_proportions((56, 48), (70, 80))
    assert found.interval == pytest.approx((0.0528, 0.3382), abs=2e-4)
    # 9/10 - 3/10
    assert two_proportions((9, 3), (10, 10)).interval == pytest.approx((0.1700, 0.8406), abs=5e-3)
    swapped = two_proportions((48, 56), (80, 70)).interval
    assert swapped == pytest.approx((-found.interval[1], -found.interval[0]), abs=1e-9)


def test_the_score_interval_covers_where_it_is_hard() -> None:
    # 3 of 30 against 1 of 30: exact coverage of the 95 % interval by enumeration.
    rates, n = (0.1, 0.03), 30
    law = [stats.binom(n, rate) for rate in rates]
    covered = 0.0
    for x in range(12):
        for y in range(8):
            low, high = two_proportions((x, y), (n, n)).interval
            covered += law[0].pmf(x) * law[1].pmf(y) * (low <= rates[0] - rates[1] <= high)
    assert covered > 0.94


def test_bad_counts_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="wins must be 0 to n"):
        two_proportions((5, 1), (4, 4))
    with pytest.raises(UnknownNameError, match="interval"):
        two_proportions((1, 1), (4, 4), interval="wald")  # type: ignore[arg-type]


@pytest.mark.parametrize(("wins", "losses"), [(0, 6), (3, 9), (5, 5), (7, 2), (0, 0), (0, 3000)])
def test_the_sign_test_is_the_binomial_test(wins: int, losses: int) -> None:
    p = sign_test(wins, losses)
    assert p == sign_test(losses, wins) > 0
    if 0 < wins + losses < 100:
        assert p == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)


def test_the_sign_test_counts() -> None:
    with pytest.raises(InvalidParameterError, match="wins must be a whole number of at least 0"):
        sign_test(-1, 3)
