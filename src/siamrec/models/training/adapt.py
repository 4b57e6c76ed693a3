"""Domain adaptation: an encoder learns the words of a catalogue from its texts alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.losses import build_loss
from siamrec.models.encoders import CachedEncoder, SentenceEncoder
from siamrec.models.encoders._texts import distinct
from siamrec.models.training.strategies.dataset import damaged
from siamrec.models.training.strategies.plain_training import train_plainly
from siamrec.models.training.strategies.trainable import alike

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.protocols import SiameseEncoder


def adapt(
    encoder: SiameseEncoder,
    texts: Sequence[str],
    *,
    steps: int = 500,
    batch_size: int = 8,
    learning_rate: float = 3e-5,
    dropped: float = 0.6,
    seed: int = 42,
) -> SentenceEncoder:
    """Return a copy of an encoder that has learned to put damaged texts together again.

    A share of the words of each text is dropped, and a decoder that sees the vector of what is
    left, and nothing else, has to write the whole text (TSDAE). It needs no feedback, and so comes
    before tuning where texts are unlike what the encoder was trained on. It is no gain by itself:
    judge the result by `FineTuner` or own-text retrieval like any other encoder.

    Args:
        encoder: A `SentenceEncoder`; it is not changed.
        texts: Texts of the catalogue; equal ones count once.
        steps: Steps of training.
        batch_size: Texts in a step.
        learning_rate: Largest step size; it falls linearly to zero.
        dropped: Share of the words that are dropped, in (0, 1).
        seed: Of what is dropped, of order and dropout.

    Raises:
        InvalidParameterError: If the encoder is of another kind or a number is out of its range.
        InvalidDataError: If there is no text of two words or more.

    References:
        Wang, Reimers, Gurevych (2021), TSDAE: using transformer-based sequential denoising
        auto-encoder for unsupervised sentence embedding learning, EMNLP findings.
    """
    import torch
    from datasets import Dataset

    base = encoder.base if isinstance(encoder, CachedEncoder) else encoder
    if not isinstance(base, SentenceEncoder):
        raise InvalidParameterError("encoder", type(base).__name__, "a SentenceEncoder")
    if not 0 < dropped < 1:
        raise InvalidParameterError("dropped", dropped, "in (0, 1)")
    whole = [text for text in distinct(texts)[0] if len(text.split()) > 1]
    if not whole:
        raise InvalidDataError("texts must hold at least one text of two words, got none.")
    rng = np.random.default_rng(seed)
    rows = Dataset.from_dict(
        {"damaged": [damaged(text, rng, share=dropped) for text in whole], "text": whole}
    )
    model = copy.deepcopy(base.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the decoder's new weights are drawn
        loss = build_loss("denoising-auto-encoder", model)
    train_plainly(
        model,
        rows,
        loss,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    return alike(base, model, name=f"{base.name}, adapted")
