"""Does feedback make a text encoder a better recommender? Real ratings, held-out users.

    python benchmarks/finetune_quality.py [--seeds 3] [--full] [--cache FOLDER]

needs SIAMREC_DATA with `ml-latest-small` and `joined`. A fifth of the users and a tenth of the
items are hidden from everything. Each hidden user's first half of ratings is the profile, the
likes of the second half (all likes, for hidden items) are to be found: warm among all items that
training could see, cold among the hidden items. NDCG@10; intervals are Student's for paired
differences over users.
"""

from __future__ import annotations

import argparse
import copy
import csv
import gzip
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.losses import LossSpec, build_loss
from siamrec.models import CachedEncoder, SentenceEncoder
from siamrec.models.training import (
    Adapter,
    EncoderComparison,
    FineTuneConfig,
    FineTuner,
    Full,
    LoRA,
    Retention,
)
from siamrec.models.training.validation.retention import reciprocal_rank
from siamrec.pairs import HardNegatives, RatingPairs

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from siamrec.data import Pairs

K = 10
SECOND = 10**9


@dataclass(frozen=True)
class Films:
    catalog: Catalog
    titles: list[str]
    overviews: list[str | None]
    feedback: Feedback


def films(data: Path, most: int | None = None) -> Films:
    """Read ratings and texts; of the `most` most rated films, where it is given."""
    with gzip.open(data / "joined" / "movies_joined.csv.gz", "rt", encoding="utf-8") as file:
        overview = {row["movieId"]: row["overview"] for row in csv.DictReader(file)}
    with (data / "ml-latest-small" / "movies.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = np.loadtxt(data / "ml-latest-small" / "ratings.csv", delimiter=",", skiprows=1)
    if most is not None:
        ids, count = np.unique(table[:, 1].astype(np.int64), return_counts=True)
        kept = set(ids[np.argsort(-count, kind="stable")[:most]].tolist())
        rows = [row for row in rows if int(row["movieId"]) in kept]
        table = table[np.isin(table[:, 1].astype(np.int64), list(kept))]
    genres = [r["genres"].replace("|", ", ").replace("(no genres listed)", "") for r in rows]
    plots = [overview.get(r["movieId"]) or None for r in rows]
    texts = tuple(
        "\n".join(part for part in (r["title"], genre, plot) if part)
        for r, genre, plot in zip(rows, genres, plots, strict=True)
    )
    items = Vocabulary(tuple(int(r["movieId"]) for r in rows))
    feedback = Feedback.of(
        user=table[:, 0].astype(np.int64),
        item=table[:, 1].astype(np.int64),
        value=table[:, 2],
        time=table[:, 3].astype(np.int64) * SECOND,
    )
    return Films(Catalog(items=items, text=texts), [r["title"] for r in rows], plots, feedback)


@dataclass(frozen=True)
class Trial:
    """What one seed hides, and what is to be found. Items are places in the catalogue."""

    seen: Feedback
    warm: np.ndarray
    cold: np.ndarray
    profiles: list[np.ndarray]
    rated: list[np.ndarray]
    warm_truth: list[np.ndarray]
    cold_truth: list[np.ndarray]
    popularity: np.ndarray


def trial(films: Films, seed: int) -> Trial:
    rng = np.random.default_rng(seed)
    feedback, n_items = films.feedback, len(films.catalog)
    place = feedback.items.translate(films.catalog.items)[feedback.item]
    hidden_users = rng.permutation(len(feedback.users))[: len(feedback.users) // 5]
    cold = np.zeros(n_items, bool)
    cold[rng.permutation(n_items)[: n_items // 10]] = True
    is_hidden = np.isin(feedback.user, hidden_users)
    seen = feedback.where(~is_hidden & ~cold[place])
    likes = np.bincount(
        place[~is_hidden & ~cold[place] & (feedback.value >= 4)], minlength=n_items
    )
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for user in hidden_users:
        rows = np.flatnonzero(feedback.user == user)
        rows = rows[np.argsort(feedback.time[rows], kind="stable")]
        liked = feedback.value[rows] >= 4
        items, half = place[rows], np.arange(rows.size) < rows.size // 2
        profile = items[half & liked & ~cold[items]]
        if profile.size:
            for column, mask in zip(
                columns,
                (
                    half & liked & ~cold[items],
                    half,
                    ~half & liked & ~cold[items],
                    liked & cold[items],
                ),
                strict=True,
            ):
                column.append(items[mask])
    return Trial(seen, ~cold, cold, *columns, likes.astype(float))  # type: ignore[arg-type]


def ndcg(scores: np.ndarray, allowed: np.ndarray, truth: np.ndarray) -> float:
    if not truth.size:
        return float("nan")
    top = np.argsort(-np.where(allowed, scores, -np.inf), kind="stable")[:K]
    discount = 1 / np.log2(np.arange(2, K + 2))
    return float(np.isin(top, truth) @ discount / discount[: min(K, truth.size)].sum())


def slices(trial: Trial, vectors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """NDCG@10 of each hidden user, warm and cold; popularity where no vectors are given."""
    warm, cold = [], []
    for k, profile in enumerate(trial.profiles):
        scores = trial.popularity if vectors is None else vectors @ vectors[profile].mean(axis=0)
        fresh = trial.warm.copy()
        fresh[trial.rated[k]] = False
        warm.append(ndcg(scores, fresh, trial.warm_truth[k]))
        # Popularity has nothing to say of hidden items.
        blind = vectors is None
        cold.append(np.nan if blind else ndcg(scores, trial.cold, trial.cold_truth[k]))
    return np.array(warm), np.array(cold)


def own_texts(films: Films, read: object, n: int = 1000) -> float:
    """Mean reciprocal rank of a film's own plot, asked for by its title."""
    pairs = [(t, o) for t, o in zip(films.titles, films.overviews, strict=True) if o][:n]
    return reciprocal_rank(read([t for t, _ in pairs]), read([o for _, o in pairs]))  # type: ignore[operator]


def line(name: str, seed: int, found: tuple, base: tuple, *, text: float, cpu: float) -> None:
    """Print NDCG@10 of both slices with the interval of the gain over the base."""
    cells = []
    for before, after in zip(base, found, strict=True):
        c = EncoderComparison.of("ndcg@10", before, after)
        cells.append(f"{c.tuned:.4f} [{c.low:+.3f}, {c.high:+.3f}]" if c.n else "-")
    print(
        f"{seed:>4} {name:<28} {cells[0]:>26} {cells[1]:>26} {text:>9.4f} {cpu:>8.1f}", flush=True
    )


def plain(
    encoder: SentenceEncoder, pairs: Pairs, steps: int, seed: int, *, guided: bool
) -> SentenceEncoder:
    """Fine-tuning as the manual of sentence-transformers shows it; with a guide it is GIST."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import BatchSamplers
    from sentence_transformers.sentence_transformer.losses import (
        GISTEmbedLoss,
        MultipleNegativesRankingLoss,
    )

    positive = pairs.where(pairs.label >= 0.5)
    rows = Dataset.from_dict(
        {
            "anchor": [positive.texts[c] for c in positive.left],
            "positive": [positive.texts[c] for c in positive.right],
        }
    )
    model = copy.deepcopy(encoder.model)
    guide = copy.deepcopy(encoder.model)
    loss = GISTEmbedLoss(model, guide) if guided else MultipleNegativesRankingLoss(model)
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=32,
            learning_rate=2e-5,
            warmup_steps=0.1,
            seed=seed,
            use_cpu=True,
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
        )
        SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=rows, loss=loss
        ).train()
    return SentenceEncoder.of(model)


def mixed(base: SentenceEncoder, tuned: SentenceEncoder, share: float) -> SentenceEncoder:
    """Weights `share` of the way from the base to the tuned encoder (WiSE-FT)."""
    model = copy.deepcopy(tuned.model)
    start, end = base.model.state_dict(), tuned.model.state_dict()
    model.load_state_dict(
        {n: start[n].lerp(end[n], share) if end[n].is_floating_point() else end[n] for n in end}
    )
    return SentenceEncoder.of(model)


def unmasked(model: torch.nn.Module, *, pairs: Pairs) -> torch.nn.Module:
    """FeedbackInfoNCE that knows nothing but equal texts."""
    loss = build_loss("feedback-infonce", model, pairs=pairs, batch_size=32)
    loss.likes = loss.related = None
    return loss


def whole_encoder(
    films: Films, hidden: Trial, sides: tuple[Pairs, Pairs], seed: int, options: argparse.Namespace
) -> dict[float, SentenceEncoder]:
    """Rows that train the encoder itself, all with the same number of steps of 32 pairs.

    Returns:
        The one of FeedbackInfoNCE and, half of the way to it, another, if there was that row.
    """
    short = SentenceEncoder(max_tokens=options.tokens)
    texts, steps = films.catalog.text, options.full
    start = short.encode(texts)  # type: ignore[arg-type]
    reference = slices(hidden, start)
    line(
        f"base, {options.tokens} tokens",
        seed,
        reference,
        reference,
        text=own_texts(films, short.encode),
        cpu=0,
    )

    def measured(name: str, train: Callable[[], SentenceEncoder]) -> SentenceEncoder:
        begin = time.process_time()
        tuned = train()
        cpu = time.process_time() - begin
        found = slices(hidden, tuned.encode(texts))  # type: ignore[arg-type]
        line(name, seed, found, reference, text=own_texts(films, tuned.encode), cpu=cpu)
        return tuned

    for name, guided in (("plain MNRL", False), ("plain GIST", True)):
        if not options.variants or name in options.variants:
            measured(name, lambda g=guided: plain(short, sides[0], steps, seed, guided=g))
    whole = Full(batch_size=32, evaluations=2, validation_texts=500)
    ours = FineTuneConfig(strategy=whole, max_steps=steps, cold_share=0.0, wise_ft=1.0, seed=seed)
    pairs_alone = replace(ours, loss="feedback-infonce:co_likes=0")
    mining = replace(whole, mine=HardNegatives(per_positive=1), evaluations=4)
    flat = replace(sides[0], weight=np.ones_like(sides[0].weight))
    none = np.empty(0, np.int32)
    unknown = replace(flat, liked_user=none, liked_text=none, liked_time=None)
    variants: dict[str, tuple[FineTuneConfig, Pairs]] = {
        "FeedbackInfoNCE": (ours, sides[0]),
        "… no logQ": (replace(ours, loss="feedback-infonce:popularity=0.0"), sides[0]),
        "… no weights": (ours, flat),
        "… no co-likes in the mask": (pairs_alone, sides[0]),
        "… knows the pairs alone": (pairs_alone, unknown),
        "… no mask": (
            replace(ours, loss="unmasked", losses={"unmasked": LossSpec(unmasked)}),
            sides[0],
        ),
        "… 4 rows of a user together": (
            replace(ours, strategy=replace(whole, rows_per_user=4)),
            sides[0],
        ),
        "… LoRA": (
            replace(ours, strategy=LoRA(batch_size=32, evaluations=2, validation_texts=500)),
            sides[0],
        ),
        "… negatives mined while training": (replace(ours, strategy=mining), sides[0]),
    }
    chosen = options.variants or list(variants)
    kept: dict[float, SentenceEncoder] = {}
    for name, (config, train) in variants.items():
        if name not in chosen:
            continue
        tuner = FineTuner(config)
        tuned = measured(name, lambda t=tuner, p=train: t.fit(short, p, sides[1]).encoder)
        if name == "FeedbackInfoNCE":
            kept[1.0] = tuned
            for share in (0.25, 0.5, 0.75):
                kept[share] = measured(
                    f"… WiSE-FT {share:g}", lambda a=share, t=tuned: mixed(short, t, a)
                )
    return {share: kept[share] for share in (0.5, 1.0) if share in kept}


def adapters_on_top(
    films: Films,
    hidden: Trial,
    sides: tuple[Pairs, Pairs],
    seed: int,
    *,
    reference: tuple,
    encoders: dict[float, SentenceEncoder],
) -> None:
    """Rows with the encoder trained first and an adapter on its texts of 256 tokens second."""
    texts = films.catalog.text
    for share, encoder in encoders.items():
        encoder.model.max_seq_length = 256
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            below = CachedEncoder(encoder, folder=folder)
            below.encode(texts)  # type: ignore[arg-type]
            tuned = FineTuner(FineTuneConfig(seed=seed)).fit(below, *sides).encoder
            found = slices(hidden, tuned.encode(texts))  # type: ignore[arg-type]
            text = own_texts(films, tuned.encode)
        cpu = time.process_time() - start
        line(f"adapter on {share:g} of the tuned", seed, found, reference, text=text, cpu=cpu)


def run_seed(films: Films, base: CachedEncoder, seed: int, options: argparse.Namespace) -> None:
    hidden = trial(films, seed)
    texts = films.catalog.text
    before = base.encode(texts)  # type: ignore[arg-type]
    reference = slices(hidden, before)
    text = own_texts(films, base.encode)
    line("base", seed, reference, reference, text=text, cpu=0.0)
    popular = slices(hidden, None)
    line("popularity", seed, popular, reference, text=float("nan"), cpu=0.0)
    centred = before - before.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    line(
        "base, mean removed", seed, slices(hidden, centred), reference, text=float("nan"), cpu=0.0
    )
    pairs = RatingPairs().generate(hidden.seen, films.catalog, rng=np.random.default_rng(seed))
    train, valid = pairs.split(by="user", fraction=0.15, seed=seed)
    ours = FineTuneConfig(seed=seed)
    floor = Retention(max_drop=0.1, probes=150)
    one = replace(ours, strategy=Adapter(heads=1))
    variants = {
        "adapter": ours,
        "adapter, retention floor": replace(ours, retention=floor),
        "adapter, one head": one,
    }
    if options.variants:
        variants = {}
    if options.ablations:
        variants |= {
            "one head, another draw": replace(one, seed=seed + 100),
            "one head, a third draw": replace(one, seed=seed + 200),
            "one head, linear": replace(one, strategy=Adapter(heads=1, hidden=0)),
            "one head, text against text": replace(one, strategy=Adapter(heads=1, profile_size=1)),
            "one head, no logQ": replace(one, strategy=Adapter(heads=1, popularity=0.0)),
            "one head, not whitened": replace(one, strategy=Adapter(heads=1, whiten=0.0)),
            "one head, co-likes masked": replace(one, strategy=Adapter(heads=1, co_likes=5)),
            "one head, WiSE-FT 1/2": replace(one, wise_ft=0.5),
            "one head, WiSE-FT 1/4": replace(one, wise_ft=0.25),
        }
    for name, config in variants.items():
        start = time.process_time()
        result = FineTuner(config).fit(base, train, valid)
        cpu = time.process_time() - start
        tuned = result.encoder
        found = slices(hidden, tuned.encode(texts))  # type: ignore[arg-type]
        line(name, seed, found, reference, text=own_texts(films, tuned.encode), cpu=cpu)
        if name == "adapter":
            gain = EncoderComparison.of("ndcg@10", popular[0], found[0])
            print(f"{'':>4} … over popularity: {gain}")
    if options.ablations:
        flat = replace(train, weight=np.ones_like(train.weight))
        tuned = FineTuner(one).fit(base, flat, valid).encoder
        found = slices(hidden, tuned.encode(texts))  # type: ignore[arg-type]
        line(
            "one head, no weights",
            seed,
            found,
            reference,
            text=own_texts(films, tuned.encode),
            cpu=0,
        )
    if options.full:
        encoders = whole_encoder(films, hidden, (train, valid), seed, options)
        adapters_on_top(
            films, hidden, (train, valid), seed, reference=reference, encoders=encoders
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--full", type=int, default=0, help="steps of full training; 0 leaves it out"
    )
    parser.add_argument("--items", type=int, help="only so many of the most rated films")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--tokens", type=int, default=64, help="of a text, in full training")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--variants", nargs="*", help="only these ways of training the encoder")
    parser.add_argument("--cache", default=str(Path(tempfile.gettempdir()) / "siamrec-vectors"))
    options = parser.parse_args()
    data = os.environ.get("SIAMREC_DATA")
    if not data:
        print("SIAMREC_DATA is not set: nothing to measure.")
        return
    world = films(Path(data), options.items)
    base = CachedEncoder(SentenceEncoder("all-MiniLM-L6-v2"), folder=options.cache)
    print(
        f"{'seed':>4} {'model':<28} {'warm NDCG@10 [gain]':>26} {'cold NDCG@10 [gain]':>26} "
        f"{'own text':>9} {'CPU-s':>8}"
    )
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        run_seed(world, base, seed, options)


if __name__ == "__main__":
    main()
