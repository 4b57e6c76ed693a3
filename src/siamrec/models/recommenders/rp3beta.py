"""RP3beta: three steps of a random walk, with popular ends made less likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._linear import (
    FittedItemWeights,
    WeightsRecipe,
    strongest_products,
    totals,
)
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.recommenders._linear import FittedWeights, Weights
    from siamrec.models.recommenders.capability import Capability
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RP3beta(WeightsRecipe[FittedItemWeights]):
    """Rank items by a random walk person → item → person → item, damped by popularity.

    With transition probabilities `P_ui = x_ui/|I_u|` and `P_iu = x_ui/|U_i|`, each raised to
    `alpha`, `x` the weights of likings and `|·|` their sums: `w_ij = Σ_u P_iu P_uj / |U_j|^beta`;
    an item keeps its `neighbours` strongest weights.
    `shrinkage` likings are added to every `|U|`, for without them one coincidence with a rare item
    outweighs ten with an item that is met often, and on sparse data the lists are of rare items.

    Args:
        alpha: Exponent of the transition probabilities, above 0.
        beta: Exponent of the popularity of the item reached, at least 0.
        shrinkage: Likings added to those of every item, at least 0; the paper has 0.
        neighbours: Weights kept for each item, at least 1.
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.

    References:
        Paudel, Christoffel, Newell and Bernstein (2017), Updatable, accurate, diverse, and
        scalable recommendations for interactive applications, TiiS 7(1).
    """

    kind: ClassVar[str] = "rp3beta"
    fitted: ClassVar[type[FittedWeights]] = FittedItemWeights
    capabilities: ClassVar[Capability] = FittedItemWeights.capabilities
    search_space: ClassVar[Mapping[str, Range]] = {
        "alpha": Float(0.3, 2.0),
        "beta": Float(0.0, 1.2),
        "shrinkage": Float(0.0, 100.0),
        "neighbours": Integer(20, 500, log=True),
    }

    alpha: float = 1.0
    beta: float = 0.6
    shrinkage: float = 20.0
    neighbours: int = 200
    positive: float | None = None

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.positive("alpha", self.alpha)
        check.not_negative("beta", self.beta)
        check.not_negative("shrinkage", self.shrinkage)
        check.count("neighbours", self.neighbours)

    @override
    def weigh(self, history: Histories) -> Weights:
        liked = history.liked(self.positive)
        of_user, of_item = totals(liked)
        of_item = of_item + self.shrinkage
        liked.data **= self.alpha
        to_user = sparse.diags_array(of_item**-self.alpha) @ liked.T
        to_item = sparse.diags_array(of_user**-self.alpha) @ liked
        ends = sparse.csr_array(to_item @ sparse.diags_array(of_item**-self.beta))
        starts = sparse.csr_array(to_user.T)
        return strongest_products(starts, self.neighbours, lambda walk, _: walk.data, ends)
