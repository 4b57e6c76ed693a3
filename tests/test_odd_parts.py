"""Odd data through every registered policy, metric, estimator and loss of the house."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from siamrec.bandits import POLICIES, ContextualBandit
from siamrec.bandits.ope import ESTIMATORS, IPS, SNIPS, Log
from siamrec.data import Rankings, Truth
from siamrec.errors import MissingInputError, SiamrecError
from siamrec.losses import (
    BradleyTerry,
    FeedbackInfoNCE,
    ListwiseRating,
    QueuedInfoNCE,
    WeightedContrastive,
    WeightedCoSENT,
    WeightedCosine,
    WeightedTriplet,
)
from siamrec.metrics import METRICS, Suite
from siamrec.testing.losses import total

if TYPE_CHECKING:
    from collections.abc import Callable

# --- policies

REWARDS: dict[str, Callable[[int], float]] = {
    "never": lambda _: 0.0,
    "always": lambda _: 1.0,
    "half": lambda _: 0.5,
    "one in 50": lambda turn: float(turn == 0),
}


@pytest.mark.parametrize("rewards", REWARDS)
@pytest.mark.parametrize("n_arms", [1, 2, 40])
@pytest.mark.parametrize("name", sorted(POLICIES.house()))
def test_policies_choose_by_probabilities_whatever_came_back(
    name: str, n_arms: int, rewards: str
) -> None:
    arms = tuple(f"arm {code}" for code in range(n_arms))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told: dict[str, Any] = {}
        try:
            ContextualBandit(POLICIES.make(name), arms=arms).select()
            bandit: Any = ContextualBandit(POLICIES.make(name), arms=arms)
        except MissingInputError:
            bandit = ContextualBandit(POLICIES.make(name), arms=arms, n_features=2)
            told = {"features": np.array([1.0, 0.0])}
        for turn in range(50):
            # all but one turn on one arm: nothing is known of the others
            decision = bandit.select(arms=arms[:1] if turn else arms, **told)
            assert 0 < decision.propensity <= 1 + 1e-9
            bandit.learn(decision, REWARDS[rewards](turn))
        shares = np.array(list(bandit.probabilities(**told).values()))
    assert shares.shape == (n_arms,)
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1.0)
    chosen = bandit.select(n=n_arms, **told)
    assert sorted(chosen.arms) == sorted(arms)


# --- metrics

LISTS: dict[str, tuple[dict[Any, list[Any]], dict[Any, list[Any]]]] = {
    "one user": ({"a": ["x", "y"]}, {"a": ["y"]}),
    "one item": ({"a": ["x"], "b": ["x"]}, {"a": ["x"], "b": ["x"]}),
    "nothing shown": ({"a": [], "b": []}, {"a": ["x"], "b": ["y"]}),
    "nothing relevant": ({"a": ["x", "y"], "b": ["y"]}, {"a": [], "b": []}),
    "all relevant": ({"a": ["x", "y"], "b": ["y", "x"]}, {"a": ["x", "y"], "b": ["x", "y"]}),
    "one empty list": ({"a": [], "b": ["x", "y", "z"]}, {"a": ["x"], "b": ["z"]}),
    "others relevant": ({"a": ["x"], "b": ["y"]}, {"a": ["p"], "b": ["q"]}),
    "odd names": ({"": ["", " "], "ü": ["null"]}, {"": [" "], "ü": ["nan"]}),
}
SETTINGS = {"partial_auc": "partial_auc(negatives=5)", "short_lists": "short_lists(k=5)"}


@pytest.mark.parametrize("odd", LISTS)
@pytest.mark.parametrize("stem", sorted(METRICS.house()))
def test_metrics_keep_to_their_range_or_say_what_they_need(stem: str, odd: str) -> None:
    shown, relevant = LISTS[odd]
    lists = Rankings.from_lists(
        shown,
        scores={user: [1.0 / (1 + p) for p in range(len(row))] for user, row in shown.items()},
    )
    truth = Truth.from_lists(relevant)
    n = len(lists.items)
    inputs: dict[str, Any] = {
        "popularity": np.ones(n),
        "categories": {item: ["c"] for item in lists.items.ids},
        "embeddings": np.eye(max(n, 1))[:n],
        "history": Truth.from_lists({user: [] for user in shown}),
        "catalog_size": 9,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        name = SETTINGS.get(stem, stem)
        try:
            suite = Suite([name])
        except SiamrecError:
            suite = Suite([f"{name}@2"])
        try:
            report = suite.evaluate(lists, truth, **inputs)
        except SiamrecError as error:
            pytest.skip(f"refused: {error}")
        (only,) = suite.metrics.values()
        low, high = only.range
        value = report[suite.names[0]].mean
        assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9


# --- estimators

LOGS: dict[str, dict[str, Any]] = {
    "one row": {"action": [0], "reward": [1.0], "propensity": [1.0]},
    "one action": {"action": [0] * 9, "reward": [0.5] * 9, "propensity": [1.0] * 9},
    "no reward": {"action": [0, 1] * 9, "reward": [0.0] * 18, "propensity": [0.5] * 18},
    "rare action": {"action": [0] * 17 + [1], "reward": [0.0] * 17 + [1.0],
                    "propensity": [0.999] * 17 + [0.001]},
    "never what is wanted": {"action": [1] * 9, "reward": [1.0] * 9, "propensity": [0.5] * 9},
}  # fmt: skip
ESTIMATED: dict[str, dict[str, Any]] = {
    "mips": {"groups": (0, 1)},
    "slope": {"candidates": (IPS(), SNIPS())},
}


@pytest.mark.parametrize("odd", LOGS)
@pytest.mark.parametrize("name", sorted(ESTIMATORS.house()))
def test_estimates_are_finite_or_refused(name: str, odd: str) -> None:
    columns = {key: np.asarray(value) for key, value in LOGS[odd].items()}
    n = columns["action"].size
    share = columns["propensity"]
    table = np.empty((n, 2))
    table[np.arange(n), columns["action"]] = share
    table[np.arange(n), 1 - columns["action"]] = 1 - share
    log = Log(**columns, n_actions=2, features=np.ones((n, 1)), logging=table,
              reward_range=(0.0, 1.0))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = ESTIMATORS.make(name, **ESTIMATED.get(name, {}))
        try:
            found = estimator.estimate(log, np.tile([1.0, 0.0], (n, 1)))
            value = found.value
        except SiamrecError as error:
            pytest.skip(f"refused: {error}")
    assert -1e-9 <= value <= 1 + 1e-9


# --- losses

LOSSES: dict[str, tuple[Callable[[], Any], int]] = {
    "infonce": (FeedbackInfoNCE, 2),
    "queued": (QueuedInfoNCE, 2),
    "cosent": (WeightedCoSENT, 2),
    "cosine": (WeightedCosine, 2),
    "contrastive": (WeightedContrastive, 2),
    "listwise": (ListwiseRating, 2),
    "triplet": (WeightedTriplet, 3),
    "bradley-terry": (BradleyTerry, 3),
}


def labels_of(rows: int, columns: int, value: float, weight: float) -> torch.Tensor:
    head = torch.tensor([value, weight, 0.0]).repeat(rows, 1)
    texts = torch.arange(rows * columns, dtype=torch.float32).reshape(rows, columns)
    return torch.cat([head, texts], dim=1)


@pytest.mark.parametrize(
    ("rows", "value", "weight", "kind"),
    [
        (1, 1.0, 1.0, "random"),
        (4, 0.0, 1.0, "random"),
        (4, 1.0, 0.0, "random"),
        (4, 1.0, 1.0, "all the same"),
        (4, 0.5, 1.0, "opposite"),
        (4, 1.0, 1e6, "random"),
        (4, 1.0, 1e-6, "random"),
        (4, 1.0, 1.0, "very long"),
        (4, 1.0, 1.0, "nothing"),
    ],
)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_are_finite(
    name: str, rows: int, value: float, weight: float, kind: str
) -> None:
    make, columns = LOSSES[name]
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(rows, 8, generator=generator)
    drawn = [torch.randn(rows, 8, generator=generator) for _ in range(columns)]
    vectors = {
        "random": drawn,
        "all the same": [torch.ones(rows, 8)] * columns,
        "opposite": [first, -first, first][:columns],
        "very long": [1e6 * column for column in drawn],
        "nothing": [torch.zeros(rows, 8)] * columns,
    }[kind]
    leaves = [column.clone().requires_grad_() for column in vectors]
    found = total(
        make().compute_loss_from_embeddings(leaves, labels_of(rows, columns, value, weight))
    )
    assert torch.isfinite(found)
    if found.requires_grad:
        found.backward()  # type: ignore[no-untyped-call]
        assert all(leaf.grad is None or torch.isfinite(leaf.grad).all() for leaf in leaves)
