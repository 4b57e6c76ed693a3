"""Domain adaptation: the catalogue's words are learned, the base stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.losses import build_loss
from siamrec.models import CachedEncoder, HashingEncoder, SentenceEncoder
from siamrec.models.training import adapt
from siamrec.models.training.strategies.dataset import damaged
from siamrec.testing.tiny import tiny_model

THEMES = ("heist crew vault", "space ship alien", "love letter paris", "robot city future")
TEXTS = [f"{THEMES[k % 4]} w{k % 11} w{k % 7}" for k in range(60)]


@pytest.fixture(scope="module")
def base() -> SentenceEncoder:
    return SentenceEncoder.of(tiny_model(TEXTS), name="tiny")


@pytest.fixture(scope="module")
def adapted(base: SentenceEncoder) -> SentenceEncoder:
    return adapt(CachedEncoder(base), TEXTS, steps=60, learning_rate=3e-3)


def found(encoder: SentenceEncoder) -> float:
    """Mean cosine of damaged texts to their own theme less that to the others."""
    rng = np.random.default_rng(5)
    broken = encoder.encode([damaged(text, rng, share=0.4) for text in TEXTS])
    scores = broken @ encoder.encode(TEXTS).T
    same = np.arange(60)[:, None] % 4 == np.arange(60)[None, :] % 4
    return float(scores[same].mean() - scores[~same].mean())


def test_damaged_texts_find_their_like(base: SentenceEncoder, adapted: SentenceEncoder) -> None:
    assert found(adapted) > found(base) + 0.05


def test_the_base_is_not_changed_and_the_same_seed_gives_the_same(
    base: SentenceEncoder, adapted: SentenceEncoder
) -> None:
    assert SentenceEncoder.of(base.model).fingerprint == base.fingerprint
    again = adapt(base, TEXTS, steps=60, learning_rate=3e-3)
    assert again.fingerprint == adapted.fingerprint != base.fingerprint


def test_the_text_is_written_from_the_vector_alone(base: SentenceEncoder) -> None:
    """The loss falls while training, measured by a fresh decoder on both ends."""
    model = tiny_model(TEXTS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        loss = build_loss("denoising-auto-encoder", model)
    features = [model.preprocess(TEXTS[:8]), model.preprocess(TEXTS[:8])]
    values = []
    optimiser = torch.optim.Adam(loss.parameters(), lr=3e-3)
    for _ in range(20):
        value = loss(features, None)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.7 * values[0]


def test_bad_input_is_clear(base: SentenceEncoder) -> None:
    with pytest.raises(InvalidParameterError, match="encoder must be a SentenceEncoder"):
        adapt(HashingEncoder(), TEXTS)
    with pytest.raises(InvalidDataError, match="at least one text of two words"):
        adapt(base, ["one", "two"])
    with pytest.raises(InvalidParameterError, match="dropped must be in"):
        adapt(base, TEXTS, dropped=1.0)
