"""How fast are tuning, encoding and mining, beside sentence-transformers in the same run?

    OMP_NUM_THREADS=1 python benchmarks/finetune_speed.py

Figures are per CPU-second (process time), so that a busy machine disturbs them less. bfloat16 rows
appear only on CPUs that multiply it in hardware.
"""

from __future__ import annotations

import copy
import tempfile
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from siamrec.data import Pairs
from siamrec.losses import FeedbackInfoNCE
from siamrec.models import SentenceEncoder
from siamrec.models.encoders.sentence import computes_bfloat16
from siamrec.models.training import FineTuneConfig
from siamrec.models.training._adapter import train_head
from siamrec.pairs._search import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = ("heist", "love", "robot", "war", "space", "ghost", "chef", "train", "river", "king")


def texts(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(5, 40))) + f" {k}" for k in range(n)]


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def row(name: str, ours: float, theirs: float | None, unit: str) -> None:
    peer = "not measured" if theirs is None else f"{theirs:,.1f}"
    ratio = "" if theirs is None else f"{ours / theirs:.2f}x"
    print(f"{name:<46} {ours:>12,.1f} {peer:>14} {ratio:>8}  {unit}", flush=True)


def encoding(encoder: SentenceEncoder) -> None:
    """Catalogue texts as they come: a tenth of them repeats."""
    listed = texts(230, 0)
    listed += listed[:26]
    ours = len(listed) / cpu_seconds(lambda: encoder.encode(listed))
    theirs = len(listed) / cpu_seconds(lambda: encoder.model.encode(listed))
    row("encode, texts", ours, theirs, "texts/CPU-s")


def adapter() -> None:
    rng = np.random.default_rng(0)
    n_texts, n = 5_000, 40_000
    left, right = rng.integers(0, n_texts, (2, n))
    spoken = [f"t{k}" for k in range(n_texts)]
    pairs = Pairs.of([spoken[k] for k in left], [spoken[k] for k in right])
    vectors = rng.normal(size=(len(pairs.texts), 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    steps = 100
    for name, hidden in (("linear", 0), ("with 512 hidden units", 512)):
        config = FineTuneConfig(hidden=hidden, profile_size=1)
        start = time.process_time()
        train_head(pairs, vectors, config, steps=steps, after_step=lambda *_: False)
        seconds = time.process_time() - start
        row(f"adapter on cached vectors, {name}", 256 * steps / seconds, None, "pairs/CPU-s")


def full(encoder: SentenceEncoder) -> None:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback

    steps, batch = 6, 32
    rows = Dataset.from_dict(
        {"anchor": texts(steps * batch, 1), "positive": texts(steps * batch, 2)}
    )

    def trained(loss: Callable[[torch.nn.Module], torch.nn.Module], *, bf16: bool) -> float:
        model = copy.deepcopy(encoder.model)
        model.model_card_data.generate_widget_examples = False
        with tempfile.TemporaryDirectory() as folder:
            arguments = SentenceTransformerTrainingArguments(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=batch,
                use_cpu=True,
                bf16=bf16,
                report_to="none",
                disable_tqdm=True,
                save_strategy="no",
                logging_strategy="no",
            )
            trainer = SentenceTransformerTrainer(
                model=model, args=arguments, train_dataset=rows, loss=loss(model)
            )
            trainer.remove_callback(PrinterCallback)
            return steps * batch / cpu_seconds(trainer.train)

    theirs = trained(MultipleNegativesRankingLoss, bf16=False)
    row(
        "full, same loss and batch, float32",
        trained(FeedbackInfoNCE, bf16=False),
        theirs,
        "pairs/CPU-s",
    )
    if computes_bfloat16():
        row("full, ours in bfloat16", trained(FeedbackInfoNCE, bf16=True), theirs, "pairs/CPU-s")


def mining() -> None:
    from sentence_transformers.util import semantic_search

    rng = np.random.default_rng(0)
    queries, corpus = (rng.normal(size=(n, 384)).astype(np.float32) for n in (2_000, 20_000))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    found = nearest(queries, corpus, 100)[0]
    ours = 2_000 / cpu_seconds(lambda: nearest(queries, corpus, 100))
    hits = semantic_search(torch.tensor(queries), torch.tensor(corpus), top_k=100)
    theirs = 2_000 / cpu_seconds(
        lambda: semantic_search(torch.tensor(queries), torch.tensor(corpus), top_k=100)
    )
    same = np.mean(
        [
            np.isin(a, [hit["corpus_id"] for hit in b]).mean()
            for a, b in zip(found, hits, strict=True)
        ]
    )
    row("nearest 100 of 20,000 for 2,000", ours, theirs, f"queries/CPU-s (recall {same:.4f})")


def main() -> None:
    print(f"{'work':<46} {'siamrec':>12} {'peer':>14} {'ratio':>8}")
    encoder = SentenceEncoder("all-MiniLM-L6-v2")
    encoder.encode(texts(16, 9))
    encoding(encoder)
    adapter()
    mining()
    full(encoder)


if __name__ == "__main__":
    main()
