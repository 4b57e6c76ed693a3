"""A short training with the trainer of sentence-transformers, without validation."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from siamrec._core import check

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer


def train_plainly(
    model: SentenceTransformer,
    rows: Any,
    loss: torch.nn.Module,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Train a model in place for `steps` steps; the learning rate falls linearly to zero.

    Raises:
        InvalidParameterError: If a number is out of its range.
    """
    import torch
    from sentence_transformers import SentenceTransformerTrainingArguments
    from transformers import PrinterCallback

    from siamrec.models.training.strategies.trainer import FeedbackTrainer

    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            max_steps=check.count("steps", steps),
            per_device_train_batch_size=check.count("batch_size", batch_size),
            learning_rate=check.positive("learning_rate", learning_rate),
            warmup_steps=0.1,
            seed=seed,
            data_seed=seed,
            use_cpu=model.device.type == "cpu",
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            dataloader_pin_memory=False,
        )
        trainer = FeedbackTrainer(model=model, args=arguments, train_dataset=rows, loss=loss)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
