"""Training a placement: fit, measure beside what serves, register, promote on evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core.clock import Stopwatch
from siamrec._core.hashing import canonical_json
from siamrec._core.table import Shown, Table
from siamrec.bandits import SuccessRule
from siamrec.data.liking import acted
from siamrec.errors import ModelLoadError, StaleWriteError, UnknownNameError
from siamrec.lifecycle._comparing import (
    CANDIDATE,
    POPULAR,
    SERVING,
    held_out,
    measured_beside,
    positive_of,
    shown_arms,
)
from siamrec.lifecycle._evaluate import paired
from siamrec.lifecycle._recipes import references
from siamrec.lifecycle._run import begun_now
from siamrec.lifecycle.promotion import judge
from siamrec.lifecycle.release import Release, fitted_release, loaded_release, registered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.data import Catalog, Feedback
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle._run import Run
    from siamrec.lifecycle.holdout import HeldOut
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.registry import ModelRegistry
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import FloatArray

Verdict = Literal["promoted", "waits for approval", "kept"]


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Trained(Shown):
    """What one training came to.

    Attributes:
        placement: What was trained.
        verdict: `"promoted"`, `"waits for approval"`, or `"kept"` for what serves.
        reasons: Why, with the rule and the numbers.
        release: Version of the new release.
        serving: Version of the release that serves now; None where none does.
        versions: Version of each new arm.
        metrics: Mean of the deciding metric, by list: the candidate's and what serves, popularity,
            and each arm of both.
        comparison: Paired difference of the candidate and what serves (popularity, where nothing
            does), with its interval.
        n_users: Held-out users.
    """

    placement: str
    verdict: Verdict
    reasons: tuple[str, ...]
    release: str
    serving: str | None
    versions: Mapping[str, str]
    metrics: Mapping[str, float]
    comparison: Mapping[str, Any] = field(default_factory=dict)
    n_users: int = 0

    @override
    def title(self) -> str:
        return f"Trained {self.placement}: {self.verdict}, release {self.release[:12]}"

    @override
    def table(self) -> Table:
        """Return one row for each list that was measured."""
        rows = tuple(sorted(self.metrics.items(), key=lambda each: -each[1]))
        return Table(head=("list", "mean"), rows=rows, title=self.title(), notes=self.reasons)

    @override
    def to_json(self) -> str:
        """Return every field as JSON."""
        return canonical_json(
            {
                "placement": self.placement,
                "verdict": self.verdict,
                "reasons": list(self.reasons),
                "release": self.release,
                "serving": self.serving,
                "versions": dict(self.versions),
                "metrics": dict(self.metrics),
                "comparison": dict(self.comparison),
                "n_users": self.n_users,
            }
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrainingData:
    """What a training reads: one state of log and catalogue, however long it takes.

    Attributes:
        name: Id of the snapshot of the log; of events that were handed in, their fingerprint.
        feedback: What people did.
        catalog: The items.
    """

    name: str
    feedback: Feedback
    catalog: Catalog

    @classmethod
    def of(
        cls, ground: Ground, feedback: Feedback | None = None, *, last: int | None = None
    ) -> TrainingData:
        """Return what there is now, or was when an event was the newest.

        Args:
            ground: The workspace.
            feedback: Events in the place of all of the log.
            last: Number of the newest event to read.

        Raises:
            siamrec.errors.InvalidDataError: If the log is empty.
        """
        if feedback is None and last is not None:
            feedback = ground.store.feedback.read_all(last=last)
        if feedback is not None:
            name = feedback.fingerprint()
        else:
            taken, feedback = ground.store.snapshots.read()
            name = taken.id
        # One user for each person, as far as ids are known to be one person's.
        joined = ground.store.identities.joined(acted(feedback))
        return cls(name=name, feedback=joined, catalog=ground.store.catalog.read())

    def named(self) -> dict[str, Any]:
        """Return what the diary says of it."""
        return {
            "data": self.name,
            "events": len(self.feedback),
            "catalogue": self.catalog.fingerprint(),
        }


def train(
    ground: Ground,
    placement: Placement,
    *,
    always: str | None = None,
    serves_as: Placement | None = None,
    data: TrainingData,
    encoders: Mapping[str, tuple[str, SiameseEncoder]] | None = None,
    run: Run | None = None,
) -> Trained:
    """Fit the arms of a placement and let the result serve if it is better than what does.

    Args:
        ground: The workspace.
        placement: What to train.
        always: Why the result serves in any case, as that of a variant to be tested does.
        serves_as: The placement as it serves now, where the one to train differs from it.
        data: What to learn from, which the diary names before anything else is done.
        encoders: Version and encoder of references that are at hand; others are loaded.
        run: What is held fixed where another worker may have begun it; as of now when absent.
    """
    watch = Stopwatch()
    run = begun_now(ground, placement) if run is None else run
    ground.store.diary.write(placement.name, "training", data.named())
    feedback = data.feedback
    run.step(10, f"read {len(feedback):,} events")
    if isinstance(placement.settles, SuccessRule):
        placement.settles.require_scale(feedback)
    split = held_out(ground.salt, feedback)
    fitted, versions = _fitted(ground, placement, data, split, encoders or {})
    run.step(60, f"fitted {len(fitted.arms)} arms")
    serving, gone = _serving(run.serving, ground.registry)
    there = placement if serves_as is None else serves_as
    measured, guarded = measured_beside(
        split, (placement, fitted), None if serving is None else (there, serving)
    )
    means = {
        name: float(np.nanmean(values))
        for name, values in measured.items()
        if np.isfinite(values).any()
    }
    run.step(80, "measured")
    release = registered(
        fitted,
        placement,
        ground.registry,
        data=data.name,
        metrics=_by_part(placement, means),
        encoders=versions,
    )
    run.step(90, f"registered {release.id[:12]}")
    compared, good, reasons = _judged(
        ground, (placement, fitted), (there, serving), measured, guarded
    )
    if gone:
        reasons = (f"What serves cannot be loaded ({gone}). {reasons[0]}", *reasons[1:])
    if always is not None:
        good, reasons = True, (f"{always}: {reasons[0]}",)
    verdict, reasons = _decided(
        ground.registry, placement, release.id, run.serving, good=good, reasons=reasons,
        at_once=always is not None or serving is None,
    )  # fmt: skip
    trained = Trained(
        placement=placement.name,
        verdict=verdict,
        reasons=reasons,
        release=release.id,
        serving=ground.registry.active(placement.alias),
        versions=dict(release.versions),
        metrics=means,
        comparison=compared,
        n_users=0 if split is None else len(split.profile.users),
    )
    run.step(95, verdict)
    entry = _entry(trained, data, placement, watch.seconds())
    entry |= {"mark": run.mark, "job": run.job}
    ground.store.diary.write(placement.name, "trained", entry)
    run.step(99, "written down")
    return trained


def _judged(
    ground: Ground,
    candidate: tuple[Placement, Release],
    serves: tuple[Placement, Release | None],
    measured: Mapping[str, FloatArray],
    guarded: Mapping[str, tuple[float, float]],
) -> tuple[dict[str, Any], bool, tuple[str, ...]]:
    """Return the comparison with what serves (popularity, where nothing does), and the verdict."""
    (placement, fitted), (there, serving) = candidate, serves
    against = SERVING if serving is not None else POPULAR
    compared = paired(_listed(measured.get(against)), _listed(measured.get(CANDIDATE)))
    same = (
        serving is not None
        and _recipe_of(ground, serving) == placement.recipe
        and shown_arms(there, serving) == shown_arms(placement, fitted)
    )
    good, reasons = judge(
        compared,
        placement.promotion,
        serves=serving is not None,
        same_recipe=same,
        guarded=guarded,
    )
    return compared, good, reasons


def train_variants(
    placement: Placement,
    trained: Trained,
    one: Callable[[Placement, str | None], Trained],
) -> None:
    """Train the variants of a placement that was promoted: a test compares recipes, not ages.

    Args:
        placement: The placement.
        trained: Its training.
        one: Trains a variant, and lets it serve for the reason that is told.
    """
    if trained.verdict == "promoted":
        for variant in placement.variants.items():
            changed = placement.of_variant(*variant)
            if changed.alias != placement.alias:
                one(changed, "as new as the control")


def _fitted(
    ground: Ground,
    placement: Placement,
    data: TrainingData,
    split: HeldOut | None,
    at_hand: Mapping[str, tuple[str, SiameseEncoder]],
) -> tuple[Release, dict[str, str]]:
    """Return a release fitted to the users who do not test, and its encoders' versions by name."""
    wanted = sorted(references(dict(placement.arms)))
    encoders = {name: at_hand.get(name) or ground.encoder(name) for name in wanted}
    feedback, catalog = data.feedback, data.catalog
    recipes, fallback = placement.made(lambda name: encoders[name][1], positive_of(feedback))
    train_on = feedback if split is None else split.train
    whole = catalog.aligned(catalog.items.extend(feedback.items.ids))
    fitted = fitted_release(recipes, fallback, feedback=train_on, catalog=whole)
    return fitted, {name: version for name, (version, _) in encoders.items() if version}


def _serving(active: str | None, registry: ModelRegistry) -> tuple[Release | None, str]:
    """Return what serves, or why it cannot be compared with."""
    if active is None:
        return None, ""
    try:
        return loaded_release(active, registry), ""
    except (ModelLoadError, UnknownNameError) as error:
        return None, str(error)


def _decided(
    registry: ModelRegistry,
    placement: Placement,
    release: str,
    active: str | None,
    *,
    good: bool,
    reasons: tuple[str, ...],
    at_once: bool,
) -> tuple[Verdict, tuple[str, ...]]:
    """Let a release serve, wait or stay in the registry; return the verdict and its reasons."""
    if active == release:
        return "kept", ("Nothing is new: the same data gives the same release.",)
    if not good:
        return "kept", reasons
    if placement.promotion.approval and not at_once:
        return "waits for approval", reasons
    try:
        registry.activate(placement.alias, release, reason=reasons[0], expect=active)
    except StaleWriteError:
        if registry.active(placement.alias) != release:
            return "kept", ("Kept: another training has promoted its release meanwhile.",)
    return "promoted", reasons


def _by_part(placement: Placement, means: Mapping[str, float]) -> dict[str, dict[str, float]]:
    metric = placement.promotion.metric
    parts = {
        arm: {metric: means[f"{CANDIDATE} {arm}"]}
        for arm in placement.arms
        if f"{CANDIDATE} {arm}" in means
    }
    # What it was compared with is in the diary: the same data shall give the same version.
    whole = {metric: means[CANDIDATE]} if CANDIDATE in means else {}
    return {**parts, "placement": whole}


def _recipe_of(ground: Ground, release: Release) -> str:
    lineage = ground.registry.get(release.id).manifest["lineage"]
    return str(lineage["config"].get("recipe"))


def _entry(
    trained: Trained, data: TrainingData, placement: Placement, seconds: float
) -> dict[str, Any]:
    feedback = data.feedback
    known = feedback.time[feedback.time > np.iinfo(np.int64).min]
    return {
        "verdict": trained.verdict,
        "reasons": list(trained.reasons),
        "release": trained.release,
        "serving": trained.serving,
        "versions": dict(trained.versions),
        "metrics": {name: _number(value) for name, value in trained.metrics.items()},
        "comparison": dict(trained.comparison),
        "variant": placement.variant,
        "settings": {"arms": dict(placement.arms), "fallback": placement.fallback},
        **data.named(),
        "from": int(known.min()) if known.size else None,
        "to": int(known.max()) if known.size else None,
        "test_users": trained.n_users,
        "seconds": round(seconds, 3),
    }


def _listed(values: FloatArray | None) -> list[float | None]:
    if values is None:
        return []
    return [None if math.isnan(value) else value for value in values.tolist()]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
