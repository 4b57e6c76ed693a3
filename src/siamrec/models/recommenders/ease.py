"""EASE: item-to-item ridge regression in closed form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._linear import WeightsRecipe, require_side
from siamrec.models.recommenders._ridge import DualRidge, PrimalRidge, Ridge
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.search import Float

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, Id

_CAN = (
    Capability.RANKING
    | Capability.COLD_USER
    | Capability.INCREMENTAL_EXACT
    | Capability.EXPLAIN
    | Capability.SIMILAR
    | Capability.WEIGHTS
)
_KIND = "ease"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EASE(RecommenderRecipe):
    """Predict each item from all others by ridge regression without self-similarity.

    With `X` the users × items matrix of likings, each its event's weight, and `P = (XᵀX + λI)⁻¹`:
    `B_ij = −P_ij / P_jj`, `B_jj = 0`, and the scores are `X B`. Where users are fewer than
    items the same weights come from `(XXᵀ + λI)⁻¹`, which is smaller.

    Args:
        l2: Ridge penalty `λ`, above 0; 200 to 1000 is flat for most data.
        positive: Smallest value that counts as liking; None counts every event.
        max_side: Refuse data with more users and more items than this: memory is `12 n²` bytes
            and time grows as `n³` in the smaller of the two.

    Raises:
        siamrec.errors.InvalidParameterError: If `l2` or `max_side` is not positive.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked or the data is too large.

    References:
        Steck (2019), Embarrassingly Shallow Autoencoders for Sparse Data, WWW, section 3.1.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "cup", "tea"]
        ... )
        >>> EASE(l2=1.0).fit(feedback).recommend(["c"], k=1).lists()
        {'c': ['cup']}
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {"l2": Float(10.0, 5000.0, log=True)}

    l2: float = 500.0
    positive: float | None = None
    max_side: int = 20_000

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.positive("l2", self.l2)
        check.count("max_side", self.max_side)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedEASE:
        history = Histories.of(feedback, feedback.users, feedback.items)
        ridge = self.solve(history)
        return FittedEASE(self, feedback.users, feedback.items, history, ridge)

    def solve(self, history: Histories) -> Ridge:
        """Return the regression of the likings in `history`, in its smaller form."""
        liked = history.some_liked(self.positive, "EASE")
        n_users, n_items = liked.shape
        require_side(
            "EASE", min(n_users, n_items), instead=WeightsRecipe.instead, max_side=self.max_side
        )
        # Inverting costs n³ and the dual form scores in dense users × items, twice the work of
        # the sparse primal form: the users win only where they are clearly fewer.
        dual = n_users * 2 < n_items
        return DualRidge(liked, self.l2) if dual else PrimalRidge.solve(liked, self.l2)

    @staticmethod
    def load(path: str | Path) -> FittedEASE:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        made = EASE(**recipe)
        inverse = parts.get("inverse")
        ridge = (
            DualRidge(parts["history"].liked(made.positive), made.l2)
            if inverse is None
            else PrimalRidge(inverse)
        )
        return FittedEASE(made, parts["users"], parts["items"], parts["history"], ridge)


@final
class FittedEASE(FittedRecommender):
    """The solved regression over the items of the training feedback."""

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self,
        recipe: EASE,
        users: Vocabulary,
        items: Vocabulary,
        history: Histories,
        ridge: Ridge,
    ) -> None:
        self.recipe = recipe
        self.users, self.items, self.history = users, items, history
        self._ridge = ridge

    @override
    def score(self, histories: Histories) -> Float32Array:
        return self._ridge.scores(histories.liked(self.recipe.positive))

    @override
    def update(self, feedback: Feedback) -> FittedEASE:
        """Return the arm with more feedback taken in, equal to fitting all of it anew.

        Changed rows of `X` enter `P` through Woodbury's identity,
        `P' = P − PUᵀ(S + UPUᵀ)⁻¹UP`, with `U` the new rows over the old ones and
        `S = diag(+1, −1)`; a new item first extends `P` by `1/λ` on the diagonal.

        Args:
            feedback: Further events; of a repeated user and item the later value counts.
        """
        users, items = self.users.extend(feedback.users), self.items.extend(feedback.items)
        old = self.history.grown(len(users), len(items))
        history = old.extended(Histories.of(feedback, users, items))
        if isinstance(self._ridge, PrimalRidge):
            rows = np.unique(feedback.users.translate(users)[feedback.user])
            ridge: Ridge = self._woodbury(self._ridge, old.people(rows), history.people(rows))
        else:
            ridge = self.recipe.solve(history)
        return FittedEASE(self.recipe, users, items, history, ridge)

    def _woodbury(self, ridge: PrimalRidge, before: Histories, after: Histories) -> PrimalRidge:
        n_old, n_items = len(self.items), after.value.shape[1]
        inverse = np.eye(n_items) / self.recipe.l2
        inverse[:n_old, :n_old] = ridge.inverse
        liked = [h.liked(self.recipe.positive).toarray() for h in (after, before)]
        sign = np.repeat([1.0, -1.0], len(after))
        return PrimalRidge(inverse).updated(np.concatenate(liked).astype(np.float64), sign)

    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        row = self._ridge.outgoing(int(self.items.encode([item], name="item")[0]))
        best = np.argsort(-row, kind="stable")[: check.count("k", k)]
        return [(self.items[code], float(row[code])) for code in best.tolist() if row[code] != 0]

    @override
    def explain(self, user: Id, item: Id, *, n: int = 5) -> list[tuple[Id, float]]:
        row = self.history.people(self.users.encode([user], name="user"))
        own = row.liked(self.recipe.positive)
        liked = own.indices
        parts = self._ridge.incoming(int(self.items.encode([item], name="item")[0]))[liked]
        parts *= own.data
        best = np.argsort(-np.abs(parts), kind="stable")[: check.count("n", n)]
        return [(self.items[liked[place]], float(parts[place])) for place in best.tolist()]

    @override
    def save(self, path: str | Path) -> None:
        arrays = {"inverse": self._ridge.inverse} if isinstance(self._ridge, PrimalRidge) else {}
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)
