"""Arms on a generated world of 43,000 users and 36,000 items with 15 clicks a user.

    OMP_NUM_THREADS=1 python benchmarks/wide.py [--scale 1.0] [arm …]

Of each user a random fifth of the clicks is held out (seed 0). All arms have their defaults; those
of implicit stand beside them where it can be imported, ALS also with settings that such data wants
(the best of six, seen on this very split). Every row is a process of its own: recall@20 and
NDCG@20 over all items that the user has not met, CPU seconds of the fit, top-20 lists of all users
for each CPU second, and the largest memory of the process in MB, the data itself included.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import warnings
from importlib.util import find_spec

import numpy as np

from siamrec.data import Rankings
from siamrec.metrics import Suite
from siamrec.metrics.splits import RandomShare
from siamrec.models import recommenders as arms
from siamrec.simulation import WideWorld

K = 20
OURS = {
    "Popularity": arms.Popularity(),
    "ItemKNN": arms.ItemKNN(),
    "ItemKNN tf-idf": arms.ItemKNN(weighting="tf-idf"),
    "ItemKNN bm25": arms.ItemKNN(weighting="bm25"),
    "RP3beta": arms.RP3beta(),
    "SANSA": arms.SANSA(),
    "ELSA": arms.ELSA(),
    "IALS": arms.IALS(),
    "IALS, a = 0.3": arms.IALS(unobserved=0.3),
}
THEIRS = {
    "implicit cosine": ("nearest_neighbours", "CosineRecommender", {"K": 100}),
    "implicit tf-idf": ("nearest_neighbours", "TFIDFRecommender", {"K": 100}),
    "implicit bm25": ("nearest_neighbours", "BM25Recommender", {"K": 100}),
    "implicit ALS": ("als", "AlternatingLeastSquares", {}),
    "implicit ALS, set": (
        "als",
        "AlternatingLeastSquares",
        {"factors": 64, "alpha": 100.0, "regularization": 300.0},
    ),
}


def main() -> None:
    given = sys.argv[1:]
    scale = 1.0
    if "--scale" in given:
        place = given.index("--scale")
        scale = float(given[place + 1])
        del given[place : place + 2]
    if "--one" in given:
        one(given[given.index("--one") + 1], scale)
        return
    names = given or [*OURS, *(THEIRS if find_spec("implicit") else ())]
    head = f"{'model':<26}{'recall@20':>10}{'ndcg@20':>9}{'fit CPU s':>11}"
    print(f"{head}{'lists/CPU s':>13}{'MB':>7}", flush=True)
    for name in names:
        command = [sys.executable, __file__, "--scale", str(scale), "--one", name]
        subprocess.run(command, check=True)


def one(name: str, scale: float) -> None:
    world = WideWorld(n_users=round(43_000 * scale), n_items=round(36_000 * scale)).simulate(1)
    splitter = RandomShare(share=0.2, per_user=True)
    fold = next(splitter.split(world, rng=np.random.default_rng(0)))
    train, truth = fold.training, fold.truth()
    begin = time.process_time()
    rank = ours(name, train) if name in OURS else theirs(name, train)
    fitted = time.process_time()
    ranked = rank()
    listed = time.process_time()
    suite = Suite([f"recall@{K}", f"ndcg@{K}"], missing_user="exclude")
    report = suite.evaluate(ranked, truth)
    recall, ndcg = (report[metric].mean for metric in suite.names)
    rate, most = len(train.users) / (listed - fitted), resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{name:<26}{recall:>10.4f}{ndcg:>9.4f}{fitted - begin:>11.1f}{rate:>13,.0f}"
        f"{most.ru_maxrss / 1024:>7,.0f}",
        flush=True,
    )


def ours(name, train):
    arm = OURS[name].fit(train)
    users = list(train.users.ids)
    return lambda: arm.recommend(users, k=K)


def theirs(name, train):
    import implicit
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    warnings.filterwarnings("ignore", message="Method expects CSR input")
    threadpool_limits(1)
    module, kind, settings = THEIRS[name]
    __import__(f"implicit.{module}")
    extra = {"random_state": 0} if module == "als" else {}
    model = getattr(getattr(implicit, module), kind)(num_threads=1, **settings, **extra)
    ones = arms.Histories.of(train, train.users, train.items).liked(None)
    matrix = csr_matrix((ones.data, ones.indices, ones.indptr), shape=ones.shape)
    model.fit(matrix, show_progress=False)

    def rank():
        rows = np.arange(matrix.shape[0])
        item, score = model.recommend(rows, matrix, N=K, filter_already_liked_items=True)
        item = np.where(score > -1e30, item, -1)  # it pads with seen items
        return Rankings.from_arrays(item, users=train.users, items=train.items)

    return rank


if __name__ == "__main__":
    main()
