"""From text to factors: items without feedback take a place among those with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.models.encoders._book import ENCODERS, Encoder
from siamrec.models.recommenders._book import RECOMMENDERS
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._vectors import FittedVectors
from siamrec.models.recommenders.base import RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.ials import IALS
from siamrec.models.recommenders.search import Float

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from siamrec._core.book import Named
    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray, Id

_CAN = (
    Capability.RANKING
    | Capability.COLD_USER
    | Capability.COLD_ITEM
    | Capability.EXPLAIN
    | Capability.SIMILAR
    | Capability.WEIGHTS
)
_KIND = "text-to-factor"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TextToFactor(RecommenderRecipe):
    """Give items the factors that their texts suggest, as far as feedback does not tell better.

    `h_i` are the item vectors of iALS, `v_i` the unit vectors of the texts. The map `W` minimises
    `Σ_i n_i ‖h_i − W v_i − c‖² + l2 ‖W‖²` over the items with feedback and text; an item's vector
    is then `(n_i h_i + trust (W v_i + c)) / (n_i + trust)`. Items without feedback are ranked like
    any other, and people are folded in by what they liked.

    Args:
        encoder: Maps texts to unit vectors: an encoder or its registered name.
        base: The factors to aim for.
        l2: Penalty of the map, above 0.
        trust: Likings at which feedback and text count alike, above 0.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.MissingInputError: On fitting, without a catalogue.
        siamrec.errors.InvalidDataError: On fitting, if no item with feedback has a text.

    References:
        Gantner, Drumond, Freudenthaler, Rendle and Schmidt-Thieme (2010), Learning
        attribute-to-feature mappings for cold-start recommendations, ICDM, section IV.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "l2": Float(1.0, 500.0, log=True),
        "trust": Float(0.1, 50.0, log=True),
    }

    encoder: Encoder
    base: IALS | Named = field(default_factory=IALS)
    l2: float = 20.0
    trust: float = 1.0

    def __post_init__(self) -> None:
        self.take_by_name(encoder=ENCODERS, base=RECOMMENDERS)
        _factors(self.base)
        check.positive("l2", self.l2)
        check.positive("trust", self.trust)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedTextToFactor:
        if catalog is None:
            raise MissingInputError("catalog", "fit(feedback, catalog=catalog)")
        encoder = ENCODERS.make(self.encoder)
        base = _factors(self.base).fit(feedback)
        recipe = base.recipe
        items = feedback.items.extend(catalog.items)
        aligned = catalog.aligned(items)
        written = aligned.has_text
        n_known = len(feedback.items)
        if not written[:n_known].any():
            raise InvalidDataError("TextToFactor needs items with feedback and a text, got none.")
        text = np.zeros((len(items), encoder.dim))
        text[written] = encoder.encode([t for t in aligned.text if t is not None])
        liked = recipe.strengths(base.history)
        count = np.zeros(len(items))
        count[:n_known] = np.bincount(liked.indices, liked.data, minlength=n_known)
        vectors = self._placed(base.vectors, text, written.astype(float), count)
        parts = {
            "users": feedback.users,
            "items": items,
            "history": Histories.of(feedback, feedback.users, items),
            "factors": base.vectors,
            "vectors": vectors.astype(np.float32),
            "rankable": (written | (count > 0)).astype(np.uint8),
        }
        return FittedTextToFactor(recipe, parts)

    def _placed(
        self, factors: FloatArray, text: FloatArray, written: FloatArray, count: FloatArray
    ) -> FloatArray:
        """Return the vector of each item: learned, read, or between the two."""
        n_known, d = factors.shape
        weight = count[:n_known] * written[:n_known]
        x = np.column_stack([text, np.ones(len(text))])
        known = x[:n_known]
        normal = (known * weight[:, None]).T @ known
        normal[np.diag_indices(d_text := text.shape[1])] += self.l2
        normal[d_text, d_text] += 1e-9
        solved = cho_solve(cho_factor(normal), (known * weight[:, None]).T @ factors)
        learned = np.zeros((len(text), d))
        learned[:n_known] = factors
        trust = (self.trust * written)[:, None]
        placed: FloatArray = (count[:, None] * learned + trust * (x @ solved)) / np.maximum(
            count[:, None] + trust, 1e-12
        )
        return placed

    @staticmethod
    def load(path: str | Path) -> FittedTextToFactor:
        """Return an arm that `save` wrote; it ranks without the encoder."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedTextToFactor(IALS(**recipe), parts)


@final
class FittedTextToFactor(FittedVectors):
    """Vectors of all items, and the factors by which people are folded in.

    Attributes:
        factors: Vectors of the items with feedback, float64, shape `(n_known, factors)`.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(self, base: IALS, parts: Mapping[str, Any]) -> None:
        self.recipe = base
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self.factors: FloatArray = parts["factors"]
        self.vectors = parts["vectors"]
        self.rankable = parts["rankable"].astype(bool)

    @override
    def people(self, histories: Histories) -> Float32Array:
        liked = self.recipe.strengths(histories)[:, : len(self.factors)]
        return self.recipe.solve(liked, self.factors).astype(np.float32)

    @override
    def explain(self, user: Id, item: Id, *, n: int = 5) -> list[tuple[Id, float]]:
        history = self.history.people(self.users.encode([user], name="user"))
        # what came by `update` has no factors yet
        liked = self.recipe.strengths(history)[:, : len(self.factors)]
        target = self.vectors[int(self.items.encode([item], name="item")[0])]
        parts = self.recipe.contributions(liked, self.factors, target.astype(np.float64))
        best = np.argsort(-np.abs(parts), kind="stable")[: check.count("n", n)]
        return [(self.items[int(liked.indices[p])], float(parts[p])) for p in best.tolist()]

    @override
    def save(self, path: str | Path) -> None:
        arrays: dict[str, npt.NDArray[Any]] = {
            "factors": self.factors,
            "vectors": self.vectors,
            "rankable": np.asarray(self.rankable, dtype=np.uint8),
        }
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)


def _factors(base: object) -> IALS:
    if not isinstance(base, IALS):
        raise InvalidParameterError("base", base, "an IALS, by whose factors items are placed")
    return base
