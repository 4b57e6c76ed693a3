"""Every family beyond accuracy against plain-Python definitions on one small world."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.metrics import Suite
from siamrec.metrics.families.diversity import IntraListDiversity

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.metrics import Report

RNG = np.random.default_rng(8)
N, USERS, K = 14, 6, 4
ITEMS = Vocabulary(tuple(f"i{n}" for n in range(N)))
LISTS = {u: [int(i) for i in RNG.permutation(N)[: (6, 5, 4, 2, 1, 6)[u]]] for u in range(USERS)}
LIKES = {u: {int(i) for i in RNG.permutation(N)[: 3 + u % 3]} for u in range(USERS)}
PAST = {u: [int(i) for i in RNG.permutation(N)[: 3 + u % 2]] for u in range(USERS)}
COUNTS = np.array([120, 60, 30, 30, 9, 8, 8, 5, 4, 3, 2, 1, 1, 0], dtype=float)
QUALITY = np.linspace(5, 9, N)
VECTORS = RNG.standard_normal((N, 3)) * RNG.uniform(0.5, 2, (N, 1))
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
GENRES = {n: [str(g) for g in RNG.choice(list("xyz"), 1 + n % 2, replace=False)] for n in range(N)}
GROUPS = {n: "small" if n % 3 == 0 else "large" for n in range(N)}
CHANCE = np.linspace(0.1, 1.0, N)
OBVIOUS = {u: [0, 1, 2, u + 3] for u in range(USERS)}
BEFORE = {u: [int(i) for i in RNG.permutation(N)[:5]] for u in range(USERS - 1)}


def named(lists: dict[int, Any]) -> dict[int, list[str]]:
    return {u: [ITEMS[i] for i in row] for u, row in lists.items()}


def report_of(*names: str, **more: Any) -> Report:
    inputs: dict[str, Any] = {
        "catalog_size": N,
        "popularity": COUNTS,
        "quality": QUALITY,
        "embeddings": VECTORS,
        "history": Truth.from_lists(named(PAST)),
        "categories": {ITEMS[n]: g for n, g in GENRES.items()},
        "groups": {ITEMS[n]: g for n, g in GROUPS.items()},
        "expected": Rankings.from_lists(named(OBVIOUS)),
        "previous": Rankings.from_lists(named(BEFORE)),
        "propensity": CHANCE,
        "n_users": 200,
    }
    return Suite(names, seen_items="allow").evaluate(
        Rankings.from_lists(named(LISTS), items=ITEMS),
        Truth.from_lists(named(LIKES)),
        **{**inputs, **more},
    )


def weight(rank: int) -> float:
    return 1 / math.log2(rank + 2)


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def tail_items() -> set[int]:
    total, tail = 0.0, set()
    for n in sorted(range(N), key=lambda n: -COUNTS[n]):
        if total >= 0.8 * COUNTS.sum():
            tail.add(n)
        total += COUNTS[n]
    return tail


TAIL = tail_items()


def rank_of_popularity(n: int) -> float:
    above, alike = np.sum(COUNTS[n] < COUNTS), np.sum(COUNTS[n] == COUNTS)
    return float(above + (alike + 1) / 2)


def far(items: list[int], past: list[int], to: str) -> list[float]:
    pick = np.mean if to == "mean" else np.max
    return [float(1 - pick([UNIT[i] @ UNIT[h] for h in past])) for i in items]


def lift(u: int) -> float:
    dense = sorted({-c for c in COUNTS if c > 0})
    values = []
    for rank, i in enumerate(LISTS[u][:K], start=1):
        place = dense.index(-COUNTS[i]) + 1 if COUNTS[i] else N
        values.append(max(0.0, (N + 1 - rank) / N - (N + 1 - place) / N) * (i in LIKES[u]))
    return sum(values) / K


def genres_of(items: list[int]) -> dict[str, float]:
    shares = dict.fromkeys("xyz", 0.0)
    for i in items:
        for g in GENRES[i]:
            shares[g] += 1 / len(GENRES[i]) / len(items)
    return shares


def kl(p: dict[str, float], q: dict[str, float], alpha: float) -> float:
    return sum(p[g] * math.log(p[g] / ((1 - alpha) * q[g] + alpha * p[g])) for g in p if p[g])


def jsd(u: int) -> float:
    p, q = genres_of(PAST[u]), genres_of(LISTS[u][:K])
    m = {g: (p[g] + q[g]) / 2 for g in p}
    return (kl(p, m, 0) + kl(q, m, 0)) / 2 / math.log(2)


def hellinger(u: int) -> float:
    p, q = genres_of(PAST[u]), genres_of(LISTS[u][:K])
    return math.sqrt(sum((math.sqrt(p[g]) - math.sqrt(q[g])) ** 2 for g in p) / 2)


def alpha_gain(items: list[int], likes: set[int]) -> float:
    served, gain = dict.fromkeys("xyz", 0), 0.0
    for rank, i in enumerate(items):
        if i in likes:
            gain += weight(rank) * sum(0.5 ** served[g] for g in GENRES[i])
            for g in GENRES[i]:
                served[g] += 1
    return gain


def alpha_ideal(likes: set[int]) -> float:
    served, best, left = dict.fromkeys("xyz", 0), 0.0, set(likes)
    for rank in range(min(K, len(likes))):
        pick = max(sorted(left), key=lambda i: sum(0.5 ** served[g] for g in GENRES[i]))
        best += weight(rank) * sum(0.5 ** served[g] for g in GENRES[pick])
        left.remove(pick)
        for g in GENRES[pick]:
            served[g] += 1
    return best


def subtopics(u: int) -> float:
    wanted = {g for i in LIKES[u] for g in GENRES[i]}
    found = {g for i in LISTS[u][:K] if i in LIKES[u] for g in GENRES[i]}
    return len(found) / len(wanted)


def entropy(u: int) -> float:
    return -sum(p * math.log2(p) for p in genres_of(LISTS[u][:K]).values() if p)


def awrf(u: int) -> float:
    share = dict.fromkeys(("large", "small"), 0.0)
    for rank, i in enumerate(LISTS[u][:K]):
        share[GROUPS[i]] += weight(rank)
    total = sum(share.values())
    items = {g: sum(v == g for v in GROUPS.values()) / N for g in share}
    return sum(abs(share[g] / total - items[g]) for g in share) / 2


def weighted_hits(u: int, clip: float = 0.0) -> float:
    return float(sum(1 / max(CHANCE[i], clip) for i in LISTS[u][:K] if i in LIKES[u]))


def pairs_of(u: int, distance: Any) -> float:
    row = LISTS[u][:K]
    return mean([distance(a, b) for n, a in enumerate(row) for b in row[:n]])


def vendi(u: int) -> float:
    rows = UNIT[top(u)]
    part = np.linalg.svd(rows)[1] ** 2 / len(rows)  # eigenvalues by another way
    return math.exp(-sum(p * math.log(p) for p in part if p > 1e-12))


def epc(u: int, *, relevant: bool) -> float:
    rows = list(enumerate(LISTS[u][:K]))
    gain = sum(weight(r) * (1 - COUNTS[i] / 120) for r, i in rows if i in LIKES[u] or not relevant)
    return float(gain / sum(weight(r) for r, _ in rows))


def overlap(u: int) -> float:
    if u not in BEFORE:
        return math.nan
    new, old = LISTS[u][:K], BEFORE[u][:K]
    return len(set(new) & set(old)) / max(len(new), len(old))


def rbo(u: int) -> float:
    if u not in BEFORE:
        return math.nan
    new, old = LISTS[u][:K], BEFORE[u][:K]
    depth = max(len(new), len(old))
    total = sum(0.9 ** (d - 1) * len(set(new[:d]) & set(old[:d])) / d for d in range(1, depth + 1))
    return total / sum(0.9 ** (d - 1) for d in range(1, depth + 1))


def top(u: int) -> list[int]:
    return LISTS[u][:K]


PER_USER: dict[str, Callable[[int], float]] = {
    "novelty@4": lambda u: mean([-math.log2(max(COUNTS[i], 1) / COUNTS.sum()) for i in top(u)]),
    "miuf@4": lambda u: mean([-math.log2(max(COUNTS[i], 1) / 200) for i in top(u)]),
    "popularity_rank@4": lambda u: mean([rank_of_popularity(i) for i in top(u)]),
    "popularity_rank(percentile=true)@4": lambda u: mean(
        [(rank_of_popularity(i) - 1) / (N - 1) for i in top(u)]
    ),
    "epc@4": lambda u: epc(u, relevant=False),
    "epc(relevant=true)@4": lambda u: epc(u, relevant=True),
    "long_tail_share@4": lambda u: mean([i in TAIL for i in top(u)]),
    "long_tail_share(votes=9,rating=7)@4": lambda u: mean(
        [COUNTS[i] < 9 and QUALITY[i] > 7 for i in top(u)]
    ),
    "arp@4": lambda u: mean([COUNTS[i] for i in top(u)]),
    "aclt@4": lambda u: float(sum(i in TAIL for i in top(u))),
    "popularity_lift@4": lambda u: (
        mean([COUNTS[i] for i in top(u)]) / mean([COUNTS[i] for i in PAST[u]]) - 1
    ),
    "ild@4": lambda u: pairs_of(u, lambda a, b: 1 - UNIT[a] @ UNIT[b]),
    "ild(distance=euclidean)@4": lambda u: pairs_of(
        u, lambda a, b: float(np.linalg.norm(VECTORS[a] - VECTORS[b]))
    ),
    "vendi@4": vendi,
    "category_entropy@4": entropy,
    "subtopic_recall@4": subtopics,
    "alpha_ndcg@4": lambda u: alpha_gain(top(u), LIKES[u]) / alpha_ideal(LIKES[u]),
    "miscalibration@4": lambda u: kl(genres_of(PAST[u]), genres_of(top(u)), 0.01),
    "miscalibration(divergence=jsd)@4": jsd,
    "miscalibration(divergence=hellinger)@4": hellinger,
    "unexpectedness@4": lambda u: sum(i not in OBVIOUS[u] for i in top(u)) / K,
    "serendipity@4": lambda u: sum(i in LIKES[u] and i not in OBVIOUS[u] for i in top(u)) / K,
    "unexpectedness_content@4": lambda u: mean(far(top(u), PAST[u], "mean")),
    "unexpectedness_content(to=nearest)@4": lambda u: mean(far(top(u), PAST[u], "nearest")),
    "serendipity_content@4": lambda u: mean(
        [d * (i in LIKES[u]) for d, i in zip(far(top(u), PAST[u], "mean"), top(u), strict=True)]
    ),
    "serendipity_popularity@4": lift,
    "awrf@4": awrf,
    "ips@4": lambda u: weighted_hits(u) / len(LIKES[u]),
    "ips(clip=0.5)@4": lambda u: weighted_hits(u, 0.5) / len(LIKES[u]),
    "snips@4": lambda u: weighted_hits(u) / sum(1 / CHANCE[i] for i in LIKES[u]),
    "short_lists@4": lambda u: float(len(LISTS[u]) < K),
    "covered_users": lambda u: 1.0,
    "seen_share@4": lambda u: mean([i in PAST[u] for i in top(u)]),
    "cold_items(least=2)@4": lambda u: mean([COUNTS[i] < 2 for i in top(u)]),
    "repeats": lambda u: 0.0,
    "overlap@4": overlap,
    "churn@4": lambda u: 1 - overlap(u),
    "rbo@4": rbo,
    "rbp@4": lambda u: 0.2 * sum(0.8**r for r, i in enumerate(top(u)) if i in LIKES[u]),
    "ncrr@4": lambda u: (
        sum(1 / (r + 1) for r, i in enumerate(top(u)) if i in LIKES[u])
        / sum(1 / r for r in range(1, min(K, len(LIKES[u])) + 1))
    ),
    "mean_rank@4": lambda u: mean(
        [top(u).index(i) + 1.0 if i in top(u) else K + 1.0 for i in LIKES[u]]
    ),
}


@pytest.mark.parametrize("name", PER_USER)
def test_per_user(name: str) -> None:
    expected = [PER_USER[name](u) for u in range(USERS)]
    np.testing.assert_allclose(report_of(name).per_user(name), expected, rtol=1e-10, atol=1e-12)


def counted() -> np.typing.NDArray[np.float64]:
    counts = np.zeros(N)
    for u in range(USERS):
        for i in top(u):
            counts[i] += 1
    return counts


def gini(counts: np.typing.NDArray[np.float64]) -> float:
    x = sorted(counts)
    n = len(x)
    return float(sum((2 * (i + 1) - n - 1) * x[i] for i in range(n)) / (n * sum(x)))


def personal() -> float:
    pairs = [(u, v) for u in range(USERS) for v in range(u)]
    return 1 - mean([len(set(top(u)) & set(top(v))) / K for u, v in pairs])


def reo(side: Any, labels: list[Any]) -> float:
    rates = []
    for label in labels:
        hits = sum(i in LIKES[u] and side(i) == label for u in range(USERS) for i in top(u))
        rates.append(hits / sum(side(i) == label for u in range(USERS) for i in LIKES[u]))
    return float(np.std(rates) / np.mean(rates))


def rsp() -> float:
    rates = []
    for label in (False, True):
        shown = sum((i in TAIL) == label for u in range(USERS) for i in top(u))
        open_ = sum(
            (i in TAIL) == label and i not in PAST[u] for u in range(USERS) for i in range(N)
        )
        rates.append(shown / open_)
    return float(np.std(rates) / np.mean(rates))


def exposure() -> dict[str, float]:
    total = dict.fromkeys(("large", "small"), 0.0)
    for u in range(USERS):
        for rank, i in enumerate(top(u)):
            total[GROUPS[i]] += weight(rank)
    return total


def exposed_gini() -> float:
    total = np.zeros(N)
    for u in range(USERS):
        for rank, i in enumerate(top(u)):
            total[i] += weight(rank)
    return gini(total)


def rates() -> list[float]:
    shown = exposure()
    return [shown[g] / sum(v == g for v in GROUPS.values()) for g in ("large", "small")]


def use_rates() -> list[float]:
    shown = exposure()
    wanted = [i for u in range(USERS) for i in LIKES[u]]
    return [shown[g] / sum(GROUPS[i] == g for i in wanted) for g in ("large", "small")]


def bits() -> float:
    part = counted()[counted() > 0] / counted().sum()
    return float(-(part * np.log2(part)).sum())


POOLED: dict[str, Callable[[], float]] = {
    "coverage@4": lambda: np.count_nonzero(counted()) / N,
    "coverage(least=2)@4": lambda: np.count_nonzero(counted() >= 2) / N,
    "gini@4": lambda: gini(counted()),
    "gini(unbiased=true)@4": lambda: gini(counted()) * N / (N - 1),
    "gini(weight=exposure)@4": exposed_gini,
    "entropy@4": bits,
    "effective_catalogue@4": lambda: 2 ** bits(),
    "concentration@4": lambda: float(((counted() / counted().sum()) ** 2).sum()),
    "personalisation@4": personal,
    "long_tail_coverage@4": lambda: (
        len({i for u in range(USERS) for i in top(u)} & TAIL) / len(TAIL)
    ),
    "pop_reo@4": lambda: reo(lambda i: i in TAIL, [False, True]),
    "reo@4": lambda: reo(lambda i: GROUPS[i], ["large", "small"]),
    "pop_rsp@4": rsp,
    "exposure_ratio@4": lambda: min(rates()) / max(rates()),
    "exposure_ratio(per=utility)@4": lambda: min(use_rates()) / max(use_rates()),
    "worst_group@4": lambda: min(
        sum(i in LIKES[u] and GROUPS[i] == g for u in range(USERS) for i in top(u))
        / sum(GROUPS[i] == g for u in range(USERS) for i in LIKES[u])
        for g in ("large", "small")
    ),
    "theil@4": lambda: mean([r / mean(rates()) * math.log(r / mean(rates())) for r in rates()]),
}


@pytest.mark.parametrize("name", POOLED)
def test_pooled(name: str) -> None:
    assert report_of(name)[name].mean == pytest.approx(POOLED[name](), rel=1e-12)


@pytest.mark.parametrize("name", POOLED)
def test_pooled_metrics_add_over_batches(name: str) -> None:
    suite = Suite([name], seen_items="allow")
    inputs: dict[str, Any] = {
        "catalog_size": N,
        "popularity": dict(zip(ITEMS, COUNTS.tolist(), strict=True)),
        "history": Truth.from_lists(named(PAST)),
        "groups": {ITEMS[n]: g for n, g in GROUPS.items()},
    }
    state = suite.start(**inputs)
    for u in (3, 0, 5, 1, 2, 4):
        state.update(
            Rankings.from_lists(named({u: LISTS[u]})), Truth.from_lists(named({u: LIKES[u]}))
        )
    assert state.compute()[name].mean == pytest.approx(POOLED[name](), rel=1e-12)


def test_every_metric_of_the_house_is_tested_or_accuracy() -> None:
    from siamrec.metrics._builtin import METRICS

    covered = {name.split("(")[0].split("@")[0] for name in (*PER_USER, *POOLED)}
    elsewhere = {
        "precision", "recall", "f", "hit", "r_precision", "dcg", "ndcg", "map", "mrr",  # hits
        "err", "auc", "gauc", "partial_auc", "aplt",  # below
        "rmse", "mse", "mae", "r2", "macro_rmse", "spearman", "kendall", "pairwise_accuracy",
        "log_loss", "brier", "ece", "normalised_entropy", "calibration_ratio",
    }  # fmt: skip
    assert set(METRICS.house()) - covered - elsewhere == set()


def test_hamming_and_jaccard_diversity() -> None:
    features = {"a": [1.0, 0.0, 1.0], "b": [1.0, 1.0, 0.0], "c": [0.0, 0.0, 1.0]}
    lists = Rankings.from_lists({"u": ["a", "b", "c"], "v": ["a"]})
    names = ["ild(distance=hamming)", "ild(distance=jaccard)"]
    report = Suite(names).evaluate(lists, embeddings=features)
    assert report.per_user(names[0])[0] == pytest.approx((2 / 3 + 1 / 3 + 3 / 3) / 3)
    assert report.per_user(names[1])[0] == pytest.approx((2 / 3 + 1 / 2 + 1.0) / 3)
    assert np.isnan(report.per_user(names[0])[1])


def test_diversity_by_a_function_and_long_tail_share_by_its_other_name() -> None:
    def manhattan(rows: Any) -> Any:
        return np.abs(rows[:, None] - rows[None]).sum(axis=2)

    lists = Rankings.from_lists({"u": ["a", "b"]})
    metric = IntraListDiversity(k=2, distance=manhattan)
    assert metric.name == "ild(distance=manhattan)@2"
    report = Suite([metric]).evaluate(lists, embeddings=[[1.0, 2.0], [0.0, 5.0]])
    assert report[metric.name].mean == 4.0
    wrong = IntraListDiversity(distance=lambda rows: rows)
    with pytest.raises(InvalidDataError, match=r"distance must return \(2, 2\)"):
        Suite([wrong]).evaluate(lists, embeddings=[[1.0], [0.0]])
    both = Suite(["aplt@1", "long_tail_share@1"]).evaluate(lists, popularity=[1, 9])
    assert both["aplt@1"].mean == both["long_tail_share@1"].mean == 1.0


def test_err_by_hand() -> None:
    lists = Rankings.from_lists({"u": ["a", "x", "b"]})
    truth = Truth.from_lists({"u": {"a": 1.0, "b": 3.0}})
    report = Suite(["err(highest=4)@3"]).evaluate(lists, truth)
    first, second = 1 / 16, 7 / 16
    assert report["err(highest=4)@3"].mean == pytest.approx(first + (1 - first) * second / 3)
