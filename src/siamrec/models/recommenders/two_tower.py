"""Two towers: people and items as vectors of two small networks, trained inside batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.encoders._book import ENCODERS, Encoder
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._item_features import item_features
from siamrec.models.recommenders._vectors import FittedVectors
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.neural import NeuralRecipe, TrainingRecord
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.neural import Progress
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array

_CAN = Capability.RANKING | Capability.COLD_USER | Capability.SIMILAR
_KIND = "two-tower"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTower(NeuralRecipe):
    """Bring people near what they like, against the other items of a batch.

    An item enters as `x_i = e_i + W f_i`: a vector of its own, and a map of its features (text,
    attributes), of which the first is left out at random so that items without feedback are
    understood by the second. A person enters as the mean of what they liked, without the item
    to be told. Each tower is one hidden layer beside a straight path, and the loss is the
    softmax of `cos / temperature − log q` over the liked item, the other items of the batch, and
    some drawn evenly; `q` is how often an item is met as a negative. Batches are likings.
    Items without feedback are ranked where texts or features are used.

    Args:
        encoder: Maps texts of the catalogue to unit vectors; None leaves texts out.
        features: Attributes of the catalogue to use.
        factors: Length of the vectors, at least 1.
        temperature: Of the softmax, above 0.
        even_negatives: Items drawn evenly for each batch, at least 0.
        log_q: Whether logits are corrected for how often items are met.
        unnamed: Share of items that go without their own vector while training, in [0, 1).
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.MissingInputError: On fitting, if features are asked for without a
            catalogue.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        Yi et al. (2019), Sampling-bias-corrected neural modeling for large corpus item
        recommendations, RecSys; Yang et al. (2020), Mixed negative sampling, WWW companion.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Float(3e-4, 1e-2, log=True),
        "temperature": Float(0.03, 0.3, log=True),
        "factors": Integer(32, 128, log=True),
    }

    encoder: Encoder | None = None
    features: tuple[str, ...] = ()
    factors: int = 64
    temperature: float = 0.1
    even_negatives: int = 512
    log_q: bool = True
    unnamed: float = 0.2
    positive: float | None = None
    epochs: int = 20
    batch_size: int = 2048
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        self.take_by_name(encoder=ENCODERS)
        self._check_training()
        check.count("factors", self.factors)
        check.positive("temperature", self.temperature)
        check.count("even_negatives", self.even_negatives, least=0)
        check.below_one("unnamed", self.unnamed)
        check.flag("log_q", self.log_q)
        for name in check.many("features", self.features, what="attributes"):
            check.text("features", name)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedTwoTower:
        """Return the arm fitted to `feedback`; `progress` hears of every pass."""
        from siamrec.models.recommenders._two_tower_net import fit_two_tower  # its torch half

        encoder = None if self.encoder is None else ENCODERS.make(self.encoder)
        table, known = item_features(catalog, encoder=encoder, features=self.features)
        uses = catalog is not None and table.shape[1] > 0
        items = feedback.items.extend(catalog.items) if uses and catalog else feedback.items
        feature = np.zeros((len(items), table.shape[1]), dtype=np.float32)
        described = np.zeros(len(items), dtype=bool)
        if uses and catalog is not None:
            place = catalog.items.translate(items)
            feature[place], described[place] = table, known
        history = Histories.of(feedback, feedback.users, items).require_even("TwoTower")
        liked = history.some_liked(self.positive, "TwoTower")
        weights, record = fit_two_tower(self, history, feature, progress)
        met = np.bincount(liked.indices, minlength=len(items)) > 0
        parts = {"users": feedback.users, "items": items, "history": history, **weights}
        parts["rankable"] = (met | described).astype(np.uint8)
        parts["described"] = np.array([uses], dtype=np.uint8)
        return FittedTwoTower(self.positive, parts, record)

    @staticmethod
    def load(path: str | Path) -> FittedTwoTower:
        """Return an arm that `save` wrote; it ranks without encoder and catalogue."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedTwoTower(recipe["positive"], parts, TrainingRecord.of(parts))


@final
class FittedTwoTower(FittedVectors):
    """Item vectors, and the tower of people.

    Attributes:
        training: How the training went.
    """

    def __init__(
        self, positive: float | None, parts: Mapping[str, Any], training: TrainingRecord
    ) -> None:
        self.positive, self.training = positive, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self.vectors = parts["vectors"]
        self.rankable = parts["rankable"].astype(bool)
        self._described = bool(parts["described"][0])
        self._net = {name: parts[name] for name in _PERSON}

    @property
    @override
    def capabilities(self) -> Capability:
        """Items without feedback can be ranked where texts or features were used."""
        return _CAN | Capability.COLD_ITEM if self._described else _CAN

    @override
    def people(self, histories: Histories) -> Float32Array:
        liked = histories.liked(self.positive)
        count = np.maximum(np.diff(liked.indptr), 1).astype(np.float32)
        net = self._net
        mean = (liked @ net["entry"]) / count[:, None]
        hidden = np.maximum(mean @ net["inner.weight"].T + net["inner.bias"], 0.0)
        person = mean + hidden @ net["outer.weight"].T + net["outer.bias"]
        length = np.linalg.norm(person, axis=1, keepdims=True)
        people: Float32Array = person / np.maximum(length, 1e-12)
        return people

    @override
    def save(self, path: str | Path) -> None:
        arrays = {
            **self._net,
            "vectors": self.vectors,
            "rankable": np.asarray(self.rankable, dtype=np.uint8),
            "described": np.array([self._described], dtype=np.uint8),
            **self.training.arrays(),
        }
        save_arm(path, self, kind=_KIND, recipe={"positive": self.positive}, arrays=arrays)


_PERSON = ("entry", "inner.weight", "inner.bias", "outer.weight", "outer.bias")
