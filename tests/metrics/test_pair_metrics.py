"""Metrics of pairs and triplets for Siamese models."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.errors import InvalidDataError
from siamrec.metrics import (
    alignment,
    best_accuracy,
    best_f1,
    pair_accuracy,
    pair_auc,
    pair_spearman,
    popularity_propensity,
    triplet_accuracy,
    uniformity,
)


def sample(seed: int = 0) -> tuple[np.typing.NDArray[np.float64], np.typing.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, 200)
    return np.round(rng.normal(label * 0.5 - 0.6, 0.5), 1), label


def test_auc_and_thresholds_equal_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    similarity, label = sample()
    assert pair_auc(similarity, label) == pytest.approx(sk.roc_auc_score(label, similarity))
    cuts = np.unique(similarity)
    f1 = max(sk.f1_score(label, similarity >= cut) for cut in cuts)
    right = max([((similarity >= cut) == label).mean() for cut in cuts] + [(label == 0).mean()])
    found, best = best_f1(similarity, label), best_accuracy(similarity, label)
    assert found.score == pytest.approx(f1)
    called = similarity >= found.value
    assert found.precision == pytest.approx(sk.precision_score(label, called))
    assert found.recall == pytest.approx(sk.recall_score(label, called))
    assert best.score == pytest.approx(right)
    assert pair_accuracy(similarity, label, threshold=best.value) == pytest.approx(best.score)


def test_all_negative_similarities_are_fine() -> None:
    similarity, label = sample()
    assert pair_auc(similarity - 10, label) == pytest.approx(pair_auc(similarity, label))
    assert np.isnan(pair_auc([0.1, 0.2], [1, 1]))


def test_spearman_equals_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    similarity, _ = sample(3)
    score = np.random.default_rng(1).integers(0, 5, 200)
    assert pair_spearman(similarity, score) == pytest.approx(stats.spearmanr(similarity, score)[0])
    assert np.isnan(pair_spearman([1.0, 1.0], [1, 2]))


def test_triplets() -> None:
    assert triplet_accuracy([0.9, 0.5, 0.2], [0.1, 0.5, 0.3]) == pytest.approx(1 / 3)
    assert triplet_accuracy([0.9, 0.5], [0.1, 0.4], margin=0.5) == 0.5


def test_alignment_and_uniformity_by_hand() -> None:
    east, north, west = [2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]
    assert alignment([east, north], [east, west]) == pytest.approx((0 + 2) / 2)
    assert alignment([east], [west], power=1.0) == pytest.approx(2.0)
    expected = np.log((2 * np.exp(-2 * 2) + np.exp(-2 * 4)) / 3)
    assert uniformity([east, north, west]) == pytest.approx(expected)
    assert uniformity([east, east]) == pytest.approx(0.0)


def test_bad_pairs_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="label must be 0 or 1"):
        pair_auc([0.1], [2])
    with pytest.raises(InvalidDataError, match="similarity must be finite"):
        pair_auc([np.nan], [1])
    with pytest.raises(InvalidDataError, match="must have one length"):
        best_f1([0.1, 0.2], [1])
    with pytest.raises(InvalidDataError, match="vectors that are not zero"):
        alignment([[0.0, 0.0]], [[1.0, 0.0]])
    with pytest.raises(InvalidDataError, match="two or more"):
        uniformity([[1.0, 0.0]])


def test_popularity_propensity_rises_to_one() -> None:
    chance = popularity_propensity([0, 1, 10, 100], gamma=2.0)
    assert chance[0] == chance[1] < chance[2] < chance[3] == 1.0
