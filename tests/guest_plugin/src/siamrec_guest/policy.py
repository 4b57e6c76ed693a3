"""A bandit policy and an off-policy estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.bandits.ope import Estimator, Parts
from siamrec.bandits.policies.base import Weighing
from siamrec.bandits.policies.counting import BetaPosterior, CountingPolicy

if TYPE_CHECKING:
    from siamrec.bandits.ope import Log
    from siamrec.bandits.policies.base import Rounds
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(CountingPolicy):
    """Choose each arm with a probability that grows exponentially with its mean reward.

    Args:
        sharpness: How much a difference of means counts, not below 0.
    """

    sharpness: float = 5.0

    def __post_init__(self) -> None:
        check.not_negative("sharpness", self.sharpness)

    @property
    @override
    def name(self) -> str:
        return "softmax"

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        alpha, beta = model.alpha[rounds.cell], model.beta[rounds.cell]
        sharpness = self.sharpness / rounds.temperature[:, None]
        heat = np.where(rounds.eligible, sharpness * alpha / (alpha + beta), -np.inf)
        share = np.exp(heat - heat.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        return Weighing(probability=share, best=self.top(model, rounds, 1))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Root(Estimator):
    """The mean of rewards under the square roots of the weights, divided by their sum.

    Args:
        power: What weights are raised to, in [0, 1].
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        check.share("power", self.power)

    @property
    @override
    def name(self) -> str:
        return "root"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        weights = log.weights(target) ** self.power
        return Parts(base=np.zeros(len(log)), top=weights * log.reward, below=weights)
