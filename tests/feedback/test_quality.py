"""Quality weights: each factor by hand, and their laws."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec._core.clock import DAY
from siamrec.data import Feedback, FeedbackKind
from siamrec.errors import InvalidParameterError
from siamrec.feedback import QualityWeights

PLAIN = QualityWeights(reliability=False, agreement=False, clip=1.0)


def test_recency_halves_with_each_half_life() -> None:
    feedback = Feedback.of(user=["u"] * 3, item=["a", "b", "c"], time=[0, 10 * DAY, 20 * DAY])
    aged = QualityWeights(reliability=False, agreement=False, clip=1.0, half_life="10d")
    weights = aged(feedback)
    np.testing.assert_allclose(weights / weights[2], [0.25, 0.5, 1.0], rtol=1e-6)
    later = aged(feedback, now=40 * DAY)
    np.testing.assert_allclose(later, weights, rtol=1e-6)  # the mean is 1 in any case


def test_an_unreliable_user_weighs_less_and_a_strict_one_does_not() -> None:
    rng = np.random.default_rng(0)
    n_items = 60
    truth = rng.integers(1, 6, n_items).astype(float)
    users, items, values = [], [], []
    for name in ("a", "b", "c", "strict", "noisy"):
        said = truth - 1 if name == "strict" else truth
        said = rng.permutation(truth) if name == "noisy" else said
        users += [name] * n_items
        items += list(range(n_items))
        values += list(said)
    feedback = Feedback.of(user=users, item=items, value=values)
    weights = QualityWeights(agreement=False, clip=1.0)(feedback).reshape(5, n_items)[:, 0]
    assert weights[4] < 0.7 * weights[:3].min()
    assert weights[3] > 0.9 * weights[:3].mean()


def test_signals_that_disagree_weigh_less() -> None:
    feedback = Feedback.of(
        user=["u", "u", "v", "v"],
        item=["a", "a", "a", "a"],
        value=[5, -1, 5, 1],
        kind=np.array([FeedbackKind.RATING, FeedbackKind.THUMB] * 2),
    )
    weights = QualityWeights(reliability=False, clip=1.0, middle=3)(feedback)
    np.testing.assert_allclose(weights[:2] / weights[2:], [0.1, 0.1], rtol=1e-6)


def test_long_dwell_says_more() -> None:
    feedback = Feedback.of(
        user=["u", "u"], item=["a", "b"], value=[30.0, 1e6], kind=FeedbackKind.DWELL
    )
    weights = QualityWeights(reliability=False, agreement=False, clip=1.0)(feedback)
    assert weights[0] / weights[1] == pytest.approx(1 - np.exp(-1), rel=1e-6)


def test_mean_is_one_and_large_weights_are_cut() -> None:
    feedback = Feedback.of(user=["u"] * 100, item=range(100), weight=[1.0] * 99 + [1000.0])
    assert PLAIN(feedback).mean() == pytest.approx(1.0, rel=1e-5)
    assert QualityWeights(reliability=False, agreement=False, clip=0.9)(
        feedback
    ).max() == pytest.approx(1.0, rel=1e-5)


def test_nothing_in_nothing_out() -> None:
    assert QualityWeights()(Feedback.of(user=[], item=[], value=[])).shape == (0,)


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="half_life"):
        QualityWeights(half_life="soon")
    with pytest.raises(InvalidParameterError, match="clip"):
        QualityWeights(clip=0.0)
