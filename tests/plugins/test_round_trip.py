"""Every registered recipe of every kind is written as JSON and read back equal."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from siamrec._core.recipe import Recipe
from siamrec.bandits import POLICIES
from siamrec.bandits.ope import ESTIMATORS, IPS, MIPS
from siamrec.data import Pairs, Vocabulary
from siamrec.errors import (
    InvalidParameterError,
    MissingInputError,
    SiamrecError,
    UnknownNameError,
)
from siamrec.lifecycle._parts import encoder_of
from siamrec.losses import LOSSES, BradleyTerry, EmbeddingLoss
from siamrec.losses.theirs import TheirLoss
from siamrec.models import SentenceEncoder
from siamrec.models.ensembles import Cascade, Switching, Weighted
from siamrec.models.recommenders import EASE, IALS, LongTail, Popularity, TextProfile
from siamrec.models.training import FineTuneConfig, Retention
from siamrec.models.training.strategies.recipes import STRATEGIES
from siamrec.pairs import HardNegatives, RatingPairs, Synthetic
from siamrec.plugins.hookspecs import COMPONENTS
from siamrec.rerank import ExposureCoverage, Pipeline
from siamrec.rerank.exposure import ItemExposure

NEEDED: dict[str, dict[str, Any]] = {
    "asymptotic-cs": {"planned": 1000},
    "group-sequential": {"planned": 1000, "futility": {"power": 0.9}},
    "normal-mixture": {"effect": 0.1},
    "mips": {"groups": [0, 1, 1]},
    "slope": {"candidates": ["ips", {"name": "ips", "clip": 5}]},
    "text-profile": {"encoder": "hashing:dim=8"},
    "text-to-factor": {"encoder": {"name": "hashing"}, "base": "ials:factors=8"},
    "partial_auc": {"negatives": 5},
    "short_lists": {"k": 5},
    "quotas": {"least": {"drama": 0.2}},
}
"""Settings without a default, and some that hold values of their own."""

LIVE: dict[str, set[str]] = {
    # sources and encoders that hold data, files or connections; what is made of them is made anew
    "feedback source": set(),
    "encoder": {"hashing"},
    # losses are modules, which are never equal: they have a law of their own below
    "loss": set(),
}


def every_recipe() -> list[tuple[str, str]]:
    return [
        (hook, name)
        for hook, component in COMPONENTS.items()
        for name in component.book().house()
        if component.kind not in LIVE or name in LIVE[component.kind]
        if name != "exposure-coverage"  # holds what was shown so far
    ]


@pytest.mark.parametrize(("hook", "name"), every_recipe())
def test_a_recipe_is_equal_after_a_round_trip(hook: str, name: str) -> None:
    book = COMPONENTS[hook].book()
    part = book.make({"name": name, **NEEDED.get(name, {})})
    config = json.loads(json.dumps(book.to_config(part), allow_nan=False))
    again = book.from_config(config)
    assert again == part
    assert repr(again) == repr(part)
    assert isinstance(part, Recipe)
    assert part.to_config() == config
    assert type(part).from_config(config) == part


@pytest.mark.parametrize(("hook", "name"), every_recipe())
def test_numbers_of_numpy_are_told_as_numbers(hook: str, name: str) -> None:
    part: Any = COMPONENTS[hook].book().make({"name": name, **NEEDED.get(name, {})})
    for setting in fields(part):
        value = getattr(part, setting.name)
        if setting.init and type(value) in {int, float}:
            theirs = np.int64(value) if type(value) is int else np.float64(value)
            again = replace(part, **{setting.name: theirs})
            assert repr(again) == repr(part)
            assert type(getattr(again, setting.name)) is type(value)


@pytest.mark.parametrize(("hook", "name"), every_recipe())
def test_a_text_that_spells_a_number_is_no_number(hook: str, name: str) -> None:
    part: Any = COMPONENTS[hook].book().make({"name": name, **NEEDED.get(name, {})})
    for setting in fields(part):
        value = getattr(part, setting.name)
        if setting.init and type(value) in {int, float}:
            with pytest.raises(SiamrecError):
                replace(part, **{setting.name: str(value)})


@pytest.mark.parametrize("name", sorted(LOSSES.house()))
def test_a_loss_comes_back_or_says_how_it_is_written(name: str) -> None:
    spec = LOSSES.house()[name]
    if spec.kind is None:  # one of sentence-transformers
        theirs = TheirLoss(torch.nn.Identity(), name=name, columns=spec.columns)
        with pytest.raises(InvalidParameterError, match="written as its name with its settings"):
            theirs.to_config()
        return
    loss: Any = spec(None)
    settings = {key: value / 2 for key, value in loss.get_config_dict().items() if key != "size"}
    loss = spec(None, **{**settings, **({"size": 7} if name == "queued-infonce" else {})})
    assert isinstance(loss, EmbeddingLoss)
    config = json.loads(json.dumps(loss.to_config(), allow_nan=False))
    assert config["name"] == name
    for again in (spec.kind.from_config(config), EmbeddingLoss.from_config(config)):
        assert type(again) is type(loss)
        assert again.get_config_dict() == loss.get_config_dict()
        assert again.to_config() == config
    with pytest.raises(UnknownNameError, match="No setting of the loss"):
        EmbeddingLoss.from_config({**config, "scal": 3.0})


def test_a_loss_that_knows_pairs_is_made_anew() -> None:
    pairs = Pairs.of(["a", "b"], ["c", "d"])
    for name in ("feedback-infonce", "queued-infonce"):
        loss: Any = LOSSES.house()[name](None, pairs=pairs)
        with pytest.raises(InvalidParameterError, match=r"must be left out .* build_loss"):
            loss.to_config()
    with pytest.raises(InvalidParameterError, match="config must be a BradleyTerry"):
        BradleyTerry.from_config({"name": "weighted-cosine"})


@pytest.mark.parametrize(
    "config",
    [
        FineTuneConfig(),
        FineTuneConfig(strategy="adapter:heads=1,refit=false", wise_ft=0.3, seed=3),
        FineTuneConfig(strategy="lora:rank=4,mine=hard-negatives", loss="mnrl:scale=30"),
        FineTuneConfig(strategy="full", loss={"name": "cosent"}, max_seconds=9.0),
        FineTuneConfig(strategy="top-layers", retention=Retention(max_drop=0.1), warm_start=True),
    ],
)
def test_a_fine_tuning_comes_back(config: FineTuneConfig) -> None:
    plain = json.loads(json.dumps(config.to_config(), allow_nan=False))
    assert FineTuneConfig.from_config(plain) == config
    assert FineTuneConfig.from_config(plain).to_config() == plain


def test_a_fine_tuning_with_a_teacher_says_so() -> None:
    config = FineTuneConfig(strategy="full", loss={"name": "mse", "teacher": HashingLike()})
    with pytest.raises(
        InvalidParameterError, match=r"loss\['teacher'\] must be a value that can be written"
    ):
        config.to_config()
    with pytest.raises(UnknownNameError, match="Did you mean 'cold_share'"):
        FineTuneConfig.from_config({"cold_shar": 0.2})


class HashingLike:
    """A live teacher."""


@pytest.mark.parametrize(
    "pipeline",
    [
        Pipeline("mmr"),
        Pipeline("popularity-damping:strength=0.1", "serendipity", normalise="rank"),
        Pipeline("long-tail-boost", {"name": "quotas", "least": {"drama": 0.2}}),
    ],
)
def test_a_pipeline_comes_back(pipeline: Pipeline) -> None:
    plain = json.loads(json.dumps(pipeline.to_config(), allow_nan=False))
    again = Pipeline.from_config(plain)
    assert again == pipeline
    assert hash(again) == hash(pipeline)
    assert again.to_config() == plain
    assert again != Pipeline("ssd")


def test_a_pipeline_of_live_or_wrong_steps_says_so() -> None:
    shown = ExposureCoverage(exposure=ItemExposure(items=Vocabulary(("x",)), amount=np.zeros(1)))
    with pytest.raises(InvalidParameterError, match="ItemExposure.amount must be a value"):
        Pipeline(shown).to_config()
    with pytest.raises(UnknownNameError, match="No setting of the pipeline is named 'step'"):
        Pipeline.from_config({"step": ["mmr"]})
    with pytest.raises(MissingInputError, match="steps of the pipeline"):
        Pipeline.from_config({"normalise": "rank"})


TEXTS = {
    *("salt", "device", "attribute", "counted", "averaged", "cache"),
    *("about", "line", "file", "encoding"),
}
"""Settings that are any text: no part's name stands there."""


def strategies() -> list[tuple[Any, str]]:
    return [(STRATEGIES, name) for name in STRATEGIES.house()]


@pytest.mark.parametrize(
    ("book", "name"),
    [*((COMPONENTS[hook].book(), name) for hook, name in every_recipe()), *strategies()],
)
def test_a_name_that_nobody_has_is_refused_when_a_recipe_is_made(book: Any, name: str) -> None:
    part: Any = book.make({"name": name, **NEEDED.get(name, {})})
    for setting in fields(part):
        if setting.init:
            wrong = [{"name": "no-such-part"}, *(["no-such-part"][: setting.name not in TEXTS])]
            for each in wrong:
                with pytest.raises(SiamrecError):
                    replace(part, **{setting.name: each})


@pytest.mark.parametrize(
    ("make", "near"),
    [
        (lambda: FineTuneConfig(strategy="ful"), "full"),
        (lambda: FineTuneConfig(strategy="full", loss="mnlr"), "mnrl"),
        (lambda: FineTuneConfig(strategy="full", loss={"name": "cosnet"}), "cosent"),
        (lambda: FineTuneConfig(strategy={"name": "full", "mine": "hard-negative"}), "hard-neg"),
        (lambda: TextProfile(encoder="hashng"), "hashing"),
        (lambda: encoder_of("hashng:dim=8"), "hashing"),
        (lambda: LongTail(base="popularty"), "popularity"),
        (lambda: Weighted(metric="ndgc@10"), "ndcg"),
        (lambda: Weighted(arms=["eas", "popularity"]), "ease"),
        (lambda: RatingPairs(hard_negatives="hard-negativ"), "hard-negatives"),
        (lambda: Pipeline("mmrr"), "mmr"),
    ],
)
def test_a_slip_is_told_with_the_nearest_name(make: Any, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean.*{near}"):
        make()


def test_a_model_of_the_hub_may_be_called_much_like_an_encoder() -> None:
    assert isinstance(encoder_of("sentence-t5-base"), SentenceEncoder)


def test_one_metric_weighs_arms() -> None:
    with pytest.raises(InvalidParameterError, match="metric must be the name of one metric"):
        Weighted(metric="ndcg@{5,10}")


@pytest.mark.parametrize("hook", sorted(COMPONENTS))
def test_a_kind_is_called_what_its_book_says(hook: str) -> None:
    component = COMPONENTS[hook]
    assert component.book().kind == component.kind


@pytest.mark.parametrize(
    "part",
    [
        LongTail(base="ease:l2=3", strength=0.1),
        Weighted(arms=("ease", "popularity"), weights={"ease": 0.5, "popularity": 0.5}),
        Switching(arms={"few": Popularity(), "many": LongTail(base=IALS(factors=8))}),
        Cascade(retrieve="ease", rank={"name": "long-tail", "base": "ials"}),
        RatingPairs(hard_negatives="hard-negatives:pool=9,per_positive=2", synthetic=Synthetic()),
        TextProfile(encoder="hashing:dim=16", positive=None),
    ],
    ids=lambda part: type(part).__name__,
)
def test_parts_within_parts_come_back(part: Any) -> None:
    assert type(part).from_config(json.loads(json.dumps(part.to_config()))) == part


def test_what_holds_a_live_object_says_which_field() -> None:
    arm = TextProfile(encoder=SentenceEncoder("no-such-model"))
    with pytest.raises(
        InvalidParameterError, match=r"TextProfile.encoder must be a value that can be written"
    ):
        arm.to_config()
    mined = RatingPairs(hard_negatives=HardNegatives(encoder=SentenceEncoder("no-such-model")))
    with pytest.raises(InvalidParameterError, match=r"HardNegatives.encoder must be a value that"):
        mined.to_config()


def test_a_class_that_nobody_registered_says_so() -> None:
    class Mine(EASE.__mro__[1]):  # type: ignore[misc,name-defined]  # the contract
        def fit(self, feedback: Any, *, catalog: Any = None) -> Any:
            raise NotImplementedError

    with pytest.raises(InvalidParameterError, match="recommender must be of a class that is reg"):
        Mine().to_config()


def test_numbers_of_numpy_are_numbers() -> None:
    config = IPS(clip=np.float64(3.0)).to_config()
    assert config == {"name": "ips", "clip": 3.0}
    assert type(config["clip"]) is float
    assert ESTIMATORS.from_config(config) == IPS(clip=3.0)


def test_numbers_of_numpy_within_settings_are_told_as_numbers() -> None:
    groups: Any = tuple(np.arange(2))
    assert repr(MIPS(groups=groups)) == "MIPS(groups=(0, 1))"
    assert repr(EASE(l2=np.float64(3))) == repr(EASE(l2=3.0))
    weighted = Weighted(arms=("ease", "popularity"), weights={"ease": np.float64(0.5)})
    assert weighted.weights == {"ease": 0.5}
    assert type(weighted.weights["ease"]) is float


def test_a_policy_carries_the_name_it_is_registered_under() -> None:
    assert [POLICIES.make(name).name for name in POLICIES.house()] == list(POLICIES.house())
