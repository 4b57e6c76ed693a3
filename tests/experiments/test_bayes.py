"""Bayesian answers against closed forms and sampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments import NormalPosterior, best_proportion, best_rate


def test_two_proportions_have_a_closed_form() -> None:
    # P(B > A) = sum_i B(a_A + i, b_A + b_B) / ((b_B + i) B(1 + i, b_B) B(a_A, b_A))
    found = best_proportion({"A": 20, "B": 30}, {"A": 100, "B": 100})
    a1, b1, a2, b2 = 21, 81, 31, 71
    closed = sum(
        np.exp(
            special.betaln(a1 + i, b1 + b2)
            - np.log(b2 + i)
            - special.betaln(1 + i, b2)
            - special.betaln(a1, b1)
        )
        for i in range(a2)
    )
    assert found.best["B"] == pytest.approx(closed, abs=1e-6)
    assert sum(found.best.values()) == pytest.approx(1.0)


def test_losses_equal_sampling() -> None:
    wins, n = {"a": 3, "b": 8, "c": 6}, {"a": 20, "b": 40, "c": 22}
    found = best_proportion(wins, n)
    rng = np.random.default_rng(1)
    draws = rng.beta([1 + wins[k] for k in wins], [1 + n[k] - wins[k] for k in wins], (400_000, 3))
    loss = draws.max(axis=1).mean() - draws.mean(axis=0)
    share = np.bincount(draws.argmax(axis=1), minlength=3) / 400_000
    np.testing.assert_allclose(list(found.loss.values()), loss, atol=1e-3)
    np.testing.assert_allclose(list(found.best.values()), share, atol=4e-3)  # 5 sigma


def test_rates_have_a_closed_form() -> None:
    found = best_rate({"a": 9, "b": 14}, {"a": 100, "b": 110})
    expected = special.betainc(10, 15, 101 / (101 + 111))
    assert found.best["b"] == pytest.approx(expected, abs=1e-6)


def test_normal_posterior_by_hand() -> None:
    found = NormalPosterior.of(2.0, 1.0, prior_deviation=1.0)
    assert found.mean == 1.0
    assert found.deviation == pytest.approx(np.sqrt(0.5))
    law = stats.norm(1.0, np.sqrt(0.5))
    assert found.better == pytest.approx(law.sf(0))
    assert found.expected_loss() == pytest.approx(law.expect(lambda d: max(-d, 0)), abs=1e-8)
    assert found.within(-0.5, 0.5) == pytest.approx(law.cdf(0.5) - law.cdf(-0.5))
    assert found.interval() == pytest.approx(law.interval(0.95))


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="one set of names"):
        best_proportion({"a": 1}, {"b": 1})
    with pytest.raises(InvalidDataError, match="at most n"):
        best_proportion({"a": 2}, {"a": 1})
    with pytest.raises(InvalidParameterError, match="prior"):
        best_proportion({"a": 0}, {"a": 1}, prior=(0.0, 1.0))
    with pytest.raises(InvalidDataError, match="not be below 0"):
        best_rate({"a": -1}, {"a": 1})
    with pytest.raises(InvalidParameterError, match="error"):
        NormalPosterior.of(1.0, 0.0, prior_deviation=1.0)
