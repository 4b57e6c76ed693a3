"""Assignment by hash: the same unit always gets the same variant, without anything stored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from xxhash import xxh3_64_intdigest

from siamrec._core import check
from siamrec._core.hashing import uniform
from siamrec.data.assignments import Assignment, Assignments
from siamrec.errors import InvalidParameterError, MissingInputError, UnknownNameError
from siamrec.experiments._units import Units, unit_error, unit_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from siamrec.experiments.experiment import Experiment
    from siamrec.experiments.hashers import Hasher
    from siamrec.experiments.sticky import StickyStore
    from siamrec.experiments.targeting import Attributes
    from siamrec.typing import BoolArray, FloatArray

_STEP = 2.0**-53


@final
class HashAssigner:
    """Assigns units to the variants of experiments by hash.

    A unit's number for a purpose is `u = (xxh3_64(unit, seed=xxh3_64(salt)) >> 11) * 2**-53`,
    with a salt for each of holdout, layer, exposure and variant; `assign` and `assign_many` use
    the same bits. In this order: override, status, holdout, layer, targeting, sticky, exposure,
    split.

    Args:
        experiments: The experiments, with distinct keys.
        overrides: Variant of some units, for testing; by unit, or by experiment and then unit.
        sticky: Where to keep the first variant of a unit, if changes must not move it.
        hasher: Another system's bucket hash, to go on with experiments that began there. The
            salt is then the experiment's salt or, without one, its key, and exposure takes the
            first part of each variant's range, as those systems do.

    Raises:
        InvalidParameterError: If keys repeat, or two experiments own overlapping parts of a
            layer.
        UnknownNameError: If an override names an unknown variant.

    Examples:
        >>> from siamrec.experiments import Experiment
        >>> experiment = Experiment(key="ranker", variants={"control": 0.5, "new": 0.5})
        >>> assigner = HashAssigner([experiment])
        >>> assigner.assign("user-42").variant == assigner.assign_many(["user-42"]).names()[0]
        True
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        *,
        overrides: Mapping[str, str] | Mapping[str, Mapping[str, str]] | None = None,
        sticky: StickyStore | None = None,
        hasher: Hasher | None = None,
    ) -> None:
        check.distinct("keys of experiments", [experiment.key for experiment in experiments])
        _check_layers(experiments)
        self._plans = {
            experiment.key: _Plan.of(experiment, overrides or {}) for experiment in experiments
        }
        self._only = experiments[0].key if len(experiments) == 1 else None
        self._sticky = sticky
        self._hasher = hasher

    @property
    def experiments(self) -> dict[str, Experiment]:
        """The experiments by key."""
        return {key: plan.experiment for key, plan in self._plans.items()}

    def assign(
        self,
        unit: str | int,
        experiment: str | None = None,
        *,
        context: Attributes | None = None,
    ) -> Assignment:
        """Return the variant of one unit, with the reason and its propensity.

        Args:
            unit: Text or a whole number; 42 and "42" are one unit.
            experiment: Key; not needed where there is one experiment.
            context: Attributes for the targeting.

        Raises:
            InvalidDataError: If the unit is empty or of another kind.
            MissingInputError: If the key is needed.
            UnknownNameError: If there is no such experiment.
        """
        plan = self._plans.get(experiment or self._only or "") or self._plan(experiment)
        text = unit if type(unit) is str and unit else unit_text(unit)
        key, layer, version = plan.key, plan.layer, plan.version
        foreign = self._hasher
        # `uniform(text, plan.variant_salt)`, with the hash of the salt made once.
        try:
            bucket = (
                (xxh3_64_intdigest(text.encode(), plan.variant_seed) >> 11) * _STEP
                if foreign is None
                else foreign(text, plan.own_salt)
            )
        except UnicodeEncodeError as error:
            raise unit_error(text) from error
        forced = plan.overrides.get(text)
        if forced is not None:
            return Assignment(text, key, forced, True, "override", bucket, 1.0, layer, version)
        reason = plan.outside(text, context) if plan.guarded else None
        if reason is not None:
            return Assignment(text, key, None, False, reason, bucket, 0.0, layer, version)
        if self._sticky is not None:
            stored = self._sticky.get(key, text)
            if stored is not None and stored in plan.shares:
                share = plan.shares[stored]
                return Assignment(text, key, stored, True, "sticky", bucket, share, layer, version)
        if plan.exposure < 1 and not (
            uniform(text, plan.exposure_salt) < plan.exposure
            if foreign is None
            else plan.exposes(bucket)
        ):
            return Assignment(text, key, None, False, "not_exposed", bucket, 0.0, layer, version)
        variant = plan.owner_names[min(bisect_right(plan.edges, bucket), plan.last)]
        if self._sticky is not None:
            self._sticky.put(key, text, variant)
        share = plan.shares[variant]
        return Assignment(text, key, variant, True, "split", bucket, share, layer, version)

    def assign_many(
        self,
        units: Iterable[Any],
        experiment: str | None = None,
        *,
        contexts: Sequence[Attributes] | None = None,
    ) -> Assignments:
        """Return the variants of many units, bit for bit those of `assign`.

        Args:
            units: Text or whole numbers: any iterable, a NumPy array or an Arrow, polars or
                pandas column.
            experiment: Key; not needed where there is one experiment.
            contexts: Attributes of each unit, where the experiment has a targeting.

        Raises:
            InvalidDataError: If a unit is empty or of another kind.
            MissingInputError: If the key is needed, or contexts are.
            UnknownNameError: If there is no such experiment.
        """
        plan = self._plan(experiment)
        many = Units(units)
        texts = many.texts
        if self._hasher is not None:
            return self._one_by_one(plan, texts, contexts)
        inside = plan.inside_many(many, contexts)
        exposed = inside
        if plan.exposure < 1:
            exposed = inside & (many.uniforms(plan.exposure_salt) < plan.exposure)
        codes = plan.codes_many(many, exposed)
        # Code -1 finds the last entry: 0 for units outside.
        shares = np.array([*(plan.shares[name] for name in plan.names), 0.0])
        propensity = np.take(shares, codes, mode="wrap")
        if self._sticky is not None:
            self._stick(plan, texts, inside, codes, propensity)
        if plan.overrides:
            for row, text in enumerate(texts):  # a handful of testers among them
                if text in plan.overrides:
                    codes[row] = plan.names.index(plan.overrides[text])
                    propensity[row] = 1.0
        return Assignments(
            units=tuple(texts),
            experiment=plan.key,
            variants=plan.names,
            codes=codes,
            propensity=propensity,
            version=plan.version,
        )

    def _one_by_one(
        self, plan: _Plan, texts: list[str], contexts: Sequence[Attributes] | None
    ) -> Assignments:
        """Foreign hashes have no bulk form."""
        given = contexts if contexts is not None else [{}] * len(texts)
        found = [
            self.assign(text, plan.key, context=context)
            for text, context in zip(texts, given, strict=True)
        ]
        codes = [-1 if each.variant is None else plan.names.index(each.variant) for each in found]
        return Assignments(
            units=tuple(texts),
            experiment=plan.key,
            variants=plan.names,
            codes=np.array(codes, dtype=np.int8),
            propensity=np.array([each.propensity for each in found]),
            version=plan.version,
        )

    def peek(self, unit: str | int, experiment: str | None = None) -> str | None:
        """Return the stored variant of a unit without assigning it; raises as `assign` does."""
        plan = self._plan(experiment)
        return None if self._sticky is None else self._sticky.get(plan.key, unit_text(unit))

    def of(self, experiment: str) -> BoundAssigner:
        """Return an assigner for one experiment, as hosts wire it in.

        Raises:
            UnknownNameError: If there is no such experiment.
        """
        return BoundAssigner(self, self._plan(experiment).key)

    def _plan(self, experiment: str | None) -> _Plan:
        key = self._only if experiment is None else experiment
        if key is None:
            raise MissingInputError("experiment", "assign(unit, 'key of the experiment')")
        plan = self._plans.get(key)
        if plan is None:
            raise UnknownNameError("experiment", key, self._plans)
        return plan

    def _stick(
        self,
        plan: _Plan,
        texts: list[str],
        inside: BoolArray,
        codes: npt.NDArray[np.int8],
        propensity: FloatArray,
    ) -> None:
        store = self._sticky
        assert store is not None
        for row in np.flatnonzero(inside).tolist():  # the port answers one unit at a time
            stored = store.get(plan.key, texts[row])
            if stored is not None and stored in plan.shares:
                codes[row] = plan.names.index(stored)
                propensity[row] = plan.shares[stored]
            elif codes[row] >= 0:
                store.put(plan.key, texts[row], plan.names[codes[row]])


@final
@dataclass(frozen=True, slots=True)
class BoundAssigner:
    """An assigner for one experiment: what the protocol `ExperimentAssigner` asks for."""

    assigner: HashAssigner
    experiment: str

    def assign(self, unit: str, context: Attributes | None = None) -> Assignment:
        """Return the variant of one unit."""
        return self.assigner.assign(unit, self.experiment, context=context)

    def assign_many(self, units: Iterable[str]) -> Assignments:
        """Return the variants of many units."""
        return self.assigner.assign_many(units, self.experiment)


@final
@dataclass(frozen=True, slots=True)
class _Plan:
    """One experiment, worked out for assignment."""

    experiment: Experiment
    key: str
    layer: str | None
    version: int
    exposure: float
    names: tuple[str, ...]
    shares: dict[str, float]
    edges: tuple[float, ...]
    owner_names: tuple[str, ...]
    variant_salt: str
    variant_seed: int
    exposure_salt: str
    layer_salt: str
    holdout_salt: str
    own_salt: str
    overrides: dict[str, str]
    guarded: bool

    @property
    def last(self) -> int:
        """Place of the last range; some foreign hashes can reach 1."""
        return len(self.edges) - 1

    def exposes(self, bucket: float) -> bool:
        """Return whether a bucket lies in the exposed first part of its range."""
        place = min(bisect_right(self.edges, bucket), self.last)
        low = self.edges[place - 1] if place else 0.0
        return bucket < low + self.exposure * (self.edges[place] - low)

    @classmethod
    def of(
        cls, experiment: Experiment, overrides: Mapping[str, str] | Mapping[str, Mapping[str, str]]
    ) -> _Plan:
        ranges = experiment.ranges
        own = overrides.get(experiment.key)
        forced = own if isinstance(own, Mapping) else overrides
        flat = {unit: variant for unit, variant in forced.items() if isinstance(variant, str)}
        for variant in flat.values():
            check.one_of("variant", variant, ranges.variants)
        return cls(
            experiment=experiment,
            key=experiment.key,
            layer=experiment.layer,
            version=experiment.version,
            exposure=experiment.exposure,
            names=ranges.variants,
            shares={**ranges.shares()},
            edges=ranges.edges,
            owner_names=tuple(ranges.variants[owner] for owner in ranges.owners),
            variant_salt=experiment.salt_for("variant"),
            variant_seed=xxh3_64_intdigest(experiment.salt_for("variant").encode()),
            exposure_salt=experiment.salt_for("exposure"),
            layer_salt=f"layer|{experiment.layer}",
            holdout_salt=f"holdout|{experiment.holdout_salt}",
            own_salt=experiment.salt or experiment.key,
            overrides=flat,
            guarded=experiment.status != "running"
            or experiment.holdout > 0
            or experiment.layer is not None
            or experiment.targeting is not None,
        )

    def outside(self, text: str, context: Attributes | None) -> str | None:
        """Return why a unit stays outside before its exposure is drawn, None if it does not."""
        experiment = self.experiment
        if experiment.status != "running":
            return "not_running"
        if experiment.holdout > 0 and uniform(text, self.holdout_salt) < experiment.holdout:
            return "holdout"
        if experiment.layer is not None:
            low, high = experiment.layer_range
            if not low <= uniform(text, self.layer_salt) < high:
                return "other_experiment"
        if experiment.targeting is not None and not experiment.targeting(context or {}):
            return "not_targeted"
        return None

    def codes_many(self, units: Units, exposed: BoolArray) -> npt.NDArray[np.int8]:
        """Return the variant of each exposed unit, -1 for the others."""
        codes = self.experiment.ranges.codes(units.uniforms(self.variant_salt))
        if not exposed.all():
            codes[~exposed] = -1
        return codes

    def inside_many(self, units: Units, contexts: Sequence[Attributes] | None) -> BoolArray:
        """Return for which units `outside` finds no reason."""
        experiment = self.experiment
        inside = np.full(len(units), experiment.status == "running")
        if not self.guarded:
            return inside
        if experiment.holdout > 0:
            inside &= units.uniforms(self.holdout_salt) >= experiment.holdout
        if experiment.layer is not None:
            low, high = experiment.layer_range
            place = units.uniforms(self.layer_salt)
            inside &= (place >= low) & (place < high)
        if experiment.targeting is not None:
            if contexts is None or len(contexts) != len(units):
                raise MissingInputError("contexts", "contexts=[{...}, ...], one for each unit")
            inside &= np.fromiter(map(experiment.targeting, contexts), np.bool_, len(units))
        return inside


def _check_layers(experiments: Sequence[Experiment]) -> None:
    for place, first in enumerate(experiments):
        for second in experiments[place + 1 :]:
            same = first.layer is not None and first.layer == second.layer
            running = first.status == second.status == "running"
            low = max(first.layer_range[0], second.layer_range[0])
            high = min(first.layer_range[1], second.layer_range[1])
            if same and running and low < high:
                raise InvalidParameterError(
                    "layer_range",
                    second.layer_range,
                    f"apart from {first.layer_range} of {first.key!r} in layer {first.layer!r}",
                )
