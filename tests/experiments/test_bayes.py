"""Bayesian answers against closed forms and sampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.experiments.analysis import NormalPosterior, best_proportion, best_rate


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


def test_lower_may_be_better() -> None:
    """The least of several rates, against sampling: 5 sigma of 400,000 draws is 0.004."""
    events, exposure = {"a": 9, "b": 14, "c": 7}, {"a": 100.0, "b": 110.0, "c": 80.0}
    found = best_rate(events, exposure, better="lower")
    rng = np.random.default_rng(2)
    shape, rate = ([1 + each[k] for k in events] for each in (events, exposure))
    draws = rng.gamma(shape, 1 / np.array(rate), (400_000, 3))
    share = np.bincount(draws.argmin(axis=1), minlength=3) / 400_000
    np.testing.assert_allclose(list(found.best.values()), share, atol=4e-3)
    loss = draws.mean(axis=0) - draws.min(axis=1).mean()
    np.testing.assert_allclose(list(found.loss.values()), loss, atol=2e-4)
    wins, n = {"a": 20, "b": 30}, {"a": 100, "b": 100}
    few, many = best_proportion(wins, n, better="lower"), best_proportion(wins, n)
    assert few.best["a"] == pytest.approx(many.best["b"])
    assert few.loss["a"] == pytest.approx(many.loss["b"], abs=1e-6)


def test_practical_equivalence_of_rates_against_quadrature() -> None:
    wins = best_proportion({"a": 50, "b": 60}, {"a": 500, "b": 520})
    events = best_rate({"a": 9, "b": 1400}, {"a": 100, "b": 11_000})
    gammas = stats.gamma(10, scale=1 / 101), stats.gamma(1401, scale=1 / 11_001)
    betas = stats.beta(51, 451), stats.beta(61, 461)
    for found, laws in ((wins, betas), (events, gammas)):
        x = np.linspace(0, 0.6, 200_001)
        for low, high in ((-0.02, 0.02), (0.0, 1.0), (-0.05, 0.01)):
            inside = laws[0].cdf(x - low) - laws[0].cdf(x - high)
            expected = np.trapezoid(laws[1].pdf(x) * inside, x)
            assert found.within("b", "a", low, high) == pytest.approx(expected, abs=1e-5)
            assert found.within("a", "b", -high, -low) == pytest.approx(expected, abs=1e-5)
        assert found.within("b", "a", 0.0, 1e9) == pytest.approx(found.best["b"], abs=1e-4)
        assert found.within("a", "a", -1.0, 1.0) == 1.0


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
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidDataError, match="events must hold finite counts of 0 or more"):
            best_rate({"a": bad}, {"a": 1})
        with pytest.raises(InvalidDataError, match="exposure must hold finite counts"):
            best_rate({"a": 1}, {"a": bad})
        with pytest.raises(InvalidDataError, match="n must hold finite counts"):
            best_proportion({"a": 1}, {"a": bad})  # type: ignore[dict-item]
    with pytest.raises(UnknownNameError, match="Did you mean 'lower'"):
        best_rate({"a": 1}, {"a": 1}, better="low")  # type: ignore[arg-type]
    found = best_rate({"a": 1}, {"a": 1})
    with pytest.raises(UnknownNameError, match="variant"):
        found.within("a", "b", -1, 1)
    with pytest.raises(InvalidParameterError, match="high must be at least low, 1, got -1"):
        found.within("a", "a", 1, -1)
    with pytest.raises(InvalidParameterError, match="high must be at least low"):
        NormalPosterior(1.0, 1.0).within(1, -1)
    with pytest.raises(InvalidParameterError, match="estimate must be a finite number, got nan"):
        NormalPosterior.of(float("nan"), 1.0, prior_deviation=1.0)
    with pytest.raises(InvalidParameterError, match="prior_mean must be a finite number"):
        NormalPosterior.of(1.0, 1.0, prior_deviation=1.0, prior_mean=float("inf"))
    with pytest.raises(InvalidParameterError, match="deviation"):
        NormalPosterior(1.0, 0.0)
    with pytest.raises(InvalidParameterError, match="error"):
        NormalPosterior.of(1.0, 0.0, prior_deviation=1.0)


@pytest.mark.parametrize(
    ("wins", "n", "exact"),
    [
        ((0, 1), (1, 1), 5 / 6),
        ((0, 0), (3, 30), 4 / 35),
        ((3, 0), (3, 200), 1 / 71452955),
        ((1, 2), (3, 200), 24281 / 14290591),
        ((3, 30), (5, 200), 14499320 / 1991435887),
    ],
)
def test_the_chance_of_being_best_is_exact(
    wins: tuple[int, int], n: tuple[int, int], exact: float
) -> None:
    """Sums of rational numbers, for posteriors of very different width."""
    found = best_proportion(dict(zip("ab", wins, strict=True)), dict(zip("ab", n, strict=True)))
    assert found.best["b"] == pytest.approx(exact, rel=1e-9)


def test_rates_of_two_and_three_events_by_hand() -> None:
    # Gamma(4) above Gamma(3): at most 3 of 6 heads, 42 / 64.
    found = best_rate({"a": 2, "b": 3}, {"a": 1, "b": 1})
    assert found.best["b"] == pytest.approx(0.65625, rel=1e-12)
