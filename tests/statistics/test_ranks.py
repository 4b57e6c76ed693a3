"""Rank tests against SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamrec.errors import InvalidDataError
from siamrec.statistics import average_ranks, mann_whitney, wilcoxon


def test_wilcoxon_is_exact_for_few_and_corrected_for_ties() -> None:
    moved = np.array([0.3, -0.1, 0.5, 0.9, 1.2, -0.4])
    assert wilcoxon(moved) == pytest.approx(stats.wilcoxon(moved).pvalue)
    tied = np.array([1.0, 1.0, -1.0, 2.0, 2.0, 3.0, 0.0] * 6)
    expected = stats.wilcoxon(tied, correction=True, method="asymptotic").pvalue
    assert wilcoxon(tied) == pytest.approx(expected)
    assert wilcoxon(np.zeros(4)) == 1.0


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=30),
    st.lists(st.integers(0, 6), min_size=2, max_size=30),
)
@settings(max_examples=50, deadline=None)
def test_ranks_equal_scipy(a: list[int], b: list[int]) -> None:
    share, p = mann_whitney(np.array(a, float), np.array(b, float))
    if len(set(a + b)) == 1:
        assert (share, p) == (0.5, 1.0)
        return
    untied = max(len(a), len(b)) < 26 and len(set(a + b)) == len(a + b)
    method = "exact" if untied else "asymptotic"
    theirs = stats.mannwhitneyu(a, b, use_continuity=False, method=method)
    assert share == pytest.approx(theirs.statistic / (len(a) * len(b)))
    assert p == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 3), (3, 8), (7, 7), (25, 25), (25, 4)])
def test_mann_whitney_is_exact_for_few(first: int, second: int) -> None:
    values = np.random.default_rng(first).permutation(first + second).astype(float)
    share, p = mann_whitney(values[:first], values[first:])
    theirs = stats.mannwhitneyu(values[:first], values[first:], method="exact")
    assert share == theirs.statistic / (first * second)
    assert p == pytest.approx(theirs.pvalue, rel=1e-12)


def test_ranks_by_hand() -> None:
    # Of the 20 choices of three ranks of six, one wins nothing: p = 2 / 20.
    found = mann_whitney(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    assert found == (0.0, 0.1)
    assert average_ranks(np.array([2.0, 1.0, 2.0])).tolist() == [2.5, 1.0, 2.5]
    with pytest.raises(InvalidDataError, match="Both variants"):
        mann_whitney(np.array([]), np.ones(5))


def test_ranks_and_wilcoxon_take_lists_and_refuse_nan() -> None:
    assert average_ranks([3, 1, 2, 2]).tolist() == [4.0, 1.0, 2.5, 2.5]
    assert average_ranks([]).size == 0
    assert wilcoxon([1, 2, 3]) == wilcoxon(np.array([1.0, 2.0, 3.0]))
    with pytest.raises(InvalidDataError, match="NaN"):
        average_ranks([1.0, np.nan, 3.0])
    with pytest.raises(InvalidDataError, match="NaN"):
        wilcoxon([1.0, np.nan, 3.0])
