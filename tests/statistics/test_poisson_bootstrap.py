"""The streaming bootstrap: its weights, its laws of merging, and its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.statistics import BootstrapTotals, poisson_bootstrap
from siamrec.statistics.poisson_bootstrap import _keys, poisson_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.typing import FloatArray

RNG = np.random.default_rng(1)
UNITS = [f"u{number}" for number in range(900)]


def totals(start: int, stop: int, values: np.ndarray, resamples: int = 2000) -> BootstrapTotals:
    return BootstrapTotals.of(
        UNITS[start:stop], {"y": values, "x": values**2 + 1}, resamples=resamples
    )


def test_weights_are_poisson_and_independent() -> None:
    # 4 million weights: 5 sigma of a share near 0.37 is 0.0012.
    weights = poisson_weights(_keys([f"u{n}" for n in range(20_000)], "s"), 200)
    for k in range(6):
        expected = stats.poisson.pmf(k, 1)
        assert (weights == k).mean() == pytest.approx(
            expected, abs=5 * np.sqrt(expected / weights.size)
        )
    assert abs(np.corrcoef(weights[:, 0], weights[:, 1])[0, 1]) < 5 / np.sqrt(20_000)
    assert abs(np.corrcoef(weights[::2, 3], weights[1::2, 3])[0, 1]) < 5 / np.sqrt(10_000)


def test_weights_stay_the_same_for_ever() -> None:
    # By hand, with whole numbers of any size: SplitMix64 against the table of Poisson(1).
    import math

    import xxhash

    key = xxhash.xxh3_64_intdigest(b"user-42", xxhash.xxh3_64_intdigest(b"bootstrap"))
    found = poisson_weights(_keys(["user-42"], "bootstrap"), 100)[0]
    for b in range(1, 101):
        bits = (key + b * 0x9E3779B97F4A7C15) % 2**64
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            bits = ((bits ^ (bits >> shift)) * factor) % 2**64
        bits ^= bits >> 31
        u, k, reached = bits / 2**64, 0, math.exp(-1)
        while u >= reached:
            k += 1
            reached += math.exp(-1) / math.factorial(k)
        assert found[b - 1] == k


def test_parts_merge_in_any_order() -> None:
    y = RNG.normal(size=900)
    whole = totals(0, 900, y, 200)
    first, second = totals(0, 333, y[:333], 200), totals(333, 900, y[333:], 200)
    for merged in (first + second, second + first):
        np.testing.assert_allclose(merged.total, whole.total, rtol=1e-10)
        np.testing.assert_array_equal(merged.weight, whole.weight)


def test_intervals_agree_with_theory() -> None:
    a, b = RNG.normal(1, 2, 500), RNG.normal(0.6, 1, 400)
    found = poisson_bootstrap(totals(0, 500, a), totals(500, 900, b), "y")
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    assert found.interval == pytest.approx(tuple(theirs), abs=0.03)
    assert found.p < 0.01
    same = poisson_bootstrap(totals(0, 500, a), totals(0, 500, a), "y")
    assert (same.estimate, same.interval, same.p) == (0.0, (-np.inf, np.inf), 1.0)


def test_ratios_and_repeated_units() -> None:
    views = RNG.poisson(5, 900) + 1.0
    rate = RNG.beta(2, 8, 900)
    clicks = RNG.binomial(views.astype(int), rate).astype(float)
    rows = np.repeat(np.arange(900), 2)
    data = {"clicks": clicks[rows] / 2, "views": views[rows] / 2}

    def ratio(mean: Mapping[str, FloatArray]) -> FloatArray:
        return np.asarray(mean["clicks"] / mean["views"])

    sides = [
        BootstrapTotals.of(
            [UNITS[row] for row in rows[part]], {n: c[part] for n, c in data.items()},
            resamples=3000,
        )
        for part in (slice(0, 900), slice(900, 1800))
    ]  # fmt: skip
    found = poisson_bootstrap(sides[0], sides[1], ratio)
    by_delta = 0.0
    for part in (slice(0, 450), slice(450, 900)):
        residual = clicks[part] - clicks[part].sum() / views[part].sum() * views[part]
        by_delta += residual.var(ddof=1) / (450 * views[part].mean() ** 2)
    # The error of 3000 resamples has a relative error of 1.3 %.
    assert found.error == pytest.approx(np.sqrt(by_delta), rel=0.07)


def test_bad_input_is_refused() -> None:
    y = np.ones(900)
    with pytest.raises(InvalidParameterError, match="resamples"):
        totals(0, 900, y, 99)
    with pytest.raises(InvalidDataError, match="one length"):
        BootstrapTotals.of(["a"], {"y": np.ones(2)})
    with pytest.raises(InvalidDataError, match="y must be finite"):
        BootstrapTotals.of(["a"], {"y": np.array([np.nan])})
    with pytest.raises(InvalidDataError, match="same columns, salt and size"):
        totals(0, 900, y, 100) + totals(0, 900, y, 200)
    with pytest.raises(InvalidDataError, match="same number of resamples"):
        poisson_bootstrap(totals(0, 900, y, 100), totals(0, 900, y, 200), "y")
    with pytest.raises(UnknownNameError, match="statistic"):
        poisson_bootstrap(totals(0, 900, y, 100), totals(0, 900, y, 100), "z")
    few = BootstrapTotals.of(["a"], {"y": np.ones(1)})
    with pytest.raises(InvalidDataError, match="too few rows"):
        poisson_bootstrap(few, few, "y")
    none = BootstrapTotals.of([], {"y": np.ones(0)})
    with pytest.raises(InvalidDataError, match="too few rows"):
        poisson_bootstrap(none, none, "y")
