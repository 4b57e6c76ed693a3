"""Ensembles on ml-100k beside their own members.

    SIAMREC_DATA=… OMP_NUM_THREADS=1 python benchmarks/ensembles.py [ratings lists]

ratings  u1..u5, mean RMSE and MAE: a stack of neighbours, factors and SVD++.
lists    Of each user a random fifth is held out (the split of recommenders.py); NDCG@10. Weights
         are learned inside the training data.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from recommenders import read, split

from siamrec.metrics import Suite
from siamrec.models import recommenders as arms
from siamrec.models.ensembles import Stacking, Weighted


def ratings(folder: Path) -> None:
    members = Stacking().arms
    recipes = {**members, "stack": Stacking(), "stack, w >= 0": Stacking(meta="non-negative")}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in recipes}
    for k in range(1, 6):
        train, test = (read(folder / "ml-100k" / f"u{k}.{part}") for part in ("base", "test"))
        users, items = test.users.decode(test.user), test.items.decode(test.item)
        for name, recipe in recipes.items():
            begin = time.process_time()
            arm = recipe.fit(train)
            error = arm.predict(users, items, unknown="fallback") - test.value
            seconds = time.process_time() - begin
            found[name].append(
                (float(np.sqrt(np.mean(error**2))), float(np.abs(error).mean()), seconds)
            )
    print(f"{'model':<28}{'RMSE':>8}{'MAE':>8}{'CPU s/fold':>12}")
    for name, rows in found.items():
        square, absolute, seconds = np.mean(rows, axis=0)
        print(f"{name:<28}{square:>8.4f}{absolute:>8.4f}{seconds:>12.1f}")


def lists(folder: Path) -> None:
    train, truth = split(folder)
    members = {
        "ease": arms.EASE(),
        "edlae": arms.EDLAE(),
        "ials": arms.IALS(),
        "gf-cf": arms.GFCF(),
        "rp3beta": arms.RP3beta(),
        "popularity": arms.Popularity(),
    }
    recipes = {
        **members,
        "sum, learned weights": Weighted(arms=members),
        "ranks, learned weights": Weighted(arms=members, scale="rank"),
        "sum, equal weights": Weighted(arms=members, weights=dict.fromkeys(members, 1.0)),
    }
    suite = Suite(["ndcg@10", "recall@20"])
    print(f"{'model':<28}{'ndcg@10':>9}{'recall@20':>11}{'CPU s':>8}")
    for name, recipe in recipes.items():
        begin = time.process_time()
        arm = recipe.fit(train)
        seconds = time.process_time() - begin
        report = suite.evaluate(arm.recommend(train.users.ids, k=20), truth)
        values = [report[metric].mean for metric in suite.names]
        weights = getattr(arm, "weights", {}) if isinstance(recipe, Weighted) else {}
        shown = ", ".join(f"{key} {weight:.2f}" for key, weight in weights.items())
        print(f"{name:<28}{values[0]:>9.4f}{values[1]:>11.4f}{seconds:>8.1f}  {shown}", flush=True)


def main() -> None:
    data = os.environ.get("SIAMREC_DATA")
    if not data:
        print("SIAMREC_DATA is not set: nothing to measure.")
        return
    sections = {"ratings": ratings, "lists": lists}
    for name in sys.argv[1:] or sections:
        print(f"\n== {name}", flush=True)
        sections[name](Path(data))


if __name__ == "__main__":
    main()
