"""The text arm: people and items as vectors of one Siamese encoder."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.liking import Threshold, require_threshold
from siamrec.errors import InvalidDataError, MissingInputError
from siamrec.models.encoders._book import ENCODERS, Encoder
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.queries import QueryReader, Ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import BoolArray, Float32Array

_CAN = (
    Capability.RANKING
    | Capability.COLD_USER
    | Capability.COLD_ITEM
    | Capability.SIMILAR
    | Capability.WEIGHTS
)
_KIND = "text-profile"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TextProfile(RecommenderRecipe):
    """Rank items by the cosine of their text with what a person liked.

    With unit vectors `v_i` of the item texts, a person's profile is
    `p = Σ_{i liked} w_i v_i` with `w` the weights of the events, and the score of an item is
    `p·v_i / ‖p‖`. Items that nobody has rated are ranked like any other; items without a text are
    never ranked. With `c` the vector of a query, read by the same encoder, the score of an item
    for it is `c·v_i`.

    Args:
        encoder: Maps texts to unit vectors: an encoder or its registered name.
        positive: Smallest rating that is a like, `"scale"` for 4 of 5 and the same share of
            other scales, or None to count every event.

    Raises:
        siamrec.errors.MissingInputError: On fitting, without a catalogue.
        siamrec.errors.InvalidDataError: On fitting, if no item has a text.
    """

    capabilities: ClassVar[Capability] = _CAN | Capability.QUERY

    encoder: Encoder
    positive: Threshold = "scale"

    def __post_init__(self) -> None:
        self.take_by_name(encoder=ENCODERS)
        require_threshold("positive", self.positive)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedTextProfile:
        if catalog is None:
            raise MissingInputError("catalog", "fit(feedback, catalog=catalog)")
        items = feedback.items.extend(catalog.items)
        aligned = catalog.aligned(items)
        written = aligned.has_text
        if not written.any():
            raise InvalidDataError("TextProfile needs items with texts, got none.")
        encoder = ENCODERS.make(self.encoder)
        vectors = np.zeros((len(items), encoder.dim), dtype=np.float32)
        texts = [text for text in aligned.text if text is not None]
        vectors[written] = encoder.encode(texts, kind="document")
        fitted = self.with_vectors(feedback, items, vectors, written)
        return fitted.answering(Ready(encoder))

    def with_vectors(
        self, feedback: Feedback, items: Vocabulary, vectors: Float32Array, written: BoolArray
    ) -> FittedTextProfile:
        """Return the arm over vectors that are known already.

        Args:
            feedback: What the training users did.
            items: Items that can be ranked.
            vectors: Unit vectors, float32, shape `(n_items, dim)`.
            written: Whether an item has a vector, shape `(n_items,)`.
        """
        history = Histories.of(feedback, feedback.users, items)
        positive = history.threshold(self.positive)
        return FittedTextProfile(positive, feedback.users, items, history, vectors, written)

    @staticmethod
    def load(path: str | Path) -> FittedTextProfile:
        """Return an arm that `save` wrote; it ranks for people without the encoder.

        It answers queries as soon as it has the encoder again: see `answering`.
        """
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedTextProfile(
            recipe["positive"],
            parts["users"],
            parts["items"],
            parts["history"],
            parts["vectors"],
            parts["written"].astype(bool),
        )


@final
class FittedTextProfile(FittedRecommender):
    """Item vectors, and the histories that make profiles.

    Attributes:
        vectors: Unit vectors, float32, shape `(n_items, dim)`; zero without a text.
        written: Whether an item has a text, shape `(n_items,)`.
        reader: Reads queries; None where the arm has no encoder.
    """

    def __init__(  # noqa: PLR0917
        self,
        positive: float | None,
        users: Vocabulary,
        items: Vocabulary,
        history: Histories,
        vectors: Float32Array,
        written: BoolArray,
    ) -> None:
        self.positive = positive
        self.users, self.items, self.history = users, items, history
        self.vectors, self.written = vectors, written
        self._silent = np.flatnonzero(~written)
        self.reader: QueryReader | None = None

    @property
    @override
    def capabilities(self) -> Capability:
        """What the arm can do; it answers queries where it has its encoder."""
        return _CAN if self.reader is None else _CAN | Capability.QUERY

    def answering(self, encoder: Callable[[], SiameseEncoder]) -> FittedTextProfile:
        """Return the arm with the encoder of its item vectors, by which it reads queries.

        Args:
            encoder: Returns the encoder; called at the first query.
        """
        able = copy(self)
        able.reader = QueryReader(encoder)
        return able

    @override
    def score_query(self, query: str) -> Float32Array:
        if self.reader is None:
            raise self._lacks(Capability.QUERY)
        scores: Float32Array = self.vectors @ self.reader.vector(query)
        scores[self._silent] = -np.inf
        return scores

    @override
    def score(self, histories: Histories) -> Float32Array:
        profile = histories.liked(self.positive) @ self.vectors
        length = np.linalg.norm(profile, axis=1, keepdims=True)
        scores: Float32Array = (profile / np.maximum(length, 1e-12)) @ self.vectors.T
        scores[:, self._silent] = -np.inf
        return scores

    @override
    def similar(self, item: object, *, k: int = 10) -> list[tuple[object, float]]:
        code = int(self.items.encode([item], name="item")[0])
        cosine = np.where(self.written, self.vectors @ self.vectors[code], -np.inf)
        cosine[code] = -np.inf
        best = np.argsort(-cosine, kind="stable")[: check.count("k", k)]
        return [(self.items[c], float(cosine[c])) for c in best.tolist() if cosine[c] > -np.inf]

    @override
    def save(self, path: str | Path) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {
            "vectors": self.vectors,
            "written": self.written.astype(np.uint8),
        }
        save_arm(path, self, kind=_KIND, recipe={"positive": self.positive}, arrays=arrays)
