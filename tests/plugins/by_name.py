"""Uses every part of an installed guest by name, in every place that takes such a part.

Run by `test_guest_by_name.py` in a process of its own, in which nothing but the name is known.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec import Pairs, Plan, RatingPairs, Suite
from siamrec.bandits import ContextualBandit
from siamrec.bandits.ope import Log, evaluate
from siamrec.data import Catalog, Feedback, Rankings
from siamrec.experiments import Experiment, HashAssigner, Mean
from siamrec.lifecycle import ImprovementLoop
from siamrec.models import SentenceEncoder
from siamrec.models.ensembles import Cascade, Fallback, Stacking, Switching, Weighted
from siamrec.models.export import export
from siamrec.models.recommenders import LongTail, TextProfile
from siamrec.models.training import FineTuneConfig, FineTuner
from siamrec.rerank import Pipeline
from siamrec.simulation import World
from siamrec.storage import Store
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(3)
FEEDBACK = Feedback.of(
    user=RNG.integers(0, 12, 200).tolist(),
    item=RNG.integers(0, 9, 200).tolist(),
    value=RNG.integers(1, 6, 200).astype(float).tolist(),
    time=list(range(200)),
)
TEXTS = [f"word{item} and word{item + 1}" for item in range(9)]
CATALOG = Catalog.from_frame({"item": list(range(9)), "text": TEXTS}, text="text")


def metrics(folder: Path) -> object:
    lists = Rankings.from_lists({"ann": ["a", "b"], "bob": ["c"]})
    return Suite(["list_length"]).evaluate(lists)["list_length"].mean


def losses(folder: Path) -> object:
    rng = np.random.default_rng(0)
    left = [TEXTS[code] for code in rng.integers(0, 9, 60)]
    right = [TEXTS[code] for code in rng.integers(0, 9, 60)]
    pairs = Pairs.of(left, right, label=rng.integers(0, 2, 60).astype(float))
    config = FineTuneConfig(
        strategy="full:epochs=1,batch_size=16", loss="absolute-cosine", max_steps=2
    )
    encoder = SentenceEncoder.of(tiny_model(TEXTS))
    return FineTuner(config).fit(encoder, pairs, pairs).card["config"]["loss"]["name"]


def policies(folder: Path) -> object:
    plain = ContextualBandit("softmax:sharpness=3", arms=("a", "b"))
    stored = Store("sqlite://").bandit("mine", {"name": "softmax"}, ("a", "b"))
    return [plain.select().policy, stored.select().policy]


def steps(folder: Path) -> object:
    lists = Rankings.from_lists({"ann": ["x", "y", "z"]}, scores={"ann": [3.0, 2.0, 1.0]})
    return Pipeline("flatten:share=0.1", "skip-first").rerank(lists, k=2).lists()


def hashers(folder: Path) -> object:
    experiment = Experiment(key="one", variants={"a": 0.5, "b": 0.5})
    units = [str(unit) for unit in range(1000)]
    drawn = HashAssigner([experiment], hasher="sha256").assign_many(units)
    return bool(400 < int((drawn.codes == 0).sum()) < 600)


def looking_rules(folder: Path) -> object:
    return Plan(metrics=[Mean("x")], sequential="many-looks:looks=9", planned=500.0).planned_units


def estimators(folder: Path) -> object:
    log = Log(action=np.arange(200) % 2, reward=np.arange(200) % 2, propensity=np.full(200, 0.5))
    found = evaluate(log, np.full((200, 2), 0.5), estimators=["ips", "root:power=1"])
    return list(found.estimates)


def exporters(folder: Path) -> object:
    encoder = SentenceEncoder.of(tiny_model(TEXTS))
    export(encoder, folder / "noted", format="noted", texts=TEXTS)
    return (folder / "noted" / "NOTE.txt").read_text(encoding="utf-8")


def files(folder: Path) -> object:
    from siamrec.feedback import FileFeedback

    (folder / "votes.csv").write_text("voter,thing,vote\nann,boat,aye\nbob,boat,nay\n")
    loaded = FileFeedback(path=folder / "votes.csv").load()  # by its columns, no name is asked for
    return [loaded.told["format"], loaded.feedback.value.tolist()]


def arms(folder: Path) -> object:
    recipes: list[Any] = [
        LongTail(base="shuffled:seed=4"),
        Weighted(arms=("shuffled", "popularity"), weights={"shuffled": 1.0}),
        Cascade(retrieve="popularity", rank="shuffled"),
        Fallback(arms=["shuffled", "popularity"]),
        Switching(arms={"few": "popularity", "many": {"name": "shuffled", "seed": 2}}),
        Stacking(arms=["shuffled", "popularity"], target="ranking"),
        TextProfile(encoder="letters:power=1"),
    ]
    made = [type(recipe).from_config(recipe.to_config()) == recipe for recipe in recipes]
    lists = [recipe.fit(FEEDBACK, catalog=CATALOG).recommend([3], k=1) for recipe in recipes]
    return all(made) and all(len(found.users) == 1 for found in lists)


def tuning(folder: Path) -> object:
    from siamrec.models.recommenders import Float
    from siamrec.tuning import tune

    best = tune(
        "long-tail:base=shuffled",
        FEEDBACK,
        metric="list_length",
        trials=2,
        sampler="random",
        maximise=True,
        space={"strength": Float(0.0, 1.0)},
    )
    return [best.metric, best.recipe.to_config()["base"]["name"]]


def miners(folder: Path) -> object:
    mined = RatingPairs(hard_negatives="first-texts:per_positive=2", minimum=_any()).generate(
        FEEDBACK, CATALOG, rng=np.random.default_rng(0)
    )
    assert mined.negatives is not None
    return mined.negatives.shape[1]


def _any() -> Any:
    from siamrec.pairs import MinimumCounts

    return MinimumCounts(positive=1, negative=0, total=1)


def loop(folder: Path) -> object:
    import siamrec_guest

    world = World(n_users=220, n_items=96, ratings_per_user=24).simulate(np.random.default_rng(5))
    log = f"json-lines:path={folder / 'log.jsonl'}"
    from siamrec.feedback import FEEDBACK_SOURCES

    sink: Any = FEEDBACK_SOURCES.make(log)
    sink.write(world.feedback)
    report = ImprovementLoop(
        source=log,
        catalog=world.catalog,
        arms=["shuffled:seed=2", "long-tail:base=shuffled"],
        pairs="neighbours",
        encoder="letters",
        suite=["ndcg@10", "list_length"],
        bandit="softmax",
        out=folder / "run",
        seed=3,
    ).run()
    summary = report.summary()
    return {
        "arms": sorted({"shuffled", "long-tail"} & set(report.arms)),
        "metrics": "list_length" in report.arms["shuffled"].metrics,
        "bandit": sorted({"shuffled", "long-tail"} & set(summary["bandit"]["fixed"])),
        "heard": sorted({kind for kind, _ in siamrec_guest.heard}),
    }


PLACES: dict[str, tuple[Callable[[Path], object], object]] = {
    "Suite": (metrics, 1.5),
    "FineTuneConfig": (losses, "absolute-cosine"),
    "ContextualBandit, Store.bandit": (policies, ["softmax", "softmax"]),
    "Pipeline": (steps, {"ann": ["y", "z"]}),
    "HashAssigner": (hashers, True),
    "Plan": (looking_rules, 500.0),
    "evaluate": (estimators, ["ips", "root"]),
    "export": (exporters, "written by a guest\n"),
    "FileFeedback": (
        files,
        ["guest-votes of guest, by its columns: Votes of a guest's site", [1.0, -1.0]],
    ),
    "ensembles": (arms, True),
    "tune": (tuning, ["list_length", "shuffled"]),
    "RatingPairs": (miners, 2),
    "ImprovementLoop": (
        loop,
        {
            "arms": ["long-tail", "shuffled"],
            "metrics": True,
            "bandit": ["long-tail", "shuffled"],
            "heard": ["activated", "decided", "trained"],
        },
    ),
}
"""What is done in each place, and what comes of it."""

if __name__ == "__main__":
    where = Path(sys.argv[1])
    found = {name: use(where) for name, (use, _) in PLACES.items()}
    sys.stdout.write("\n" + json.dumps(found) + "\n")
