"""The serendipity explorer: what suits a person and is unlike all they know."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import MissingInputError
from siamrec.models.encoders._book import ENCODERS, Encoder
from siamrec.models.recommenders._book import RECOMMENDERS, Arm
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import PASSED_ON, Capability
from siamrec.models.recommenders.discovery import standardised
from siamrec.models.recommenders.ease import EASE
from siamrec.models.recommenders.search import Float

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import CodeArray, Float32Array

_KIND = "serendipity"
_BLOCK = 256  # people whose surprise is measured at a time
_BEHIND = np.float32(1e3)  # no standardised score comes near


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SerendipityExplorer(RecommenderRecipe):
    """Rank what another arm finds relevant by how unlike a person's history it is.

    `score = z + weight (1 − max_{j∈N_u} cos(i, j))`, with `z` the standardised score of the arm
    underneath; items below its `floor` quantile for the person come after all others. The cosine
    is that of texts with an encoder, else of who met the items.

    Args:
        base: The arm underneath: a recipe or its name.
        weight: What an item at a right angle to the history gets, in standard deviations, at
            least 0.
        floor: Share of the items that are not relevant enough to surprise, in [0, 1).
        encoder: Maps texts of the catalogue to unit vectors; None compares who met the items.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.MissingInputError: On fitting, with an encoder and without a catalogue.

    References:
        Kaminskas and Bridge (2017), Diversity, serendipity, novelty, and coverage, TiiS 7(1).
    """

    search_space: ClassVar[Mapping[str, Range]] = {
        "weight": Float(0.0, 3.0),
        "floor": Float(0.5, 0.99),
    }

    base: Arm = field(default_factory=EASE)
    weight: float = 1.0
    floor: float = 0.9
    encoder: Encoder | None = None

    def __post_init__(self) -> None:
        self.take_by_name(base=RECOMMENDERS, encoder=ENCODERS)
        check.not_negative("weight", self.weight)
        check.below_one("floor", self.floor)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedSerendipity:
        base = RECOMMENDERS.make(self.base).fit(feedback, catalog=catalog)
        vectors = None
        if self.encoder is not None:
            if catalog is None:
                raise MissingInputError("catalog", "fit(feedback, catalog=catalog)")
            aligned = catalog.aligned(base.items)
            encoder = ENCODERS.make(self.encoder)
            vectors = np.zeros((len(base.items), encoder.dim), dtype=np.float32)
            texts = [text for text in aligned.text if text is not None]
            if texts:
                vectors[aligned.has_text] = encoder.encode(texts)
        return FittedSerendipity(base, vectors, weight=self.weight, floor=self.floor)

    @staticmethod
    def load(
        path: str | Path, *, base: Callable[[Path], FittedRecommender] = EASE.load
    ) -> FittedSerendipity:
        """Return an arm that `save` wrote; `base` loads the arm underneath."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedSerendipity(base(Path(path) / "base"), parts.get("vectors"), **recipe)


@final
class FittedSerendipity(FittedRecommender):
    """A fitted arm, and vectors that tell how alike items are.

    Attributes:
        base: The arm underneath.
    """

    @property
    @override
    def capabilities(self) -> Capability:
        """Ranking, and what the arm underneath can pass on."""
        return Capability.RANKING | (self.base.capabilities & PASSED_ON)

    def __init__(
        self,
        base: FittedRecommender,
        vectors: Float32Array | None,
        *,
        weight: float,
        floor: float,
    ) -> None:
        self.base, self._text = base, vectors
        self.users, self.items, self.history = base.users, base.items, base.history
        self.weight, self.floor = weight, floor
        met = base.history.value.T.tocsr()
        met = sparse.csr_array((np.ones(met.nnz, np.float32), met.indices, met.indptr), met.shape)
        size = np.sqrt(np.maximum(np.diff(met.indptr), 1)).astype(np.float32)
        self._met = sparse.csr_array(sparse.diags_array(1.0 / size) @ met)

    @override
    def score(self, histories: Histories) -> Float32Array:
        relevance = self.base.score(histories)
        edge = np.quantile(relevance, self.floor, axis=1, keepdims=True, method="lower")
        scores = standardised(relevance) + self.weight * self.surprise(histories)
        lowered: Float32Array = np.where(relevance < edge, scores - _BEHIND, scores)
        return lowered

    def surprise(self, histories: Histories) -> Float32Array:
        """Return one less the largest cosine with the history, shape `(n, n_items)`; 0 without."""
        value = histories.value
        surprise = np.zeros(value.shape, dtype=np.float32)
        for first in range(0, len(histories), _BLOCK):  # the cosines of a block fit in memory
            block = value[first : first + _BLOCK]
            met, place = np.unique(block.indices, return_inverse=True)
            cosines = self._cosines(met)
            for row in range(block.shape[0]):  # histories differ in length
                own = place[block.indptr[row] : block.indptr[row + 1]]
                if own.size:
                    surprise[first + row] = 1.0 - cosines[own].max(axis=0)
        return surprise

    def _cosines(self, items: CodeArray) -> Float32Array:
        if self._text is not None:
            return self._text[items] @ self._text.T
        cosines: Float32Array = (self._met[items] @ self._met.T).toarray()
        return cosines

    @override
    def save(self, path: str | Path) -> None:
        target = Path(path)
        arrays = {} if self._text is None else {"vectors": self._text}
        recipe = {"weight": self.weight, "floor": self.floor}
        save_arm(target, self, kind=_KIND, recipe=recipe, arrays=arrays)
        self.base.save(target / "base")
