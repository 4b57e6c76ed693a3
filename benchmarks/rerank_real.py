"""Popularity damping on MovieLens 100k: long-tail share and NDCG before and after.

Needs SIAMREC_DATA with the folder ml-100k. The candidates come from EASE; a random fifth of each
user's ratings is held out. Strengths are chosen on half of the users and reported on the other.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from siamrec.data import Rankings, Truth, Vocabulary
from siamrec.metrics import Suite
from siamrec.rerank import MMR, LongTailBoost, Pipeline, PopularityDamping, tune_trade_off

K, N_CANDIDATES, REGULARISER = 10, 300, 500.0


def split(path):
    """A random fifth of each user's ratings is held out."""
    rows = np.loadtxt(path, dtype=np.int64)
    order = np.random.default_rng(0).permutation(len(rows))
    order = order[np.argsort(rows[order, 0], kind="stable")]
    user, item = rows[order, 0] - 1, rows[order, 1] - 1
    size = np.bincount(user)
    rank = np.arange(user.size) - (size.cumsum() - size)[user]
    return user, item, rank >= np.floor(0.8 * size)[user]


def ease(watched):
    """Item weights of EASE (Steck 2019): ridge regression of items on items, diagonal 0."""
    gram = watched.T @ watched
    gram[np.diag_indices_from(gram)] += REGULARISER
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0.0
    return watched @ weights


def main() -> None:
    root = os.environ.get("SIAMREC_DATA")
    if root is None:
        print("SIAMREC_DATA is not set")
        return
    user, item, held = split(Path(root) / "ml-100k" / "u.data")
    n_users, n_items = int(user.max()) + 1, int(item.max()) + 1
    users, items = Vocabulary(tuple(range(n_users))), Vocabulary(tuple(range(n_items)))
    watched = np.zeros((n_users, n_items))
    watched[user[~held], item[~held]] = 1.0
    history = Truth.from_arrays(user=user[~held], item=item[~held], users=users, items=items)
    truth = Truth.from_arrays(user=user[held], item=item[held], users=users, items=items)
    popularity = watched.sum(axis=0)
    candidates = Rankings.from_scores(
        ease(watched), k=N_CANDIDATES, exclude=history, users=users, items=items
    )
    factors = np.linalg.svd(watched, full_matrices=False)[2][:32].T + 1e-9
    fifth = int(np.quantile(popularity, 0.8))  # the tail: all but the fifth of items seen most
    tail = f"long_tail_share(votes={fifth})@{K}"
    suite = Suite([f"ndcg@{K}", tail, f"long_tail_share@{K}", f"coverage@{K}", f"ild@{K}"])
    tune, test = (np.random.default_rng(0).permutation(n_users) % 2 == part for part in (0, 1))

    def part_of(lists, chosen):
        return lists.places(np.flatnonzero(chosen[lists.owner]))

    def report(lists, chosen):
        return suite.evaluate(
            part_of(lists, chosen),
            part_truth(truth, chosen, users, items),
            popularity=popularity,
            catalog_size=n_items,
            embeddings=factors,
        )

    def damped(strength):
        steps = Pipeline(PopularityDamping(strength=strength))
        return steps.rerank(candidates, k=K, popularity=popularity)

    plain = report(candidates.top(K), test)
    show("candidates", plain, plain)
    for strength in (0.05, 0.1, 0.2, 0.3):
        show(f"damping {strength}", report(damped(strength), test), plain)
    front = tune_trade_off(
        damped,
        settings=np.arange(0.0, 0.52, 0.02).tolist(),
        accuracy=lambda lists: report(lists, tune)[f"ndcg@{K}"].mean,
        diversity=lambda lists: report(lists, tune)[tail].mean,
        budget=0.01,
        reference=report(candidates.top(K), tune)[f"ndcg@{K}"].mean,
    )
    best = front.best.setting
    show(f"tuned damping {best:.2f}", report(damped(best), test), plain)
    boost = Pipeline(LongTailBoost(weight=0.05, votes=100, rating=None))
    show(
        "long-tail boost 0.05",
        report(boost.rerank(candidates, k=K, popularity=popularity), test),
        plain,
    )
    mmr = Pipeline(MMR(trade_off=0.9)).rerank(candidates, k=K, embeddings=factors)
    show("MMR 0.9", report(mmr, test), plain)


def part_truth(truth, chosen, users, items):
    owner = np.repeat(np.arange(len(truth)), truth.n_judged)
    keep = chosen[owner]
    return Truth.from_arrays(user=owner[keep], item=truth.item[keep], users=users, items=items)


def show(name, report, plain):
    cells = []
    for metric in report.names:
        own, before = report[metric].mean, plain[metric].mean
        cells.append(f"{metric} {own:.4f} ({own / before - 1:+.1%})")
    paired = report.difference(plain, report.names[0])
    print(
        f"{name:22}" + "  ".join(cells) + f"  ndcg change [{paired.low:+.4f}, {paired.high:+.4f}]"
    )


if __name__ == "__main__":
    main()
