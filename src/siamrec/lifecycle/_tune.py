"""Fine-tuning inside a cycle: pairs, training, and the encoder on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamrec.models import AdapterEncoder, SentenceEncoder
from siamrec.models.training import Adapter, FineTuneConfig, FineTuner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from siamrec.data import Catalog
    from siamrec.lifecycle.holdout import HeldOut
    from siamrec.models.training import FineTuneResult, Strategy, TrainingEvent
    from siamrec.protocols import PairGenerator, SiameseEncoder

_ADAPTER = "adapter.json"
_CHUNK = 256
# What a cycle of minutes can pay for on two cores; the gain flattens before.
_ADAPTER_STEPS, _ENCODER_STEPS = 400, 150


def read_texts(
    encoder: SiameseEncoder, texts: Sequence[str], *, progress: Callable[[float], None]
) -> None:
    """Encode texts in pieces, so that a cache fills and progress can be told."""
    for first in range(0, len(texts), _CHUNK):
        encoder.encode(texts[first : first + _CHUNK], kind="document")
        progress(min(1.0, (first + _CHUNK) / len(texts)))


def fine_tune(
    encoder: SiameseEncoder,
    split: HeldOut,
    catalog: Catalog,
    *,
    generator: PairGenerator,
    strategy: Strategy,
    previous: SiameseEncoder | None,
    warm_start: bool,
    seed: int,
    rng: np.random.Generator,
    progress: Callable[[float], None],
) -> tuple[FineTuneResult, dict[str, Any]]:
    """Return the tuned encoder, and how many pairs of which origin it learned from.

    Users of the validation pairs are training users of the cycle that the tuner does not learn
    from; the held-out users of the cycle stay unseen. With `warm_start` training goes on from
    `previous`, the encoder in use, where there is one.
    """
    pairs = generator.generate(split.train, catalog, rng=rng)
    train, valid = pairs.split(by="user", fraction=0.2, seed=seed)

    def heard(event: TrainingEvent) -> None:
        if event.total:
            progress(event.step / event.total)

    steps = _ADAPTER_STEPS if isinstance(strategy, Adapter) else _ENCODER_STEPS
    warm = warm_start and previous is not None
    config = FineTuneConfig(strategy=strategy, seed=seed, max_steps=steps, warm_start=warm)
    result = FineTuner(config).fit(encoder, train, valid, previous=previous, on_event=heard)
    counts = {"train_pairs": len(train), "valid_pairs": len(valid)}
    return result, counts


def save_encoder(encoder: SiameseEncoder, folder: Path) -> None:
    """Write a tuned encoder to a folder."""
    if isinstance(encoder, AdapterEncoder | SentenceEncoder):
        encoder.save(folder)
        return
    raise TypeError(f"{type(encoder).__name__} came out of the tuner but cannot be saved.")


def load_encoder(folder: Path, base: SiameseEncoder) -> SiameseEncoder:
    """Return the tuned encoder in a folder, on top of `base` where it is an adapter."""
    if (folder / _ADAPTER).exists():
        return AdapterEncoder.load(folder, base)
    return SentenceEncoder(Path(folder))
