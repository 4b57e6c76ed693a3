"""Mult-VAE: a variational autoencoder of likings with a multinomial likelihood."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
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

_CAN = Capability.RANKING | Capability.COLD_USER | Capability.SIMILAR | Capability.WEIGHTS
_KIND = "mult-vae"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MultVAE(NeuralRecipe):
    """Draw a person's taste from what they liked, and all their likings from the taste.

    `z ~ N(μ(x), σ(x))`, `π = softmax(f(z))`, and the loss is `−Σ_i x_i log π_i + β KL(z ‖ N(0,
    I))`; `x` is of unit length with dropout, the networks have one hidden layer with tanh, and `β`
    rises linearly to `kl` over half of the training. Scores are the logits at `z = μ(x)`.
    Batches are people.

    Args:
        hidden: Width of the hidden layers, at least 1.
        factors: Length of `z`, at least 1.
        dropout: Of the input, in [0, 1).
        kl: Largest `β`, at least 0.
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        Liang, Krishnan, Hoffman and Jebara (2018), Variational autoencoders for collaborative
        filtering, WWW.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Float(3e-4, 1e-2, log=True),
        "kl": Float(0.0, 1.0),
        "dropout": Float(0.2, 0.8),
        "factors": Integer(32, 256, log=True),
    }

    hidden: int = 600
    factors: int = 200
    dropout: float = 0.5
    kl: float = 0.2
    positive: float | None = None
    epochs: int = 100
    batch_size: int = 128
    patience: int = 10

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        self._check_training()
        check.count("hidden", self.hidden)
        check.count("factors", self.factors)
        check.below_one("dropout", self.dropout)
        check.not_negative("kl", self.kl)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedMultVAE:
        """Return the arm fitted to `feedback`; `progress` hears of every pass."""
        from siamrec.models.recommenders._mult_vae_net import fit_mult_vae  # its torch half

        history = Histories.of(feedback, feedback.users, feedback.items)
        history.some_liked(self.positive, "MultVAE")
        weights, record = fit_mult_vae(self, history, progress)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedMultVAE(self, parts | weights, record)

    @staticmethod
    def load(path: str | Path) -> FittedMultVAE:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedMultVAE(MultVAE(**recipe), parts, TrainingRecord.of(parts))


@final
class FittedMultVAE(FittedVectors):
    """The networks; items are the rows of the last layer.

    Attributes:
        training: How the training went.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self, recipe: MultVAE, parts: Mapping[str, Any], training: TrainingRecord
    ) -> None:
        self.recipe, self.training = recipe, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self._net = {name: parts[name] for name in _LAYERS}
        self.vectors, self.offset = parts["out.weight"], parts["out.bias"]

    @override
    def people(self, histories: Histories) -> Float32Array:
        liked = histories.liked(self.recipe.positive)
        size = np.asarray(liked.multiply(liked).sum(axis=1)).ravel()
        length = np.sqrt(np.where(size > 0, size, 1.0)).astype(np.float32)
        net = self._net
        read = np.tanh((liked @ net["read.weight"]) / length[:, None] + net["read.bias"])
        taste = read @ net["mean.weight"].T + net["mean.bias"]
        people: Float32Array = np.tanh(taste @ net["write.weight"].T + net["write.bias"])
        return people

    @override
    def save(self, path: str | Path) -> None:
        arrays = {**self._net, **self.training.arrays()}
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)


_LAYERS = tuple(
    f"{layer}.{part}" for layer in ("read", "mean", "write", "out") for part in ("weight", "bias")
)
