"""Search over ranges: Optuna proposes and remembers, the caller measures."""

from __future__ import annotations

import json
import math
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.lazy import extra
from siamrec._core.table import Record, number
from siamrec._core.urls import masked
from siamrec.errors import (
    InvalidDataError,
    MissingCapabilityError,
    SiamrecError,
    StorageError,
    shown,
)
from siamrec.models.recommenders.search import Choice, Integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from siamrec.models.recommenders.search import Range

__all__ = ["Sampler", "Trial", "TrialScore", "search"]

Sampler: TypeAlias = Literal["tpe", "random", "grid", "gp"]
Pruner: TypeAlias = Literal["median", "none"]
_SAMPLERS = ("tpe", "random", "grid", "gp")
_PRUNERS = ("median", "none")


@final
@dataclass(frozen=True, slots=True, repr=False)
class TrialScore(Record):
    """What one part of a trial has shown.

    Attributes:
        value: The metric.
        error: Its standard error; NaN where it is not known.
    """

    value: float
    error: float = math.nan

    @override
    def title(self) -> str:
        return f"Score {number(self.value)}, standard error {number(self.error)}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class Trial(Record):
    """One set of settings and what came of it.

    Attributes:
        number: Place in the study, from 0.
        settings: The settings.
        state: `"complete"`, `"pruned"` (stopped as hopeless) or `"failed"`.
        value: Mean of the metric over the parts that were measured; NaN if it failed.
        error: Standard error of the value.
        seconds: Time that measuring took; 0 for a repeated set of settings.
        repeats: Number of the earlier trial with the same settings, whose result was taken.
        reason: Why it failed.
    """

    number: int
    settings: dict[str, Any]
    state: Literal["complete", "pruned", "failed"]
    value: float
    error: float
    seconds: float
    repeats: int | None = None
    reason: str = ""

    @override
    def title(self) -> str:
        return f"Trial {self.number} ({self.state}): {number(self.value)}"


def search(
    measure: Callable[[dict[str, Any]], Iterator[TrialScore]],
    space: Mapping[str, Range],
    *,
    parts: int = 1,
    trials: int = 30,
    sampler: Sampler = "tpe",
    pruner: Pruner = "median",
    maximise: bool = True,
    seed: int = 0,
    first: Mapping[str, Any] | None = None,
    storage: str | Path | None = None,
    name: str = "study",
    workers: int = 1,
    seconds: float | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> list[Trial]:
    """Return what was tried, in the order of the study.

    A trial is measured part by part (folds, say); after each part the pruner may stop it. A
    trial that raises an error of this library or of a number gone wrong is kept as failed, and
    the search goes on. Settings that were measured before are not measured again.

    Args:
        measure: Yields one `TrialScore` for each part of a trial.
        space: Ranges by setting.
        parts: How many parts a trial has; after the last one there is nothing left to prune.
        trials: Number of trials of the whole study, those in the storage counted; a grid has at
            most so many points.
        sampler: `"tpe"`, `"random"`, `"grid"` or `"gp"` (a Gaussian process).
        pruner: `"median"` stops a trial below the median of its predecessors at the same part;
            `"none"` never does.
        maximise: Whether a higher value is better.
        seed: Of the sampler; a study that goes on draws from this plus its number of trials.
        first: Settings to try first, such as the defaults.
        storage: A file (Optuna's journal) or the URL of a database, to go on later or from other
            processes; None keeps the study in memory.
        name: Name of the study in the storage.
        workers: Threads; with more than one, which trial sees which result is a matter of time.
        seconds: Start no trial after this time; None waits for all.
        on_trial: Hears of every trial.

    Raises:
        siamrec.errors.MissingExtraError: If Optuna is not installed.
        siamrec.errors.InvalidDataError: If every trial failed.
        siamrec.errors.StorageError: If the storage cannot be opened, or fails.
        siamrec.errors.UnknownNameError: If sampler or pruner is unknown.

    References:
        Akiba, Sano, Yanase, Ohta, Koyama (2019), KDD: Optuna; Bergstra et al. (2011), NeurIPS:
        TPE.

    Examples:
        >>> from siamrec.models.recommenders import Float
        >>> def measure(settings):
        ...     yield TrialScore(-((settings["x"] - 0.3) ** 2))
        >>> tried = search(measure, {"x": Float(0.0, 1.0)}, trials=11, sampler="grid")
        >>> round(max(tried, key=lambda trial: trial.value).settings["x"], 6)
        0.3
    """
    check.count("trials", trials)
    check.count("workers", workers)
    check.one_of("sampler", sampler, _SAMPLERS)
    check.one_of("pruner", pruner, _PRUNERS)
    optuna = extra("optuna", extra="tune", purpose="Tuning")
    grid = _grid(space, trials) if sampler == "grid" else None
    with _quiet(optuna), _told(optuna, storage):
        study = optuna.create_study(
            storage=_storage(optuna, storage),
            study_name=name,
            load_if_exists=True,
            direction="maximize" if maximise else "minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5)
            if pruner == "median"
            else optuna.pruners.NopPruner(),
        )
        if first is not None and not study.get_trials(deepcopy=False) and grid is None:
            study.enqueue_trial(dict(first))
        done = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
        # A study that goes on must not draw again what it has drawn.
        study.sampler = _sampler(optuna, sampler, seed + done, grid)
        planned = trials if grid is None else math.prod(map(len, grid.values()))
        if done < planned:
            study.optimize(
                lambda trial: _run(
                    study, trial, space, measure, parts=parts, pruned=optuna.TrialPruned
                ),
                n_trials=planned - done,
                n_jobs=workers,
                timeout=seconds,
                catch=(_FailedTrial,),
                callbacks=[] if on_trial is None else [lambda _, trial: on_trial(_read(trial))],
            )
        tried = [
            _read(trial) for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()
        ]
    if not any(trial.state == "complete" for trial in tried):
        reasons = "; ".join(sorted({trial.reason for trial in tried if trial.reason})[:3])
        raise InvalidDataError(f"Tuning needs one trial that completes, got none: {reasons}")
    return tried


class _FailedTrial(Exception):  # noqa: N818  # a signal within this file
    """A trial has failed and says why; the search goes on."""


def _run(
    study: Any,
    trial: Any,
    space: Mapping[str, Range],
    measure: Callable[[dict[str, Any]], Iterator[TrialScore]],
    *,
    parts: int,
    pruned: type[Exception],
) -> float:
    settings = {name: _suggest(trial, name, where) for name, where in space.items()}
    key = content_hash({name: repr(value) for name, value in settings.items()})
    trial.set_user_attr("key", key)
    trial.set_user_attr("settings", json.dumps(settings))
    earlier = _same(study, key, trial.number)
    if earlier is not None:
        trial.set_user_attr("repeats", earlier.number)
        trial.set_user_attr("error", earlier.user_attrs["error"])
        return float(earlier.value)
    values: list[TrialScore] = []
    try:
        for part, found in enumerate(measure(settings)):
            values.append(found)
            trial.set_user_attr("value", sum(each.value for each in values) / len(values))
            trial.set_user_attr("error", sum(each.error for each in values) / len(values))
            if not math.isfinite(found.value):
                break
            trial.report(trial.user_attrs["value"], part)
            if part < parts - 1 and trial.should_prune():
                raise pruned
    except MissingCapabilityError:  # no settings will help
        raise
    except (SiamrecError, ArithmeticError, ValueError) as error:
        trial.set_user_attr("reason", f"{type(error).__name__}: {error}")
        raise _FailedTrial from error
    value = float(trial.user_attrs["value"])
    if not math.isfinite(value):
        trial.set_user_attr("reason", f"the metric was {value}")
        raise _FailedTrial
    return value


def _same(study: Any, key: str, number: int) -> Any:
    """Return the first complete trial with the same settings."""
    for trial in study.get_trials(deepcopy=False):
        complete = trial.state.name == "COMPLETE" and trial.number != number
        if complete and trial.user_attrs.get("key") == key and "repeats" not in trial.user_attrs:
            return trial
    return None


def _suggest(trial: Any, name: str, where: Range) -> Any:
    if isinstance(where, Choice):
        return trial.suggest_categorical(name, where.values)
    if isinstance(where, Integer):
        return trial.suggest_int(name, where.low, where.high, log=where.log)
    return trial.suggest_float(name, where.low, where.high, log=where.log)


def _grid(space: Mapping[str, Range], trials: int) -> dict[str, list[Any]]:
    """Return as many values of each setting as keep the grid within the number of trials."""
    n = 2
    while _size(space, n + 1) <= trials and _size(space, n + 1) > _size(space, n):
        n += 1
    return {name: list(where.grid(n)) for name, where in space.items()}


def _size(space: Mapping[str, Range], n: int) -> int:
    return math.prod(len(where.grid(n)) for where in space.values())


def _sampler(optuna: Any, sampler: Sampler, seed: int, grid: dict[str, list[Any]] | None) -> Any:
    if grid is not None:
        return optuna.samplers.GridSampler(grid, seed=seed)
    kinds = {
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
        "gp": optuna.samplers.GPSampler,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return kinds[sampler](seed=seed)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Keep Optuna from logging failures, which are in the trials."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def _told(optuna: Any, storage: str | Path | None) -> Iterator[None]:
    """Say in one line that a storage fails; what opens a database is not shown.

    Raises:
        StorageError: If it does.
    """
    if storage is None:
        yield
        return
    from sqlalchemy.exc import SQLAlchemyError  # Optuna has loaded it

    raised = optuna.exceptions
    kinds = (SQLAlchemyError, raised.StorageInternalError, raised.DuplicatedStudyError, OSError)
    try:
        yield
    except SiamrecError:  # of a part that is tried; it may be an ImportError too
        raise
    except (*kinds, ImportError) as error:
        where = masked(storage)
        wanted = "give a file, or a URL such as sqlite:///tuning.db or postgresql+psycopg://…"
        # The words of a driver may repeat the URL: only the kind of what it raised is told.
        raise StorageError(
            f"The storage {shown(where)} of the study cannot be used "
            f"({type(error).__name__}): {wanted}, with its driver installed."
        ) from None


def _storage(optuna: Any, storage: str | Path | None) -> Any:
    if storage is None or "://" in str(storage):
        return storage
    backend = optuna.storages.journal.JournalFileBackend(str(storage))
    return optuna.storages.JournalStorage(backend)


def _read(trial: Any) -> Trial:
    state: Literal["complete", "pruned", "failed"] = (
        "complete"
        if trial.state.name == "COMPLETE"
        else "pruned"
        if trial.state.name == "PRUNED"
        else "failed"
    )
    known = trial.user_attrs
    took = trial.duration.total_seconds() if trial.duration is not None else 0.0
    value = trial.value if state == "complete" else known.get("value", math.nan)
    return Trial(
        number=trial.number,
        settings=json.loads(known.get("settings", "{}")),
        state=state,
        value=math.nan if state == "failed" else float(value),
        error=float(known.get("error", math.nan)),
        seconds=0.0 if "repeats" in known else took,
        repeats=known.get("repeats"),
        reason=known.get("reason", ""),
    )
