"""NeuMF: a product of vectors and a small network side by side."""

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

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import Progress
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray, IntArray

_CAN = Capability.RATINGS | Capability.RANKING | Capability.WEIGHTS
_KIND = "neu-mf"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NeuMF(NeuralRecipe):
    """Predict what the biases leave of a rating from vectors of the person and the item.

    `r̂_ui = b_ui + w·[p_u ∘ q_i ; φ(p'_u ⊕ q'_i)]`, with `φ` two ReLU layers over vectors of
    their own. Squared error; batches are ratings. It knows training users only. A plain product
    of vectors (`ExplicitMF`, `SVDpp`) does better for less; this arm is here to be compared.

    Args:
        factors: Length of each vector, at least 1.
        hidden: Width of the first layer; the second has half of it, at least 2.
        dropout: Of the vectors, in [0, 1).

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, without a rating.

    References:
        He, Liao, Zhang, Nie, Hu and Chua (2017), Neural collaborative filtering, WWW, section
        3.4; Rendle, Krichene, Zhang and Anderson (2020), Neural collaborative filtering vs.
        matrix factorization revisited, RecSys.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Float(3e-4, 1e-2, log=True),
        "weight_decay": Float(1e-3, 1.0, log=True),
        "dropout": Float(0.0, 0.6),
        "factors": Integer(8, 64, log=True),
    }

    factors: int = 16
    hidden: int = 32
    dropout: float = 0.5
    epochs: int = 30
    batch_size: int = 1024
    learning_rate: float = 2e-3
    weight_decay: float = 1.0
    patience: int = 3

    def __post_init__(self) -> None:
        self._check_training()
        check.count("factors", self.factors)
        check.count("hidden", self.hidden, least=2)
        check.below_one("dropout", self.dropout)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedNeuMF:
        """Return the arm fitted to `feedback`; `progress` hears of every pass."""
        from siamrec.models.recommenders._deep_nets import fit_neu_mf  # its torch half

        history = rated(feedback, "NeuMF")
        bias = BiasModel().learn(history)
        weights, record = fit_neu_mf(self, bias.stars(history), history.ratings.weights, progress)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedNeuMF(self, parts | weights, bias, record)

    @staticmethod
    def load(path: str | Path) -> FittedNeuMF:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        bias = Biases.read(parts, damping=BiasModel().user_damping)
        return FittedNeuMF(NeuMF(**recipe), parts, bias, TrainingRecord.of(parts))


@final
class FittedNeuMF(FittedRatings):
    """Biases, vectors and the network.

    Attributes:
        training: How the training went.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self, recipe: NeuMF, parts: Mapping[str, Any], bias: Biases, training: TrainingRecord
    ) -> None:
        self.recipe, self.bias, self.training = recipe, bias, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self._net = {name: parts[name] for name in parts if name.startswith("net.")}

    @override
    def score(self, histories: Histories) -> Float32Array:
        n, m = len(histories), len(self.items)
        row, item = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
        scores: Float32Array = self.rate(histories, row, item, None).astype(np.float32)
        return scores.reshape(n, m)

    @override
    def rate(
        self, histories: Histories, row: IntArray, item: IntArray, time: IntArray | None
    ) -> FloatArray:
        rating: FloatArray = (
            self.bias.mean + self.bias.of_people(histories)[row] + self.bias.item[item]
        )
        if histories.user is None:
            self._known(histories)
        else:
            known = np.flatnonzero(histories.user[row] >= 0)
            user = histories.user[row[known]].astype(np.int64)
            for first in range(0, known.size, _PAIRS):
                here = slice(first, first + _PAIRS)
                lift = self._lift(user[here], item[known[here]])
                rating[known[here]] += self.bias.unit * lift
        return rating

    def _lift(self, user: IntArray, item: IntArray) -> Float32Array:
        net = self._net
        product = net["net.p"][user] * net["net.q"][item]
        x = np.concatenate([net["net.deep_p"][user], net["net.deep_q"][item]], axis=1)
        for layer in ("wide", "slim"):
            weight = net[f"net.{layer}.weight"]
            x = np.maximum(x @ weight.T + net[f"net.{layer}.bias"], 0.0)
        both = np.concatenate([product, x], axis=1)
        lift: Float32Array = (both @ net["net.out.weight"].T)[:, 0]
        return lift

    @override
    def save(self, path: str | Path) -> None:
        arrays = {
            **self._net,
            **self.bias.arrays(),
            **self.training.arrays(),
        }
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)


_PAIRS = 1 << 17  # pairs in memory at a time
