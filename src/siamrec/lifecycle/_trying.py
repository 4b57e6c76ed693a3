"""An experiment in a placement: begun, and ended with or without one of its variants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from siamrec._core import check
from siamrec.errors import InvalidParameterError
from siamrec.experiments import Experiment
from siamrec.lifecycle.training import TrainingData, train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement


def begun(
    ground: Ground,
    config: Placement,
    experiment: Experiment,
    variants: Mapping[str, Mapping[str, Any]],
    *,
    at: int,
) -> Placement:
    """Start an experiment; see `LivePlacement.test`.

    Args:
        ground: The workspace.
        config: The placement.
        experiment: The experiment.
        variants: Settings of its variants.
        at: Revision of the placement.
    """
    if ground.experiment(config) is not None:
        raise InvalidParameterError("experiment", experiment.key, "the only one here")
    check.kind("experiment", experiment, Experiment)
    for name in variants:
        check.one_of("variant", name, experiment.variants)
    for name in experiment.variants:
        if name != experiment.control and name not in variants:
            raise InvalidParameterError("variants", variants, f"with settings for {name!r}")
    tested = replace(config, experiment=experiment.key, variants=variants)
    made = {name: tested.of_variant(name, paths) for name, paths in variants.items()}
    new = {name: changed for name, changed in made.items() if changed.alias != config.alias}
    if new:
        data = TrainingData.of(ground)
        for name, changed in new.items():
            train(ground, changed, data=data, always=f"variant {name!r} of {experiment.key}")
    manager = ground.store.experiments()
    manager.define(experiment)
    manager.start(experiment.key)
    ground.keep(tested, expect=at)
    ground.store.diary.write(config.name, "test_started", {"experiment": experiment.key})
    return tested


def ended(
    ground: Ground, config: Placement, *, keep: str | None, reason: str, at: int
) -> Placement:
    """Stop the experiment that runs; see `LivePlacement.end_test`.

    Args:
        ground: The workspace.
        config: The placement.
        keep: The variant that serves everybody from now on.
        reason: Why.
        at: Revision of the placement.
    """
    check.reason(reason)
    if config.experiment is None:
        raise InvalidParameterError("experiment", config.experiment, "one that runs")
    experiment = ground.store.experiments().record(config.experiment).experiment
    after = replace(config, experiment=None, variants={})
    if keep is not None and check.one_of("variant", keep, experiment.variants) in config.variants:
        changed = config.of_variant(keep, config.variants[keep])
        after = replace(changed, experiment=None, variant=None)
        release = ground.registry.active(changed.alias)
        if release is not None and changed.alias != config.alias:
            ground.registry.activate(config.alias, release, reason=reason)
    if experiment.status == "running":
        ground.store.experiments().stop(experiment.key, reason=reason)
    ground.keep(after, expect=at)
    told = {"experiment": experiment.key, "kept": keep, "reason": reason}
    ground.store.diary.write(config.name, "test_ended", told)
    return after
