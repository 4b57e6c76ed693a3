"""Training the encoder itself, through the trainer of sentence-transformers."""

from __future__ import annotations

import copy
import math
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PrinterCallback

from siamrec._core.processor import multiplies
from siamrec.errors import InvalidParameterError
from siamrec.losses import FeedbackInfoNCE, QueuedInfoNCE
from siamrec.losses.registry import built
from siamrec.models._writing import writing
from siamrec.models.training._store import Checkpoints
from siamrec.models.training.strategies import lora as _lora
from siamrec.models.training.strategies.dataset import learned_rows, training_set
from siamrec.models.training.strategies.recipes import STRATEGIES, LoRA, TopLayers
from siamrec.models.training.strategies.run import Probe, Run, Trained, chosen_share
from siamrec.models.training.strategies.trainable import alike, trainable
from siamrec.models.training.strategies.trainer import FeedbackTrainer, LiveNegatives
from siamrec.models.training.strategies.watcher import Watcher
from siamrec.models.training.strategies.weights import Weights, between, freeze, load, weights_of
from siamrec.models.training.validation.choosing import merit

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from siamrec.data import Pairs
    from siamrec.losses import LossSpec
    from siamrec.models.encoders import SentenceEncoder
    from siamrec.models.training.strategies.recipes import EncoderStrategy
    from siamrec.models.training.strategies.watcher import Measure
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import CodeArray, FloatArray


def tune_encoder(run: Run, recipe: EncoderStrategy) -> Trained:
    """Return the tuned encoder: best weights on validation, mixed with the base's.

    Raises:
        InvalidParameterError: If the encoder is not one of sentence-transformers.
        InvalidDataError: If retention is asked for and the texts are too short for it.
        TrainingDivergedError: If the loss is not finite before the first evaluation.
        StorageError: If the folder holds checkpoints of another run.
    """
    base = trainable(run.encoder)
    probe = Probe.of(run)
    slices = run.slices()
    judged = run.judged_texts()

    def measured(encoder: SiameseEncoder) -> dict[str, FloatArray]:
        """Measure on the judged texts; the others' rows are never looked at."""
        return slices.measure(run.vectors(encoder, judged))

    before = measured(base)
    best, steps = _train(run, recipe, _started(run, base), measured)
    model = copy.deepcopy(base.model)
    ends = weights_of(base.model), best
    share, skills = _mix(run, model, ends, measured, base, probe=probe)
    load(model, between(*ends, share))
    tuned = alike(base, model, name=f"{base.name}, tuned")
    return Trained(
        encoder=tuned,
        base=before,
        found=measured(tuned),
        steps=steps,
        share=share,
        retention=skills,
        drift=probe.moved(run.encoder.encode, tuned.encode),
        previous=None if run.previous is None else measured(run.previous),
    )


def _started(run: Run, base: SentenceEncoder) -> SentenceTransformer:
    """A copy of the base, or with a warm start of the version in use."""
    if not run.config.warm_start:
        return copy.deepcopy(base.model)
    start = trainable(run.previous or base)
    shapes = [{n: t.shape for n, t in e.model.state_dict().items()} for e in (base, start)]
    if shapes[0] != shapes[1]:
        raise InvalidParameterError("previous", start.name, "of the base's architecture")
    return copy.deepcopy(start.model)


def _train(
    run: Run, recipe: EncoderStrategy, model: SentenceTransformer, measured: Measure
) -> tuple[Weights, int]:
    """Train and return the best weights with their step."""
    config = run.config
    pairs = run.material.without_hidden()
    spec = run.spec()
    live = _live(run, recipe, pairs, spec)
    dataset = training_set(
        pairs,
        spec.columns,
        mined=spec.takes_negatives and not live,
        numbered=live is not None,
        seed=config.seed,
    )
    planned = recipe.epochs * math.ceil(len(dataset) / recipe.batch_size)
    total = min(planned, config.max_steps or planned)
    run.tell("start", 0, total, message=f"{STRATEGIES.name_of(recipe)} on {len(dataset)} rows")
    checkpoints = Checkpoints.of(run)
    _ready(model, recipe, config.seed)
    lora = isinstance(recipe, LoRA)
    watcher = Watcher(
        run,
        model,
        measured,
        weights=_lora.merged if lora else weights_of,
        checkpoints=checkpoints,
        total=total,
        negatives=live,
    )
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(config.seed)  # some losses draw weights of their own
        home = (
            checkpoints.home
            if checkpoints is not None
            else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        )
        loss = built(spec, config.loss_name, model, pairs=pairs, **_loss_settings(run, recipe))
        loss.register_forward_hook(watcher.saw)
        if live is not None and isinstance(loss, FeedbackInfoNCE | QueuedInfoNCE):
            live.counted = loss.recount
        trainer = FeedbackTrainer(
            model=model,
            args=_arguments(
                run,
                recipe,
                home,
                total=total,
                every=watcher.every,
                keep=checkpoints is not None,
            ),
            train_dataset=dataset,
            loss=loss,
            callbacks=[watcher],
            group=_grouped(run, recipe, pairs, spec),
            negatives=live,
            small=lora,
        )
        trainer.remove_callback(PrinterCallback)
        last = None if checkpoints is None else checkpoints.last()
        with writing(home):  # half a checkpoint has no state, and is passed over later
            trainer.train(resume_from_checkpoint=None if last is None else str(last))
    return watcher.outcome()


def _ready(model: SentenceTransformer, recipe: EncoderStrategy, seed: int) -> None:
    """Let only the weights learn that the strategy trains."""
    if isinstance(recipe, LoRA):
        _lora.insert(model, rank=recipe.rank, seed=seed)
    elif isinstance(recipe, TopLayers):
        freeze(model, recipe.layers)


def _live(run: Run, recipe: EncoderStrategy, pairs: Pairs, spec: LossSpec) -> LiveNegatives | None:
    miner = recipe.miner
    if miner is None:
        return None
    if not spec.takes_negatives:
        raise InvalidParameterError(
            "mine",
            run.config.loss_name,
            "used with a loss that takes negatives, as 'feedback-infonce'",
        )
    rows = pairs.where(learned_rows(pairs, spec.columns))
    return LiveNegatives(miner, rows, run.material.hidden)


def _grouped(
    run: Run, recipe: EncoderStrategy, pairs: Pairs, spec: LossSpec
) -> tuple[CodeArray, int] | None:
    if recipe.rows_per_user == 1:
        return None
    if "text" in spec.columns:
        raise InvalidParameterError(
            "rows_per_user",
            recipe.rows_per_user,
            f"1 with {run.config.loss_name!r}, which learns from texts and not from pairs",
        )
    rows = learned_rows(pairs, spec.columns)
    return np.stack([pairs.user[rows], pairs.left[rows]], axis=1), recipe.rows_per_user


def _arguments(
    run: Run, recipe: EncoderStrategy, home: Path, *, total: int, every: int, keep: bool
) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments

    seed = run.config.seed
    wanted = recipe.precision == "bfloat16" or (
        recipe.precision == "auto" and multiplies("bfloat16", torch.cpu)
    )
    return SentenceTransformerTrainingArguments(
        output_dir=str(home),
        max_steps=total,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        use_cpu=trainable(run.encoder).device == "cpu",
        bf16=wanted,
        seed=seed,
        data_seed=seed,
        report_to="none",
        disable_tqdm=True,
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="steps" if keep else "no",
        save_steps=every,
        save_total_limit=2,
        dataloader_pin_memory=False,
    )


def _loss_settings(run: Run, recipe: EncoderStrategy) -> dict[str, Any]:
    given = run.config.loss_settings
    if run.config.loss_name not in {"feedback-infonce", "queued-infonce"}:
        return given
    return {"batch_size": recipe.batch_size, **given}  # for the rates of texts in a batch


def _mix(
    run: Run,
    model: SentenceTransformer,
    ends: tuple[Weights, Weights],
    measured: Measure,
    base: SentenceEncoder,
    *,
    probe: Probe,
) -> tuple[float, dict[str, float]]:
    """Choose the share of the tuned weights."""
    shares = run.shares()
    merits: dict[float, float] = {}
    skills: dict[float, float] = {}
    floored = run.config.retention is not None
    for share in shares:
        load(model, between(*ends, share))
        mixed = alike(base, model)
        merits[share] = merit(measured(mixed)) if len(shares) > 1 else 0.0
        skills[share] = probe.skill(mixed.encode) if floored else float("nan")
    before = probe.skill(base.encode)
    share = chosen_share(run, merits, skills, before)
    if not floored:
        load(model, between(*ends, share))
        skills[share] = probe.skill(alike(base, model).encode)
    return share, probe.figures(run, before, skills[share])
