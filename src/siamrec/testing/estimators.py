"""What every off-policy estimator must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec.bandits.ope import Log
from siamrec.errors import SiamrecError, UnsupportedEstimate
from siamrec.testing.sample import no_global_chance

if TYPE_CHECKING:
    from siamrec.bandits.ope import Estimator
    from siamrec.typing import FloatArray, IntArray

N_ROWS, N_ACTIONS = 4000, 3
RATES = np.array([[0.2, 0.5, 0.7], [0.6, 0.3, 0.4]])
"""Expected reward of each action in each of two situations."""


def _situation(n: int) -> IntArray:
    return np.arange(n, dtype=np.int64) % 2


@cache
def logged(seed: int = 0, n: int = N_ROWS, *, even: bool = False) -> Log:
    """Return choices of a policy that explores, with 0/1 rewards at `RATES`."""
    rng = np.random.default_rng(seed)
    situation = _situation(n)
    logging = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])[situation]
    if even:
        logging = np.full((n, N_ACTIONS), 1 / N_ACTIONS)
    action = (rng.random(n)[:, None] > logging.cumsum(axis=1)).sum(axis=1).clip(0, N_ACTIONS - 1)
    rows = np.arange(n)
    return Log(
        action=action,
        reward=(rng.random(n) < RATES[situation, action]).astype(float),
        propensity=logging[rows, action],
        features=np.eye(2)[situation],
        logging=logging,
        n_actions=N_ACTIONS,
    )


def target_of(n: int = N_ROWS) -> FloatArray:
    """Return a target that prefers the best action of each situation."""
    table = np.array([[0.1, 0.2, 0.7], [0.6, 0.2, 0.2]])
    return table[_situation(n)]


def truth_of(target: FloatArray) -> float:
    """Return the expected reward of a target."""
    return float((target * RATES[_situation(len(target))]).sum(axis=1).mean())


class EstimatorContract(ABC):
    """Subclass it as `class TestMine(EstimatorContract)` and say how to build one.

    Attributes:
        bias: How far from the truth the estimator may be by its nature, such as that of a clip.
        on_policy: Agreement asked of a target that is the logging policy with the mean reward.
        order: Agreement asked of two orders of the rows; larger where folds are cut by place.
        stochastic: Whether the target may be a distribution, not one action for each row alone.
    """

    bias: float = 0.0
    on_policy: float = 1e-9
    order: float = 1e-9
    stochastic: bool = True

    @abstractmethod
    def make(self) -> Estimator:
        """Return the estimator under test."""

    def log(self, seed: int = 0, n: int = N_ROWS) -> Log:
        """Return the log that it is tried on."""
        return logged(seed, n) if self.stochastic else logged(seed, n, even=True)

    def target(self, n: int = N_ROWS) -> FloatArray:
        """Return a target that prefers what is best."""
        best = target_of(n)
        return best if self.stochastic else np.eye(N_ACTIONS)[best.argmax(axis=1)]

    def test_the_logging_policy_has_the_mean_reward(self) -> None:
        if not self.stochastic:
            pytest.skip("The estimator takes one action for each row.")
        log = self.log()
        assert log.logging is not None
        found = self.make().estimate(log, log.logging)
        assert found.raw == pytest.approx(float(log.reward.mean()), abs=self.on_policy)

    @pytest.mark.parametrize("seed", range(3))
    def test_another_policy_has_its_own_value(self, seed: int) -> None:
        """Within 5 standard errors of the truth: fails once in a million."""
        found = self.make().estimate(self.log(seed), self.target())
        assert abs(found.raw - truth_of(self.target())) <= 5 * found.error + self.bias
        assert 0 < found.error < 0.1

    def test_weights_count(self) -> None:
        estimate, log = self.make().estimate, self.log()
        assert estimate(log, self.target()).raw > estimate(log, self.target()[:, ::-1]).raw + 0.1

    def test_better_rewards_raise_the_value(self) -> None:
        log = self.log()
        raised = Log(
            action=log.action,
            reward=np.minimum(log.reward + 0.25, 1.0),
            propensity=log.propensity,
            features=log.features,
            logging=log.logging,
            n_actions=N_ACTIONS,
        )
        estimate = self.make().estimate
        assert estimate(raised, self.target()).raw > estimate(log, self.target()).raw

    def test_the_interval_holds_the_estimate_and_narrows(self) -> None:
        widths = []
        for n in (1000, N_ROWS):
            for confidence in (0.95, 0.5):
                found = self.make().estimate(self.log(0, n), self.target(n), confidence=confidence)
                low, high = found.interval
                assert low <= found.raw <= high
                assert high > low
                widths.append(high - low)
        wide, less, narrow, least = widths
        assert wide > less > least
        assert wide > narrow > least

    def test_order_of_rows_does_not_matter(self) -> None:
        log, target = self.log(), self.target()
        order = np.random.default_rng(1).permutation(len(log))
        plain = self.make().estimate(log, target)
        turned = self.make().estimate(log.rows(order), target[order])
        assert turned.raw == pytest.approx(plain.raw, abs=self.order)

    def test_a_log_without_a_reward_supports_nothing(self) -> None:
        log = self.log()
        none = replace(log, reward=np.zeros(len(log)), reward_range=(0.0, 1.0))
        found = self.make().estimate(none, self.target())
        assert not found.diagnostics.supported
        assert 0.0 <= found.interval[0] < found.interval[1] <= 1.0

    def test_two_calls_agree(self) -> None:
        with no_global_chance():
            first, second = (self.make().estimate(self.log(), self.target()) for _ in range(2))
        assert first == second
        assert first.estimator == self.make().name

    def test_what_the_log_cannot_say_is_refused_by_name(self) -> None:
        log = self.log()
        never = log.rows(np.flatnonzero(log.action != 2))
        target = np.zeros((len(never), N_ACTIONS))
        target[:, 2] = 1.0
        found = self.make().estimate(never, target)
        assert not found.diagnostics.supported
        with pytest.raises(UnsupportedEstimate, match="must not be read here"):
            _ = found.value

    def test_a_target_that_does_not_fit_is_refused(self) -> None:
        for wrong in (self.target()[:10], self.target() * 2, -self.target()):
            with pytest.raises(SiamrecError):
                self.make().estimate(self.log(), wrong)

    def test_it_is_a_frozen_recipe(self) -> None:
        assert self.make() == self.make()
        assert self.make().name
