"""Thompson sampling on counts per cell and arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from typing_extensions import override

from siamrec._core import check
from siamrec.bandits.policies._beta import (
    weigh_beta,
)
from siamrec.bandits.policies.counting import BetaPosterior, CountingPolicy

if TYPE_CHECKING:
    from siamrec.bandits.policies.base import Rounds, Weighing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BetaThompson(CountingPolicy):
    """Draw each arm's success rate from its Beta posterior; the best draw wins.

    The probability of choosing arm a is exact:

        P_a = ∫ f_a(x) ∏_{b≠a} F_b(x) dx,   arm b ~ Beta(prior_wins + S_b, prior_losses + F_b).

    Cells are independent. A fractional reward `r` counts as `r` of a win and `1 - r` of a
    loss, so clicks, thumbs and scaled ratings share one model.

    Args:
        prior_wins: Pseudo-count of wins before any data, above 0.
        prior_losses: Pseudo-count of losses before any data, above 0.

    Raises:
        InvalidParameterError: If a prior is not finite and positive.

    References:
        Thompson (1933), Biometrika 25(3/4); Chapelle and Li (2011), NeurIPS.

    Examples:
        >>> from siamrec.bandits import ContextualBandit
        >>> bandit = ContextualBandit(BetaThompson(), arms=("svd", "graph"))
        >>> bandit.select().propensities
        (0.5,)
    """

    prior_wins: float = 1.0
    prior_losses: float = 1.0

    def __post_init__(self) -> None:
        check.positive("prior_wins", self.prior_wins)
        check.positive("prior_losses", self.prior_losses)

    @property
    @override
    def prior(self) -> tuple[float, float]:
        return self.prior_wins, self.prior_losses

    @override
    def weigh(self, model: BetaPosterior, rounds: Rounds) -> Weighing:
        return weigh_beta(model.alpha[rounds.cell], model.beta[rounds.cell], rounds)
