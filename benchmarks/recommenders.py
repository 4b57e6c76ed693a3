"""Arms on ml-100k: quality, CPU seconds and lists a second, beside implicit, Surprise and Cornac.

    SIAMREC_DATA=… OMP_NUM_THREADS=1 python benchmarks/recommenders.py [ratings lists next cold]

Everybody is tuned the same way: `TRIALS` settings each (the default first, then random draws from
the same kind of ranges) on one validation split inside the training data; the winner is fitted
anew on all of it and meets the test data once. Neural arms run with their defaults. Times are CPU
seconds of the final fit.

ratings  u1..u5, mean RMSE and MAE; unknown users and items are predicted by everybody's fallback.
lists    Every rating is a liking; of each user a random fifth is held out (seed 0); NDCG@10 and
         recall@20 over all items that the user has not rated in training; top-100 lists a second.
next     The last rating of each user is held out; all unseen items are ranked.
cold     A fifth of the items is hidden from training and ranked among themselves by their texts.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
import warnings
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from siamrec.data import Catalog, Feedback, Rankings, Truth
from siamrec.metrics import Suite
from siamrec.models import recommenders as arms
from siamrec.models.recommenders import Choice, Float, Histories, Integer

TRIALS = 8
COLUMNS = ["user", "item", "rating", "time"]


def main() -> None:
    data = os.environ.get("SIAMREC_DATA")
    if not data:
        print("SIAMREC_DATA is not set: nothing to measure.")
        return
    folder = Path(data)
    peers = [f"{p} {version(p)}" for p in ("implicit", "scikit-surprise", "cornac") if there(p)]
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(f"threads: {threads}; trials: {TRIALS};", ", ".join(peers))
    sections = {"ratings": ratings, "lists": lists, "next": next_items, "cold": cold_items}
    for name in sys.argv[1:] or sections:
        print(f"\n== {name}", flush=True)
        sections[name](folder)


def there(package: str) -> bool:
    return find_spec({"scikit-surprise": "surprise"}.get(package, package)) is not None


def read(path: Path) -> Feedback:
    frame = pl.read_csv(path, separator="\t", has_header=False, new_columns=COLUMNS)
    return Feedback.from_frame(frame, value="rating", time="time")


def held_out(feedback: Feedback, share: float, seed: int) -> tuple[Feedback, Feedback]:
    """Hold out a share of each user's events."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(feedback)), feedback.user))
    start = np.searchsorted(feedback.user[order], np.arange(len(feedback.users) + 1))
    length = np.diff(start)
    place = np.arange(len(feedback)) - np.repeat(start[:-1], length)
    held = place < np.repeat(np.round(share * length), length)
    return feedback.where(np.sort(order[~held])), feedback.where(np.sort(order[held]))


def split(folder: Path) -> tuple[Feedback, Truth]:
    train, test = held_out(read(folder / "ml-100k" / "u.data"), 0.2, 0)
    return train, truth_of(test)


def truth_of(feedback: Feedback) -> Truth:
    return Truth.from_frame(feedback.to_arrow(), user="user", item="item")


def settings(space, rng) -> dict:
    """Draw settings from ranges."""
    drawn = {}
    for name, where in space.items():
        if isinstance(where, Choice):
            drawn[name] = where.values[int(rng.integers(len(where.values)))]
            continue
        low, high = (
            (np.log(where.low), np.log(where.high)) if where.log else (where.low, where.high)
        )
        value = rng.uniform(low, high)
        value = float(np.exp(value) if where.log else value)
        drawn[name] = round(value) if isinstance(where, Integer) else value
    return drawn


def tuned(space, default, measure) -> dict:
    """Return the best of `TRIALS` settings; `measure` is better when larger."""
    rng = np.random.default_rng(0)
    trials = [default, *(settings(space, rng) for _ in range(TRIALS - 1))] if space else [default]
    return max(trials, key=measure) if len(trials) > 1 else default


@contextlib.contextmanager
def quiet():
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


# --- ratings


def ratings(folder: Path) -> None:
    folds = [
        [read(folder / "ml-100k" / f"u{k}.{part}") for part in ("base", "test")]
        for k in range(1, 6)
    ]
    inner, valid = held_out(folds[0][0], 0.1, 1)
    rows = [
        *(
            (name, ours_rating(recipe), recipe.search_space if tune else {})
            for name, recipe, tune in RATING_ARMS
        ),
        *(surprise_rows() if there("surprise") else ()),
        *(cornac_rating_rows() if there("cornac") else ()),
    ]
    print(f"{'model':<28}{'RMSE':>8}{'MAE':>8}{'CPU s/fold':>12}  settings")
    for name, build, space in rows:
        with quiet():

            def measure(chosen, build=build):
                return -rmse(build(chosen)(inner, valid), valid)

            best = tuned(space, {}, measure)
            begin, errors = time.process_time(), []
            for train, test in folds:
                errors.append(build(best)(train, test) - test.value)
            seconds = (time.process_time() - begin) / len(folds)
        square = np.mean([np.sqrt((e**2).mean()) for e in errors])
        absolute = np.mean([np.abs(e).mean() for e in errors])
        shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in best.items()}
        print(
            f"{name:<28}{square:>8.4f}{absolute:>8.4f}{seconds:>12.2f}  {shown or 'default'}",
            flush=True,
        )


def rmse(predicted, test) -> float:
    return float(np.sqrt(((predicted - test.value) ** 2).mean()))


RATING_ARMS = [
    ("BiasModel", arms.BiasModel(), True),
    ("UserKNN", arms.UserKNN(), True),
    ("ItemKNNBaseline", arms.ItemKNNBaseline(), True),
    ("ExplicitMF", arms.ExplicitMF(), True),
    ("SVDpp", arms.SVDpp(), True),
    ("TimeSVDpp", arms.TimeSVDpp(), False),
    ("NeuMF", arms.NeuMF(), False),
    ("AttentionMF", arms.AttentionMF(), False),
    ("MultiTaskMF", arms.MultiTaskMF(), False),
]


def ours_rating(recipe):
    def build(chosen):
        def run(train, test):
            arm = replace(recipe, **chosen).fit(train)
            users, items = test.users.decode(test.user), test.items.decode(test.item)
            return arm.predict(users, items, unknown="fallback", time=test.time)

        return run

    return build


def surprise_rows():
    import surprise

    def builder(make):
        def build(chosen):
            def run(train, test):
                np.random.seed(0)  # noqa: NPY002  (Surprise draws from the global generator)
                frame = list(
                    zip(
                        train.users.decode(train.user),
                        train.items.decode(train.item),
                        train.value.tolist(),
                        strict=True,
                    )
                )
                import pandas as pd

                data = surprise.Dataset.load_from_df(
                    pd.DataFrame(frame), surprise.Reader(rating_scale=(1, 5))
                )
                model = make(chosen)
                model.fit(data.build_full_trainset())
                pairs = zip(
                    test.users.decode(test.user), test.items.decode(test.item), strict=True
                )
                return np.array([model.predict(user, item).est for user, item in pairs])

            return run

        return build

    svd = {
        "n_factors": Integer(20, 150),
        "n_epochs": Integer(20, 80),
        "reg_all": Float(0.02, 0.2, log=True),
        "lr_all": Float(2e-3, 1e-2, log=True),
    }
    knn = {"k": Integer(20, 100), "shrinkage": Float(10.0, 300.0, log=True)}
    return [
        ("Surprise BaselineOnly", builder(lambda _: surprise.BaselineOnly(verbose=False)), {}),
        (
            "Surprise KNNBaseline",
            builder(
                lambda s: surprise.KNNBaseline(
                    k=s.get("k", 40),
                    verbose=False,
                    sim_options={
                        "name": "pearson_baseline",
                        "user_based": False,
                        "shrinkage": s.get("shrinkage", 100),
                    },
                    bsl_options={"method": "als"},
                )
            ),
            knn,
        ),
        ("Surprise SVD", builder(lambda s: surprise.SVD(random_state=0, **s)), svd),
    ]


def cornac_rating_rows():
    import cornac

    def build(chosen):
        def run(train, test):
            rows = list(
                zip(
                    train.users.decode(train.user),
                    train.items.decode(train.item),
                    train.value.tolist(),
                    strict=True,
                )
            )
            data = cornac.data.Dataset.from_uir(rows)
            model = cornac.models.MF(
                use_bias=True, early_stop=False, seed=0, verbose=False, num_threads=1, **chosen
            )
            model.fit(data)
            pairs = zip(test.users.decode(test.user), test.items.decode(test.item), strict=True)
            out = [
                model.rate(data.uid_map[u], data.iid_map[i], clipping=True)
                if u in data.uid_map and i in data.iid_map
                else data.global_mean
                for u, i in pairs
            ]
            return np.array(out, dtype=float)

        return run

    space = {
        "k": Integer(10, 150),
        "max_iter": Integer(20, 100),
        "lambda_reg": Float(0.02, 0.2, log=True),
        "learning_rate": Float(3e-3, 2e-2, log=True),
    }
    return [("Cornac MF", build, space)]


# --- top lists


LIST_ARMS = [
    ("Random", arms.Random(), False),
    ("Popularity", arms.Popularity(), False),
    ("ItemKNN", arms.ItemKNN(), True),
    ("RP3beta", arms.RP3beta(), True),
    ("PureSVD", arms.PureSVD(), True),
    ("GFCF", arms.GFCF(), True),
    ("IALS", arms.IALS(), True),
    ("EASE", arms.EASE(), True),
    ("EDLAE", arms.EDLAE(), True),
    ("SANSA", arms.SANSA(), True),
    ("ELSA", arms.ELSA(), False),
    ("LongTail(EASE, 0.2)", arms.LongTail(base=arms.EASE(), strength=0.2), False),
    ("Coverage(EASE)", arms.Coverage(base=arms.EASE(), weight=0.5), False),
    ("SerendipityExplorer(EASE)", arms.SerendipityExplorer(base=arms.EASE()), False),
    ("MultVAE", arms.MultVAE(), False),
    ("LightGCN", arms.LightGCN(), False),
    ("TwoTower", arms.TwoTower(), False),
    ("MultiTaskMF", arms.MultiTaskMF(), False),
]


def lists(folder: Path) -> None:
    train, truth = split(folder)
    inner, valid = held_out(train, 0.2, 7)
    suite = Suite(["ndcg@10", "recall@20", "long_tail_share@10"])
    goal, wanted = Suite(["ndcg@10"]), truth_of(valid)
    counts = np.bincount(train.item, minlength=len(train.items))
    rows = [
        *(
            (name, ours_lists(recipe), recipe.search_space if tune else {})
            for name, recipe, tune in LIST_ARMS
        ),
        *(implicit_rows() if there("implicit") else ()),
        *(cornac_list_rows() if there("cornac") else ()),
    ]
    head = f"{'model':<28}{'ndcg@10':>9}{'recall@20':>11}{'tail@10':>9}{'fit CPU s':>11}"
    print(f"{head}{'lists/s':>10}  settings")
    for name, build, space in rows:
        with quiet():

            def measure(chosen, build=build):
                ranked = build(chosen)(inner)(inner, 10)
                return goal.evaluate(ranked, wanted)["ndcg@10"].mean

            best = tuned(space, {}, measure)
            begin = time.process_time()
            rank = build(best)(train)
            fitted = time.process_time()
            ranked = rank(train, 100)
            rate = len(train.users) / (time.process_time() - fitted)
            report = suite.evaluate(ranked, truth, popularity=counts, n_users=len(train.users))
        values = [report[metric].mean for metric in suite.names]
        shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in best.items()}
        print(
            f"{name:<28}{values[0]:>9.4f}{values[1]:>11.4f}{values[2]:>9.4f}"
            f"{fitted - begin:>11.2f}{rate:>10,.0f}  {shown or 'default'}",
            flush=True,
        )


def ours_lists(recipe):
    def build(chosen):
        def fit(train):
            arm = replace(recipe, **chosen).fit(train)
            return lambda feedback, k: arm.recommend(feedback.users.ids, k=k)

        return fit

    return build


def implicit_rows():
    from implicit import als, nearest_neighbours

    def builder(make):
        def build(chosen):
            def fit(train):
                model = make(chosen)
                matrix = liked_of(train)
                model.fit(matrix, show_progress=False)

                def rank(feedback, k):
                    rows = np.arange(len(feedback.users))
                    item, score = model.recommend(
                        rows, matrix, N=k, filter_already_liked_items=True
                    )
                    item = np.where(score > -1e30, item, -1)  # it pads with seen items
                    return Rankings.from_arrays(item, users=feedback.users, items=feedback.items)

                return rank

            return fit

        return build

    ials = {
        "factors": Integer(16, 128, log=True),
        "alpha": Float(1.0, 20.0, log=True),
        "regularization": Float(0.01, 100.0, log=True),
    }
    near = {"K": Integer(20, 500, log=True), "K1": Float(0.3, 3.0), "B": Float(0.0, 1.0)}
    return [
        (
            "implicit ALS",
            builder(lambda s: als.AlternatingLeastSquares(random_state=0, num_threads=1, **s)),
            ials,
        ),
        (
            "implicit BM25",
            builder(lambda s: nearest_neighbours.BM25Recommender(num_threads=1, **s)),
            near,
        ),
        (
            "implicit cosine",
            builder(lambda s: nearest_neighbours.CosineRecommender(num_threads=1, **s)),
            {"K": near["K"]},
        ),
    ]


def liked_of(train: Feedback):
    from scipy.sparse import csr_matrix

    ones = Histories.of(train, train.users, train.items).liked(None)
    return csr_matrix((ones.data, ones.indices, ones.indptr), shape=ones.shape)


def cornac_list_rows():
    import cornac

    def builder(make):
        def build(chosen):
            def fit(train):
                matrix = liked_of(train).tocoo()
                data = cornac.data.Dataset.from_uir(
                    list(
                        zip(
                            matrix.row.tolist(),
                            matrix.col.tolist(),
                            np.ones(matrix.nnz),
                            strict=True,
                        )
                    )
                )
                model = make(chosen)
                model.fit(data)
                place = np.array(list(data.iid_map))

                def rank(feedback, k):
                    table = np.full((len(feedback.users), len(feedback.items)), -np.inf)
                    for user, code in data.uid_map.items():
                        table[user, place] = np.ravel(model.score(code))
                    table[matrix.row, matrix.col] = -np.inf
                    return Rankings.from_scores(
                        table, k=k, users=feedback.users, items=feedback.items
                    )

                return rank

            return fit

        return build

    ease = {"lamb": Float(10.0, 5000.0, log=True)}
    bpr = {
        "k": Integer(16, 128, log=True),
        "max_iter": Integer(50, 300),
        "learning_rate": Float(3e-3, 0.1, log=True),
        "lambda_reg": Float(1e-4, 0.1, log=True),
    }
    return [
        (
            "Cornac EASE",
            builder(lambda s: cornac.models.EASE(posB=False, seed=0, verbose=False, **s)),
            ease,
        ),
        (
            "Cornac BPR",
            builder(lambda s: cornac.models.BPR(seed=0, num_threads=1, verbose=False, **s)),
            bpr,
        ),
    ]


# --- next items


NEXT_ARMS = [
    ("Popularity", arms.Popularity(), False),
    ("EASE", arms.EASE(), True),
    ("SequentialRules", arms.SequentialRules(), True),
    ("SLIT", arms.SLIT(), True),
    ("SASRec softmax", arms.SASRec(), False),
    ("SASRec gBCE", arms.SASRec(loss="gbce", epochs=120, batch_size=32, patience=60), False),
]


def next_items(folder: Path) -> None:
    train, test = without_last(read(folder / "ml-100k" / "u.data"))
    inner, valid = without_last(train)
    suite, truth, wanted = Suite(["ndcg@10", "recall@10"]), truth_of(test), truth_of(valid)
    print(f"{'model':<28}{'ndcg@10':>9}{'recall@10':>11}{'fit CPU s':>11}  settings")
    for name, recipe, tune in NEXT_ARMS:
        build = ours_lists(recipe)

        def measure(chosen, build=build):
            return suite.evaluate(build(chosen)(inner)(inner, 10), wanted)["ndcg@10"].mean

        best = tuned(recipe.search_space if tune else {}, {}, measure)
        begin = time.process_time()
        rank = build(best)(train)
        seconds = time.process_time() - begin
        report = suite.evaluate(rank(train, 10), truth)
        shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in best.items()}
        print(
            f"{name:<28}{report['ndcg@10'].mean:>9.4f}{report['recall@10'].mean:>11.4f}{seconds:>11.2f}"
            f"  {shown or 'default'}",
            flush=True,
        )


def without_last(feedback: Feedback) -> tuple[Feedback, Feedback]:
    order = np.lexsort((feedback.time, feedback.user))
    last = np.append(np.diff(feedback.user[order]) != 0, True)
    return feedback.where(np.sort(order[~last])), feedback.where(np.sort(order[last]))


# --- items without feedback


def cold_items(folder: Path) -> None:
    from siamrec.models import CachedEncoder, SentenceEncoder

    feedback = read(folder / "ml-100k" / "u.data")
    catalog = texts(folder, feedback)
    written = catalog.has_text[feedback.items.translate(catalog.items)]
    rng = np.random.default_rng(0)
    hidden = written & (rng.random(len(feedback.items)) < 0.2)
    train, test = (
        feedback.where(~hidden[feedback.item]).compacted(),
        feedback.where(hidden[feedback.item]),
    )
    pool = [feedback.items[code] for code in np.flatnonzero(hidden)]
    truth, suite = truth_of(test), Suite(["ndcg@10"])
    encoder = CachedEncoder(SentenceEncoder("all-MiniLM-L6-v2"))
    rows = {
        "Random": arms.Random(),
        "TextProfile, MiniLM": arms.TextProfile(encoder=encoder, positive=None),
        "TwoTower, MiniLM": arms.TwoTower(encoder=encoder),
        "TextToFactor, MiniLM": arms.TextToFactor(encoder=encoder),
    }
    print(f"{len(pool)} hidden items\n{'model':<28}{'ndcg@10':>9}{'fit CPU s':>11}")
    for name, recipe in rows.items():
        begin = time.process_time()
        arm = recipe.fit(train, catalog=catalog)
        seconds = time.process_time() - begin
        ranked = arm.recommend(train.users.ids, k=10, candidates=pool)
        print(
            f"{name:<28}{suite.evaluate(ranked, truth)['ndcg@10'].mean:>9.4f}{seconds:>11.2f}",
            flush=True,
        )


def texts(folder: Path, feedback: Feedback) -> Catalog:
    names = pl.read_csv(folder / "joined" / "ml100k_item_to_movieId.csv")
    films = pl.read_csv(folder / "joined" / "movies_joined.csv.gz").select(
        "movieId", "title", "genres", "overview"
    )
    table = names.select("item", "movieId").join(films, on="movieId", how="left")
    table = table.filter(pl.col("item").is_in(list(feedback.items.ids)))
    return Catalog.from_frame(table, item="item", text=["title", "genres", "overview"])


if __name__ == "__main__":
    main()
