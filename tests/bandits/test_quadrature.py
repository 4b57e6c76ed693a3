"""Exact shares against closed forms and slow integrals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from siamrec.bandits.policies import _quadrature

parameters = st.floats(0.3, 1000.0)


def beta_reference(alpha: list[float], beta: list[float]) -> list[float]:
    """Return P(arm is best) by the trapezoidal rule on a fine logit grid, with exact tails."""
    node, step = np.linspace(-130, 130, 40_001, retstep=True)
    low, high = special.expit(node), special.expit(-node)
    below = [
        np.where(node < 0, special.betainc(a, b, low), 1 - special.betainc(b, a, high))
        for a, b in zip(alpha, beta, strict=True)
    ]
    shares = []
    for arm, (a, b) in enumerate(zip(alpha, beta, strict=True)):
        density = np.exp(a * np.log(low) + b * np.log(high) - special.betaln(a, b))
        rest = np.prod([below[other] for other in range(len(alpha)) if other != arm], axis=0)
        shares.append(float((density * rest).sum() * step))
    return shares


def test_two_arms_have_a_closed_form() -> None:
    # P(Beta(3, 5) > Beta(4, 4)) = sum_i B(4 + i, 9) / ((5 + i) B(1 + i, 5) B(4, 4))
    shares = _quadrature.best(
        _quadrature.beta_grid(np.array([[3.0, 4.0]]), np.array([[5.0, 4.0]]))
    )
    closed = sum(
        special.beta(4 + i, 4 + 5) / ((5 + i) * special.beta(1 + i, 5) * special.beta(4, 4))
        for i in range(3)
    )
    assert closed == pytest.approx(0.296037296037)
    assert shares[0, 0] == pytest.approx(closed, abs=1e-9)


@given(st.lists(st.tuples(parameters, parameters), min_size=2, max_size=5))
@settings(max_examples=25, deadline=None)
def test_beta_shares_equal_the_slow_integral(arms: list[tuple[float, float]]) -> None:
    alpha, beta = [a for a, _ in arms], [b for _, b in arms]
    shares = _quadrature.best(_quadrature.beta_grid(np.array([alpha]), np.array([beta])))[0]
    np.testing.assert_allclose(shares, beta_reference(alpha, beta), atol=1e-7)


@pytest.mark.parametrize("prior", [0.05, 0.5, 1.0, 1e4, 1e7])
def test_equal_posteriors_share_evenly(prior: float) -> None:
    shares = _quadrature.best(
        _quadrature.beta_grid(np.full((1, 7), prior), np.full((1, 7), prior))
    )
    np.testing.assert_allclose(shares, 1 / 7, atol=1e-9)


def test_a_million_observations_beside_none() -> None:
    # The sure arm is at 0.3: the uniform one beats it with probability 0.7 up to 1e-6.
    shares = _quadrature.best(
        _quadrature.beta_grid(np.array([[3e5, 1.0]]), np.array([[7e5, 1.0]]))
    )
    assert shares[0, 1] == pytest.approx(0.7, abs=1e-6)


def test_many_arms_share_panels_without_loss() -> None:
    rng = np.random.default_rng(9)
    for spread in (1.0, 3.0, 6.0):
        alpha, beta = (np.exp(rng.uniform(-1, spread, 14)).tolist() for _ in range(2))
        shares = _quadrature.best(_quadrature.beta_grid(np.array([alpha]), np.array([beta])))[0]
        np.testing.assert_allclose(shares, beta_reference(alpha, beta), atol=1e-7)


def test_two_normals_have_a_closed_form() -> None:
    mean, sd = np.array([[0.3, -0.2]]), np.array([[0.5, 1.7]])
    expected = stats.norm.cdf(0.5 / np.hypot(0.5, 1.7))
    shares = _quadrature.best(_quadrature.normal_grid(mean, sd))
    assert shares[0, 0] == pytest.approx(expected, abs=1e-8)


def test_two_gammas_have_a_closed_form() -> None:
    # P(Gamma(k1, r1) > Gamma(k2, r2)) = I_{r2 / (r1 + r2)}(k2, k1)
    for k1, r1, k2, r2 in [
        (2.0, 3.0, 5.0, 4.0),
        (0.5, 1.0, 80.0, 90.0),
        (3000.0, 10.0, 1.0, 0.01),
    ]:
        grid = _quadrature.gamma_grid(np.array([[k1, k2]]), np.array([[r1, r2]]))
        expected = special.betainc(k2, k1, r2 / (r1 + r2))
        assert _quadrature.best(grid)[0, 0] == pytest.approx(expected, abs=1e-7)


def test_students_equal_the_slow_integral() -> None:
    mean, scale, freedom = [0.0, 0.4, -1.0], [1.0, 0.3, 2.0], [2.0, 7.0, 30.0]
    grid = _quadrature.student_grid(np.array([mean]), np.array([scale]), np.array([freedom]))
    shares = _quadrature.best(grid)[0]
    for arm in range(3):
        law = stats.t(freedom[arm], mean[arm], scale[arm])
        others = [stats.t(freedom[b], mean[b], scale[b]).cdf for b in range(3) if b != arm]
        expected = integrate.quad(
            lambda u, law=law, others=others: others[0](law.ppf(u)) * others[1](law.ppf(u)), 0, 1
        )[0]
        assert shares[arm] == pytest.approx(expected, abs=1e-6)


def test_top_two_equals_the_sum_over_orders() -> None:
    alpha, beta = np.array([[2.0, 5.0, 3.0, 1.0]]), np.array([[3.0, 4.0, 3.0, 1.0]])
    grid = _quadrature.beta_grid(alpha, beta)
    top = _quadrature.top(grid, 2)[0]
    rng = np.random.default_rng(3)
    draws = rng.beta(alpha, beta, size=(400_000, 4))
    second = np.argsort(-draws, axis=1)[:, :2]
    frequency = np.bincount(second.ravel(), minlength=4) / len(draws)
    # 5 sigma of a share over 400 000 draws is 0.004.
    np.testing.assert_allclose(top, frequency, atol=0.004)
    np.testing.assert_allclose(_quadrature.top(grid, 1), _quadrature.best(grid), atol=1e-12)
    np.testing.assert_allclose(_quadrature.top(grid, 4), 1.0)


def test_shares_do_not_depend_on_the_other_rounds() -> None:
    alpha = np.array([[2.0, 5.0], [900.0, 3.0]])
    beta = np.array([[3.0, 4.0], [100.0, 0.5]])
    both = _quadrature.best(_quadrature.beta_grid(alpha, beta))
    for row in range(2):
        alone = _quadrature.best(_quadrature.beta_grid(alpha[row : row + 1], beta[row : row + 1]))
        np.testing.assert_allclose(both[row], alone[0], atol=1e-14)
