"""Training the encoder itself, through the trainer of sentence-transformers."""

from __future__ import annotations

import copy
import math
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from transformers import PrinterCallback, TrainerCallback
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidParameterError, TrainingDivergedError
from siamrec.losses import losses
from siamrec.models.encoders import CachedEncoder, SentenceEncoder
from siamrec.models.encoders.sentence import computes_bfloat16
from siamrec.models.training._choose import merit
from siamrec.models.training._dataset import training_set
from siamrec.models.training._run import Probe, Run, Trained, chosen_share
from siamrec.models.training._store import Checkpoints
from siamrec.models.training.config import WISE_FT_SHARES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sentence_transformers import SentenceTransformer

    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import FloatArray

    Measure = Callable[[SentenceEncoder], dict[str, FloatArray]]

Weights = dict[str, torch.Tensor]


def tune_full(run: Run) -> Trained:
    """Return the tuned encoder: best weights on validation, mixed with the base's.

    Raises:
        InvalidParameterError: If the encoder is not one of sentence-transformers.
        TrainingDivergedError: If the loss is not finite before the first evaluation.
        StorageError: If the folder holds checkpoints of another run.
    """
    base = trainable(run.encoder)
    model = copy.deepcopy(base.model)
    # A model card must not quote what users were shown.
    model.model_card_data.generate_widget_examples = False
    slices = run.slices()
    judged = np.flatnonzero(run.judged_texts())

    def measured(encoder: SentenceEncoder) -> dict[str, FloatArray]:
        """Measure on the judged texts; the others' rows are never looked at."""
        vectors = np.zeros((len(run.material.texts), base.dim), dtype=np.float32)
        vectors[judged] = encoder.encode([run.material.texts[code] for code in judged])
        return slices.measure(vectors)

    before = measured(base)
    start = _weights(base.model)
    best, steps = _train(run, model, measured)
    share, skills = _mix(run, model, (start, best), measured, base)
    _load(model, _between(start, best, share))
    tuned = SentenceEncoder.of(model, name=f"{base.name}, tuned")
    return Trained(
        encoder=tuned,
        base=before,
        found=measured(tuned),
        steps=steps,
        share=share,
        retention=skills,
        drift=Probe.of(run).moved(run.encoder.encode, tuned.encode),
    )


def trainable(encoder: SiameseEncoder) -> SentenceEncoder:
    """Return the sentence-transformers encoder behind `encoder`.

    Raises:
        InvalidParameterError: If there is none.
    """
    inner = encoder.base if isinstance(encoder, CachedEncoder) else encoder
    if not isinstance(inner, SentenceEncoder):
        raise InvalidParameterError(
            "encoder", type(inner).__name__, "a SentenceEncoder, or strategy 'adapter'"
        )
    return inner


def _train(run: Run, model: SentenceTransformer, measured: Measure) -> tuple[Weights, int]:
    """Train and return the best weights with their step."""
    from sentence_transformers import SentenceTransformerTrainer  # noqa: PLC0415

    config = run.config
    pairs = run.material.without_hidden()
    known = {**losses(), **run.losses}
    spec = known[check.one_of("loss", config.loss, known)]
    dataset = training_set(pairs, spec.columns, mined=spec.takes_negatives)
    batch = int(config.of_strategy("batch_size"))
    planned = int(config.of_strategy("epochs")) * math.ceil(len(dataset) / batch)
    total = min(planned, config.max_steps or planned)
    run.tell("start", 0, total, message=f"{config.strategy} on {len(dataset)} rows")
    checkpoints = Checkpoints.of(run)
    watcher = _Watcher(run, model, measured, checkpoints, total)
    if config.strategy == "top-layers":
        _freeze(model, config.layers)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        home = (
            checkpoints.home
            if checkpoints is not None
            else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        )
        loss = spec.factory(model, pairs=pairs, **_loss_settings(run))
        loss.register_forward_hook(watcher.saw)
        trainer = SentenceTransformerTrainer(
            model=model,
            args=_arguments(run, home, total, watcher.every, keep=checkpoints is not None),
            train_dataset=dataset,
            loss=loss,
            callbacks=[watcher],
        )
        trainer.remove_callback(PrinterCallback)
        last = None if checkpoints is None else checkpoints.last()
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return watcher.outcome()


def _arguments(run: Run, home: Path, total: int, every: int, *, keep: bool) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments  # noqa: PLC0415

    config = run.config
    wanted = config.precision == "bfloat16" or (config.precision == "auto" and computes_bfloat16())
    return SentenceTransformerTrainingArguments(
        output_dir=str(home),
        max_steps=total,
        per_device_train_batch_size=int(config.of_strategy("batch_size")),
        learning_rate=config.of_strategy("learning_rate"),
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        use_cpu=trainable(run.encoder).device == "cpu",
        bf16=wanted,
        seed=config.seed,
        data_seed=config.seed,
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="steps" if keep else "no",
        save_steps=every,
        save_total_limit=2,
        dataloader_pin_memory=False,
    )


def _loss_settings(run: Run) -> dict[str, Any]:
    if run.config.loss != "feedback-infonce":
        return {}
    return {
        "scale": run.config.of_strategy("scale"),
        "popularity": run.config.popularity,
        "co_likes": int(run.config.of_strategy("co_likes")),
        "batch_size": int(run.config.of_strategy("batch_size")),
    }


@final
class _Watcher(TrainerCallback):
    """Measures, keeps the best weights, and ends training when it is time."""

    def __init__(
        self,
        run: Run,
        model: SentenceTransformer,
        measured: Measure,
        checkpoints: Checkpoints | None,
        total: int,
    ) -> None:
        self.run = run
        self.model = model
        self.measured = measured
        self.checkpoints = checkpoints
        self.total = total
        self.every = max(1, total // int(run.config.of_strategy("evaluations")))
        self.losses: list[float] = []
        self.best: tuple[float, int, Weights | None] = (-math.inf, 0, None)
        self.since = 0
        self._pick_up()

    def _pick_up(self) -> None:
        """Go on from stored evaluations and weights."""
        if self.checkpoints is None:
            return
        self.run.history.extend(self.checkpoints.progress())
        weights = self.checkpoints.best()
        for entry in self.run.history:
            value = sum(v for name, v in entry.items() if name.endswith("ndcg@10"))
            self.since += 1
            if value > self.best[0]:
                self.best, self.since = (value, int(entry["step"]), weights), 0

    def saw(self, module: torch.nn.Module, inputs: Any, loss: Any) -> None:
        """Take the loss of a step, as a forward hook of the loss."""
        del module, inputs
        parts = list(loss.values()) if isinstance(loss, dict) else [loss]
        self.losses.append(float(torch.stack([part.detach() for part in parts]).sum()))

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
            found = self.measured(SentenceEncoder.of(self.model))
        self.model.train(training)
        loss = float(np.mean(self.losses))
        value = self.run.record(step, self.total, loss, found)
        self.losses.clear()
        self.since += 1
        fresh = None
        if value > self.best[0]:
            fresh = _weights(self.model)
            self.best, self.since = (value, step, fresh), 0
        if self.checkpoints is not None:
            self.checkpoints.keep(self.run.history, fresh)

    def outcome(self) -> tuple[Weights, int]:
        """Return the best weights and their step."""
        _, step, weights = self.best
        assert weights is not None  # the last step is always evaluated
        return weights, step


def _mix(
    run: Run,
    model: SentenceTransformer,
    ends: tuple[Weights, Weights],
    measured: Measure,
    base: SentenceEncoder,
) -> tuple[float, dict[str, float]]:
    """Choose the share of the tuned weights."""
    fixed = run.config.wise_ft
    shares = WISE_FT_SHARES[run.config.strategy] if fixed == "auto" else (fixed,)
    probe = Probe.of(run)
    merits: dict[float, float] = {}
    skills: dict[float, float] = {}
    for share in shares:
        _load(model, _between(*ends, share))
        mixed = SentenceEncoder.of(model)
        merits[share] = merit(measured(mixed)) if len(shares) > 1 else 0.0
        skills[share] = probe.skill(mixed.encode)
    before = probe.skill(base.encode)
    share = chosen_share(run, merits, skills, before)
    if run.config.retention is None:
        return share, {}
    floor = run.config.retention.floor(before)
    return share, {"base": before, "tuned": skills[share], "floor": floor}


def _weights(model: SentenceTransformer) -> Weights:
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}


def _between(start: Weights, end: Weights, share: float) -> Weights:
    return {
        name: start[name].lerp(end[name], share) if end[name].is_floating_point() else end[name]
        for name in end
    }


def _load(model: SentenceTransformer, weights: Mapping[str, torch.Tensor]) -> None:
    model.load_state_dict(dict(weights))


def _freeze(model: SentenceTransformer, layers: int) -> None:
    """Let only the last `layers` layers learn.

    Raises:
        InvalidParameterError: If the model's layers cannot be told apart.
    """
    number = re.compile(r"\blayers?\.(\d+)\.")
    found = {name: number.search(name) for name, _ in model.named_parameters()}
    depth = 1 + max((int(m.group(1)) for m in found.values() if m), default=-1)
    if not depth:
        raise InvalidParameterError(
            "strategy", "top-layers", "another one: this model has no layers"
        )
    for name, parameter in model.named_parameters():
        match = found[name]
        parameter.requires_grad_(match is not None and int(match.group(1)) >= depth - layers)
