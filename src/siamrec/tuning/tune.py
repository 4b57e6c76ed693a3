"""Tuning of arms: nested held-out events, so that the winner's score is not the luck of many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from typing_extensions import TypeVar

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec.errors import InvalidDataError, shown
from siamrec.metrics import Suite
from siamrec.metrics.splits import RandomShare
from siamrec.models.recommenders import RECOMMENDERS, RecommenderRecipe
from siamrec.tuning._judge import LOWER_IS_BETTER, depth_of, judge, stem
from siamrec.tuning.result import Tuned
from siamrec.tuning.space import default, space_of, with_settings
from siamrec.tuning.study import Pruner, Sampler, Trial, TrialScore, search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec._core.book import Named
    from siamrec.data import Catalog, Feedback
    from siamrec.metrics.splits import Fold, Splitter
    from siamrec.models.recommenders import Range

__all__ = ["tune"]

RecipeT = TypeVar("RecipeT", bound=RecommenderRecipe, default=RecommenderRecipe)
Simplicity = Callable[[Mapping[str, Any]], float]


def tune(
    recipe: RecipeT | type[RecipeT] | Named,
    feedback: Feedback,
    *,
    catalog: Catalog | None = None,
    metric: str = "ndcg@10",
    maximise: bool | None = None,
    trials: int = 30,
    sampler: Sampler = "tpe",
    pruner: Pruner = "median",
    seed: int = 0,
    space: Mapping[str, Range] | None = None,
    folds: int = 2,
    splitter: Splitter | None = None,
    positive: float | None = None,
    choice: Literal["best", "one-se"] = "best",
    simpler: Simplicity | None = None,
    storage: str | Path | None = None,
    workers: int = 1,
    seconds: float | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> Tuned[RecipeT]:
    """Search the settings of an arm, and measure the winner on events that no trial has seen.

    The feedback is split into training and test events. Each trial is fitted to parts of the
    training events and measured on the rest of them, fold by fold; the trial with the best mean
    wins, is fitted to all training events, and meets the test events once, beside the settings
    that the recipe had. The best of many trials looks better than it is; `Tuned.test` and
    `Tuned.gain` do not.

    The study is named by its content (recipe, data, splits, metric, sampler and seed), so a
    storage goes on with a study of the same question only.

    Args:
        recipe: A recipe, its name such as `"ease"`, or its class; settings that are not searched
            stay.
        feedback: All events.
        catalog: For arms that use it.
        metric: Name of a metric of the suite; `"rmse"` and `"mae"` are measured on predicted
            ratings.
        maximise: Whether higher is better; None knows it for the metrics of the suite.
        trials: Number of trials.
        sampler: `"tpe"`, `"random"`, `"grid"` or `"gp"`.
        pruner: `"median"` or `"none"`.
        seed: Of the splits and the sampler.
        space: Ranges by setting; the recipe's own when absent. Dotted names reach into recipes
            within, such as `"base.l2"`.
        folds: Folds that each trial is measured on, at least 1.
        splitter: How test and validation events are held out; a fifth of each user's events
            when absent. For data in time, `GlobalTime()`.
        positive: Smallest value of an event that counts as relevant; None counts all.
        choice: `"best"`, or `"one-se"`: of the trials within one standard error of the best, the
            simplest.
        simpler: What `"one-se"` takes the least of, from settings; the time of measuring when
            absent.
        storage: A file or the URL of a database, to go on later or from other processes.
        workers: Threads that measure trials.
        seconds: Start no trial after this time.
        on_trial: Hears of every trial.

    Raises:
        siamrec.errors.MissingExtraError: If Optuna is not installed.
        siamrec.errors.MissingInputError: If nothing can be searched.
        siamrec.errors.MissingCapabilityError: If the metric is of ratings and the arm has none.
        siamrec.errors.InvalidDataError: If every trial failed, or nothing could be held out.
        siamrec.errors.UnknownNameError: If a setting, metric, sampler or choice is unknown.

    References:
        Cawley and Talbot (2010), JMLR 11: over-fitting in model selection; Breiman, Friedman,
        Olshen, Stone (1984), section 3.4.3: the one-standard-error rule.

    Examples:
        >>> from siamrec.data import Feedback
        >>> from siamrec.models.recommenders import EASE
        >>> rng = np.random.default_rng(1)
        >>> user = rng.integers(0, 40, 900)
        >>> item = (rng.integers(0, 12, 900) * 2 + user % 2) % 30
        >>> feedback = Feedback.of(user=user.tolist(), item=item.tolist())
        >>> best = tune(EASE, feedback, trials=4, sampler="random", seed=0)
        >>> best.recipe.l2 == best.settings["l2"], len(best.trials)
        (True, 4)
    """
    check.one_of("choice", choice, ("best", "one-se"))
    check.count("folds", folds)
    metric = Suite([metric]).names[0]
    base = cast("RecipeT", recipe() if isinstance(recipe, type) else RECOMMENDERS.make(recipe))
    ranges = space_of(base, space)
    splitter = RandomShare(per_user=True) if splitter is None else splitter
    outer = _first(splitter, feedback, np.random.default_rng([seed, 0]))
    inner = _folds(splitter, outer.training, folds, seed)
    depth = depth_of(metric)

    def measure(settings: Mapping[str, Any]) -> Iterator[TrialScore]:
        candidate = with_settings(base, settings)
        for fold in inner:
            arm = candidate.fit(fold.training, catalog=catalog)
            found = judge(arm, fold, metric, positive=positive, depth=depth)[metric]
            yield TrialScore(found.mean, found.standard_error)

    up = stem(metric) not in LOWER_IS_BETTER if maximise is None else maximise
    question = (repr(base), repr(sorted(ranges.items())), feedback.fingerprint(), repr(splitter))
    name = f"{type(base).__name__}-{content_hash(*question, metric, folds, seed, sampler)[:16]}"
    found = search(
        measure,
        ranges,
        parts=len(inner),
        trials=trials,
        sampler=sampler,
        pruner=pruner,
        maximise=up,
        seed=seed,
        first=_within(base, ranges),
        storage=storage,
        name=name,
        workers=workers,
        seconds=seconds,
        on_trial=on_trial,
    )
    chosen = _chosen(found, choice, simpler, maximise=up)
    winner = with_settings(base, chosen.settings)
    report, given = (
        judge(arm, outer, metric, positive=positive, depth=depth)
        for arm in (each.fit(outer.training, catalog=catalog) for each in (winner, base))
    )
    return Tuned(
        recipe=winner,
        settings=chosen.settings,
        chosen=chosen,
        metric=metric,
        maximise=up,
        test=report[metric],
        gain=report.compare(given, test="t")[metric],
        trials=tuple(found),
    )


def _first(splitter: Splitter, feedback: Feedback, rng: np.random.Generator) -> Fold:
    fold = next(iter(splitter.split(feedback, rng=rng)))
    if not fold.train.size or not fold.test.size:
        raise InvalidDataError(
            f"{shown(splitter)} must leave events on both sides, got {fold.train.size} to train "
            f"on and {fold.test.size} to test on."
        )
    return fold


def _folds(splitter: Splitter, training: Feedback, n: int, seed: int) -> list[Fold]:
    """Return up to n different folds: a split by time has only one."""
    found = [
        _first(splitter, training, np.random.default_rng([seed, 1 + turn])) for turn in range(n)
    ]
    return [
        fold
        for place, fold in enumerate(found)
        if not any(np.array_equal(fold.test, other.test) for other in found[:place])
    ]


def _within(base: RecommenderRecipe, ranges: Mapping[str, Range]) -> dict[str, Any] | None:
    """Return the given settings where all lie within the ranges: the first trial."""
    given = {name: default(base, name) for name in ranges}
    return given if all(given[name] in where for name, where in ranges.items()) else None


def _chosen(
    trials: list[Trial], choice: str, simpler: Simplicity | None, *, maximise: bool
) -> Trial:
    done = [trial for trial in trials if trial.state == "complete"]
    sign = 1.0 if maximise else -1.0
    best = max(done, key=lambda trial: sign * trial.value)
    if choice == "best" or not np.isfinite(best.error):
        return best
    near = [trial for trial in done if sign * trial.value >= sign * best.value - best.error]
    if simpler is not None:
        return min(near, key=lambda trial: simpler(trial.settings))
    timed = [trial for trial in near if trial.repeats is None]
    return min(timed or near, key=lambda trial: trial.seconds)
