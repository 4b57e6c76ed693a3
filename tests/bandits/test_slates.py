"""The pseudo-inverse estimator: exact over all lists, equal to its closed form, refusals."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from siamrec.bandits.ope import pseudo_inverse_value, slate_value, uniform_ranking_moments
from siamrec.errors import InvalidDataError, InvalidParameterError

RANKS, ITEMS = 2, 4


def test_moments_are_those_of_all_rankings() -> None:
    total = np.zeros((RANKS * ITEMS, RANKS * ITEMS))
    for one in permutations(range(ITEMS), RANKS):
        mark = np.eye(ITEMS)[list(one)].reshape(-1)
        total += np.outer(mark, mark)
    np.testing.assert_allclose(uniform_ranking_moments(RANKS, ITEMS), total / 12)


def test_every_ranking_once_gives_the_exact_value() -> None:
    """An additive reward is estimated without bias: the mean over all lists is the truth."""
    rng = np.random.default_rng(1)
    part = rng.random((RANKS, ITEMS))
    slates = np.array(list(permutations(range(ITEMS), RANKS)))
    reward = part[np.arange(RANKS), slates].sum(axis=1)
    # the target shows (2, 0) with probability 0.7 and (1, 3) with 0.3
    target = np.array([[0.0, 0.3, 0.7, 0.0], [0.7, 0.0, 0.0, 0.3]])
    truth = (target * part).sum()
    moments = uniform_ranking_moments(RANKS, ITEMS)
    found = pseudo_inverse_value(reward, slates, target, moments)
    assert found.raw == pytest.approx(truth)
    assert found.diagnostics.mean_weight == pytest.approx(1.0)
    by_row = np.repeat(target[None], len(slates), axis=0)
    assert pseudo_inverse_value(reward, slates, by_row, moments).raw == pytest.approx(truth)


def test_independent_ranks_have_the_closed_form() -> None:
    logging = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    target = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
    slates = np.array(list(product(range(3), repeat=RANKS)))
    moments = np.zeros((6, 6))
    for one in slates.tolist():
        mark = np.eye(3)[one].reshape(-1)
        moments += logging[0, one[0]] * logging[1, one[1]] * np.outer(mark, mark)
    rows = np.repeat(slates, 20, axis=0)
    reward = np.random.default_rng(2).random((len(rows), RANKS))
    rank = np.arange(RANKS)
    closed = slate_value(reward, logging[rank, rows], target[rank, rows], interaction="additive")
    whole = pseudo_inverse_value(reward.sum(axis=1), rows, target, moments)
    assert whole.raw == pytest.approx(closed.raw)
    assert whole.error == pytest.approx(closed.error)


def test_weights_are_smaller_than_those_of_whole_lists() -> None:
    rng = np.random.default_rng(3)
    items = rng.integers(0, 5, (20_000, 3))
    part = rng.random((3, 5))
    reward = part[np.arange(3), items]
    target = np.tile([0.6, 0.1, 0.1, 0.1, 0.1], (3, 1))
    q, p = target[np.arange(3), items], np.full(items.shape, 0.2)
    additive = slate_value(reward, p, q, interaction="additive")
    full = slate_value(reward, p, q, interaction="full")
    assert additive.error < 0.75 * full.error
    assert abs(additive.value - (target * part).sum()) < 5 * additive.error


def test_bad_lists_are_refused() -> None:
    moments = uniform_ranking_moments(2, 3)
    slate, even = np.array([[0, 1], [2, 0]]), np.full((2, 3), 1 / 3)
    with pytest.raises(InvalidDataError, match="reward and slate must have shapes"):
        pseudo_inverse_value(np.ones(3), slate, even, moments)
    with pytest.raises(InvalidDataError, match="target must have shape"):
        pseudo_inverse_value(np.ones(2), slate, even[:1], moments)
    with pytest.raises(InvalidDataError, match="distribution over items"):
        pseudo_inverse_value(np.ones(2), slate, 2 * even, moments)
    with pytest.raises(InvalidDataError, match="moments must have shape"):
        pseudo_inverse_value(np.ones(2), slate, even, moments[:3, :3])
    with pytest.raises(InvalidDataError, match="slate must hold codes"):
        pseudo_inverse_value(np.ones(2), slate + 2, even, moments)
    with pytest.raises(InvalidParameterError, match="n_items must be at least 3"):
        uniform_ranking_moments(3, 2)
