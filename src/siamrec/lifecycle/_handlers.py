"""What is done for each kind of job; all of it is safe to begin again."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec.errors import InvalidParameterError, MissingInputError
from siamrec.lifecycle._run import Run
from siamrec.lifecycle._settlement import settled
from siamrec.lifecycle.training import Trained, TrainingData, train, train_variants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.held import Held
    from siamrec.lifecycle.placement import Placement

_PORTION = 500


def retrain(ground: Ground, held: Held) -> dict[str, Any]:
    """Train a placement by the events, the release and the settings of when it was begun first."""
    name = str(held.job.placement)
    point = dict(held.job.checkpoint)
    if not point:
        config = ground.config(name)
        revision = ground.store.values.get("placement", name)
        active = ground.registry.active
        point = {
            "mark": ground.store.snapshots.mark(),
            "revision": 1 if revision is None else revision.revision,
            "serving": {each.alias: active(each.alias) for each in ground.every(config)},
        }
        held.note(point)
    held.step(5, f"reads up to event {point['mark']}")
    begun = ground.revision(name, int(point["revision"])) or ground.config(name)

    @cache
    def data() -> TrainingData:
        return TrainingData.of(ground, last=int(point["mark"]))

    def one(each: Placement, always: str | None = None) -> Trained:
        key = held.job.id if each.variant is None else f"{held.job.id}/{each.variant}"
        found = _told(ground, name, key)
        if found is not None:  # its worker ended when all was done
            return found
        serving = point["serving"].get(each.alias)
        run = Run(mark=int(point["mark"]), serving=serving, job=key, step=held.step)
        return train(ground, each, data=data(), always=always, run=run)

    trained = one(begun)
    train_variants(begun, trained, one)
    told = asdict(trained)
    return {name: told[name] for name in _RESULT} | {"reasons": list(trained.reasons)}


_RESULT = ("verdict", "release", "serving", "metrics", "n_users")


def _told(ground: Ground, placement: str, key: str) -> Trained | None:
    """Return a training that is in the diary under a name."""
    for each in reversed(ground.store.diary.read(placement)):
        body = each.body
        if each.what == "trained" and body.get("job") == key:
            return Trained(
                placement=placement,
                verdict=body["verdict"],
                reasons=tuple(body["reasons"]),
                release=body["release"],
                serving=body["serving"],
                versions=body["versions"],
                metrics=body["metrics"],
                comparison=body["comparison"],
                n_users=body["test_users"],
            )
    return None


def settle(ground: Ground, held: Held) -> dict[str, Any]:
    """Let the bandits learn from every list whose window is over."""
    names = ground.placements() if held.job.placement is None else [held.job.placement]
    n = 0
    for place, name in enumerate(names):
        config = ground.config(name)
        while done := settled(ground, config, n=_PORTION):
            n += done
            held.step(100 * place // len(names), f"settled {n:,} lists")
    return {"lists": n}


def archive(ground: Ground, held: Held) -> dict[str, Any]:
    """Move events that are older than told to sealed files."""
    before = ground.now() - duration("older", held.job.arguments["older"])
    sealed = ground.store.archive(before)
    return {"events": sealed.n_events, "held_by": list(sealed.held_by)}


def require_nothing(*, needed: bool) -> Callable[[str | None, Mapping[str, Any]], None]:
    """Return a check of jobs that have no arguments.

    Args:
        needed: Whether they need a placement.
    """

    def require(placement: str | None, arguments: Mapping[str, Any]) -> None:
        if needed and placement is None:
            raise MissingInputError("placement", "ws.jobs.start('retrain', placement='home')")
        if arguments:
            raise InvalidParameterError("arguments", arguments, "left out: the kind has none")

    return require


def require_age(placement: str | None, arguments: Mapping[str, Any]) -> None:
    """Pass when a job of the archive is told what is old."""
    if placement is not None:
        raise InvalidParameterError("placement", placement, "left out: all share one log")
    if "older" not in arguments:
        remedy = "ws.jobs.start('archive', arguments={'older': '400d'})"
        raise MissingInputError("older", remedy)
    for name in arguments:
        check.one_of("argument", name, ("older",))
    duration("older", check.text("older", arguments["older"]))
