"""Metrics of scores: ratings, probabilities and discrimination, against SciPy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.errors import InvalidDataError, MissingInputError
from siamrec.metrics import Suite

stats = pytest.importorskip("scipy.stats")


def rated(seed: int = 0) -> tuple[Rankings, Truth, list[list[float]], list[list[float]]]:
    rng = np.random.default_rng(seed)
    grades = [rng.integers(0, 6, n).astype(float).tolist() for n in (9, 5, 2, 7)]
    scores = [np.round(np.array(row) + rng.normal(0, 1, len(row)), 1).tolist() for row in grades]
    lists = {u: list(range(len(row))) for u, row in enumerate(grades)}
    order = {u: np.argsort(-np.array(scores[u]), kind="stable").tolist() for u in lists}
    rankings = Rankings.from_lists(
        order, scores={u: [scores[u][i] for i in order[u]] for u in order}
    )
    truth = Truth.from_lists({u: dict(enumerate(row)) for u, row in enumerate(grades)})
    return rankings, truth, grades, scores


def test_errors_of_ratings() -> None:
    rankings, truth, grades, scores = rated()
    names = ["rmse", "mse", "mae", "r2", "macro_rmse"]
    report = Suite(names, empty_truth="zero").evaluate(rankings, truth)
    y, p = np.concatenate(grades), np.concatenate(scores)
    assert report["mse"].mean == pytest.approx(((y - p) ** 2).mean())
    assert report["rmse"].mean == pytest.approx(math.sqrt(((y - p) ** 2).mean()))
    assert report["mae"].mean == pytest.approx(np.abs(y - p).mean())
    assert report["r2"].mean == pytest.approx(
        1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    )
    expected = [
        math.sqrt(((np.array(g) - np.array(s)) ** 2).mean())
        for g, s in zip(grades, scores, strict=True)
    ]
    np.testing.assert_allclose(report.per_user("macro_rmse"), expected)
    assert report["rmse"].interval[0] < report["rmse"].mean < report["rmse"].interval[1]


def test_rank_correlations_equal_scipy() -> None:
    rankings, truth, grades, scores = rated(3)
    report = Suite(["spearman", "kendall", "pairwise_accuracy"]).evaluate(rankings, truth)
    pairs = list(zip(grades, scores, strict=True))
    np.testing.assert_allclose(
        report.per_user("spearman"), [stats.spearmanr(g, s)[0] for g, s in pairs]
    )
    np.testing.assert_allclose(
        report.per_user("kendall"), [stats.kendalltau(g, s)[0] for g, s in pairs]
    )
    concordant = []
    for grade, score in pairs:
        marks = [
            1.0 if (g - h) * (s - t) > 0 else 0.5 if s == t else 0.0
            for n, (g, s) in enumerate(zip(grade, score, strict=True))
            for h, t in list(zip(grade, score, strict=True))[:n]
            if g != h
        ]
        concordant.append(np.mean(marks))
    np.testing.assert_allclose(report.per_user("pairwise_accuracy"), concordant)


def clicked(seed: int = 0) -> tuple[Rankings, Truth, list[list[float]], list[list[float]]]:
    rng = np.random.default_rng(seed)
    chance = [np.round(np.sort(rng.uniform(0, 1, n))[::-1], 1).tolist() for n in (12, 8, 5, 9)]
    label = [(rng.uniform(0, 1, len(row)) < row).astype(float).tolist() for row in chance]
    rankings = Rankings.from_lists(
        {u: list(range(len(row))) for u, row in enumerate(chance)}, scores=dict(enumerate(chance))
    )
    truth = Truth.from_lists(
        {u: [i for i, y in enumerate(row) if y] for u, row in enumerate(label)}
    )
    return rankings, truth, chance, label


def test_probabilities_equal_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rankings, truth, chance, label = clicked()
    names = [
        "log_loss",
        "brier",
        "normalised_entropy",
        "calibration_ratio",
        "ece",
        "ece(worst=true)",
    ]
    report = Suite(names).evaluate(rankings, truth)
    p, y = np.concatenate(chance), np.concatenate(label)
    assert report["log_loss"].mean == pytest.approx(sk.log_loss(y, np.clip(p, 1e-15, 1 - 1e-15)))
    assert report["brier"].mean == pytest.approx(sk.brier_score_loss(y, p))
    assert report["calibration_ratio"].mean == pytest.approx(p.sum() / y.sum())
    base = sk.log_loss(y, np.full(y.size, y.mean()))
    assert report["normalised_entropy"].mean == pytest.approx(report["log_loss"].mean / base)
    gaps, worst = 0.0, 0.0
    for b in range(10):
        inside = (np.ceil(p * 10).clip(min=1) - 1) == b
        if inside.any():
            gap = abs(y[inside].mean() - p[inside].mean())
            gaps, worst = gaps + gap * inside.mean(), max(worst, gap)
    assert report["ece"].mean == pytest.approx(gaps)
    assert report["ece(worst=true)"].mean == pytest.approx(worst)


def test_auc_with_ties_equals_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rankings, truth, chance, label = clicked(4)
    report = Suite(["auc", "gauc"], empty_truth="zero").evaluate(rankings, truth)
    both = [0 < sum(row) < len(row) for row in label]
    expected = [
        sk.roc_auc_score(y, p) if two else np.nan
        for y, p, two in zip(label, chance, both, strict=True)
    ]
    found = report.per_user("auc")
    np.testing.assert_allclose(found[both], np.array(expected)[both])
    weights = np.array([len(row) for row in label])[both]
    assert report["gauc"].mean == pytest.approx(
        float(np.average(np.array(expected)[both], weights=weights))
    )


def test_auc_without_scores_goes_by_rank_and_partial_auc_by_the_first_misses() -> None:
    lists = Rankings.from_lists({"u": ["a", "x", "b", "y", "z"]})
    truth = Truth.from_lists({"u": ["a", "b", "never shown"]})
    report = Suite(["auc", "partial_auc(negatives=2)"]).evaluate(lists, truth)
    assert report["auc"].mean == pytest.approx(5 / 6)
    # above 2 of the first 2 misses, above 1 of them, above none
    assert report["partial_auc(negatives=2)"].mean == pytest.approx((2 + 1 + 0) / (2 * 3))


def test_bad_scores_are_refused() -> None:
    lists = Rankings.from_lists({"u": ["a"]}, scores={"u": [1.5]})
    truth = Truth.from_lists({"u": ["a"]})
    with pytest.raises(InvalidDataError, match=r"probabilities in \[0, 1\] here, got 1.5"):
        Suite(["brier"]).evaluate(lists, truth)
    with pytest.raises(MissingInputError, match="scores .for metric 'rmse'. is needed here"):
        Suite(["rmse"]).evaluate(Rankings.from_lists({"u": ["a"]}), truth)
