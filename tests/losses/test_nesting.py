"""Losses within losses, what they hold, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from siamrec.data import Pairs, Vocabulary
from siamrec.errors import InvalidParameterError, MissingInputError, UnknownNameError
from siamrec.losses import (
    LOSSES,
    FeedbackInfoNCE,
    GradCached,
    ListwiseRating,
    QueuedInfoNCE,
    build_loss,
)
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from collections.abc import Sequence


def tokens(model: Any, columns: Sequence[Sequence[str]]) -> list[Any]:
    return [model.preprocess(list(column)) for column in columns]


WORDS = [f"w{k} w{k + 1}" for k in range(12)]


def test_grad_cached_takes_embedding_losses_alone_and_says_what_else_works() -> None:
    model = tiny_model(WORDS)
    with pytest.raises(InvalidParameterError, match="'cached-mnrl' or 'cached-gist'"):
        GradCached(build_loss("mnrl", model))  # type: ignore[arg-type]
    cached = GradCached(FeedbackInfoNCE(model), mini_batch_size=2)
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

    nested = MatryoshkaLoss(model, cached, matryoshka_dims=[32, 16])
    features = tokens(model, [WORDS[:4], WORDS[4:8]])
    with pytest.raises(InvalidParameterError, match="the loss itself inside MatryoshkaLoss"):
        nested(features, None)


@pytest.mark.parametrize("name", ["cached", "theirs"])
def test_a_model_that_is_put_into_a_wrapper_reaches_the_loss(name: str) -> None:
    model, other = tiny_model(WORDS), tiny_model(WORDS, dim=16)
    loss: Any = (
        GradCached(FeedbackInfoNCE(model)) if name == "cached" else build_loss("mnrl", model)
    )
    loss.model = other
    assert loss.model is other
    assert loss.loss.model is other
    assert [child for child, _ in loss.named_children()] == ["loss"]


def test_the_queue_remembers_each_length_of_embeddings_apart() -> None:
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

    model = tiny_model(WORDS)
    queue = QueuedInfoNCE(model, size=6)
    nested = MatryoshkaLoss(model, queue, matryoshka_dims=[32, 16, 8])
    losses = [
        float(nested(tokens(model, [WORDS[:4], WORDS[4:8]]), None).detach()) for _ in range(2)
    ]
    assert losses[1] > losses[0]
    held = {name: tuple(t.shape) for name, t in queue.named_buffers() if "model" not in name}
    assert held == {
        "past_32": (6, 32),
        "past_16": (6, 16),
        "past_8": (6, 8),
    }


def test_adaptive_layers_take_our_losses() -> None:
    from sentence_transformers.sentence_transformer.losses import (
        AdaptiveLayerLoss,
        MultipleNegativesRankingLoss,
    )

    model = tiny_model(WORDS).eval()
    found = [
        float(
            AdaptiveLayerLoss(model, kind(model), n_layers_per_step=-1)(
                tokens(model, [WORDS[:4], WORDS[4:8]]), None
            ).detach()
        )
        for kind in (FeedbackInfoNCE, MultipleNegativesRankingLoss)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_the_queue_knows_what_the_pairs_know() -> None:
    """A remembered text that the row's user likes is no rival; a mined one has its rate."""
    pairs = replace(
        Pairs.of(["a", "c"], ["b", "d"]),
        users=Vocabulary(("u",)),
        user=np.zeros(2, np.int32),
        negatives=np.array([[2], [0]], np.int32),
    )
    loss = build_loss("queued-infonce", torch.nn.Identity(), pairs=pairs, batch_size=1)
    plain = build_loss("queued-infonce", torch.nn.Identity(), size=8)
    code = {text: place for place, text in enumerate(pairs.texts)}
    labels = [
        torch.tensor([[1.0, 1.0, 0.0, code[left], code[right]]])
        for left, right in (("a", "b"), ("c", "d"))
    ]
    values = {}
    for name, each in (("knows", loss), ("plain", plain)):
        assert isinstance(each, QueuedInfoNCE)
        values[name] = [
            float(each.compute_loss_from_embeddings([torch.eye(2)[:1], torch.eye(2)[:1]], label))
            for label in labels
        ]
    assert values["knows"] == [0.0, 0.0], "the user likes all that is remembered"
    assert values["plain"][1] > 0
    assert LOSSES.factory("queued-infonce").takes_negatives


def test_settings_that_a_loss_does_not_know_are_named() -> None:
    with pytest.raises(UnknownNameError, match="No setting of the loss is named 'tau'"):
        build_loss("feedback-infonce", torch.nn.Identity(), scale=5.0, tau=3)


@pytest.mark.parametrize("name", ["cosine", "contrastive", "batch-hard-triplet", "softmax"])
def test_a_loss_that_reads_labels_says_so(name: str) -> None:
    model = tiny_model(WORDS)
    with pytest.raises(MissingInputError, match=f"A label of each row for {name}"):
        build_loss(name, model)(tokens(model, [WORDS[:4], WORDS[4:8]]), None)


def test_a_list_without_any_weight_teaches_nothing() -> None:
    left = torch.eye(3).requires_grad_()
    rows = torch.tensor([[k / 2, 0.0, 0.0] for k in range(3)])
    value = ListwiseRating().compute_loss_from_embeddings([left, torch.eye(3)], rows)
    assert isinstance(value, torch.Tensor)
    value.backward()  # type: ignore[no-untyped-call]
    assert float(value.detach()) == 0.0
    assert left.grad is not None
    assert torch.isfinite(left.grad).all()
