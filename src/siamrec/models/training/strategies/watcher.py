"""What happens between the steps of the trainer: measuring, keeping the best, ending in time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
import torch
from transformers import TrainerCallback
from typing_extensions import override

from siamrec.errors import TrainingDivergedError
from siamrec.models.training.strategies.trainable import alike, trainable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentence_transformers import SentenceTransformer

    from siamrec.models.training._store import Checkpoints
    from siamrec.models.training.strategies.run import Run
    from siamrec.models.training.strategies.trainer import LiveNegatives
    from siamrec.models.training.strategies.weights import Weights
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import FloatArray

    Measure: TypeAlias = Callable[[SiameseEncoder], dict[str, FloatArray]]


@final
class Watcher(TrainerCallback):
    """Measures, keeps the best weights, mines anew, and ends training when it is time.

    Args:
        run: The run.
        model: The model in training.
        measured: Measures an encoder on validation.
        weights: Reads the model's weights out, under the base's names.
        checkpoints: Where progress is kept, if anywhere.
        total: Steps planned.
        negatives: What is mined anew at each evaluation, if anything.
    """

    def __init__(
        self,
        run: Run,
        model: SentenceTransformer,
        measured: Measure,
        *,
        weights: Callable[[SentenceTransformer], Weights],
        checkpoints: Checkpoints | None,
        total: int,
        negatives: LiveNegatives | None = None,
    ) -> None:
        self.run = run
        self.model = model
        self.measured = measured
        self.weights = weights
        self.checkpoints = checkpoints
        self.total = total
        self.negatives = negatives
        self.every = max(1, total // run.config.training.evaluations)
        self.losses: list[float] = []
        self.best: tuple[float, int, Weights | None] = (-math.inf, 0, None)
        self.since = 0
        self._pick_up()

    def _pick_up(self) -> None:
        """Go on from stored evaluations and weights."""
        if self.checkpoints is None:
            return
        self.run.history.extend(self.checkpoints.progress())
        for entry in self.run.history:
            value = sum(v for name, v in entry.items() if name.endswith("ndcg@10"))
            self.since += 1
            if value > self.best[0]:
                self.best, self.since = (value, int(entry["step"]), None), 0
        value, step, _ = self.best
        self.best = (value, step, self.checkpoints.best(step))

    def saw(self, module: torch.nn.Module, inputs: Any, loss: Any) -> None:
        """Take the loss of a step, as a forward hook of the loss."""
        del module, inputs
        parts = list(loss.values()) if isinstance(loss, dict) else [loss]
        self.losses.append(float(torch.stack([part.detach() for part in parts]).sum()))

    @override
    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Mine with the weights as they are: the base's, or those of a checkpoint."""
        del args, control, more
        self._mine(int(state.global_step))

    @override
    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        del args, more
        step = int(state.global_step)
        loss = self.losses[-1]
        self.run.tell("step", step, self.total, loss=loss if math.isfinite(loss) else None)
        if not math.isfinite(loss):
            self._diverged(loss, step)
            control.should_training_stop = True
            return
        halted = self.run.halted()
        if halted or step % self.every == 0 or step >= self.total:
            self._evaluate(step)
        if halted or self.since >= self.run.config.early_stopping_patience:
            control.should_training_stop = True
        elif step % self.every == 0 and step < self.total:
            self._mine(step)

    def _diverged(self, loss: float, step: int) -> None:
        if self.best[2] is None:
            raise TrainingDivergedError(
                f"The loss is {loss} after {step} steps; lower learning_rate."
            )
        self.run.stopped = f"stopped because training diverged at step {step}"
        self.run.tell("warning", step, self.total, message=self.run.stopped)

    def _evaluate(self, step: int) -> None:
        training = self.model.training
        with torch.random.fork_rng(devices=[]):
            found = self.measured(alike(trainable(self.run.encoder), self.model))
        self.model.train(training)
        loss = float(np.mean(self.losses))
        value = self.run.record(step, self.total, loss, found)
        self.losses.clear()
        self.since += 1
        fresh = None
        if value > self.best[0]:
            fresh = self.weights(self.model)
            self.best, self.since = (value, step, fresh), 0
        if self.checkpoints is not None:
            self.checkpoints.keep(self.run.history, fresh, step=step)

    def _mine(self, step: int) -> None:
        if self.negatives is None:
            return
        training = self.model.training
        with torch.random.fork_rng(devices=[]):
            found = self.negatives.refresh(alike(trainable(self.run.encoder), self.model))
        self.model.train(training)
        self.run.tell("mining", step, self.total, metrics={"negatives_per_row": found})

    def outcome(self) -> tuple[Weights, int]:
        """Return the best weights and their step."""
        _, step, weights = self.best
        assert weights is not None  # the last step is always evaluated
        return weights, step
