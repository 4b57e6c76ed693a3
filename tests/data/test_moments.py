"""Moments: equal NumPy, merge in any order, keep their digits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamrec.data.moments import Moments
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError

numbers = st.floats(-1e6, 1e6)


@given(
    rows=st.lists(st.tuples(numbers, numbers), min_size=2, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    seed=st.integers(0, 2**16),
)
def test_parts_merge_in_any_order(
    rows: list[tuple[float, float]], cuts: list[int], seed: int
) -> None:
    table = np.array(rows)
    whole = Moments.of({"x": table[:, 0], "y": table[:, 1]})
    ends = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    parts = [
        Moments.of({"x": table[low:high, 0], "y": table[low:high, 1]})
        for low, high in itertools.pairwise(ends)
    ]
    merged = Moments.empty(("x", "y"))
    for place in np.random.default_rng(seed).permutation(len(parts)):
        merged = merged + parts[place]
    assert merged.n == whole.n
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-9, atol=1e-6)
    scale = 1e-9 * max(1.0, float(np.abs(table).max()) ** 2) * len(rows)
    np.testing.assert_allclose(merged.product, whole.product, rtol=1e-9, atol=scale)
    np.testing.assert_allclose(whole.covariance(), np.cov(table.T), rtol=1e-7, atol=scale)


def test_groups_equal_their_own_rows() -> None:
    rng = np.random.default_rng(1)
    x, groups = rng.normal(size=100_000), rng.integers(-1, 3, 100_000)
    for group, moments in enumerate(Moments.by_group({"x": x}, groups, 3)):
        own = x[groups == group]
        assert moments.n == own.size
        assert moments.mean[0] == pytest.approx(own.mean(), abs=1e-12)
        assert moments.variance("x") == pytest.approx(own.var(ddof=1), rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e8, 1e12])
def test_digits_survive_a_large_offset(offset: float) -> None:
    x = np.random.default_rng(2).normal(size=50_000)
    first, second = Moments.of({"x": x[:7] + offset}), Moments.of({"x": x[7:] + offset})
    expected = np.var((x + offset) - offset, ddof=1)
    assert (first + second).variance("x") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e12])
def test_sets_of_columns_equal_the_plain_way(offset: float) -> None:
    rng = np.random.default_rng(4)
    columns = {name: rng.normal(size=50_000) + offset for name in "xyz"}
    groups = rng.integers(-1, 3, 50_000)
    sets = [("x",), ("z", "y"), ("y",)]
    found = Moments.of_sets(columns, sets, groups, 3)
    assert found is not None
    for names, of_groups in zip(sets, found, strict=True):
        for group, moments in enumerate(of_groups):
            own = np.stack([columns[name][groups == group] for name in names])
            assert moments.names == names
            assert moments.n == own.shape[1]
            np.testing.assert_allclose(moments.mean, own.mean(axis=1), rtol=1e-12, atol=1e-12)
            expected = np.atleast_2d(np.cov(own - offset))
            np.testing.assert_allclose(moments.covariance(), expected, rtol=1e-7, atol=1e-7)
    columns["x"][17] = np.nan
    assert Moments.of_sets(columns, sets, np.zeros(50_000, dtype=np.int64), 1) is None


def test_rows_of_negative_groups_are_left_out_of_the_only_group() -> None:
    moments = Moments.by_group({"x": np.array([1.0, 9.0, 3.0])}, np.array([0, -1, 0]), 1)[0]
    assert (moments.n, moments.mean[0]) == (2, 2.0)


def test_known_answer() -> None:
    moments = Moments.of({"x": np.array([1.0, 2.0, 6.0]), "y": np.array([0.0, 1.0, 5.0])})
    assert moments.mean.tolist() == [3.0, 2.0]
    assert moments.product.tolist() == [[14.0, 14.0], [14.0, 14.0]]
    assert moments.select(["y"]).names == ("y",)


def test_bad_moments_are_refused() -> None:
    one = Moments.of({"x": np.array([1.0])})
    assert one.variance("x") == 0.0
    with pytest.raises(InvalidDataError, match="same columns"):
        one + Moments.of({"y": np.array([1.0])})
    with pytest.raises(UnknownNameError, match="No column is named 'z'"):
        one.select(["z"])
    with pytest.raises(InvalidDataError, match="mean must be finite"):
        Moments.of({"x": np.array([1.0, np.nan])})
    with pytest.raises(InvalidDataError, match="product must have shape"):
        Moments(names=("x",), n=1, mean=np.zeros(1), product=np.zeros((2, 2)))
    with pytest.raises(InvalidParameterError, match="n must be"):
        Moments(names=("x",), n=-1, mean=np.zeros(1), product=np.zeros((1, 1)))
