"""SASRec: self-attention over what a person met, to tell what comes next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._vectors import FittedVectors
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.neural import NeuralRecipe, TrainingRecord
from siamrec.models.recommenders.search import Choice, Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders.neural import Progress
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array

_CAN = Capability.RANKING | Capability.SEQUENTIAL | Capability.COLD_USER | Capability.SIMILAR
_KIND = "sasrec"
LOSSES = ("softmax", "gbce")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SASRec(NeuralRecipe):
    """Read a person's last items with causal self-attention and rank what comes next.

    Item and place vectors go through pre-norm transformer blocks; the output `h` of the last
    place scores items by `h·e_i`, with the vectors of the input. Each place is trained to tell
    the next item. Batches are people, each with a random window of their history.

    Args:
        factors: Length of the vectors, a multiple of `heads`.
        blocks: Transformer blocks, at least 1.
        heads: Attention heads, at least 1.
        length: Most items of a history that are read, at least 1.
        dropout: In [0, 1).
        loss: `"softmax"` over all items; or `"gbce"`, binary cross-entropy with `negatives`
            sampled items and a correction for the overconfidence that sampling brings; it rises
            late, so give it more `patience`.
        negatives: Sampled items of each person for `"gbce"`, at least 1.
        calibration: `t` of `"gbce"`, in [0, 1]; 0 is plain binary cross-entropy.
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nobody liked two items.

    References:
        Kang and McAuley (2018), Self-attentive sequential recommendation, ICDM; Klenitskiy and
        Vasilev (2023), Turning dross into gold loss, RecSys (softmax); Petrov and Macdonald
        (2023), gSASRec, RecSys (gBCE).
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Float(3e-4, 1e-2, log=True),
        "dropout": Float(0.1, 0.6),
        "blocks": Integer(1, 3),
        "loss": Choice(*LOSSES),
    }

    factors: int = 64
    blocks: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.3
    loss: Literal["softmax", "gbce"] = "softmax"
    negatives: int = 256
    calibration: float = 0.75
    positive: float | None = None
    epochs: int = 100
    batch_size: int = 64
    patience: int = 10
    validation: float = 0.2
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        self._check_training()
        for name in ("factors", "blocks", "heads", "length", "negatives"):
            check.count(name, getattr(self, name))
        if self.factors % self.heads:
            raise InvalidParameterError("factors", self.factors, f"a multiple of {self.heads}")
        check.below_one("dropout", self.dropout)
        check.one_of("loss", self.loss, LOSSES)
        check.share("calibration", self.calibration)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedSASRec:
        """Return the arm fitted to `feedback`; `progress` hears of every pass.

        `validation` is the share of people whose last item is held out.
        """
        from siamrec.models.recommenders._sasrec_net import fit_sasrec  # its torch half

        history = Histories.of(feedback, feedback.users, feedback.items).require_even("SASRec")
        if not history.latest(2, self.positive)[1][:, 1:].any():
            raise InvalidDataError("SASRec needs somebody who liked two items.")
        weights, record = fit_sasrec(self, history, progress)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        return FittedSASRec(self, parts, weights, record)

    @staticmethod
    def load(path: str | Path) -> FittedSASRec:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        weights = {
            name.removeprefix("net."): array
            for name, array in parts.items()
            if name.startswith("net.")
        }
        return FittedSASRec(SASRec(**recipe), parts, weights, TrainingRecord.of(parts))


@final
class FittedSASRec(FittedVectors):
    """The network; items are its input vectors.

    Attributes:
        training: How the training went.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self,
        recipe: SASRec,
        parts: Mapping[str, Any],
        weights: Mapping[str, Any],
        training: TrainingRecord,
    ) -> None:
        from siamrec.models.recommenders._sasrec_net import reader  # its torch half

        self.recipe, self.training = recipe, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self.vectors = weights["item.weight"]
        self._weights = dict(weights)
        self._read = reader(recipe, self._weights)

    @override
    def people(self, histories: Histories) -> Float32Array:
        return self._read(*histories.latest(self.recipe.length, self.recipe.positive))

    @override
    def save(self, path: str | Path) -> None:
        arrays = {f"net.{name}": array for name, array in self._weights.items()}
        arrays |= self.training.arrays()
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)
