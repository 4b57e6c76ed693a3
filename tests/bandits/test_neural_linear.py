"""Neural-linear: the linear bandit on encoded texts, bound to one encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from siamrec._core.clock import ManualClock
from siamrec.bandits import ContextualBandit, LinearThompson, NeuralLinear
from siamrec.data import Rewards
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.typing import Float32Array


class Words:
    """One direction for each of two words."""

    def __init__(self, fingerprint: str = "words", dim: int = 2) -> None:
        self.fingerprint, self.dim = fingerprint, dim

    def encode(
        self, texts: Sequence[str], *, kind: Literal["query", "document"] = "document"
    ) -> Float32Array:
        rows = [[1.0, 0.0] if "sea" in text else [0.0, 1.0] for text in texts]
        return np.asarray(rows, dtype=np.float32)


def bandit_of(encoder: Words | None = None, **changes: object) -> NeuralLinear:
    return NeuralLinear(
        encoder or Words(),
        ("svd", "graph"),
        seed=3,
        clock=ManualClock(1),
        **changes,  # type: ignore[arg-type]
    )


def test_it_is_linear_thompson_on_the_vectors() -> None:
    neural = bandit_of()
    linear = ContextualBandit(
        LinearThompson(), ("svd", "graph"), n_features=2, seed=3,
        name="neural-linear/words", clock=ManualClock(1),
    )  # fmt: skip
    texts = ["the sea", "a hill", "sea and sky", "hills"] * 5
    first = neural.select_many(texts)
    second = linear.select_many([{}] * 20, features=Words().encode(texts).astype(np.float64))
    np.testing.assert_array_equal(first.arm, second.arm)
    np.testing.assert_array_equal(first.propensity, second.propensity)
    rewards = np.linspace(0, 1, 20)
    neural.learn(Rewards(decision=first.id, reward=rewards))
    linear.learn(Rewards(decision=second.id, reward=rewards))
    assert neural.probabilities("the sea") == linear.probabilities(features=np.array([1.0, 0.0]))


def test_it_learns_which_arm_suits_which_text() -> None:
    bandit = bandit_of()
    rng = np.random.default_rng(0)
    suits = {"the sea": "svd", "a hill": "graph"}
    for _ in range(300):
        text = str(rng.choice(list(suits)))
        decision = bandit.select(text)
        bandit.learn(decision.id, reward=float(decision.arm == suits[text]))
    assert bandit.probabilities("the sea")["svd"] > 0.9
    assert bandit.probabilities("a hill")["graph"] > 0.9


def test_another_encoder_may_not_continue() -> None:
    one, same, other = bandit_of(), bandit_of(), bandit_of(Words("other weights"))
    decision = one.select("the sea")
    one.learn(decision.id, reward=1.0)
    snapshot = one.snapshot()
    with pytest.raises(InvalidDataError):
        other.merge(snapshot)
    same.merge(snapshot)
    assert same.probabilities("the sea") == pytest.approx(one.probabilities("the sea"))


def test_vectors_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidDataError, match=r"encoder must give \(1, 3\), got \(1, 2\)"):
        bandit_of(Words(dim=3)).select("the sea")
