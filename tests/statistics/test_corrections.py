"""Corrections against SciPy, closed testing and hand calculation."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.statistics import adjust, e_benjamini_hochberg

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=7)


def closed(p: list[float], local: str) -> list[float]:
    """Adjusted p by testing every intersection: slow and obvious."""
    m = len(p)
    adjusted = [0.0] * m
    for size in range(1, m + 1):
        for chosen in combinations(range(m), size):
            inside = sorted(p[place] for place in chosen)
            value = (
                min(size * inside[0], 1.0)
                if local == "bonferroni"
                else min(size * q / rank for rank, q in enumerate(inside, 1))
            )
            for place in chosen:
                adjusted[place] = max(adjusted[place], value)
    return [min(value, 1.0) for value in adjusted]


@given(p_values)
@settings(max_examples=60, deadline=None)
def test_holm_is_closed_bonferroni_and_hommel_closed_simes(p: list[float]) -> None:
    np.testing.assert_allclose(adjust(np.array(p), "holm"), closed(p, "bonferroni"), atol=1e-12)
    np.testing.assert_allclose(adjust(np.array(p), "hommel"), closed(p, "simes"), atol=1e-12)


@given(p_values)
@settings(max_examples=60, deadline=None)
def test_false_discovery_rates_equal_scipy(p: list[float]) -> None:
    for ours, theirs in (("bh", "bh"), ("by", "by")):
        np.testing.assert_allclose(
            adjust(np.array(p), ours),  # type: ignore[arg-type]
            stats.false_discovery_control(p, method=theirs),
            atol=1e-12,
        )


@given(p_values)
@settings(max_examples=60, deadline=None)
def test_from_the_strictest_to_the_mildest(p: list[float]) -> None:
    values = np.array(p)
    chain = [adjust(values, name) for name in ("bonferroni", "holm", "hochberg", "hommel", "none")]
    for strict, mild in pairwise(chain):
        assert (strict >= mild - 1e-12).all()
    assert (adjust(values, "sidak") <= chain[0] + 1e-12).all()


def test_by_hand() -> None:
    p = np.array([0.01, 0.04, 0.03])
    np.testing.assert_allclose(adjust(p, "bonferroni"), [0.03, 0.12, 0.09])
    np.testing.assert_allclose(adjust(p, "hochberg"), [0.03, 0.04, 0.04])
    np.testing.assert_allclose(adjust(p, "bh"), [0.03, 0.04, 0.04])
    assert adjust(np.array([]), "holm").size == 0


def test_e_values_by_hand() -> None:
    # m = 3, alpha = 0.1: the k-th largest must reach 30 / k.
    rejected = e_benjamini_hochberg(np.log([16.0, 15.0, 2.0]), alpha=0.1)
    assert rejected.tolist() == [True, True, False]
    assert not e_benjamini_hochberg(np.log([14.0, 14.0, 2.0]), alpha=0.1).any()


def test_e_values_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="log_e must not be NaN, got nan in row 0"):
        e_benjamini_hochberg(np.array([np.nan, np.log(30)]))
    none = np.array([-np.inf, np.log(30)])
    assert e_benjamini_hochberg(none).tolist() == [False, False]
    assert e_benjamini_hochberg(none, alpha=0.1).tolist() == [False, True]
    assert e_benjamini_hochberg(np.array([])).tolist() == []
    with pytest.raises(InvalidDataError, match="one length"):
        e_benjamini_hochberg(np.zeros((2, 2)))


def test_bad_values_are_refused() -> None:
    with pytest.raises(InvalidDataError, match=r"p must be in \[0, 1\]"):
        adjust(np.array([1.5]))
    with pytest.raises(InvalidDataError, match="finite"):
        adjust(np.array([np.nan]))
    with pytest.raises(UnknownNameError, match="Did you mean 'holm'"):
        adjust(np.array([0.5]), "holms")  # type: ignore[arg-type]
