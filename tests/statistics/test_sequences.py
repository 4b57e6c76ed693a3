"""Boundaries of confidence sequences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.statistics import mixture_log_e, mixture_reach, tightest_at


@given(st.floats(1e-4, 1e6), st.floats(1e-6, 0.5))
@settings(max_examples=60, deadline=None)
def test_the_e_value_at_the_boundary_is_one_over_alpha(information: float, alpha: float) -> None:
    reach = mixture_reach(information, alpha)
    assert mixture_log_e(reach, information) == pytest.approx(-np.log(alpha), rel=1e-9)


def test_by_hand_and_tightest_where_planned() -> None:
    # sqrt(2 * 2 * (ln 2 / 2 + ln 20))
    assert mixture_reach(1.0, 0.05) == pytest.approx(3.65639, abs=1e-5)
    best = mixture_reach(1000 * tightest_at(1000, 0.05), 0.05)
    for other in (500, 2000):
        assert mixture_reach(1000 * tightest_at(other, 0.05), 0.05) > best


def test_looking_always_keeps_the_level() -> None:
    # 1,000 null walks of 2,000 steps: at most 5 % cross; 5 sigma above is 8.4 %.
    rng = np.random.default_rng(0)
    rho, n = tightest_at(500, 0.05), np.arange(1, 2001)
    reach = np.array([mixture_reach(k * rho, 0.05) for k in n.tolist()])
    crossed = [
        bool((np.abs(rng.normal(size=2000).cumsum() / np.sqrt(n)) > reach).any())
        for _ in range(1000)
    ]
    assert np.mean(crossed) < 0.084
