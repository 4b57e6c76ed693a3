"""Multi-task factors: one set of vectors told by ratings, likings and rankings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._ratings import Biases, FittedRatings, nearest, rated
from siamrec.models.recommenders.bias import BiasModel
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.neural import NeuralRecipe, TrainingRecord
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import Progress
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import BoolArray, Float32Array, FloatArray, Id, IntArray

_CAN = Capability.RATINGS | Capability.RANKING | Capability.SIMILAR
_KIND = "multi-task"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MultiTaskMF(NeuralRecipe):
    """Learn vectors by three tasks at once and let the tasks find their weights.

    The heads share `p_u, q_i`, each with its own weight of every factor: what the biases leave of
    a rating (squared error), whether an item was liked among drawn ones (cross-entropy), and
    which one among all (softmax). The loss is `Σ_t L_t exp(−s_t) + s_t` with learned `s_t`.
    `predict` answers by the first head, lists are ranked by the third. Batches are people; it
    knows training users only.

    Args:
        factors: Length of the vectors, at least 1.
        negatives: Items drawn for each liked one, at least 1.
        dropout: Of the vectors, in [0, 1).
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        Kendall, Gal and Cipolla (2018), Multi-task learning using uncertainty to weigh losses,
        CVPR, section 3.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Float(1e-3, 3e-2, log=True),
        "weight_decay": Float(1e-3, 1.0, log=True),
        "factors": Integer(16, 128, log=True),
    }

    factors: int = 64
    negatives: int = 4
    dropout: float = 0.5
    positive: float | None = None
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 1e-2
    weight_decay: float = 1.0

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        self._check_training()
        check.count("factors", self.factors)
        check.count("negatives", self.negatives)
        check.below_one("dropout", self.dropout)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedMultiTask:
        """Return the arm fitted to `feedback`; `progress` hears of every pass."""
        from siamrec.models.recommenders._deep_nets import fit_multi_task  # its torch half

        history = rated(feedback, "MultiTaskMF").require_even("MultiTaskMF")
        history.some_liked(self.positive, "MultiTaskMF")
        bias = BiasModel().learn(history)
        weights, record = fit_multi_task(self, history, bias, progress)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedMultiTask(self, parts | weights, bias, record)

    @staticmethod
    def load(path: str | Path) -> FittedMultiTask:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        bias = Biases.read(parts, damping=BiasModel().user_damping)
        return FittedMultiTask(MultiTaskMF(**recipe), parts, bias, TrainingRecord.of(parts))


@final
class FittedMultiTask(FittedRatings):
    """Biases, shared vectors, and the heads.

    Attributes:
        training: How the training went.
        task_weight: `exp(−s)` of ratings, likings and rankings, shape `(3,)`.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self,
        recipe: MultiTaskMF,
        parts: Mapping[str, Any],
        bias: Biases,
        training: TrainingRecord,
    ) -> None:
        self.recipe, self.bias, self.training = recipe, bias, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self._net = {name: parts[name] for name in parts if name.startswith("net.")}
        self.task_weight: FloatArray = np.exp(-self._net["net.doubt"]).astype(np.float64)

    @override
    def score(self, histories: Histories) -> Float32Array:
        net = self._net
        person = net["net.p"][self._known(histories)] * net["net.head"][2]
        scores: Float32Array = person @ net["net.q"].T + net["net.fame"]
        return scores

    @override
    def rate(
        self, histories: Histories, row: IntArray, item: IntArray, time: IntArray | None
    ) -> FloatArray:
        net = self._net
        rating = self.bias.mean + self.bias.of_people(histories)[row] + self.bias.item[item]
        if histories.user is None:
            self._known(histories)
            return rating
        known: BoolArray = histories.user[row] >= 0
        person = net["net.p"][histories.user[row]] * net["net.head"][0]
        lift = (person * net["net.q"][item]).sum(axis=1)
        lifted: FloatArray = rating + known * self.bias.unit * lift
        return lifted

    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        code = int(self.items.encode([item], name="item")[0])
        return nearest(self._net["net.q"], code, self.items, k)

    @override
    def save(self, path: str | Path) -> None:
        arrays = {
            **self._net,
            **self.bias.arrays(),
            **self.training.arrays(),
        }
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)
