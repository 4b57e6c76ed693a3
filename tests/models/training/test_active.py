"""Asking for labels: each rule by hand or against the obvious computation."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.errors import InvalidDataError, UnknownNameError
from siamrec.models import HashingEncoder
from siamrec.models.training.active import _badge, _farthest, suggest_queries

ENCODER = HashingEncoder(dim=128)
QUERIES = [f"word{k} about {'heist' if k % 2 else 'love'}" for k in range(12)]
DOCUMENTS = ["heist", "love", "robots"]


@pytest.mark.parametrize("by", ["uncertainty", "badge", "coreset"])
def test_suggestions_are_new_different_and_repeatable(by: str) -> None:
    first, second = (
        suggest_queries(
            ENCODER,
            [*QUERIES, *QUERIES],
            DOCUMENTS,
            4,
            by=by,  # type: ignore[arg-type]
            labelled=QUERIES[:3],
            rng=np.random.default_rng(1),
        )
        for _ in range(2)
    )
    assert first == second
    assert len(set(first)) == 4
    assert not set(first) & set(QUERIES[:3])


def test_coreset_takes_the_farthest_next() -> None:
    angles = np.array([0.0, 0.1, 1.5, 3.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    chosen = _farthest(vectors, vectors[:1], 3, np.random.default_rng(0))
    assert chosen == [3, 2, 1]


def test_badge_distances_are_those_of_the_outer_products() -> None:
    """The first choice has the longest gradient; equal gradients are not chosen twice."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 3)).astype(np.float32)
    vectors[5] = vectors[4]
    scores = rng.normal(size=(6, 4)).astype(np.float32)
    scores[5] = scores[4]
    soft = np.exp(20 * (scores - scores.max(1, keepdims=True)))
    soft /= soft.sum(1, keepdims=True)
    soft[np.arange(6), scores.argmax(1)] -= 1
    length = [np.linalg.norm(np.outer(r, x)) for r, x in zip(soft, vectors, strict=True)]
    for seed in range(20):
        chosen = _badge(vectors, scores, 3, np.random.default_rng(seed))
        assert chosen[0] == int(np.argmax(length))
        assert not {4, 5} <= set(chosen)


def test_more_than_there_is_gives_all() -> None:
    found = suggest_queries(
        ENCODER, QUERIES[:2], DOCUMENTS, 9, by="coreset", rng=np.random.default_rng(0)
    )
    assert sorted(found) == sorted(QUERIES[:2])


def test_bad_input_is_clear() -> None:
    with pytest.raises(InvalidDataError, match="a query without a label and two documents"):
        suggest_queries(ENCODER, ["q"], ["d"], 1, rng=np.random.default_rng(0))
    with pytest.raises(UnknownNameError, match="Did you mean 'badge'"):
        suggest_queries(ENCODER, ["q"], DOCUMENTS, 1, by="badges", rng=np.random.default_rng(0))  # type: ignore[arg-type]
