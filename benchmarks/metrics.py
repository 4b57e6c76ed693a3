"""Twelve ranking metrics for 100,000 users with lists of 100: users per second against peers.

Run with OMP_NUM_THREADS=1. Every figure is the least of several warm runs over the same lists;
building each library's own input is timed apart. The means of all libraries are compared.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
import tracemalloc

import numpy as np

from siamrec.data import Rankings, Truth, Vocabulary
from siamrec.metrics import Suite

N_USERS, N_ITEMS, DEPTH, N_PEER = 100_000, 20_000, 100, 10_000
NAMES = [
    f"{stem}@{k}"
    for stem in ("ndcg", "map", "mrr", "recall", "precision", "hit")
    for k in (10, 100)
]


def world():
    """Lists without repeats, and 1 to 19 relevant items per user, some of them listed."""
    rng = np.random.default_rng(0)
    lists = np.empty((N_USERS, DEPTH), dtype=np.int32)
    for low in range(0, N_USERS, 1000):
        chance = rng.random((1000, N_ITEMS), dtype=np.float32)
        lists[low : low + 1000] = np.argpartition(chance, DEPTH, axis=1)[:, :DEPTH]
    user = np.repeat(np.arange(N_USERS), rng.integers(1, 20, N_USERS))
    listed = lists[user, rng.integers(0, DEPTH, user.size)]
    item = np.where(rng.random(user.size) < 0.3, listed, rng.integers(0, N_ITEMS, user.size))
    pair = np.unique(user.astype(np.int64) * N_ITEMS + item)
    return lists, pair // N_ITEMS, pair % N_ITEMS


def least(work, repeats):
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return result, best


def as_dicts(lists, user, item):
    run = {
        f"u{u}": {f"i{i}": float(DEPTH - r) for r, i in enumerate(row)}
        for u, row in enumerate(lists[:N_PEER].tolist())
    }
    qrels = {f"u{u}": {} for u in range(N_PEER)}
    for u, i in zip(user.tolist(), item.tolist(), strict=True):
        if u < N_PEER:
            qrels[f"u{u}"][f"i{i}"] = 1
    return run, qrels


def ranx_figures(run, qrels):
    import ranx

    theirs = [n.replace("hit", "hit_rate") for n in NAMES]
    start = time.perf_counter()
    lists, judged = ranx.Run(run), ranx.Qrels(qrels)
    build = time.perf_counter() - start
    found, seconds = least(lambda: ranx.evaluate(judged, lists, theirs, threads=1), 4)
    return dict(zip(NAMES, (found[name] for name in theirs), strict=True)), seconds, build


def trec_figures(run, qrels):
    import pytrec_eval

    stems = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P"}
    stems |= {"hit": "success", "mrr": "recip_rank"}
    start = time.perf_counter()
    measures = {f"{stems[s]}.10,100" for s in stems if s != "mrr"} | {"recip_rank"}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, measures)
    build = time.perf_counter() - start
    rows, seconds = least(lambda: evaluator.evaluate(run), 3)
    means = {}
    for name in NAMES:
        stem, k = name.split("@")
        key = "recip_rank" if stem == "mrr" else f"{stems[stem]}_{k}"
        if name != "mrr@10":  # it has no cut for the reciprocal rank
            means[name] = float(np.mean([row[key] for row in rows.values()]))
    return means, seconds, build


def first_evaluation():
    """Seconds from the import of siamrec.metrics to the first report, in a fresh process."""
    code = (
        "import time; t = time.perf_counter()\n"
        "from siamrec.data import Rankings, Truth\n"
        "from siamrec.metrics import Suite\n"
        "m = time.perf_counter()\n"
        f"Suite({NAMES}).evaluate(Rankings.from_lists({{'u': ['a', 'b']}}), "
        "Truth.from_lists({'u': ['b']}))\n"
        "print(m - t, time.perf_counter() - m)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return map(float, done.stdout.split())


def main() -> None:
    lists, user, item = world()
    items, users = Vocabulary(tuple(range(N_ITEMS))), Vocabulary(tuple(range(N_USERS)))

    def build():
        rankings = Rankings.from_arrays(lists, users=users, items=items)
        return rankings, Truth.from_arrays(user=user, item=item, users=users, items=items)

    (rankings, truth), build_seconds = least(build, 3)
    suite = Suite(NAMES)
    report, seconds = least(lambda: suite.evaluate(rankings, truth), 15)
    tracemalloc.start()
    suite.evaluate(rankings, truth)
    memory = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    own = N_USERS / seconds
    print(
        f"{len(NAMES)} metrics, lists of {DEPTH}, {user.size / N_USERS:.1f} relevant items a user"
    )
    print(f"threads: OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}")
    print(f"{'library':14}{'users/s':>12}{'ratio':>8}{'input, users/s':>16}{'largest gap':>13}")
    print(f"{'siamrec':14}{own:12,.0f}{'':8}{N_USERS / build_seconds:16,.0f}")
    part = np.arange(N_PEER)
    small = Suite(NAMES).evaluate(rankings.places(np.flatnonzero(rankings.owner < N_PEER)), truth)
    run, qrels = as_dicts(lists, user, item)
    for module, figures in (("ranx", ranx_figures), ("pytrec_eval", trec_figures)):
        if importlib.util.find_spec(module) is None:
            print(f"{module:14} not installed")
            continue
        means, peer_seconds, peer_build = figures(run, qrels)
        gap = max(abs(small.per_user(n)[part].mean() - mean) for n, mean in means.items())
        peer = N_PEER / peer_seconds
        line = f"{module:14}{peer:12,.0f}{own / peer:8.1f}{N_PEER / max(peer_build, 1e-9):16,.0f}"
        print(f"{line}{gap:13.1e}")
    imported, first = first_evaluation()
    print(f"import {imported:.2f} s, first evaluation {first:.2f} s, memory {memory:.0f} MB")
    assert report["ndcg@10"].n == N_USERS


if __name__ == "__main__":
    main()
