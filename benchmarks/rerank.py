"""Re-ranking 500 candidates of 384 dimensions to 50: users per second against pyversity.

Run with OMP_NUM_THREADS=1. The lists of both are compared user by user.
"""

from __future__ import annotations

import importlib.util
import time

import numpy as np

from siamrec.data import Rankings, Vocabulary
from siamrec.data.truth import Truth
from siamrec.rerank import (
    DPP,
    MMR,
    SSD,
    Calibrated,
    FacilityCoverage,
    LongTailBoost,
    MaxSum,
    Pipeline,
    PopularityDamping,
    XQuAD,
)

N_USERS, N_ITEMS, N_CANDIDATES, DIM, K = 400, 20_000, 500, 384, 50


def inputs(rng):
    """Topics with noise, and scores that fall off as a model's do."""
    topics = rng.standard_normal((60, DIM))
    vectors = topics[rng.integers(0, 60, N_ITEMS)] + 0.8 * rng.standard_normal((N_ITEMS, DIM))
    item = np.stack([rng.choice(N_ITEMS, N_CANDIDATES, replace=False) for _ in range(N_USERS)])
    score = np.sort(rng.gamma(2.0, 1.0, (N_USERS, N_CANDIDATES)), axis=1)[:, ::-1]
    return vectors.astype(np.float32), item, score.astype(np.float32).astype(np.float64)


def seconds(work, repeats=5):
    """Least time of several runs, the first one not counted."""
    result, best = work(), np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return result, best


def peers(vectors, item, score, diversity):
    if importlib.util.find_spec("pyversity") is None:
        return {}
    import pyversity

    def run(strategy, **settings):
        return [
            item[user][strategy(vectors[item[user]], score[user], K, **settings).indices]
            for user in range(N_USERS)
        ]

    return {
        "mmr": lambda: run(pyversity.mmr, diversity=diversity),
        "max_sum": lambda: run(pyversity.msd, diversity=diversity),
        "dpp": lambda: run(pyversity.dpp, diversity=diversity),
        "ssd": lambda: run(pyversity.ssd, diversity=diversity, normalize_scores=False),
        "facility_coverage": lambda: run(pyversity.cover, diversity=diversity),
    }


def main() -> None:
    rng = np.random.default_rng(0)
    vectors, item, score = inputs(rng)
    items = Vocabulary(tuple(range(N_ITEMS)))
    candidates = Rankings.from_arrays(item, score=score, items=items)
    diversity = 0.3
    keep = 1.0 - diversity
    selectors = {
        "mmr": MMR(trade_off=keep),
        "max_sum": MaxSum(trade_off=keep),
        "dpp": DPP(trade_off=keep),
        "ssd": SSD(trade_off=keep),
        "facility_coverage": FacilityCoverage(trade_off=keep),
    }
    others = peers(vectors, item, score, diversity)
    print(f"{N_USERS} users, {N_CANDIDATES} x {DIM} -> {K}, users per second")
    print(f"{'selector':20}{'siamrec':>10}{'pyversity':>11}{'ratio':>8}{'same lists':>12}")
    for name, selector in selectors.items():
        pipeline = Pipeline(selector, normalise="none")
        repeats = 2 if name == "facility_coverage" else 5

        def work(pipeline=pipeline):
            return pipeline.rerank(candidates, k=K, embeddings=vectors)

        lists, own = seconds(work, repeats)
        if name not in others:
            print(f"{name:20}{N_USERS / own:10.0f}  pyversity is not installed")
            continue
        theirs, peer = seconds(others[name], 1 if repeats == 2 else 3)
        same = sum(a == b.tolist() for a, b in zip(lists.lists().values(), theirs, strict=True))
        line = f"{name:20}{N_USERS / own:10.0f}{N_USERS / peer:11.0f}{peer / own:8.2f}"
        print(f"{line}{same:8d}/{N_USERS}")
    past = Truth.from_lists(
        {u: rng.choice(N_ITEMS, 50, replace=False).tolist() for u in range(N_USERS)}, items=items
    )
    member = np.zeros((N_ITEMS, 20))
    for row in member:
        row[rng.choice(20, rng.integers(1, 4), replace=False)] = 1.0
    counts = rng.zipf(1.5, N_ITEMS).clip(max=100_000).astype(float)
    ours = {
        "calibrated": (Calibrated(), {"categories": member, "history": past}),
        "xquad": (XQuAD(), {"categories": member, "history": past}),
        "popularity_damping": (PopularityDamping(), {"popularity": counts}),
        "long_tail_boost": (LongTailBoost(rating=None), {"popularity": counts}),
    }
    for name, (step, extra) in ours.items():
        pipeline = Pipeline(step)

        def work(pipeline=pipeline, extra=extra):
            return pipeline.rerank(candidates, k=K, **extra)

        _, own = seconds(work, 3)
        print(f"{name:20}{N_USERS / own:10.0f}  no peer")


if __name__ == "__main__":
    main()
