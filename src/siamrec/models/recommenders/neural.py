"""What arms trained by gradient descent share: their settings, and the record of a training."""

from __future__ import annotations

from abc import ABC
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted, number
from siamrec.figures import panels
from siamrec.models.recommenders.base import RecommenderRecipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from siamrec.typing import FloatArray, IntArray

__all__ = ["EpochEnd", "NeuralRecipe", "Progress", "TrainingRecord"]


@final
@dataclass(frozen=True, slots=True, repr=False)
class EpochEnd(Record):
    """One pass over the data is done; for progress bars and logs.

    Attributes:
        epoch: Passes done, from 1.
        epochs: Passes planned.
        loss: Mean loss of the pass.
        validation: The watched metric, where it was measured; more is better.
    """

    epoch: int
    epochs: int
    loss: float
    validation: float | None = None

    @override
    def title(self) -> str:
        return f"Epoch {self.epoch} of {self.epochs}: loss {number(self.loss)}"


Progress: TypeAlias = "Callable[[EpochEnd], None]"
"""Hears of every pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuralRecipe(RecommenderRecipe, ABC):
    """Settings of training: AdamW, cosine warm restarts, clipped gradients, early stopping.

    Args:
        epochs: Most passes over the data, at least 1.
        batch_size: Rows of a step, at least 1; what a row is the arm says.
        learning_rate: Largest step size, above 0; it falls as a cosine within each cycle.
        cycle: Passes of the first cycle, each further one twice as long; None for a single one.
        weight_decay: Decoupled pull of the weights to 0, at least 0.
        clip: Largest norm of a gradient, above 0.
        validation: Share of the feedback held out to watch a metric, in [0, 1); 0 trains all
            epochs on everything.
        patience: Passes without a better metric after which training ends, at least 1; the best
            weights are kept.
        seed: Of the weights, the batches and what is held out.
        device: `"auto"` takes a GPU where there is one; or a name that torch knows.
    """

    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 1e-3
    cycle: int | None = None
    weight_decay: float = 0.0
    clip: float = 5.0
    validation: float = 0.1
    patience: int = 5
    seed: int = 0
    device: str = "auto"

    def _check_training(self) -> None:
        check.count("epochs", self.epochs)
        check.count("batch_size", self.batch_size)
        check.positive("learning_rate", self.learning_rate)
        if self.cycle is not None:
            check.count("cycle", self.cycle)
        check.not_negative("weight_decay", self.weight_decay)
        check.positive("clip", self.clip)
        check.below_one("validation", self.validation)
        check.count("patience", self.patience)
        check.count("seed", self.seed, least=0)
        check.text("device", self.device)


@final
@dataclass(frozen=True, slots=True, repr=False)
class TrainingRecord(Record):
    """How a training went.

    Attributes:
        loss: Loss of every step, shape `(n_steps,)`.
        gradient_norm: Norm of the gradient before clipping, shape `(n_steps,)`.
        learning_rate: Step size of every step, shape `(n_steps,)`.
        validation_step: Step of each measurement, shape `(n_measured,)`.
        validation: The watched metric, more is better, shape `(n_measured,)`.
        best_epoch: The pass whose weights were kept, from 1.
    """

    loss: FloatArray
    gradient_norm: FloatArray
    learning_rate: FloatArray
    validation_step: IntArray
    validation: FloatArray
    best_epoch: int

    @override
    def title(self) -> str:
        return f"Training of {counted(len(self.loss), 'step')}, best epoch {self.best_epoch}"

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name, for saving."""
        return {f"training.{name}": np.asarray(column) for name, column in asdict(self).items()}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TrainingRecord:
        """Return the record that `arrays` wrote."""
        column = {name: arrays[f"training.{name}"] for name in cls.__dataclass_fields__}
        return cls(
            loss=column["loss"],
            gradient_norm=column["gradient_norm"],
            learning_rate=column["learning_rate"],
            validation_step=column["validation_step"],
            validation=column["validation"],
            best_epoch=int(column["best_epoch"].item()),
        )

    def plot(self) -> Any:
        """Return a plotly figure: loss and validation, gradient norm, learning rate by step.

        Raises:
            siamrec.errors.MissingExtraError: If plotly is not installed.
        """
        steps = np.arange(1, self.loss.size + 1).tolist()
        return panels(
            [
                ("loss", steps, self.loss.tolist(), "lines"),
                ("validation", self.validation_step.tolist(), self.validation.tolist(), "lines"),
                ("gradient norm", steps, self.gradient_norm.tolist(), "lines"),
                ("learning rate by step", steps, self.learning_rate.tolist(), "lines"),
            ]
        )
