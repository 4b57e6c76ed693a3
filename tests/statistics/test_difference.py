"""Two values with limits of their own, put together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from siamrec.statistics import newcombe
from siamrec.statistics.difference import Hybrid, averaged
from siamrec.statistics.proportions import score_limits


def of_shares(wins: tuple[float, float], n: tuple[int, int]) -> Hybrid:
    return Hybrid(
        values=(wins[0] / n[0], wins[1] / n[1]),
        n=n,
        limits=lambda reach: (
            score_limits(wins[0] / n[0], n[0], reach),
            score_limits(wins[1] / n[1], n[1], reach),
        ),
        errors=(0.05, 0.06),
    )


def test_with_wilsons_limits_it_is_newcombes_interval() -> None:
    pair = of_shares((56, 48), (70, 80))
    assert pair.span(1.0, -1.0, 1.959963984540054) == pytest.approx(
        newcombe((56, 48), (70, 80)), abs=1e-9
    )
    assert pair.contrast(1.0, -1.0) == pytest.approx((0.2, math.hypot(0.05, 0.06)))


def test_the_deviate_is_the_reach_at_which_the_interval_meets_zero() -> None:
    pair = of_shares((56, 48), (70, 80))
    low, high = pair.span(1.0, -1.0, pair.deviate())
    assert low == pytest.approx(0.0, abs=1e-9)
    assert high > 0
    assert of_shares((5, 5), (9, 9)).deviate() == 0.0


def test_an_average_of_one_part_is_that_part() -> None:
    pair = of_shares((56, 48), (70, 80))
    assert averaged([pair], [1.0]).span(1.0, -1.0, 1.96) == pytest.approx(pair.span(1, -1, 1.96))


@given(
    t=st.floats(-5, 5),
    c=st.floats(0.5, 5),
    off=st.tuples(*[st.floats(0.01, 0.4)] * 4),
)
@settings(max_examples=100, deadline=None)
def test_relative_limits_are_where_the_contrast_meets_zero(
    t: float, c: float, off: tuple[float, float, float, float]
) -> None:
    """The limits of a ratio by root finding, one contrast after the other."""
    pair = Hybrid((t, c), (9, 9), lambda _: ((t - off[0], t + off[1]), (c - off[2], c + off[3])),
                  (0.1, 0.1))  # fmt: skip
    low, high = pair.spans(2.0)[1]
    ratio = t / c
    upper = optimize.brentq(lambda r: pair.span(1.0, -r, 2.0)[1], ratio, ratio + 60)
    lower = optimize.brentq(lambda r: pair.span(1.0, -r, 2.0)[0], ratio - 60, ratio)
    assert (low, high) == pytest.approx((lower - 1, upper - 1), rel=1e-6, abs=1e-6)
    turned = Hybrid((-t, -c), (9, 9),
                    lambda _: ((-t - off[1], -t + off[0]), (-c - off[3], -c + off[2])),
                    (0.1, 0.1))  # fmt: skip
    assert turned.spans(2.0)[1] == pytest.approx((-high, -low), rel=1e-6, abs=1e-6)
