"""Attentive factors: a person is, for each item, what they said of the items it reminds of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._ratings import Biases, FittedRatings, rated
from siamrec.models.recommenders.bias import BiasModel
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.neural import NeuralRecipe, TrainingRecord
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import Progress
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray

_CAN = Capability.RATINGS | Capability.RANKING | Capability.COLD_USER
_KIND = "attention-mf"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionMF(NeuralRecipe):
    """Factors and a small network over a person that depends on the item asked about.

    With residuals `e_uj` of the biases, a person seen from item `i` is
    `m_ui = Σ_{j∈N_u, j≠i} a_ij (e_uj v_j + y_j)`, `a = softmax_j(k_i·k_j / √factors)`, and
    `r̂_ui = b_ui + q_i·m_ui + w·φ(m_ui ⊕ q_i)` with `φ` one ReLU layer. Squared error; batches are
    people. People are known by their ratings alone, so that anybody's can be predicted.

    Args:
        factors: Length of the vectors, at least 1.
        hidden: Width of the layer, at least 1.
        length: Most ratings of a person that are read, the latest, at least 2.
        dropout: Of the person, in [0, 1).

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, without a rating.

    References:
        He, He, Song, Liu, Jiang and Chua (2018), NAIS: neural attentive item similarity model,
        TKDE 30(12), section 3.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Float(5e-4, 1e-2, log=True),
        "weight_decay": Float(1e-3, 1.0, log=True),
        "factors": Integer(8, 64, log=True),
    }

    factors: int = 32
    hidden: int = 32
    length: int = 150
    dropout: float = 0.2
    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    patience: int = 5

    def __post_init__(self) -> None:
        self._check_training()
        check.count("factors", self.factors)
        check.count("hidden", self.hidden)
        check.count("length", self.length, least=2)
        check.below_one("dropout", self.dropout)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedAttentionMF:
        """Return the arm fitted to `feedback`; `progress` hears of every pass.

        `validation` is the share of people whose ratings are held out.
        """
        from siamrec.models.recommenders._deep_nets import fit_attention_mf  # its torch half

        history = rated(feedback, "AttentionMF").require_even("AttentionMF")
        bias = BiasModel().learn(history)
        weights, record = fit_attention_mf(self, history, bias, progress)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedAttentionMF(self, parts | weights, bias, record)

    @staticmethod
    def load(path: str | Path) -> FittedAttentionMF:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        bias = Biases.read(parts, damping=BiasModel().user_damping)
        return FittedAttentionMF(AttentionMF(**recipe), parts, bias, TrainingRecord.of(parts))


@final
class FittedAttentionMF(FittedRatings):
    """Biases, and the item side of the network.

    Attributes:
        training: How the training went.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self,
        recipe: AttentionMF,
        parts: Mapping[str, Any],
        bias: Biases,
        training: TrainingRecord,
    ) -> None:
        self.recipe, self.bias, self.training = recipe, bias, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self._net = {name: parts[name] for name in parts if name.startswith("net.")}

    @override
    def score(self, histories: Histories) -> Float32Array:
        left = self.bias.stars(histories)
        latest, there = histories.ratings.latest(self.recipe.length)
        table = self.bias.table(histories)
        for row in range(len(histories)):  # histories differ in length: a product for each
            item = np.sort(latest[row, there[row]])
            if item.size:
                own = slice(left.indptr[row], left.indptr[row + 1])
                place = np.searchsorted(left.indices[own], item)
                table[row] += self.bias.unit * self._lift(item, left.data[own][place])
        return table.astype(np.float32)

    def _lift(self, item: Any, error: npt.NDArray[Any]) -> FloatArray:
        """Return what a person's residuals on `item` add for every item, shape `(n_items,)`."""
        net = self._net
        key = net["net.key"]
        near = key @ key[item].T / np.sqrt(self.recipe.factors)
        near[item, np.arange(item.size)] = -np.inf  # nothing reminds of itself
        alone = ~np.isfinite(near).any(axis=1)
        near[alone] = 0.0
        near = np.exp(near - near.max(axis=1, keepdims=True))
        said = error[:, None].astype(np.float32) * net["net.voice"][item] + net["net.rated"][item]
        person = (near / near.sum(axis=1, keepdims=True)) @ said
        person[alone] = 0.0
        q = net["net.q"]
        x = np.concatenate([person, q], axis=1)
        inner = np.maximum(x @ net["net.inner.weight"].T + net["net.inner.bias"], 0.0)
        lift: FloatArray = (person * q).sum(axis=1) + (inner @ net["net.out.weight"].T)[:, 0]
        return lift

    @override
    def save(self, path: str | Path) -> None:
        arrays = {
            **self._net,
            **self.bias.arrays(),
            **self.training.arrays(),
        }
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)
