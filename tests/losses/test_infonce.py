"""The contrastive objective: hand-computed, against a slow reference, and its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.data import Pairs
from siamrec.errors import InvalidDataError
from siamrec.losses import KnownPositives, feedback_infonce


def reference(
    anchors: np.ndarray,
    candidates: np.ndarray,
    positive: np.ndarray,
    *,
    scale: float,
    weights: np.ndarray,
    known: np.ndarray,
    log_q: np.ndarray,
) -> float:
    total = 0.0
    for b, p in enumerate(positive):
        a = anchors[b] / np.linalg.norm(anchors[b])
        logits = [
            scale * float(a @ (c / np.linalg.norm(c))) - q
            for c, q in zip(candidates, log_q, strict=True)
        ]
        kept = [math.exp(logit) for j, logit in enumerate(logits) if j == p or not known[b, j]]
        total += weights[b] * -math.log(math.exp(logits[p]) / sum(kept))
    return total / float(weights.sum())


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_equals_the_slow_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m, dim = rng.integers(2, 6), rng.integers(6, 9), 3
    anchors, candidates = rng.normal(size=(n, dim)), rng.normal(size=(m, dim))
    positive = rng.integers(0, m, n)
    weights, log_q = rng.uniform(0.1, 2, n), np.log(rng.uniform(0.01, 1, m))
    known = rng.random((n, m)) < 0.3
    found = feedback_infonce(
        torch.tensor(anchors),
        torch.tensor(candidates),
        torch.tensor(positive),
        scale=7.0,
        weights=torch.tensor(weights),
        known=torch.tensor(known),
        log_q=torch.tensor(log_q),
    )
    slow = reference(
        anchors, candidates, positive, scale=7.0, weights=weights, known=known, log_q=log_q
    )
    assert float(found) == pytest.approx(slow, rel=1e-9)


def test_equals_cross_entropy_without_extras() -> None:
    generator = torch.Generator().manual_seed(0)
    anchors, candidates = (torch.randn(5, 8, generator=generator) for _ in range(2))
    anchors.requires_grad_()
    found = feedback_infonce(anchors, candidates, torch.arange(5))
    (gradient,) = torch.autograd.grad(found, anchors)
    unit = torch.nn.functional.normalize
    logits = 20 * unit(anchors, dim=1) @ unit(candidates, dim=1).T
    plain = torch.nn.functional.cross_entropy(logits, torch.arange(5))
    (expected,) = torch.autograd.grad(plain, anchors)
    assert float(found.detach()) == pytest.approx(float(plain.detach()), rel=1e-6)
    torch.testing.assert_close(gradient, expected)


def test_several_positives_are_averaged_and_never_rivals() -> None:
    # Cosines 1, 0, 0 with scale 1: two positives against one rival at 0.
    anchors, candidates = torch.eye(3)[:1], torch.eye(3)
    mask = torch.tensor([[True, True, False]])
    found = feedback_infonce(anchors, candidates, mask, scale=1.0)
    by_hand = (math.log(1 + math.exp(0 - 1)) + math.log(1 + math.exp(0 - 0))) / 2
    assert float(found) == pytest.approx(by_hand, rel=1e-6)


def test_weight_two_counts_like_two_rows() -> None:
    generator = torch.Generator().manual_seed(1)
    anchors = torch.randn(3, 4, generator=generator)
    candidates = torch.randn(6, 4, generator=generator)
    positive = torch.tensor([0, 3, 5])
    doubled = feedback_infonce(
        anchors, candidates, positive, weights=torch.tensor([1.0, 2.0, 1.0])
    )
    again = torch.tensor([0, 1, 1, 2])
    repeated = feedback_infonce(anchors[again], candidates, positive[again], weights=torch.ones(4))
    assert float(doubled) == pytest.approx(float(repeated), rel=1e-6)


def test_correction_lifts_frequent_texts() -> None:
    """The sign of logQ: a text that is often a negative must be pushed away less."""
    anchors, candidates = torch.zeros(1, 2), torch.eye(2).requires_grad_()
    anchors[0, :] = 1.0
    log_q = torch.tensor([math.log(0.01), math.log(0.5)])
    pushed = []
    for correction in (None, log_q):
        loss = feedback_infonce(
            anchors, candidates, torch.tensor([0]), scale=1.0, log_q=correction
        )
        (gradient,) = torch.autograd.grad(loss, candidates)
        pushed.append(float(gradient[1].norm()))
    assert pushed[1] < pushed[0]


def test_debiasing_with_prior_zero_changes_nothing_and_else_softens() -> None:
    generator = torch.Generator().manual_seed(2)
    anchors = torch.randn(4, 8, generator=generator)
    candidates = torch.randn(4, 8, generator=generator)
    losses = [
        float(feedback_infonce(anchors, candidates, torch.arange(4), scale=2.0, debias=d))
        for d in (0.0, 1e-9, 0.05)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[2] != pytest.approx(losses[0], rel=1e-4)


def test_debiasing_by_hand() -> None:
    # One rival: N g = (e^0 - 0.1 e^1) / 0.9 for cosines 1 (positive) and 0 (rival), scale 1.
    found = feedback_infonce(
        torch.eye(2)[:1], torch.eye(2), torch.tensor([0]), scale=1.0, debias=0.1
    )
    rival = (1 - 0.1 * math.e) / 0.9
    assert float(found) == pytest.approx(-math.log(math.e / (math.e + rival)), rel=1e-6)


def test_an_anchor_without_rivals_adds_nothing() -> None:
    anchors, candidates = torch.eye(2).requires_grad_(), torch.eye(2)
    known = torch.ones(2, 2, dtype=torch.bool)
    loss = feedback_infonce(anchors, candidates, torch.arange(2), known=known)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert anchors.grad is not None
    assert torch.isfinite(anchors.grad).all()


def test_positives_must_fit() -> None:
    with pytest.raises(InvalidDataError, match="positives must be 2 indices or a boolean mask"):
        feedback_infonce(torch.eye(2), torch.eye(2), torch.zeros(3, dtype=torch.long))


def liked_pairs() -> Pairs:
    return Pairs.from_frame(
        {"left": ["a", "a"], "right": ["b", "c"], "label": [1.0, 0.0], "user": ["u", "u"]},
        label="label",
        user="user",
    )


def test_known_positives_of_a_user_are_likes_only() -> None:
    known = KnownPositives.likes(liked_pairs())
    answers = known(torch.tensor([0, -1]), torch.arange(3))
    assert answers.tolist() == [[True, True, False], [False, False, False]]


def test_related_texts_are_the_same_text_and_partners() -> None:
    related = KnownPositives.related(liked_pairs())
    expected = [[True, True, False], [True, True, False], [False, False, True]]
    assert related(torch.arange(3), torch.arange(3)).tolist() == expected


def test_texts_liked_together_often_enough_are_related() -> None:
    base = Pairs.of(["x"], ["y"])
    users = type(base.users)(tuple("abc"))
    from dataclasses import replace

    pairs = replace(
        base,
        texts=("x", "y", "p", "q", "r"),
        users=users,
        liked_user=np.array([0, 0, 1, 1, 2, 2], np.int32),
        liked_text=np.array([2, 3, 2, 3, 2, 4], np.int32),
    )
    related = KnownPositives.related(pairs, least_users=2)
    assert related(torch.tensor([2]), torch.arange(5)).tolist() == [
        [False, False, True, True, False]
    ]
    none = KnownPositives.related(pairs, least_users=0)
    assert none(torch.tensor([2]), torch.arange(5)).tolist() == [
        [False, False, True, False, False]
    ]
