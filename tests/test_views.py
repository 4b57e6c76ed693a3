"""Everything that a user is handed can be looked at: one line, a view, and exact numbers."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import pkgutil
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import siamrec
from siamrec import experiments, metrics, rerank, simulation, storage, tuning
from siamrec._core.clock import ManualClock
from siamrec._core.table import Shown
from siamrec.bandits import BetaThompson, Context, ContextualBandit, Corral, Factor, NeuralLinear
from siamrec.bandits.insight import imbalance
from siamrec.bandits.log.changes import change_point
from siamrec.bandits.ope import Log, Tally, evaluate
from siamrec.data import Catalog, Feedback, Pairs, Rankings, Truth, Vocabulary
from siamrec.errors import SiamrecError
from siamrec.feedback import FileFeedback, MemoryFeedback, MergedFeedback, SqlFeedback
from siamrec.lifecycle import ImprovementLoop, ModelRegistry
from siamrec.lifecycle.registry import Lineage
from siamrec.lifecycle.report import CycleReport
from siamrec.metrics import online
from siamrec.models import (
    AdapterEncoder,
    CachedEncoder,
    HashingEncoder,
    SentenceEncoder,
    StaticEncoder,
)
from siamrec.models.ensembles import BanditMixture, Weighted
from siamrec.models.export import ParityReport, Thresholds
from siamrec.models.recommenders import BiasModel, Popularity, PureSVD
from siamrec.models.training import FineTuner, Verdict
from siamrec.models.training.result import EncoderComparison
from siamrec.plugins import Registry
from siamrec.statistics import paired_difference

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.simulation import SimulatedWorld

HOSTILE = "<script>alert(1)</script>"
SECRET = "hunter2"  # noqa: S105 - a password that must never be seen
DAY = 86_400_000_000_000


# What has no view of its own, and why.
RECIPES_IN_SMALL = {
    "BalancedInterleaving", "Baseline", "Bins", "Block", "Boost", "BurstFilter", "Bury", "Choice",
    "Count", "DayKind", "Exporter", "Expression", "FileFeedback", "FineTuneConfig", "Float",
    "Futility", "Here", "Host", "Include", "Integer", "Judging", "LabelRules", "Learning",
    "Limits", "LossSpec", "Margin", "Mean", "MinimumCounts", "Never", "Pin", "Policies",
    "ProbabilisticInterleaving", "Processes", "Proportion", "QualityWeights", "Quantile", "Quota",
    "Ratio", "ReplayedPairs", "Retention", "Ridge", "Space",
    "SpamFilter", "SuccessRule", "TeamDraft", "Threads", "Thresholds", "TimeOfDay",
    "TwoTowerTraining", "WideWorld", "World",
}  # fmt: skip
"""Settings: what their dataclass prints is all there is to see."""
NOT_HANDED_OUT = {"Columns", "EvaluationView", "LinearSampler", "PluginObserver", "Wishes"}
"""What parts are handed to work on; nobody keeps one. Wishes are names of arguments."""


def public_classes() -> list[type]:
    """Every class that a face of a room offers."""
    found: dict[type, None] = {}
    for module in pkgutil.walk_packages(siamrec.__path__, "siamrec."):
        parts = module.name.split(".")
        hidden = any(part.startswith("_") for part in parts) or "testing" in parts
        if hidden or not module.ispkg or "migrations" in parts:
            continue
        face = importlib.import_module(module.name)
        for name in getattr(face, "__all__", ()):
            each = getattr(face, name)
            if inspect.isclass(each) and each.__module__.startswith("siamrec"):
                found[each] = None
    return sorted(found, key=lambda each: each.__name__)


def is_excused(cls: type) -> bool:
    """Whether a class is no value that a user is handed, or one that shows itself as it is."""
    return (
        issubclass(cls, Enum | BaseException | torch.nn.Module)
        or getattr(cls, "_is_protocol", False)
        or hasattr(cls, "to_config")
        or hasattr(cls, "_fields")  # a row: Assignment, ArmView, PairOfColumns
        or inspect.isabstract(cls)
        or cls.__name__ in RECIPES_IN_SMALL | NOT_HANDED_OUT
    )


@pytest.mark.parametrize("cls", public_classes(), ids=lambda cls: cls.__qualname__)
def test_a_class_that_users_are_handed_has_a_view(cls: type) -> None:
    assert issubclass(cls, Shown) or is_excused(cls)


def test_the_excused_are_small_and_still_there() -> None:
    classes = {cls.__name__: cls for cls in public_classes()}
    assert set(classes) >= RECIPES_IN_SMALL | NOT_HANDED_OUT
    for name in RECIPES_IN_SMALL:
        cls = classes[name]
        assert is_dataclass(cls) or not inspect.signature(cls).parameters
        assert not any("Array" in str(field.type) for field in fields(cls) if is_dataclass(cls))


def test_a_recipe_prints_its_settings_in_one_short_line() -> None:
    made = []
    for cls in public_classes():
        if is_excused(cls) and is_dataclass(cls) and not issubclass(cls, torch.nn.Module):
            try:
                made.append(cls())
            except (TypeError, SiamrecError):
                continue  # needs a setting that only its user knows
    assert len(made) > 60
    for recipe in made:
        assert len(repr(recipe)) <= 500, type(recipe)
        assert "\n" not in repr(recipe), type(recipe)


@pytest.fixture(scope="module")
def world() -> SimulatedWorld:
    """As large as ml-latest-small: 610 users, 9,700 items, about 100,000 ratings."""
    made = simulation.World(n_users=610, n_items=9_700, ratings_per_user=164.0)
    return made.simulate(np.random.default_rng(7))


def of_data(world: SimulatedWorld) -> list[object]:
    feedback = world.feedback
    pairs = Pairs.of(["a", "b"], ["c", "d"], label=[1.0, 0.0])
    return [
        *(world, feedback, world.catalog, feedback.users, feedback.items),
        *(Vocabulary((HOSTILE,)), pairs, pairs.statistics()),
        Catalog(items=Vocabulary((1,)), text=(HOSTILE * 100,)),
        *(MemoryFeedback(feedback), MergedFeedback([MemoryFeedback(feedback)] * 3)),
        SqlFeedback(
            connect=lambda: pytest.fail("opened"),
            query="select " + "x, " * 500,
            parameters={"password": SECRET},
        ),
    ]


def of_metrics(world: SimulatedWorld) -> list[object]:
    rng = np.random.default_rng(8)
    items = world.feedback.items
    truth = Truth.from_feedback(world.feedback)
    lists = [
        Rankings.from_scores(rng.normal(size=(len(truth), len(items))), k=10, items=items)
        for _ in range(2)
    ]
    suite = metrics.Suite(["ndcg@10", "recall@10", "coverage@10", "precision@{1,5}"])
    users = truth.users
    named = [
        Rankings.from_lists(dict(zip(users, each.lists().values(), strict=True))) for each in lists
    ]
    one, two = (suite.evaluate(each, truth, catalog_size=len(items)) for each in named)
    events = online.Events.from_frame(
        {"user": [HOSTILE, "b"], "kind": ["impression", "click"], "time": [DAY, 2 * DAY]}
    )
    state = suite.start(catalog_size=len(items))
    state.update(named[0], truth)
    fold = next(iter(metrics.splits.RandomShare().split(world.feedback, rng=rng)))
    return [
        *(suite, state, one, one.compare(two), one.compare(two)["ndcg@10"], one["ndcg@10"]),
        one.pooled("coverage@10"),
        one.slices(lambda user: HOSTILE if user == users[0] else "other"),
        *metrics.tukey_hsd({HOSTILE: one, "b": two}, "ndcg@10"),
        metrics.RatioOfSums.of([2.0, 0.0], [4.0, 6.0]),
        metrics.RatioOfSums.of([2.0, 0.0], [4.0, 6.0]).moments,
        *(events, online.measure(events), online.ctr(events), fold, fold.leakage()),
        paired_difference(np.arange(9.0), np.zeros(9)),
    ]


def of_experiments() -> list[object]:
    rng = np.random.default_rng(9)
    frame = {
        "variant": np.repeat(["control", HOSTILE], 500),
        "y": rng.normal(size=1000) + np.repeat([0.0, 0.5], 500),
        "segment": np.tile(["a", "b"], 500),
    }
    plan = experiments.Plan(metrics=[experiments.Mean("y")])
    report = experiments.analyze(frame, plan, control="control")
    experiment = experiments.Experiment(key="x", variants={"control": 0.5, HOSTILE: 0.5})
    assigner = experiments.HashAssigner([experiment])
    manager = experiments.ExperimentManager(experiments.MemoryExperiments(), clock=ManualClock())
    manager.define(experiment)
    found = report["y"]
    segments = experiments.analyze_segments(frame, plan, segment="segment", control="control")
    return [
        *(plan, report, found, found.absolute, report.srm, report.checks[0], segments),
        *(assigner.assign(HOSTILE), *assigner.assign_many(["u"]), assigner.assign_many(["u"])),
        *(experiment, assigner, assigner.of("x"), manager, experiment.ranges),
        experiments.analysis.best_proportion({"a": 500, HOSTILE: 510}, {"a": 5000, HOSTILE: 5000}),
        experiments.Design(
            metric=experiments.Mean("y"), baseline=frame, mde=experiments.Margin(absolute=0.1)
        ),
    ]


def of_bandits() -> list[object]:
    arms = tuple(f"arm {place}" for place in range(400))
    many = Factor(name="city", levels=tuple(f"city {place}" for place in range(500)))
    bandit = ContextualBandit(BetaThompson(), arms, seed=1)
    decision = bandit.select(unit=HOSTILE, n=3)
    receipt = bandit.learn(decision.id, reward=1.0)
    encoder = HashingEncoder(dim=16)
    log = Log(action=np.arange(200) % 2, reward=np.arange(200) % 2, propensity=np.full(200, 0.5))
    target = np.full((200, 2), 0.5)
    values = evaluate(log, target)
    change = change_point(np.repeat([0.0, 1.0], 30))
    return [
        *(bandit, decision, receipt, bandit.snapshot(), bandit.model(), change),
        *bandit.describe(arms=arms[:2]).values(),
        *(Context((many,)), many, *imbalance(("a", HOSTILE), np.array([800, 200]))),
        Corral({"one": BetaThompson(), "two": BetaThompson()}, arms, horizon=100),
        NeuralLinear(encoder, arms),
        *(log, values, values["ips"], values["ips"].diagnostics, Tally.of(log, np.ones(200))),
        *(simulation.BernoulliWorld(rates=(0.5,) * 400),),
    ]


def of_models(world: SimulatedWorld, tmp_path: Path) -> list[object]:
    arms = {
        HOSTILE: Popularity().fit(world.feedback),
        "bias": BiasModel().fit(world.feedback),
        "svd": PureSVD().fit(world.feedback),
    }
    base = HashingEncoder(dim=16)
    unloaded = SentenceEncoder("no such model " * 100)
    bandit = ContextualBandit(BetaThompson(), tuple(arms))
    mixture = BanditMixture(bandit, arms)
    weighted = Weighted(arms={"a": Popularity(), "b": Popularity()}, weights={"a": 1.0, "b": 2.0})
    return [
        *(
            *arms.values(),
            mixture,
            mixture.recommend(world.feedback.users[0], k=5),
            weighted.fit(world.feedback),
        ),
        *(base, unloaded, AdapterEncoder.identity(base)),
        *(CachedEncoder(base), CachedEncoder(unloaded, folder=tmp_path)),
        StaticEncoder(("a", "b"), np.ones((3, 4), np.float32)),
        *(FineTuner(), Verdict(ship=False, reasons=(HOSTILE,))),
        EncoderComparison.of("ndcg@10", np.arange(9.0), np.arange(9.0) + 1),
        ParityReport.of(
            HOSTILE,
            *(np.eye(9, dtype=np.float32),) * 2,
            checked_by="x",
            thresholds=Thresholds(0, 0),
        ),
    ]


def of_storage(tmp_path: Path) -> list[object]:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    store = storage.Store(url)
    feedback = Feedback.of(user=[HOSTILE, "b"], item=["x", "y"], time=[DAY, 2 * DAY])
    receipt = store.feedback.write(feedback)
    snapshot = store.snapshots.take()
    bandit = store.bandit("home", BetaThompson(), arms=("svd", HOSTILE))
    bandit.learn(bandit.select(unit="u").id, reward=1.0)
    blobs = storage.FolderBlobs(tmp_path / "blobs")
    registry = ModelRegistry(store, blobs)
    version = registry.register("ranker", {"w.json": b"[1]"}, lineage=Lineage(seed=1))
    activation = registry.activate("live", version.id, reason=HOSTILE)
    written = store.feedback.write_events([{"user": "u"}, {"user": "u", "item": "i"}])
    tail = store.tail("consumer")
    made = [
        *(store, store.feedback, store.snapshots, store.decisions, store.versions),
        *(store.experiment_records, receipt, snapshot, bandit, blobs, registry, version),
        *(activation, written, tail, store.verify(), storage.inspected(url)),
        store.feedback.summary(n_items=10),
        store.erase(HOSTILE),
    ]
    loop = ImprovementLoop(out=tmp_path / "run")
    interval = {"mean": np.float64(0.5).item(), "low": 0.25, "high": None}
    summary = {
        "tuning": {"metric": "ndcg@10", "verdict": "ship", "reasons": [HOSTILE]},
        "arms": {HOSTILE: {"ndcg@10": interval}},
        "cold_arms": {},
        "experiment": {"control": "svd", "decision": "ship"},
    }
    report = CycleReport(tmp_path, summary)
    return [*made, loop, report, report.arms[HOSTILE], report.arms[HOSTILE].metrics["ndcg@10"]]


def of_the_rest(tmp_path: Path) -> list[object]:
    candidates = Rankings.from_lists({HOSTILE: ["a", "b"]}, scores={HOSTILE: [0.9, 0.8]})
    pipeline = rerank.Pipeline(rerank.PopularityDamping(strength=0.2))
    front = rerank.tune_trade_off(
        lambda _: candidates, settings=[0.5], accuracy=lambda _: 0.4, diversity=lambda _: 0.2
    )
    file = tmp_path / "ratings.csv"
    file.write_text("user,item,rating\nann,x,5\nbob,y,much\n", encoding="utf-8")
    loaded = FileFeedback(path=file).load()
    return [
        *(pipeline, front, front.best, rerank.Candidates(candidates), loaded, loaded.rejected[0]),
        *(Registry(), *Registry().plugins, tuning.TrialScore(0.5, 0.1)),
    ]


@pytest.fixture(scope="module")
def values(world: SimulatedWorld, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("views")
    return [
        *of_data(world),
        *of_metrics(world),
        *of_experiments(),
        *of_bandits(),
        *of_models(world, folder),
        *of_storage(folder),
        *of_the_rest(folder),
    ]


def test_a_repr_is_one_short_line_without_a_secret(values: list[object]) -> None:
    assert len({type(value) for value in values}) > 90
    for value in values:
        said = repr(value)
        assert len(said) <= 500, type(value)
        assert "\n" not in said, type(value)
        assert " object at 0x" not in said, type(value)
        assert "np.float64(" not in said, type(value)
        assert SECRET not in said


def shown_of(values: list[object]) -> list[Shown]:
    return [value for value in values if isinstance(value, Shown)]


def test_a_view_is_safe_text_everywhere(values: list[object]) -> None:
    for value in shown_of(values):
        title = " ".join(value.title().split())
        assert " ".join(str(value).split()).startswith(title[:100]), type(value)
        for page in (value._repr_html_(), value.to_html(), value.to_markdown()):
            assert "<script" not in page, type(value)
        for page in (str(value), value.to_html(), value.to_markdown()):
            assert "np.float64(" not in page, type(value)
            assert SECRET not in page, type(value)
            assert len(page) < 100_000, type(value)
        assert value.table().arrow().num_rows == len(value.table().rows), type(value)


def numbers_in(read: Any) -> list[float]:
    if isinstance(read, dict | list):
        parts = read.values() if isinstance(read, dict) else read
        return [number for part in parts for number in numbers_in(part)]
    return [read] if isinstance(read, int | float) and not isinstance(read, bool) else []


def test_json_holds_every_number_exactly(values: list[object]) -> None:
    for value in shown_of(values):
        read = json.loads(value.to_json(), parse_constant=pytest.fail)  # no NaN, no Infinity
        table = value.table()
        if not isinstance(read, dict) or read.get("head") != list(table.head):
            continue  # a form of its own, which `from_json` reads back
        told = [
            float(number)
            for row in table.rows
            for cell in row
            for number in (cell if isinstance(cell, tuple) else (cell,))
            if isinstance(number, int | float) and not isinstance(number, bool)
        ]
        assert numbers_in(read["rows"]) == [each for each in told if math.isfinite(each)]


def test_a_store_shows_no_password_and_opens_nothing() -> None:
    from sqlalchemy import create_engine

    from siamrec.storage._engine import place_of

    for url in (
        f"postgresql+psycopg://u:{SECRET}@h/db",
        f"postgresql+psycopg://h/db?password={SECRET}&user=u&sslpassword={SECRET}",
    ):
        place = place_of(create_engine(url))
        assert SECRET not in place
        assert "h/db" in place


def test_an_encoder_is_named_without_being_loaded() -> None:
    encoder = SentenceEncoder("no such model")
    assert repr(encoder) == "<Sentence encoder no such model, auto, cpu, not loaded yet>"
    assert "fingerprint" not in str(encoder)
    assert "no such model" in repr(CachedEncoder(encoder))
