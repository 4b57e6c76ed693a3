"""Texts are no lists and classes are no objects, at every public door."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from siamrec._core import settings
from siamrec._core.clock import ManualClock
from siamrec.bandits import (
    BetaThompson,
    Context,
    ContextualBandit,
    Factor,
    Limits,
    NeuralLinear,
    Uniform,
)
from siamrec.bandits.corral import Corral
from siamrec.data import (
    Catalog,
    Decision,
    Decisions,
    Feedback,
    Moments,
    Pairs,
    Rankings,
    Rewards,
    Truth,
    Vocabulary,
)
from siamrec.errors import InvalidDataError, InvalidParameterError, SiamrecError
from siamrec.experiments import (
    Experiment,
    HashAssigner,
    Mean,
    Plan,
    TeamDraft,
    analyze,
    analyze_segments,
    null_check,
)
from siamrec.experiments.analysis import outlier_sensitivity
from siamrec.feedback import BurstFilter, FilteredFeedback, MemoryFeedback
from siamrec.losses import LossSpec
from siamrec.metrics import Suite
from siamrec.models import CachedEncoder, HashingEncoder
from siamrec.models.ensembles import BanditMixture, Weighted
from siamrec.models.recommenders import EASE, RECOMMENDERS, BiasModel, LongTail, Popularity
from siamrec.pairs import PAIR_GENERATORS
from siamrec.plugins.hookspecs import COMPONENTS
from siamrec.rerank import MMR, Pipeline
from siamrec.rerank.exposure import ItemExposure
from siamrec.simulation import BernoulliWorld
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siamrec.models.recommenders import FittedRecommender
    from siamrec.storage import StoredBandit


@dataclass
class Doors:
    """One of everything whose doors are tried; each made on first use."""

    feedback: Feedback = field(
        default_factory=lambda: Feedback.of(
            user=list("aabbccb"), item=list("xyxzyzw"), value=[5, 4, 5, 3, 4, 5, 5], time=range(7)
        )
    )
    catalog: Catalog = field(
        default_factory=lambda: Catalog.from_frame(
            {"item": list("xyzw"), "text": ["red", "green", "blue", "grey"]}, text="text"
        )
    )

    @cached_property
    def arm(self) -> FittedRecommender:
        return EASE(l2=1.0).fit(self.feedback)

    @cached_property
    def ratings(self) -> FittedRecommender:
        return BiasModel().fit(self.feedback)

    @cached_property
    def mixture(self) -> BanditMixture:
        arms = {"a": self.arm, "b": Popularity().fit(self.feedback)}
        return BanditMixture(self.bandit(), arms)

    def bandit(self, **settings: Any) -> ContextualBandit[Any]:
        return ContextualBandit(BetaThompson(), arms=("a", "b"), **settings)

    @cached_property
    def store(self) -> Store:
        return Store("sqlite://")

    @cached_property
    def stored(self) -> StoredBandit[Any]:
        return self.store.bandit("home", BetaThompson(), arms=("a", "b"))

    @cached_property
    def lists(self) -> Rankings:
        return Rankings.from_lists({"ann": ["x", "y"]}, scores={"ann": [2.0, 1.0]})

    @cached_property
    def truth(self) -> Truth:
        return Truth.from_lists({"ann": ["x"]})


def refused(door: Callable[[Doors], object]) -> str:
    with pytest.raises((InvalidParameterError, InvalidDataError)) as caught:
        door(Doors())
    return str(caught.value)


AB = cast("Any", "ab")
"""One text where many things are meant: a list of letters, if nobody looks."""

TEXTS: dict[str, Callable[[Doors], object]] = {
    "pairs on the left": lambda _: Pairs.of(AB, ["c", "d"]),
    "pairs on the right": lambda _: Pairs.of(["c", "d"], AB),
    "recommend users": lambda d: d.arm.recommend(AB),
    "recommend candidates": lambda d: d.arm.recommend(["a"], candidates=AB),
    "recommend deny": lambda d: d.arm.recommend(["a"], deny=AB),
    "histories as one text": lambda d: d.arm.recommend_for_history(AB),
    "a history as one text": lambda d: d.arm.recommend_for_history(["xy", "z"]),
    "history candidates": lambda d: d.arm.recommend_for_history([["x"]], candidates=AB),
    "history deny": lambda d: d.arm.recommend_for_history([["x"]], deny=AB),
    "feedback candidates": lambda d: d.arm.recommend_for_feedback(d.feedback, candidates=AB),
    "feedback deny": lambda d: d.arm.recommend_for_feedback(d.feedback, deny=AB),
    "predict users": lambda d: d.ratings.predict(AB, ["x", "y"]),
    "predict items": lambda d: d.ratings.predict(["a", "b"], AB),
    "knows users": lambda d: d.arm.knows(AB, ["x", "y"]),
    "knows items": lambda d: d.arm.knows(["a", "b"], AB),
    "knows of unequal length": lambda d: d.arm.knows(["a", "b"], ["x", "y", "z"]),
    "mixture users": lambda d: d.mixture.recommend_many(AB),
    "mixture clicked": lambda d: d.mixture.learn(d.mixture.recommend("a"), AB),
    "mixture deny": lambda d: d.mixture.recommend("a", deny=AB),
    "ensemble arms": lambda _: Weighted(arms=AB),
    "bandit arms": lambda _: ContextualBandit(BetaThompson(), arms=AB),
    "corral arms": lambda _: Corral({"t": BetaThompson(), "u": Uniform()}, AB, horizon=9),
    "eligible arms": lambda d: d.bandit().select(arms=AB),
    "eligible arms of many": lambda d: d.bandit().select_many([{}], arms=AB),
    "probabilities of arms": lambda d: d.bandit().probabilities(arms=AB),
    "arms described": lambda d: d.bandit().describe(arms=AB),
    "stored arms": lambda d: d.store.bandit("other", BetaThompson(), arms=AB),
    "stored eligible arms": lambda d: d.stored.select(arms=AB),
    "contexts": lambda d: d.bandit().select_many(AB),
    "factors": lambda _: Context(AB),
    "levels of a factor": lambda _: Factor("day", AB),
    "arms of rewards": lambda _: Rewards(decision=np.array(["p", "q"]), reward=np.ones(2), arm=AB),
    "decisions of rewards": lambda _: Rewards(decision=AB, reward=np.ones(2)),
    "keys of events": lambda d: d.store.feedback.write(d.feedback.where(np.arange(2)), keys=AB),
    "decisions stored": lambda d: d.store.decisions.write(AB),
    "metrics": lambda _: Suite(AB),
    "filters": lambda d: FilteredFeedback(MemoryFeedback(d.feedback), AB),
    "one filter": lambda d: FilteredFeedback(
        MemoryFeedback(d.feedback), cast("Any", BurstFilter())
    ),
    "units": lambda _: HashAssigner([Experiment(key="e", variants={"a": 1.0})]).assign_many(AB),
    "experiments": lambda _: HashAssigner(AB),
    "ids": lambda _: Vocabulary(AB),
    "ids of": lambda _: Vocabulary.of(AB),
    "lists": lambda _: Rankings.from_lists({"ann": AB}),
    "truth": lambda _: Truth.from_lists({"ann": AB}),
    "users of feedback": lambda _: Feedback.of(user=AB, item=["x", "y"]),
    "items of feedback": lambda _: Feedback.of(user=["a", "b"], item=AB),
    "names of moments": lambda _: Moments.empty(AB),
    "rankings interleaved": lambda _: TeamDraft().interleave("request", AB, ["c"], k=2),
    "rates of a world": lambda _: BernoulliWorld(AB),
    "texts encoded": lambda _: HashingEncoder(dim=8).encode(AB),
}

ONE_THING: dict[str, Callable[[Doors], object]] = {
    "similar": lambda d: d.arm.similar(cast("Any", ["x"])),
    "explain": lambda d: d.arm.explain(cast("Any", ["a"]), "x"),
    "erase a list": lambda d: d.store.erase(cast("Any", ["a"])),
    "erase nobody": lambda d: d.store.erase(cast("Any", None)),
    "erase yes": lambda d: d.store.erase(True),
    "erase a share": lambda d: d.store.erase(cast("Any", 1.5)),
    "tail of a list": lambda d: d.store.tail(cast("Any", ["a"])),
    "learn of a list": lambda d: d.bandit().learn(cast("Any", ["a"]), 1.0),
}


@pytest.mark.parametrize("door", TEXTS)
def test_texts_are_no_lists(door: str) -> None:
    assert len(refused(TEXTS[door])) < 300


@pytest.mark.parametrize("door", ONE_THING)
def test_a_list_is_not_one_thing(door: str) -> None:
    refused(ONE_THING[door])


def any_(value: object) -> Any:
    return value


CLASSES: dict[str, Callable[[Doors], object]] = {
    "margin": lambda _: Mean("y", margin=any_(0.1)),
    "name of a metric": lambda _: Mean(any_(3)),
    "level": lambda _: Plan(metrics=[Mean("y")], alpha=any_("0.05")),
    "what is liked": lambda d: EASE(positive=any_("4")).fit(d.feedback),
    "strength": lambda _: EASE(l2=any_("3")),
    "configuration": lambda _: EASE.from_config(any_("ease")),
    "configuration of another arm": lambda _: EASE.from_config({"name": "popularity"}),
    "tempering": lambda d: d.bandit(tempering=any_(3)),
    "unit": lambda d: d.bandit().select(unit=any_(["a"])),
    "broken unit": lambda d: d.bandit().select(unit="\ud800"),
    "reward": lambda d: d.bandit().learn(d.bandit().select(), any_("1")),
    "plan": lambda _: analyze({"variant": ["a"]}, any_(Plan)),
    "plan as a mapping": lambda _: analyze({"variant": ["a"]}, any_({"metrics": []})),
    "plan of outliers": lambda _: outlier_sensitivity({"variant": ["a"]}, any_(Plan)),
    "plan of segments": lambda _: analyze_segments({"variant": ["a"]}, any_(Plan), segment="b"),
    "plan of a rehearsal": lambda _: null_check({"y": [1.0]}, any_(Plan), rng=0),
    "frame": lambda _: analyze(dict, Plan(metrics=[Mean("y")])),
    "frame of a class that exports": lambda _: analyze(pa.Table, Plan(metrics=[Mean("y")])),
    "update": lambda d: d.arm.update(any_(Feedback)),
    "recommend for feedback": lambda d: d.arm.recommend_for_feedback(any_(Feedback)),
    "recommend for a mapping": lambda d: d.arm.recommend_for_feedback(any_({"user": ["a"]})),
    "base of an arm": lambda _: LongTail(base=any_(EASE)),
    "members": lambda _: Weighted(arms={"a": any_(EASE), "b": Popularity()}),
    "policy": lambda _: ContextualBandit(any_(BetaThompson), arms=("a", "b")),
    "no policy": lambda _: ContextualBandit(any_(object()), arms=("a", "b")),
    "stored policy": lambda d: d.store.bandit("other", any_(BetaThompson), arms=("a", "b")),
    "context": lambda d: d.bandit(context=Context),
    "context as mapping": lambda d: d.bandit(context={"day": ["a", "b"]}),
    "limits": lambda d: d.bandit(limits=Limits),
    "limits as mapping": lambda d: d.bandit(limits={"floor": 0.1}),
    "baseline by name": lambda _: Limits(baseline=any_("a")),
    "clock of a bandit": lambda d: d.bandit(clock=ManualClock),
    "no clock": lambda d: d.bandit(clock=any_(7)),
    "clock of a store": lambda _: Store("sqlite://", clock=any_(ManualClock)),
    "context of a choice": lambda d: d.bandit().select(any_("evening")),
    "rewards": lambda d: d.bandit().learn(any_(Rewards)),
    "rewards as mapping": lambda d: d.bandit().learn(any_({"decision": ["a"]})),
    "stored rewards": lambda d: d.stored.learn(any_(Rewards)),
    "decisions": lambda d: d.bandit().record(any_(Decision)),
    "decisions in a store": lambda d: d.store.decisions.write(any_(Decision)),
    "feedback in a store": lambda d: d.store.feedback.write(any_(Feedback)),
    "mapping in a store": lambda d: d.store.feedback.write(any_({"user": ["a"]})),
    "path in a store": lambda d: d.store.feedback.write(any_("events.csv")),
    "memory": lambda _: MemoryFeedback(any_(Feedback)),
    "memory of a mapping": lambda _: MemoryFeedback(any_({"user": ["a"]})),
    "source of a filter": lambda _: FilteredFeedback(any_(MemoryFeedback), ()),
    "filter": lambda d: FilteredFeedback(MemoryFeedback(d.feedback), (any_(BurstFilter),)),
    "concat": lambda _: Feedback.concat([any_(Feedback)]),
    "concat of others": lambda d: Rankings.concat([any_(d.truth)]),
    "truth of feedback": lambda _: Truth.from_feedback(any_(Feedback)),
    "rankings": lambda d: Suite(["ndcg@10"]).evaluate(any_(Rankings), d.truth),
    "rankings as mapping": lambda d: Suite(["ndcg@10"]).evaluate(any_({"ann": ["x"]}), d.truth),
    "truth": lambda d: Suite(["ndcg@10"]).evaluate(d.lists, any_(Truth)),
    "truth as mapping": lambda d: Suite(["ndcg@10"]).evaluate(d.lists, any_({"ann": ["x"]})),
    "step": lambda _: Pipeline(any_(MMR)),
    "no step": lambda _: Pipeline(any_(object())),
    "candidates": lambda _: Pipeline("mmr").rerank(any_(Rankings), k=3),
    "candidates as mapping": lambda _: Pipeline("mmr").rerank(any_({"ann": ["x"]}), k=3),
    "history as mapping": lambda d: Pipeline("mmr").rerank(
        d.lists, k=3, embeddings=np.eye(2), history=any_({"ann": ["x"]})
    ),
    "experiment": lambda _: HashAssigner([any_(Experiment)]),
    "experiment as mapping": lambda _: HashAssigner([any_({"key": "e"})]),
    "metric of a plan": lambda _: Plan(metrics=[any_(Mean)]),
    "cached encoder": lambda _: CachedEncoder(any_(HashingEncoder)),
    "bandit of a mixture": lambda d: BanditMixture(any_(ContextualBandit), {"a": d.arm}),
    "recipe for an arm": lambda d: BanditMixture(
        d.bandit(), {"a": any_(EASE()), "b": any_(EASE())}
    ),
    "list of arms": lambda d: BanditMixture(d.bandit(), any_([d.arm])),
    "shown": lambda d: d.mixture.learn(any_(d.mixture), ["x"]),
}


@pytest.mark.parametrize("door", CLASSES)
def test_classes_are_no_objects(door: str) -> None:
    assert len(refused(CLASSES[door])) < 400


@pytest.mark.parametrize("name", sorted(RECOMMENDERS.names()))
def test_every_arm_checks_what_it_is_fitted_to(name: str) -> None:
    members = {"arms": {"a": EASE(l2=1.0), "b": Popularity()}}
    known = {"encoder": HashingEncoder(dim=8), "base": Popularity(), **members}
    try:
        recipe = RECOMMENDERS.make(name, **known)
    except SiamrecError as error:
        pytest.skip(str(error))
    doors = Doors()
    for wrong in (Feedback, {"user": ["a"]}, "events.csv", None):
        with pytest.raises(InvalidParameterError, match="feedback must be a Feedback"):
            recipe.fit(any_(wrong))
    for other in (Catalog, {"x": "red"}, "items.csv"):
        with pytest.raises(InvalidParameterError, match="catalog must be a Catalog"):
            recipe.fit(doors.feedback, catalog=any_(other))


@pytest.mark.parametrize("name", sorted(PAIR_GENERATORS.names()))
def test_every_generator_checks_what_it_is_given(name: str) -> None:
    generator, doors, rng = PAIR_GENERATORS.make(name), Doors(), np.random.default_rng(1)
    with pytest.raises(InvalidParameterError, match="feedback must be a Feedback"):
        generator.generate(any_(Feedback), doors.catalog, rng=rng)
    with pytest.raises(InvalidParameterError, match="catalog must be a Catalog"):
        generator.generate(doors.feedback, any_({"x": "red"}), rng=rng)
    with pytest.raises(InvalidParameterError, match="rng must be a Generator"):
        generator.generate(doors.feedback, doors.catalog, rng=any_(7))


NEEDED: dict[tuple[str, str], Callable[[Path], dict[str, Any]]] = {
    ("adjuster", "exposure-coverage"): lambda _: {
        "exposure": ItemExposure(items=Vocabulary(("x",)), amount=np.zeros(1))
    },
    ("encoder", "cached"): lambda _: {"base": HashingEncoder()},
    ("encoder", "static"): lambda _: {"words": (), "vectors": np.ones((1, 4), np.float32)},
    ("estimator", "mips"): lambda _: {"groups": (0, 1)},
    ("estimator", "slope"): lambda _: {"candidates": ("ips",)},
    ("feedback source", "conport"): lambda folder: {"place": folder},
    ("feedback source", "file"): lambda folder: {"path": folder / "log.csv"},
    ("looking rule", "asymptotic-cs"): lambda _: {"planned": 1000.0},
    ("looking rule", "group-sequential"): lambda _: {"planned": 1000.0},
    ("looking rule", "normal-mixture"): lambda _: {"effect": 0.1},
    ("metric", "partial_auc"): lambda _: {"negatives": 5},
    ("metric", "short_lists"): lambda _: {"k": 5},
    ("recommender", "text-profile"): lambda _: {"encoder": HashingEncoder()},
    ("recommender", "text-to-factor"): lambda _: {"encoder": HashingEncoder()},
    ("selector", "quotas"): lambda _: {"least": {"drama": 0.2}},
}
"""Settings without a default, where a factory has some."""

UNTRIED = {
    "adapter": "it has no number of its own",
    "filtered": "it has no number of its own",
    "iterable": "it has no number of its own",
    "memory": "it has no number of its own",
    "merged": "it has no number of its own",
    "onnx": "it reads its folder first",
    "sql": "its numbers are read by a connection",
    "two-tower": "its numbers are learned",
}
"""Sources and encoders that are not tried, and why."""


@dataclass(frozen=True)
class Odd:
    """Something that can be hashed, and is no id."""


class Colour(StrEnum):
    RED = "red"


NO_IDS = {
    "a date": date(2026, 1, 1),
    "a time": datetime(2026, 1, 1, tzinfo=UTC),
    "a duration": timedelta(1),
    "an instant of NumPy": np.datetime64("2026-01-01"),
    "no instant of NumPy": np.datetime64("NaT"),
    "bytes": b"ann",
    "a missing value": pd.NA,
    "no time": pd.NaT,
    "a fraction": 1.5,
    "a truth value": True,
    "a decimal": Decimal("1.5"),
    "a UUID": UUID(int=1),
    "several": ("a", 1),
    "half a letter": "ann\ud800",
    "a NUL": "a\0b",
    "a number beyond 64 bits": 2**64,
    "an object": Odd(),
    "a class": int,
    "nothing": None,
}

IDS: dict[str, Callable[[Any], object]] = {
    "user of feedback": lambda id_: Feedback.of(user=[id_], item=["x"]),
    "item of feedback": lambda id_: Feedback.of(user=["a"], item=[id_]),
    "user of a frame": lambda id_: Feedback.from_frame({"user": [id_], "item": ["x"]}),
    "mixed users of a frame": lambda id_: Feedback.from_frame({"user": [id_, 1], "item": [1, 1]}),
    "item of a frame": lambda id_: Feedback.from_frame({"user": ["a"], "item": [id_]}),
    "item of a catalogue": lambda id_: Catalog.from_frame({"item": [id_], "t": ["b"]}, text="t"),
    "user of rankings": lambda id_: Rankings.from_lists({id_: ["x"]}),
    "item of rankings": lambda id_: Rankings.from_lists({"a": [id_]}),
    "user of a frame of rankings": lambda id_: Rankings.from_frame(
        {"user": [id_], "item": ["x"], "rank": [1]}, rank="rank"
    ),
    "user of truth": lambda id_: Truth.from_lists({id_: ["x"]}),
    "item of truth": lambda id_: Truth.from_lists({"a": [id_]}),
    "user of a frame of truth": lambda id_: Truth.from_frame({"user": [id_], "item": ["x"]}),
    "user of pairs": lambda id_: Pairs.from_frame(
        {"left": ["a"], "right": ["b"], "user": [id_]}, user="user"
    ),
}


READ_AS_TEXT = {
    "user of a frame",
    "item of a frame",
    "item of a catalogue",
    "user of a frame of rankings",
    "user of a frame of truth",
    "user of pairs",
}
"""Doors of frames, whose columns have one type each."""


@pytest.mark.parametrize("odd", NO_IDS)
@pytest.mark.parametrize("door", IDS)
def test_what_no_store_can_keep_is_no_id(door: str, odd: str) -> None:
    if (door, odd) == ("user of pairs", "nothing"):
        return  # a pair may be nobody's
    if odd in {"bytes", "a UUID"} and door in READ_AS_TEXT:
        IDS[door](NO_IDS[odd])  # a column of them is a column of texts
        return
    with pytest.raises(SiamrecError):
        IDS[door](NO_IDS[odd])


@pytest.mark.parametrize("door", [door for door in IDS if "mixed" not in door])
@pytest.mark.parametrize("id_", ["ann", "é", "用户", 0, -(2**63), 2**63 - 1, np.int64(7)])
def test_what_a_store_can_keep_is_an_id(door: str, id_: Any) -> None:
    IDS[door](id_)


def test_an_enumeration_is_its_value() -> None:
    feedback = Feedback.of(user=[Colour.RED, "red"], item=["x", "y"])
    assert feedback.users.ids == ("red",)
    store = Store("sqlite://")
    store.feedback.write(feedback)
    assert store.feedback.read_all().users.ids == ("red",)


def numeric_settings() -> list[Any]:
    """Return every setting of a registered factory that is a number and no text."""
    found = []
    for component in COMPONENTS.values():
        for name, factory in component.book().house().items():
            if component.kind in {"encoder", "feedback source"} and name in UNTRIED:
                continue
            if component.kind in {"format", "file format"}:  # parts, which nobody calls
                continue
            maker = factory.factory if isinstance(factory, LossSpec) else factory
            kind = getattr(maker, "kind", None)
            maker = kind if isinstance(kind, type) else maker
            hints = settings._hints(maker)
            for setting, parameter in inspect.signature(maker).parameters.items():
                kinds = set(settings._options(hints.get(setting, Any)))
                number = kinds & {int, float} or type(parameter.default) in {int, float}
                if number and str not in kinds:
                    what = (component.kind, name, setting)
                    found.append(pytest.param(factory, *what, id="-".join(what)))
    return found


@pytest.mark.parametrize(("factory", "kind", "name", "setting"), numeric_settings())
def test_a_text_is_no_number(
    factory: Any, kind: str, name: str, setting: str, tmp_path: Path
) -> None:
    needed = NEEDED[kind, name](tmp_path) if (kind, name) in NEEDED else {}
    first = [None] if kind == "loss" else []
    factory(*first, **needed)
    for wrong in ("3", "x", "0.5"):
        with pytest.raises(SiamrecError):
            factory(*first, **{**needed, setting: wrong})


def test_a_decision_is_learned_by_itself() -> None:
    doors = Doors()
    for bandit in (doors.bandit(), doors.stored):
        decision = bandit.select()
        assert bandit.learn(decision, 1.0).applied == 1
        assert bandit.n_pending == 0
    texts = NeuralLinear(HashingEncoder(dim=8), ("a", "b"))
    assert texts.learn(texts.select("red"), 1.0).applied == 1
    corral = Corral({"t": BetaThompson(), "u": Uniform()}, ("a", "b"), horizon=9)
    assert corral.learn_one(corral.select(), 1.0)
    assert isinstance(doors.bandit().select_many([{}]), Decisions)
