"""Searches: what is proposed, what is remembered, and what the winner is worth."""

from __future__ import annotations

import math
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Catalog, Feedback
from siamrec.errors import (
    InvalidDataError,
    MissingCapabilityError,
    MissingInputError,
    StorageError,
    UnknownNameError,
)
from siamrec.metrics import Suite
from siamrec.metrics.splits import GlobalTime, RandomShare
from siamrec.models.ensembles import Weighted
from siamrec.models.recommenders import (
    EASE,
    IALS,
    BiasModel,
    Choice,
    FittedRecommender,
    Float,
    Integer,
    LongTail,
    Popularity,
    Range,
    RecommenderRecipe,
)
from siamrec.tuning import Trial, TrialScore, search, space_of, tune, with_settings
from siamrec.tuning.space import default

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def two_tastes(n: int = 2500) -> Feedback:
    rng = np.random.default_rng(1)
    user = rng.integers(0, 80, n)
    item = (rng.integers(0, 20, n) * 2 + user % 2) % 45
    return Feedback.of(
        user=user.tolist(),
        item=item.tolist(),
        value=rng.integers(1, 6, n),
        time=np.arange(n) * 10**9,
    )


def bowl(settings: dict[str, Any]) -> Iterator[TrialScore]:
    yield TrialScore(-((settings["x"] - 0.3) ** 2) - (0 if settings["kind"] == "a" else 1), 0.01)


SPACE: dict[str, Range] = {"x": Float(0.0, 1.0), "kind": Choice("a", "b")}


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "gp"])
def test_every_sampler_finds_the_bottom_of_a_bowl(sampler: Any) -> None:
    found = search(bowl, SPACE, trials=24, sampler=sampler, seed=1)
    best = max(found, key=lambda trial: trial.value)
    assert best.settings["kind"] == "a"
    assert abs(best.settings["x"] - 0.3) < 0.13


def test_a_grid_has_every_point_once() -> None:
    space: dict[str, Range] = {"n": Integer(1, 3), "x": Float(0.0, 1.0), "kind": Choice("a", "b")}
    seen: list[tuple[Any, ...]] = []

    def measure(settings: dict[str, Any]) -> Iterator[TrialScore]:
        seen.append((settings["n"], settings["x"], settings["kind"]))
        yield TrialScore(0.0)

    found = search(measure, space, trials=20, sampler="grid")
    # Three values of n and x would be 18 points: within 20; four of x, 24, are not.
    assert len(found) == 18
    assert sorted(set(seen)) == sorted(seen)
    assert {point[0] for point in seen} == {1, 2, 3}
    assert {point[1] for point in seen} == {0.0, 0.5, 1.0}


def test_the_same_seed_gives_the_same_search() -> None:
    one, two = (search(bowl, SPACE, trials=12, seed=5) for _ in range(2))
    assert [trial.settings for trial in one] == [trial.settings for trial in two]
    other = search(bowl, SPACE, trials=12, seed=6)
    assert [trial.settings for trial in one] != [trial.settings for trial in other]


@pytest.mark.parametrize("kind", ["journal", "database"])
def test_a_study_goes_on_where_it_stopped(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "study.log"
    storage = str(place) if kind == "journal" else f"sqlite:///{tmp_path / 'study.db'}"
    calls: list[dict[str, Any]] = []

    def measure(settings: dict[str, Any]) -> Iterator[TrialScore]:
        calls.append(settings)
        yield from bowl(settings)

    first = search(measure, SPACE, trials=4, sampler="random", storage=storage)
    both = search(measure, SPACE, trials=7, sampler="random", storage=storage)
    assert both[:4] == first
    assert len(both) == len(calls) == 7
    assert search(measure, SPACE, trials=7, sampler="random", storage=storage) == both
    assert len(calls) == 7


def test_settings_are_measured_once() -> None:
    calls: list[dict[str, Any]] = []

    def measure(settings: dict[str, Any]) -> Iterator[TrialScore]:
        calls.append(settings)
        yield TrialScore(float(settings["kind"] == "a"), 0.5)

    found = search(measure, {"kind": Choice("a", "b")}, trials=10, sampler="random")
    assert len(found) == 10
    assert len(calls) == 2
    repeated = [trial for trial in found if trial.repeats is not None]
    assert len(repeated) == 8
    for trial in repeated:
        assert found[trial.repeats or 0].settings == trial.settings
        assert (found[trial.repeats or 0].value, 0.5, 0.0) == (
            trial.value,
            trial.error,
            trial.seconds,
        )


def test_hopeless_trials_are_pruned_after_a_part() -> None:
    parts: list[int] = []

    def measure(settings: dict[str, Any]) -> Iterator[TrialScore]:
        for part in range(4):
            parts.append(part)
            yield TrialScore(settings["x"])

    found = search(measure, {"x": Float(0.0, 1.0)}, parts=4, trials=30, sampler="random", seed=2)
    pruned = [trial for trial in found if trial.state == "pruned"]
    assert pruned
    assert len(parts) < 4 * 30
    assert max(found, key=lambda trial: trial.value).state == "complete"
    whole = search(bowl, SPACE, trials=30, sampler="random", seed=2)
    assert {trial.state for trial in whole} == {"complete"}  # one part: nothing left to save


def test_a_failed_trial_is_kept_and_the_search_goes_on() -> None:
    def measure(settings: dict[str, Any]) -> Iterator[TrialScore]:
        if settings["x"] < 0.3:
            raise InvalidDataError("too small.")
        yield TrialScore(math.nan if settings["x"] > 0.9 else settings["x"])

    found = search(measure, {"x": Float(0.0, 1.0)}, trials=30, sampler="random", seed=3)
    reasons = {trial.reason for trial in found if trial.state == "failed"}
    assert reasons == {"InvalidDataError: too small.", "the metric was nan"}
    assert any(trial.state == "complete" for trial in found)
    with pytest.raises(InvalidDataError, match="got none: InvalidDataError: too small"):
        search(measure, {"x": Float(0.0, 0.2)}, trials=2)


def test_threads_share_a_study() -> None:
    found = search(bowl, SPACE, trials=12, workers=3)
    assert sorted(trial.number for trial in found) == list(range(12))


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tpe'|sampler"):
        search(bowl, SPACE, sampler="tp")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="pruner"):
        search(bowl, SPACE, pruner="some")  # type: ignore[arg-type]


def test_dotted_settings_reach_into_recipes() -> None:
    fused = Weighted(arms={"ease": EASE(), "ials": IALS()}, weights={"ease": 1.0, "ials": 1.0})
    changed = with_settings(fused, {"arms.ease.l2": 7.0, "weights.ials": 0.5})
    assert default(changed, "arms.ease") == EASE(l2=7.0)
    assert changed.weights == {"ease": 1.0, "ials": 0.5}
    assert default(fused, "arms.ease") == EASE()
    assert set(space_of(LongTail(base=EASE()), None)) == {"strength", "base.l2"}
    with pytest.raises(UnknownNameError, match="No setting is named 'l3'"):
        with_settings(LongTail(base=EASE()), {"base.l3": 1.0})
    with pytest.raises(UnknownNameError, match="No setting is named 'l3'"):
        space_of(EASE(), {"l3": Float(0.0, 1.0)})
    with pytest.raises(MissingInputError, match="space"):
        space_of(BiasModel(), {})


def test_the_winner_is_measured_on_events_no_trial_has_seen() -> None:
    data = two_tastes()
    heard: list[Trial] = []
    best = tune(
        EASE,
        data,
        space={"l2": Float(0.1, 1e6, log=True)},
        trials=8,
        seed=4,
        metric="recall@5",
        on_trial=heard.append,
    )
    assert [trial.number for trial in heard] == list(range(8))
    assert best.recipe == EASE(l2=best.settings["l2"])
    assert best.chosen == max(best.trials, key=lambda trial: trial.value)
    assert best.trials[0].settings == {"l2": EASE().l2}  # the given settings come first
    # The same test events, by hand.
    fold = next(RandomShare(per_user=True).split(data, rng=np.random.default_rng([4, 0])))
    truth = fold.truth()
    lists = best.recipe.fit(fold.training).recommend(list(truth.users.ids), k=5)
    assert best.test.mean == pytest.approx(
        Suite(["recall@5"]).evaluate(lists, truth)["recall@5"].mean
    )
    assert best.gain.difference == pytest.approx(best.gain.mean - best.gain.baseline)
    assert best.improved == (best.gain.low > 0)


def test_given_settings_that_win_show_no_gain() -> None:
    best = tune(Popularity, two_tastes(), space={"half_life": Choice(None)}, trials=2)
    assert best.gain.difference == 0.0
    assert not best.improved


def test_errors_of_ratings_are_made_small() -> None:
    best = tune(
        BiasModel,
        two_tastes(),
        metric="rmse",
        trials=4,
        sampler="random",
        space={"user_damping": Float(0.0, 50.0)},
    )
    assert not best.maximise
    assert best.chosen.value == min(trial.value for trial in best.trials)
    with pytest.raises(MissingCapabilityError, match="RATINGS"):
        tune(Popularity, two_tastes(), metric="rmse", trials=1)
    with pytest.raises(UnknownNameError, match="No metric is named 'ndgc'"):
        tune(Popularity, two_tastes(), metric="ndgc@10")


def test_one_standard_error_takes_the_simplest() -> None:
    data = two_tastes()
    settings: dict[str, Any] = {
        "space": {"l2": Float(0.1, 1e6, log=True)},
        "trials": 10,
        "sampler": "grid",
    }
    best = tune(EASE, data, **settings)
    simple = tune(EASE, data, choice="one-se", simpler=lambda s: -s["l2"], **settings)
    near = [t for t in best.trials if t.value >= best.chosen.value - best.chosen.error]
    assert simple.settings["l2"] == max(t.settings["l2"] for t in near)
    assert simple.settings["l2"] >= best.settings["l2"]


def test_a_split_by_time_has_one_fold() -> None:
    fitted: list[int] = []

    @dataclass(frozen=True)
    class Counted(RecommenderRecipe):
        x: float = 0.5

        @override
        def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedRecommender:
            fitted.append(len(feedback))
            return Popularity().fit(feedback)

    space: dict[str, Range] = {"x": Float(0.0, 1.0)}
    best = tune(Counted, two_tastes(), trials=2, folds=3, splitter=GlobalTime(), space=space)
    # One fit for each trial, then the winner and the given settings.
    assert len(best.trials) == 2
    assert len(fitted) == 4


def test_tables_and_pictures() -> None:
    best = tune(IALS, two_tastes(600), trials=3, space={"factors": Integer(2, 8)}, folds=1)
    table = best.table().arrow()
    assert table.column_names[:5] == ["trial", "state", "ndcg@10", "error", "best so far"]
    assert table["factors"].to_pylist() == [trial.settings["factors"] for trial in best.trials]
    assert table["best so far"].to_pylist() == sorted(table["best so far"].to_pylist())
    figure = best.plot()
    assert [trace.name for trace in figure.data] == ["trial", "trial", "factors"]
    assert list(figure.data[1].y) == table["best so far"].to_pylist()
    assert len(figure.data) == 3


def test_a_stored_search_answers_one_question(tmp_path: Path) -> None:
    data, place = two_tastes(600), tmp_path / "study.log"
    first = tune(EASE, data, trials=2, storage=place)
    again = tune(EASE, data, trials=2, storage=place)
    assert again.trials == first.trials
    other = tune(EASE, two_tastes(700), trials=2, storage=place)
    assert other.trials != first.trials


@pytest.mark.parametrize(
    "storage",
    [
        "postgresql+psycopg://ann:s3cret@127.0.0.1:1/x",
        "nosuch://ann:s3cret@host/x",
        "mysql+nosuch://ann:s3cret@host/x?password=s3cret",
        "sqlite:////no/such/folder/x.db",
        "/no/such/folder/x.log",
    ],
)
def test_a_storage_that_cannot_be_used_is_told_in_one_line(storage: str) -> None:
    def measure(_: dict[str, Any]) -> Iterator[TrialScore]:
        yield TrialScore(1.0)

    with pytest.raises(StorageError, match="of the study cannot be used") as told:
        search(measure, {"x": Float(0.0, 1.0)}, trials=1, storage=storage)
    said = "".join(traceback.format_exception(told.value))
    assert "s3cret" not in said
    assert "\n" not in str(told.value)
