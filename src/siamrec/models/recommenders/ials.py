"""iALS: matrix factorisation of likings with every unseen item as a weak dislike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import STRENGTHS, Histories
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.models.recommenders.histories import Strength
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray, Id

_CAN = (
    Capability.RANKING
    | Capability.COLD_USER
    | Capability.EXPLAIN
    | Capability.SIMILAR
    | Capability.WEIGHTS
)
_KIND = "ials"
_WEAK, _WEAKEST = 6.0, 0.3  # of what was not liked: in all, and each at most
_BLOCK = 512  # normal matrices in memory at a time


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IALS(RecommenderRecipe):
    """Factorise likings by alternating least squares over all pairs of user and item.

    Minimises, over user vectors `w` and item vectors `h`,

        Σ_liked c_ui (1 − w_u·h_i)² + a Σ_all (w_u·h_i)²
          + λ [Σ_u (n_u + a n_items)^ν ‖w_u‖² + Σ_i (n_i + a n_users)^ν ‖h_i‖²]

    with `a` the weight of what was not liked, `c` the strength of a liking and `n` sums of it.
    Every half step solves its side exactly. A person outside training is folded in by the same
    solve.

    Args:
        factors: Length of the vectors, at least 1.
        unobserved: `a`, above 0. The `alpha` of other libraries is its inverse. None takes
            6 times the density of the likings, at most 0.3, so that what a person did not like
            weighs in all about 6 times what was: 0.3 for ml-100k, 0.002 for 43,000 users and
            36,000 items with 15 likings each, where 0.3 gives popularity.
        l2: `λ`, above 0; the one setting that must be tuned, on a logarithmic scale.
        frequency: `ν`, how much the penalty grows with how often a user or item occurs, in [0, 1].
        iterations: Passes over both sides, at least 1.
        seed: Seed of the first vectors, normal with standard deviation `0.1/√factors`.
        positive: Smallest value that counts as liking; None counts every event.
        strength: What a liking counts: `"once"` its weight, `"events"` `log2(1 + n)` by how often
            it came, `"value"` its weight times `log2(1 + value)` for plays and amounts.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        Hu, Koren and Volinsky (2008), Collaborative filtering for implicit feedback, ICDM;
        Rendle, Krichene, Zhang and Koren (2022), Revisiting the performance of iALS, RecSys.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "cup", "tea"]
        ... )
        >>> IALS(factors=4).fit(feedback).recommend(["c"], k=1).lists()
        {'c': ['cup']}
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "l2": Float(1e-3, 0.1, log=True),
        "unobserved": Float(1e-3, 1.0, log=True),
        "factors": Integer(16, 128, log=True),
    }

    factors: int = 64
    unobserved: float | None = None
    l2: float = 0.015
    frequency: float = 1.0
    iterations: int = 16
    seed: int = 0
    positive: float | None = None
    strength: Strength = "once"

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.count("factors", self.factors)
        if self.unobserved is not None:
            check.positive("unobserved", self.unobserved)
        check.positive("l2", self.l2)
        check.share("frequency", self.frequency)
        check.count("iterations", self.iterations)
        check.count("seed", self.seed, least=0)
        check.one_of("strength", self.strength, STRENGTHS)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedIALS:
        history = Histories.of(feedback, feedback.users, feedback.items)
        liked = history.some_liked(self.positive, "IALS", strength=self.strength)
        settled = replace(self, unobserved=self._weak(liked))
        by_item = liked.T.tocsr()
        rng = np.random.default_rng(self.seed)
        items = rng.normal(0.0, 0.1 / np.sqrt(self.factors), (liked.shape[1], self.factors))
        for _ in range(self.iterations):
            users = settled.solve(liked, items)
            items = settled.solve(by_item, users)
        return FittedIALS(settled, feedback.users, feedback.items, history, items)

    def solve(
        self, liked: sparse.csr_array, other: FloatArray, gram: FloatArray | None = None
    ) -> FloatArray:
        """Return the best vectors of the rows of `liked`, given those of its columns.

        Args:
            liked: Strengths of likings, shape `(n, m)`.
            other: Vectors of the other side, float64, shape `(m, factors)`.
            gram: `otherᵀ other`, where it is known.
        """
        n, m = liked.shape
        weak = self._weak(liked)
        common = weak * (other.T @ other if gram is None else gram)
        strength = liked.data.astype(np.float64)
        even = bool((strength == 1).all())
        start = liked.indptr
        owner = np.repeat(np.arange(n), np.diff(start))
        count = np.bincount(owner, weights=strength, minlength=n)
        penalty = self.l2 * (count + weak * m) ** self.frequency
        wanted = sparse.csr_array((strength, liked.indices, start), shape=(n, m)) @ other
        solved = np.empty((n, self.factors))
        for first in range(0, n, _BLOCK):
            last = min(first + _BLOCK, n)
            normal = np.tile(common, (last - first, 1, 1))
            for row in range(first, last):  # rows differ in length: one product for each
                place = slice(int(start[row]), int(start[row + 1]))
                own = other[liked.indices[place]]
                normal[row - first] += (own.T if even else own.T * strength[place]) @ own
            normal[:, np.arange(self.factors), np.arange(self.factors)] += penalty[
                first:last, None
            ]
            solved[first:last] = np.linalg.solve(normal, wanted[first:last, :, None])[..., 0]
        return solved

    def _weak(self, liked: sparse.csr_array) -> float:
        """Return `a`, by the density of the likings where it is not set."""
        if self.unobserved is not None:
            return self.unobserved
        density = float(liked.sum()) / max(liked.shape[0] * liked.shape[1], 1)
        return min(_WEAK * density, _WEAKEST) or _WEAKEST

    def strengths(self, histories: Histories) -> sparse.csr_array:
        """Return what each liking counts, shape `(n, n_items)`."""
        return histories.liked(self.positive, strength=self.strength)

    def contributions(
        self, liked: sparse.csr_array, vectors: FloatArray, target: FloatArray
    ) -> FloatArray:
        """Return what each liked item adds to the score of an item with the vector `target`.

        The score is `Σ_liked c_j h_j·A⁻¹ target`, linear in the liked items (Hu et al., sec. 5).

        Args:
            liked: Strengths of one person's likings, shape `(1, n_items)`.
            vectors: Item vectors.
            target: Vector of the item that is explained.
        """
        own, m, weak = vectors[liked.indices], len(vectors), self._weak(liked)
        heavy = liked.data.astype(np.float64)
        normal = weak * vectors.T @ vectors + (own.T * heavy) @ own
        penalty = self.l2 * (heavy.sum() + weak * m) ** self.frequency
        normal[np.diag_indices_from(normal)] += penalty
        parts: FloatArray = heavy * (own @ np.linalg.solve(normal, target))
        return parts

    def loss(self, liked: sparse.csr_array, users: FloatArray, items: FloatArray) -> float:
        """Return the objective that every half step lowers."""
        (n_users, n_items), weak = liked.shape, self._weak(liked)
        owner = np.repeat(np.arange(n_users), np.diff(liked.indptr))
        gap = 1.0 - np.einsum("nd,nd->n", users[owner], items[liked.indices])
        fit = (liked.data * gap**2).sum()
        everywhere = ((users.T @ users) * (items.T @ items)).sum()
        n_u = np.bincount(owner, liked.data, minlength=n_users)
        n_i = np.bincount(liked.indices, liked.data, minlength=n_items)
        size = ((n_u + weak * n_items) ** self.frequency) @ (users**2).sum(axis=1) + (
            (n_i + weak * n_users) ** self.frequency
        ) @ (items**2).sum(axis=1)
        return float(fit + weak * everywhere + self.l2 * size)

    @staticmethod
    def load(path: str | Path) -> FittedIALS:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedIALS(
            IALS(**recipe), parts["users"], parts["items"], parts["history"], parts["vectors"]
        )


@final
class FittedIALS(FittedRecommender):
    """Item vectors; a person's vector is solved from what that person liked.

    Attributes:
        vectors: Item vectors, float64, shape `(n_items, factors)`.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self,
        recipe: IALS,
        users: Vocabulary,
        items: Vocabulary,
        history: Histories,
        vectors: FloatArray,
    ) -> None:
        self.recipe = recipe
        self.users, self.items, self.history = users, items, history
        self.vectors = vectors
        self._gram = vectors.T @ vectors

    def people(self, histories: Histories) -> FloatArray:
        """Return the vector of each history, shape `(n, factors)`."""
        strengths = self.recipe.strengths(histories)
        return self.recipe.solve(strengths, self.vectors, self._gram)

    @override
    def score(self, histories: Histories) -> Float32Array:
        scores: Float32Array = (self.people(histories) @ self.vectors.T).astype(np.float32)
        return scores

    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        code = int(self.items.encode([item], name="item")[0])
        length = np.linalg.norm(self.vectors, axis=1)
        cosine = (self.vectors @ self.vectors[code]) / np.maximum(length * length[code], 1e-12)
        cosine[code] = -np.inf
        best = np.argsort(-cosine, kind="stable")[: check.count("k", k)]
        return [(self.items[c], float(cosine[c])) for c in best.tolist() if cosine[c] > -np.inf]

    @override
    def explain(self, user: Id, item: Id, *, n: int = 5) -> list[tuple[Id, float]]:
        history = self.history.people(self.users.encode([user], name="user"))
        liked = self.recipe.strengths(history)
        target = self.vectors[int(self.items.encode([item], name="item")[0])]
        parts = self.recipe.contributions(liked, self.vectors, target)
        best = np.argsort(-np.abs(parts), kind="stable")[: check.count("n", n)]
        return [(self.items[int(liked.indices[p])], float(parts[p])) for p in best.tolist()]

    @override
    def save(self, path: str | Path) -> None:
        save_arm(
            path, self, kind=_KIND, recipe=asdict(self.recipe), arrays={"vectors": self.vectors}
        )
