"""Floor and cap: exact, feasible, closest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from siamrec.bandits import Limits
from siamrec.errors import InvalidParameterError


def test_known_answer() -> None:
    # The cap takes 0.2 from the first arm; the others keep their ratio 3:2.
    limited = Limits(floor=0.1, cap=0.7).apply(np.array([[0.9, 0.06, 0.04]]))
    np.testing.assert_allclose(limited, [[0.7, 0.18, 0.12]], atol=1e-12)


def test_a_certain_arm_hands_its_excess_out_evenly() -> None:
    limited = Limits(cap=0.7).apply(np.array([[1.0, 0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(limited, [[0.7, 0.1, 0.1, 0.1]], atol=1e-12)


@given(
    weights=st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=100),
    floor=st.floats(0, 0.01),
    cap=st.floats(0.4, 1),
    mask_seed=st.integers(0, 2**16),
)
@settings(max_examples=100, deadline=None)
def test_limits_hold_and_order_stays(
    weights: list[float], floor: float, cap: float, mask_seed: int
) -> None:
    eligible = np.random.default_rng(mask_seed).random(len(weights)) < 0.8
    eligible[:3] = True
    wanted = np.where(eligible, weights, 0.0)[None] / np.where(eligible, weights, 0.0).sum()
    limited = Limits(floor=floor, cap=cap).apply(wanted, eligible)
    assert limited.sum() == pytest.approx(1.0, abs=1e-12)
    inside = limited[0, eligible]
    assert inside.min() >= floor - 1e-12
    assert inside.max() <= cap + 1e-12
    assert (limited[0, ~eligible] == 0).all()
    order = np.argsort(wanted[0, eligible], kind="stable")
    assert (np.diff(inside[order]) >= -1e-12).all()


def test_the_projection_is_the_closest_in_divergence() -> None:
    wanted = np.array([0.85, 0.1, 0.03, 0.02])
    limited = Limits(floor=0.06, cap=0.6).apply(wanted[None])[0]
    found = optimize.minimize(
        lambda q: (q * np.log(q / wanted)).sum(),
        np.full(4, 0.25),
        bounds=[(0.06, 0.6)] * 4,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
        options={"ftol": 1e-14},
    )
    np.testing.assert_allclose(limited, found.x, atol=1e-5)


def test_a_cap_gives_way_where_too_few_arms_are_left() -> None:
    eligible = np.array([True, False, True])
    limited = Limits(cap=0.3).apply(np.array([[0.9, 0.0, 0.1]]), eligible)
    np.testing.assert_allclose(limited, [[0.5, 0.0, 0.5]])


def test_bad_limits_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="floor must be at most the cap"):
        Limits(floor=0.5, cap=0.2)
    with pytest.raises(InvalidParameterError, match=r"cap must be in \[0, 1\]"):
        Limits(cap=1.2)
    with pytest.raises(InvalidParameterError, match=r"floor must be at most 0.25 for 4 arms"):
        Limits(floor=0.3).fit(4)
