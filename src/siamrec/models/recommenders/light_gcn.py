"""LightGCN: vectors of people and items, smoothed over the graph of likings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
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

_CAN = Capability.RANKING | Capability.SIMILAR | Capability.WEIGHTS
_KIND = "light-gcn"
LOSSES = ("softmax", "bpr")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LightGCN(NeuralRecipe):
    """Learn vectors whose mean over smoothings of the graph ranks what people liked.

    With `Ã = D^-½ A D^-½` of the graph between people and items, `E^(l) = Ã E^(l−1)` and
    `E = mean(E^(0), …, E^(layers))`, a score is `e_u·e_i`. One propagation serves a batch of
    likings, and all of the batch share their negatives. It knows training users only.

    Args:
        factors: Length of the vectors, at least 1.
        layers: Smoothings, at least 1.
        loss: `"softmax"` over all items, or `"bpr"` of pairs, as in the paper.
        l2: Penalty of the squared norms of the vectors in a batch, at least 0.
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        He, Deng, Wang, Li, Zhang and Wang (2020), LightGCN, SIGIR, section 3.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Float(1e-3, 5e-2, log=True),
        "l2": Float(1e-6, 1e-2, log=True),
        "layers": Integer(1, 4),
    }

    factors: int = 64
    layers: int = 2
    loss: Literal["softmax", "bpr"] = "softmax"
    l2: float = 1e-4
    positive: float | None = None
    epochs: int = 100
    batch_size: int = 16_384
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        self._check_training()
        check.count("factors", self.factors)
        check.count("layers", self.layers)
        check.one_of("loss", self.loss, LOSSES)
        check.not_negative("l2", self.l2)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedLightGCN:
        """Return the arm fitted to `feedback`; `progress` hears of every pass."""
        from siamrec.models.recommenders._light_gcn_net import fit_light_gcn  # its torch half

        history = Histories.of(feedback, feedback.users, feedback.items)
        history.some_liked(self.positive, "LightGCN")
        weights, record = fit_light_gcn(self, history, progress)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedLightGCN(self, parts | weights, record)

    @staticmethod
    def load(path: str | Path) -> FittedLightGCN:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedLightGCN(LightGCN(**recipe), parts, TrainingRecord.of(parts))


@final
class FittedLightGCN(FittedVectors):
    """Smoothed vectors of people and items.

    Attributes:
        person: Vectors of the training users, float32, shape `(n_users, factors)`.
        training: How the training went.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self, recipe: LightGCN, parts: Mapping[str, Any], training: TrainingRecord
    ) -> None:
        self.recipe, self.training = recipe, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self.person: Float32Array = parts["person"]
        self.vectors = parts["vectors"]

    @override
    def people(self, histories: Histories) -> Float32Array:
        return self.person[self._known(histories)]

    @override
    def save(self, path: str | Path) -> None:
        arrays = {"person": self.person, "vectors": self.vectors, **self.training.arrays()}
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)
