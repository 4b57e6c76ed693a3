"""How fast are tuning, encoding and mining, beside sentence-transformers in the same run?

    OMP_NUM_THREADS=1 python benchmarks/finetune_speed.py

Figures are per CPU-second (process time), so that a busy machine disturbs them less. bfloat16 rows
appear only on CPUs that multiply it in hardware.
"""

from __future__ import annotations

import copy
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from siamrec._core.processor import multiplies
from siamrec.data import Pairs
from siamrec.losses import FeedbackInfoNCE
from siamrec.models import SentenceEncoder
from siamrec.models.export import OnnxEncoder, export
from siamrec.models.training import Adapter
from siamrec.models.training.strategies.adapter_head import train_head
from siamrec.models.training.strategies.trainer import FeedbackTrainer
from siamrec.pairs import HardNegatives
from siamrec.pairs._search import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = ("heist", "love", "robot", "war", "space", "ghost", "chef", "train", "river", "king")


def texts(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(5, 40))) + f" {k}" for k in range(n)]


def cpu_seconds(work: Callable[[], object], *, warm: bool = False) -> float:
    """CPU-seconds of one call; with `warm`, the median of three calls after a first one."""
    found = []
    for _ in range(4 if warm else 1):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return float(np.median(found[1:])) if warm else found[0]


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
    bound(encoder, listed)
    before = encoder.encode(listed)
    for kind in ("f32", "int8"):
        with tempfile.TemporaryDirectory() as folder:
            export(encoder, Path(folder) / "out", format="onnx", quantization=kind)
            reader = OnnxEncoder(Path(folder) / "out")
            after = reader.encode(listed)
            seconds = cpu_seconds(lambda r=reader: r.encode(listed))
        cosine = (before * after).sum(axis=1).min()
        row(
            f"encode, ONNX {kind}",
            len(listed) / seconds,
            theirs,
            f"texts/CPU-s (least cosine {cosine:.4f})",
        )


def bound(encoder: SentenceEncoder, listed: list[str]) -> None:
    """How many texts a CPU could read if it did nothing but multiply, each text once."""
    once = list(dict.fromkeys(listed))
    tokens = sum(len(ids) for ids in encoder.model.tokenizer(once)["input_ids"])
    layers = encoder.model[0].auto_model.encoder
    weights = sum(p.numel() for p in layers.parameters() if p.ndim == 2)
    left, right = torch.randn(430, 384), torch.randn(384, 1536)
    low = [(side * 30).round().clamp(-127, 127).to(torch.int8) for side in (left, right.T)]
    products = {
        "float32": lambda: left @ right,
        "int8": lambda: torch._int_mm(low[0], low[1].T),  # noqa: SLF001  (it has no other name)
    }
    turns = 100
    for kind, product in products.items():
        seconds = cpu_seconds(lambda p=product: [p() for _ in range(turns)], warm=True) / turns
        rate = 430 * 384 * 1536 / seconds
        most = rate / (tokens * weights) * len(listed)
        print(f"{f'  {kind} products alone':<46} {most:>12,.1f}")


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
        recipe = Adapter(hidden=hidden, profile_size=1)
        start = time.process_time()
        train_head(pairs, vectors, recipe, seed=42, steps=steps, after_step=lambda *_: False)
        seconds = time.process_time() - start
        row(f"adapter on cached vectors, {name}", 256 * steps / seconds, None, "pairs/CPU-s")


def full(encoder: SentenceEncoder) -> None:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import PrinterCallback

    steps, batch = 6, 32
    plain = Dataset.from_dict(
        {"anchor": texts(steps * batch, 1), "positive": texts(steps * batch, 2)}
    )

    def trained(
        loss: Callable[[torch.nn.Module], torch.nn.Module],
        rows: Dataset = plain,
        *,
        bf16: bool = False,
        group: tuple[np.ndarray, int] | None = None,
    ) -> float:
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
            trainer = FeedbackTrainer(
                model=model, args=arguments, train_dataset=rows, loss=loss(model), group=group
            )
            trainer.remove_callback(PrinterCallback)
            return steps * batch / cpu_seconds(trainer.train)

    theirs = trained(MultipleNegativesRankingLoss)
    ours = trained(FeedbackInfoNCE)
    row("full, same loss and batch, float32", ours, theirs, "pairs/CPU-s")
    liked = texts(12 * 16, 3)  # 16 users who like 12 texts each
    rng = np.random.default_rng(4)
    user = np.repeat(np.arange(16), 12)
    first, second = 12 * user + rng.integers(0, 6, 192), 12 * user + rng.integers(6, 12, 192)
    pairs = Dataset.from_dict(
        {"anchor": [liked[k] for k in first], "positive": [liked[k] for k in second]}
    )
    codes = np.stack([user, first], axis=1).astype(np.int32)
    theirs = trained(MultipleNegativesRankingLoss, pairs)
    for together in (1, 4):
        group = None if together == 1 else (codes, together)
        ours = trained(FeedbackInfoNCE, pairs, group=group)
        row(f"full, pairs of users, {together} of a user together", ours, theirs, "pairs/CPU-s")
    if multiplies("bfloat16", torch.cpu):
        row("full, ours in bfloat16", trained(FeedbackInfoNCE, bf16=True), theirs, "pairs/CPU-s")


def mining() -> None:
    from sentence_transformers.util import semantic_search

    rng = np.random.default_rng(0)
    queries, corpus = (rng.normal(size=(n, 384)).astype(np.float32) for n in (5_000, 50_000))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    found = nearest(queries, corpus, 100)[0]
    ours = len(queries) / cpu_seconds(lambda: nearest(queries, corpus, 100), warm=True)
    hits = semantic_search(torch.tensor(queries), torch.tensor(corpus), top_k=100)
    theirs = len(queries) / cpu_seconds(
        lambda: semantic_search(torch.tensor(queries), torch.tensor(corpus), top_k=100), warm=True
    )
    same = np.mean(
        [
            np.isin(a, [hit["corpus_id"] for hit in b]).mean()
            for a, b in zip(found, hits, strict=True)
        ]
    )
    row("nearest 100 of 50,000 for 5,000", ours, theirs, f"queries/CPU-s (recall {same:.4f})")
    left, right = torch.tensor(queries), torch.tensor(corpus).T.contiguous()
    product = torch.empty(256, 50_000)
    seconds = cpu_seconds(
        lambda: [torch.mm(t, right, out=product[: len(t)]) for t in left.split(256)]
    )
    print(f"{'  float32 products alone':<46} {len(queries) / seconds:>12,.1f}")
    whole_mining(queries, corpus)


class Read:
    """A model that has read its texts already, for their miner."""

    device = torch.device("cpu")

    def __init__(self, spoken: list[str], vectors: np.ndarray) -> None:
        self.place = {text: k for k, text in enumerate(spoken)}
        self.vectors = torch.tensor(vectors)

    def encode_document(self, listed: list[str], **_: object) -> torch.Tensor:
        return self.vectors[[self.place[text] for text in listed]]

    encode_query = encode_document

    def similarity(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left @ right.T

    def similarity_pairwise(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return (left * right).sum(dim=1)


def whole_mining(queries: np.ndarray, corpus: np.ndarray) -> None:
    """From pairs to pairs with four negatives each, where every text has been read."""
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    spoken = [f"q{k}" for k in range(len(queries))] + [f"d{k}" for k in range(len(corpus))]
    vectors = np.concatenate([queries, corpus])
    # Positives near their anchors, so that a share of their similarity leaves room below.
    near = queries + 0.05 * corpus[: len(queries)]
    vectors[len(queries) : 2 * len(queries)] = near / np.linalg.norm(near, axis=1, keepdims=True)
    anchors, positives = spoken[: len(queries)], spoken[len(queries) : 2 * len(queries)]
    pairs = Pairs.of(anchors, positives)
    used = set(pairs.texts)
    pairs = replace(pairs, texts=(*pairs.texts, *(text for text in spoken if text not in used)))
    place = {text: k for k, text in enumerate(spoken)}
    rows = vectors[[place[text] for text in pairs.texts]]
    recipe = HardNegatives(per_positive=4, pool=100)
    ours = len(pairs) / cpu_seconds(lambda: recipe.mine(pairs, vectors=rows), warm=True)
    dataset = Dataset.from_dict({"anchor": anchors, "positive": positives})
    model = Read(spoken, vectors)

    def theirs() -> object:
        return mine_hard_negatives(
            dataset,
            model,  # type: ignore[arg-type]
            corpus=list(pairs.texts),
            range_max=100,
            relative_margin=0.05,
            num_negatives=4,
            output_format="n-tuple",
            verbose=False,
        )

    row(
        "mine 4 negatives of 55,000 for 5,000",
        ours,
        len(pairs) / cpu_seconds(theirs, warm=True),
        "pairs/CPU-s",
    )


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
