"""Logistic Thompson sampling: one weight by hand, the true optimum, exact probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from typing_extensions import override

from siamrec.bandits import LogisticThompson
from siamrec.bandits.policies import Rounds, Space
from siamrec.errors import InvalidParameterError
from siamrec.testing.bandits import PolicyContract, outcomes_of


class TestLogisticThompson(PolicyContract):
    @override
    def make(self) -> LogisticThompson:
        return LogisticThompson()


def test_one_cell_by_hand() -> None:
    """Wins and losses in balance: the weight is 0, its variance 1 / (n / 4 + 1 / scale²)."""
    policy, space = LogisticThompson(base_scale=2.0), Space(n_arms=2)
    sums = policy.update(policy.init(space), outcomes_of([(0, 0, 1.0)] * 6 + [(0, 0, 0.0)] * 6))
    model = policy.posterior(sums, space)
    np.testing.assert_allclose(model.logit, [[0.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(model.deviation, [[1 / np.sqrt(3 + 0.25), 2.0]])
    found = policy.estimate(model, Rounds.of(np.array([0]), 2))
    np.testing.assert_allclose(found.mean, 0.5)
    np.testing.assert_allclose(found.high[0, 1], special.expit(1.959964 * 2.0), rtol=1e-6)


def test_the_weights_are_the_maximum_of_the_posterior() -> None:
    space = Space(n_arms=1, levels=(2, 2), pooled=(False, False))
    rng = np.random.default_rng(3)
    rows = [
        (int(c), 0, float(r)) for c, r in zip(rng.integers(0, 4, 60), rng.random(60), strict=True)
    ]
    policy = LogisticThompson()
    sums = policy.update(policy.init(space), outcomes_of(rows))
    weight = policy.posterior(sums, space).weight[0]

    def slope(at: np.ndarray) -> np.ndarray:
        rate = special.expit(space.design() @ at)
        total = (sums["wins"] + sums["losses"])[:, 0]
        scale = np.array([1.5, 0.7, 0.7, 0.7, 0.7])
        return np.asarray(space.design().T @ (sums["wins"][:, 0] - total * rate) - at / scale**2)

    np.testing.assert_allclose(slope(weight), 0.0, atol=1e-9)


def test_two_arms_are_chosen_by_the_normal_difference() -> None:
    policy, space = LogisticThompson(), Space(n_arms=2)
    rows = [(0, 0, 1.0)] * 9 + [(0, 0, 0.0)] * 3 + [(0, 1, 1.0)] * 4 + [(0, 1, 0.0)] * 5
    model = policy.posterior(policy.update(policy.init(space), outcomes_of(rows)), space)
    gap = model.logit[0, 0] - model.logit[0, 1]
    expected = special.ndtr(gap / np.hypot(*model.deviation[0]))
    found = policy.weigh(model, Rounds.of(np.array([0]), 2)).probability[0, 0]
    assert found == pytest.approx(expected, abs=1e-6)


def test_levels_are_learned_across_cells() -> None:
    space = Space(n_arms=2, levels=(2, 2), pooled=(False, False))
    policy = LogisticThompson()
    rows = [(0, 1, 1.0)] * 50 + [(0, 0, 0.0)] * 50
    model = policy.posterior(policy.update(policy.init(space), outcomes_of(rows)), space)
    chance = policy.weigh(model, Rounds.of(np.array([1]), 2)).probability
    assert chance[0, 1] > 0.9


@pytest.mark.parametrize("name", ["effect_scale", "base_scale"])
def test_bad_scales_are_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"{name} must be"):
        LogisticThompson(**{name: 0.0})
