"""One experiment, worked out for assignment: who may enter, and with which variant."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, cast, final

import numpy as np
from xxhash import xxh3_64_intdigest

from siamrec._core.hashing import uniform
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.experiments.assignment.hashers import ExposureRule, LayerRule
from siamrec.experiments.assignment.sticky import StickyVariant
from siamrec.expressions import Expression

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from siamrec._core.units import Units
    from siamrec.experiments.assignment.experiment import Attributes, Experiment, Predicate
    from siamrec.experiments.assignment.hashers import Hasher
    from siamrec.protocols import Clock
    from siamrec.typing import BoolArray

_ROUNDING = 1e-12


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One experiment, worked out for assignment."""

    experiment: Experiment
    key: str
    layer: str | None
    version: int
    exposure: float
    names: tuple[str, ...]
    shares: dict[str, float]
    edges: tuple[float, ...]
    widths: tuple[float, ...]
    owner_names: tuple[str, ...]
    variant_salt: str
    variant_seed: int
    exposure_salt: str
    layer_salt: str
    holdout_salt: str
    own_salt: str
    overrides: Mapping[str, str]
    guarded: bool
    targeted: bool
    exposure_rule: ExposureRule | None
    layer_rule: LayerRule | None
    clock: Clock

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        overrides: Mapping[str, str],
        hasher: Hasher | None,
        clock: Clock,
    ) -> Entry:
        ranges = experiment.ranges
        rules: object = hasher
        owners = tuple(ranges.variants[owner] for owner in ranges.owners)
        shares = {  # a range's length is its share but for a rounding
            name: float(experiment.variants.get(name, share))
            if abs(experiment.variants.get(name, share) - share) < _ROUNDING
            else share
            for name, share in ranges.shares().items()
        }
        return cls(
            experiment=experiment,
            key=experiment.key,
            layer=experiment.layer,
            version=experiment.version,
            exposure=experiment.exposure,
            names=ranges.variants,
            shares=shares,
            edges=ranges.edges,
            # The shares themselves where they can be had: a range's two ends differ from them by
            # a rounding, which another system's buckets of 0.0001 can meet.
            widths=tuple(float(experiment.variants[owner]) for owner in owners)
            if experiment.allocation is None
            else tuple(np.diff(np.array([0.0, *ranges.edges])).tolist()),
            owner_names=owners,
            variant_salt=experiment.salt_for("variant"),
            variant_seed=xxh3_64_intdigest(experiment.salt_for("variant").encode()),
            exposure_salt=experiment.salt_for("exposure"),
            layer_salt=f"layer|{experiment.layer}",
            holdout_salt=f"holdout|{experiment.holdout_salt}",
            own_salt=experiment.salt or experiment.key,
            overrides=overrides,
            guarded=experiment.status != "running"
            or experiment.holdout > 0
            or experiment.layer is not None
            or experiment.targeting is not None,
            targeted=experiment.targeting is not None,
            exposure_rule=rules if isinstance(rules, ExposureRule) else None,
            layer_rule=rules if isinstance(rules, LayerRule) else None,
            clock=clock,
        )

    @property
    def last(self) -> int:
        """Place of the last range; some foreign hashes can reach 1."""
        return len(self.edges) - 1

    def exposes(self, text: str, bucket: float) -> bool:
        """Return whether a foreign hash exposes a unit: by its rule, or as GrowthBook does.

        GrowthBook exposes the buckets in the first part of each range.
        """
        if self.exposure_rule is not None:
            return self.exposure_rule.exposed(text, self.own_salt, self.exposure)
        place = min(bisect_right(self.edges, bucket), self.last)
        low = self.edges[place - 1] if place else 0.0
        return bucket < low + self.exposure * self.widths[place]

    def outside(self, text: str, context: Attributes | None) -> str | None:
        """Return why a unit stays outside before its exposure is drawn, None if it does not."""
        experiment = self.experiment
        if experiment.status != "running":
            return "not_running"
        if experiment.holdout > 0 and uniform(text, self.holdout_salt) < experiment.holdout:
            return "holdout"
        if experiment.layer is not None:
            low, high = experiment.layer_range
            place = (
                uniform(text, self.layer_salt)
                if self.layer_rule is None
                else self.layer_rule.place(text, experiment.layer)
            )
            if not low <= place < high:
                return "other_experiment"
        if experiment.predicate is not None and not self._admits()(context or {}):
            return "not_targeted"
        return None

    def _admits(self) -> Predicate:
        """Return who may enter at this instant."""
        targeting = self.experiment.targeting
        if isinstance(targeting, Expression) and targeting.timed:
            return partial(targeting.holds, now=self.clock.now())
        return cast("Predicate", targeting)

    def recalled(self, stored: StickyVariant) -> tuple[str | None, float, int]:
        """Return variant, probability and version of a stored one; no variant if it is gone."""
        if stored.variant not in self.experiment.variants:
            return None, 0.0, self.version
        if stored.propensity is not None and stored.version is not None:
            return stored.variant, stored.propensity, stored.version
        share = self.shares[stored.variant]
        if self.version == 1 and share > 0:  # shares have never changed: they are still those
            return stored.variant, share, 1
        return stored.variant, 1.0, 0

    def given(self, variant: str) -> StickyVariant:
        """Return what to store of a variant that is given now."""
        return StickyVariant(variant, self.shares[variant], self.version)

    def check_contexts(self, contexts: Sequence[Attributes] | None, n_units: int) -> None:
        """Refuse contexts that are missing where they are needed, or of another number."""
        if contexts is None:
            if self.targeted:
                raise MissingInputError("contexts", "contexts=[{...}, ...], one for each unit")
        elif len(contexts) != n_units:
            raise InvalidDataError(
                f"contexts must have one entry per unit, got {len(contexts)} for {n_units}."
            )

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
        if experiment.predicate is not None and contexts is not None:
            rows = np.flatnonzero(inside)
            asked = (contexts[row] for row in rows.tolist())  # a predicate takes one at a time
            inside[rows] = np.fromiter(map(self._admits(), asked), np.bool_, rows.size)
        return inside


def check_layers(experiments: Sequence[Experiment]) -> None:
    """Refuse running experiments that own overlapping parts of a layer."""
    by_layer: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        if experiment.layer is not None and experiment.status == "running":
            by_layer.setdefault(experiment.layer, []).append(experiment)
    for layer, sharing in by_layer.items():
        for first, second in combinations(sharing, 2):
            low = max(first.layer_range[0], second.layer_range[0])
            high = min(first.layer_range[1], second.layer_range[1])
            if low < high:
                raise InvalidParameterError(
                    "layer_range",
                    second.layer_range,
                    f"apart from {first.layer_range} of {first.key!r} in layer {layer!r}",
                )
