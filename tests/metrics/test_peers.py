"""Agreement with other libraries, where they are installed, and with their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.metrics import Suite

USERS, ITEMS, DEPTH = 40, 60, 15


def world(seed: int = 0) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """Scores of lists, and graded truths with some users who like nothing that is listed."""
    rng = np.random.default_rng(seed)
    lists, truth = {}, {}
    for user in range(USERS):
        items = rng.permutation(ITEMS)[: rng.integers(5, DEPTH + 1)]
        lists[f"u{user:02}"] = {
            f"d{item:02}": float(score)
            for item, score in zip(items, np.linspace(1.0, -1.0, items.size), strict=True)
        }
        liked = rng.permutation(ITEMS)[: rng.integers(1, 12)]
        truth[f"u{user:02}"] = {f"d{item:02}": int(rng.integers(1, 4)) for item in liked}
    return lists, truth


def ours(
    lists: dict[str, dict[str, float]], truth: dict[str, dict[str, int]]
) -> tuple[Rankings, Truth]:
    return (
        Rankings.from_lists(
            {u: list(row) for u, row in lists.items()},
            scores={u: list(row.values()) for u, row in lists.items()},
        ),
        Truth.from_lists(truth),
    )


RANX = {
    "precision@5": "precision@5",
    "recall@5": "recall@5",
    "hit@5": "hit_rate@5",
    "f@5": "f1@5",
    "mrr@5": "mrr@5",
    "map@5": "map@5",
    "map": "map",
    "ndcg@5": "ndcg@5",
    "ndcg@10": "ndcg@10",
    "ndcg(gain=exp)@10": "ndcg_burges@10",
    "r_precision": "r-precision",
    "rbp(persistence=0.8)": "rbp.80",
}


@pytest.mark.slow  # the peer compiles for a minute
@pytest.mark.filterwarnings("ignore:unsafe cast")
def test_ranx() -> None:
    ranx = pytest.importorskip("ranx")
    lists, truth = world()
    rankings, judged = ours(lists, truth)
    report = Suite(list(RANX), compat="ranx").evaluate(rankings, judged)
    run, qrels = ranx.Run(lists), ranx.Qrels(truth)
    ranx.evaluate(qrels, run, list(RANX.values()), make_comparable=False, threads=1)
    order = sorted(range(USERS), key=lambda u: f"u{u:02}")
    for name, theirs in RANX.items():
        expected = [run.scores[theirs][f"u{u:02}"] for u in order]
        np.testing.assert_allclose(report.per_user(name), expected, atol=1e-9, err_msg=name)


TREC = {
    "precision@5": "P_5",
    "recall@5": "recall_5",
    "map": "map",
    "map@10": "map_cut_10",
    "ndcg": "ndcg",
    "ndcg@10": "ndcg_cut_10",
    "mrr": "recip_rank",
    "r_precision": "Rprec",
    "hit@5": "success_5",
}


def test_trec_eval_also_with_ties_and_missing_users() -> None:
    pytrec = pytest.importorskip("pytrec_eval")
    lists, truth = world(1)
    tied = {u: {d: round(s, 1) for d, s in row.items()} for u, row in lists.items()}
    del tied["u03"]
    evaluator = pytrec.RelevanceEvaluator(truth, {
        "P.5", "recall.5", "map", "map_cut.10", "ndcg", "ndcg_cut.10", "recip_rank", "Rprec",
        "success.5",
    })  # fmt: skip
    expected = evaluator.evaluate(tied)
    report = Suite(list(TREC), compat="trec").evaluate(*ours(tied, truth))
    for name, theirs in TREC.items():
        values = dict(zip(report.users, report.per_user(name), strict=True))
        assert np.isnan(values.pop("u03"))
        np.testing.assert_allclose(
            [values[u] for u in expected], [row[theirs] for row in expected.values()], atol=1e-9
        )
        mean = np.mean([row[theirs] for row in expected.values()])
        assert report[name].mean == pytest.approx(mean)


def test_scikit_learn_averages_over_ties() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    score = rng.integers(0, 4, (20, 15)).astype(float)
    grade = rng.integers(0, 4, (20, 15)).astype(float)
    order = np.argsort(-score, axis=1, kind="stable")
    rankings = Rankings.from_arrays(order, score=np.take_along_axis(score, order, axis=1))
    truth = Truth.from_lists({u: dict(enumerate(row)) for u, row in enumerate(grade.tolist())})
    for k in (3, 15):
        report = Suite([f"ndcg@{k}", f"dcg@{k}"], ties="expected").evaluate(rankings, truth)
        for user in range(20):
            pair = (grade[user : user + 1], score[user : user + 1])
            assert report.per_user(f"ndcg@{k}")[user] == pytest.approx(sk.ndcg_score(*pair, k=k))
            assert report.per_user(f"dcg@{k}")[user] == pytest.approx(sk.dcg_score(*pair, k=k))


def shown(row: dict[str, float]) -> list[str]:
    return list(row)


def rectools_ndcg(row: list[str], liked: dict[str, int], k: int) -> float:
    hits = sum(1 / math.log2(r + 2) for r, item in enumerate(row[:k]) if item in liked)
    return hits / sum(1 / math.log2(r + 2) for r in range(k))


def lenskit_ndcg(row: list[str], liked: dict[str, int], k: int) -> float:
    def dcg(grades: list[int]) -> float:
        return sum(g / max(1.0, math.log2(r)) for r, g in enumerate(grades, start=1))

    best = sorted(liked.values(), reverse=True)[:k]
    return dcg([liked.get(item, 0) for item in row[:k]]) / dcg(best)


def average_precision(row: list[str], liked: dict[str, int], k: int, divisor: int) -> float:
    hits, total = 0, 0.0
    for rank, item in enumerate(row[:k], start=1):
        if item in liked:
            hits += 1
            total += hits / rank
    return total / divisor if divisor else 0.0


def n_hits(row: list[str], liked: dict[str, int], k: int) -> int:
    return sum(item in liked for item in row[:k])


def retrieved_ndcg(row: list[str], liked: dict[str, int], k: int) -> float:
    def dcg(grades: list[int]) -> float:
        return sum(g / math.log2(r + 1) for r, g in enumerate(grades[:k], start=1))

    grades = [liked.get(item, 0) for item in row]
    best = dcg(sorted(grades, reverse=True))
    return dcg(grades) / best if best else 0.0


def binary_ndcg(row: list[str], liked: dict[str, int], k: int) -> float:
    hits = sum(1 / math.log2(r + 2) for r, item in enumerate(row[:k]) if item in liked)
    return hits / sum(1 / math.log2(r + 2) for r in range(min(k, len(liked))))


FORMULAS = {
    ("rectools", "ndcg@5"): rectools_ndcg,
    ("rectools", "r_precision@5"): lambda r, j, k: n_hits(r, j, k) / min(k, len(j)),
    ("rectools", "map@5"): lambda r, j, k: average_precision(r, j, k, len(j)),
    ("sentence-transformers", "ndcg@5"): binary_ndcg,
    ("sentence-transformers", "map@5"): lambda r, j, k: average_precision(r, j, k, min(k, len(j))),
    ("lenskit", "ndcg@5"): lenskit_ndcg,
    ("lenskit", "recall@5"): lambda r, j, k: n_hits(r, j, k) / min(k, len(j)),
    ("lenskit", "precision@8"): lambda r, j, k: n_hits(r, j, k) / min(k, len(r)),
    ("lenskit", "map@8"): lambda r, j, k: average_precision(r, j, k, min(k, len(r), len(j))),
    ("torchmetrics", "map@5"): lambda r, j, k: average_precision(r, j, k, n_hits(r, j, k)),
    ("torchmetrics", "ndcg@5"): retrieved_ndcg,
}


@pytest.mark.parametrize(("library", "name"), FORMULAS)
def test_presets_follow_the_formulas_of_their_libraries(library: str, name: str) -> None:
    lists, truth = world(3)
    k = int(name.split("@")[1])
    report = Suite([name], compat=library).evaluate(*ours(lists, truth))
    expected = [FORMULAS[library, name](shown(lists[u]), truth[u], k) for u in lists]
    np.testing.assert_allclose(report.per_user(name), expected, rtol=1e-12)


def test_sentence_transformers_evaluator() -> None:
    # The evaluator of the library itself, fed with made-up embeddings.
    pytest.importorskip("sentence_transformers")
    evaluation = pytest.importorskip("sentence_transformers.evaluation")
    lists, truth = world(4)
    queries = {u: u for u in lists}
    corpus = {f"d{i:02}": f"d{i:02}" for i in range(ITEMS)}
    relevant = {u: set(row) for u, row in truth.items()}
    evaluator = evaluation.InformationRetrievalEvaluator(
        queries, corpus, relevant, mrr_at_k=[5], ndcg_at_k=[5], accuracy_at_k=[5],
        precision_recall_at_k=[5], map_at_k=[5],
    )  # fmt: skip
    ranked = [
        [{"corpus_id": d, "score": s} for d, s in lists[u].items()] for u in evaluator.queries_ids
    ]
    scores = evaluator.compute_metrics(ranked)
    names = ["hit@5", "precision@5", "recall@5", "ndcg@5", "mrr@5", "map@5"]
    report = Suite(names, compat="sentence-transformers").evaluate(*ours(lists, truth))
    theirs = ("accuracy", "precision", "recall", "ndcg", "mrr", "map")
    for name, key in zip(names, theirs, strict=True):
        assert report[name].mean == pytest.approx(scores[f"{key}@k"][5])
