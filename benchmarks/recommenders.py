"""Arms on ml-100k: quality, seconds to fit, users per second for top-100 lists.

    SIAMREC_DATA=… python benchmarks/recommenders.py

Every rating counts as liking; of each user a random fifth is held out (seed 42), and NDCG@10 and
recall@20 are over all items that the user has not rated in training. Peers run in the same process
where they are installed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import polars as pl

from siamrec.data import Feedback, Truth
from siamrec.metrics import Suite
from siamrec.models.recommenders import EASE, EDLAE, IALS, ItemKNN, LongTail, Popularity, RP3beta


def split(folder: Path) -> tuple[Feedback, Truth]:
    columns = ["user", "item", "rating", "time"]
    frame = pl.read_csv(folder / "ml-100k" / "u.data", separator="\t", has_header=False)
    frame.columns = columns
    feedback = Feedback.from_frame(frame, value="rating", time="time")
    rng = np.random.default_rng(42)
    order = np.lexsort((rng.random(len(feedback)), feedback.user))
    start = np.searchsorted(feedback.user[order], np.arange(len(feedback.users) + 1))
    length = np.diff(start)
    place = np.arange(len(feedback)) - np.repeat(start[:-1], length)
    held = place < np.repeat(np.round(0.2 * length), length)
    test = feedback.where(order[held])
    return feedback.where(order[~held]), Truth.from_frame(
        test.to_arrow(), user="user", item="item"
    )


def main() -> None:
    data = os.environ.get("SIAMREC_DATA")
    if not data:
        print("SIAMREC_DATA is not set: nothing to measure.")
        return
    train, truth = split(Path(data))
    suite = Suite(["ndcg@10", "recall@20", "long_tail_share@10"])
    counts = np.bincount(train.item, minlength=len(train.items))
    print(f"threads: {os.environ.get('OMP_NUM_THREADS', 'all')}")
    print(f"{'arm':<22}{'ndcg@10':>9}{'recall@20':>11}{'tail@10':>9}{'fit s':>8}{'users/s':>10}")
    recipes = {
        "popularity": Popularity(),
        "EASE 500": EASE(l2=500.0),
        "EDLAE 100": EDLAE(l2=100.0),
        "iALS 64": IALS(),
        "item-kNN": ItemKNN(),
        "RP3beta": RP3beta(),
        "EASE, damped 0.2": LongTail(base=EASE(l2=500.0), strength=0.2),
    }
    for name, recipe in recipes.items():
        begin = time.perf_counter()
        arm = recipe.fit(train)
        fitted = time.perf_counter()
        lists = arm.recommend(train.users.ids, k=100)
        rate = len(train.users) / (time.perf_counter() - fitted)
        report = suite.evaluate(lists, truth, popularity=counts, n_users=len(train.users))
        values = [report[metric].mean for metric in suite.names]
        print(
            f"{name:<22}{values[0]:>9.4f}{values[1]:>11.4f}{values[2]:>9.4f}"
            f"{fitted - begin:>8.2f}{rate:>10,.0f}"
        )


if __name__ == "__main__":
    main()
