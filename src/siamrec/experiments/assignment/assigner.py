"""Assignment by hash: the same unit always gets the same variant, without anything stored."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override
from xxhash import xxh3_64_intdigest

from siamrec._core import check
from siamrec._core.clock import clock_or_system
from siamrec._core.hashing import uniform
from siamrec._core.table import Record, Shown, Table, counted
from siamrec._core.units import Units, unit_error, unit_text
from siamrec.data.assignments import Assignment, Assignments
from siamrec.errors import MissingInputError, UnknownNameError
from siamrec.experiments.assignment._book import HASHERS
from siamrec.experiments.assignment._entry import Entry, check_layers
from siamrec.experiments.assignment._overrides import overrides_by_experiment
from siamrec.experiments.assignment.experiment import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from siamrec._core.book import Named
    from siamrec.experiments.assignment.experiment import Attributes
    from siamrec.experiments.assignment.hashers import Hasher
    from siamrec.experiments.assignment.sticky import StickyStore, StickyVariant
    from siamrec.protocols import Clock
    from siamrec.typing import BoolArray, FloatArray

_STEP = 2.0**-53


@final
class HashAssigner(Shown):
    """Assigns units to the variants of experiments by hash.

    A unit's number for a purpose is `u = (xxh3_64(unit, seed=xxh3_64(salt)) >> 11) * 2**-53`,
    with a salt for each of holdout, layer, exposure and variant; `assign` and `assign_many` use
    the same bits. In this order: override, status, holdout, layer, targeting, sticky, exposure,
    split.

    A unit that a sticky store knows keeps its variant whatever the shares are now, and is logged
    with the version and the propensity that it was given with, so that the units of one version
    are split as that version says: analyse them with `strata="version"`. If the experiment no
    longer has that variant the unit leaves the experiment, for the reason `arm_removed`: to
    draw anew for those who have met a removed variant, and for nobody else, would compare unlike
    units. A variant whose share is 0 is not removed; it keeps its units and gets no new ones.

    Args:
        experiments: The experiments, with distinct keys.
        overrides: Variant of some units, for testing; by unit, which then holds in every
            experiment that has the variant, or by experiment and then unit.
        sticky: Where to keep the first variant of a unit, if changes must not move it.
        hasher: Another system's bucket hash, or its name such as `"growthbook-v2"`, to go
            on with experiments that began there. The salt is then the experiment's salt or,
            without one, its key. A hasher that is an `ExposureRule` says who is exposed,
            otherwise exposure takes the first part of each variant's range, which is
            GrowthBook's rule; one that is a `LayerRule` places units in layers. Holdouts are
            always drawn by our own hash.
        clock: What `now()` in a targeting reads; the machine's when absent.

    Raises:
        InvalidDataError: If an override is for something that cannot be a unit.
        InvalidParameterError: If keys repeat, two experiments own overlapping parts of a
            layer, or overrides are not of one of the two forms.
        UnknownNameError: If an override names an unknown experiment or variant.

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
        overrides: Mapping[str, str]
        | Mapping[int, str]
        | Mapping[str, Mapping[str, str]]
        | Mapping[str, Mapping[int, str]]
        | None = None,
        sticky: StickyStore | None = None,
        hasher: Hasher | Named | None = None,
        clock: Clock | None = None,
    ) -> None:
        for each in check.many("experiments", experiments, what="experiments"):
            check.kind("experiment", each, Experiment)
        check.distinct("keys of experiments", [experiment.key for experiment in experiments])
        check_layers(experiments)
        foreign = None if hasher is None else HASHERS.make(hasher)
        forced = overrides_by_experiment(overrides or {}, experiments)
        time = clock_or_system(clock)
        self._entries = {
            experiment.key: Entry.of(experiment, forced.get(experiment.key, {}), foreign, time)
            for experiment in experiments
        }
        running = [each.key for each in experiments if each.status == "running"]
        alone = [experiments[0].key] if len(experiments) == 1 else running
        self._only = alone[0] if len(alone) == 1 else ""
        self._sticky = sticky
        self._hasher = foreign

    @override
    def title(self) -> str:
        n = counted(len(self._entries), "experiment")
        return f"Hash assigner of {n}: {', '.join(self._entries)}"

    @override
    def table(self) -> Table:
        """Return one row for each experiment."""
        rows = (
            (key, each.status, each.exposure, each.layer, ", ".join(each.variants))
            for key, each in self.experiments.items()
        )
        head = ("experiment", "status", "exposure", "layer", "variants")
        return Table(head=head, rows=tuple(rows), title=self.title())

    @property
    def experiments(self) -> dict[str, Experiment]:
        """The experiments by key."""
        return {key: entry.experiment for key, entry in self._entries.items()}

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
            experiment: Key; not needed where there is one experiment, or one that runs.
            context: Attributes for the targeting, `{}` where nothing is known. An experiment
                with a targeting needs them: without any, a condition such as "not on the free
                plan" would hold for everybody.

        Raises:
            InvalidDataError: If the unit is empty or of another kind.
            MissingInputError: If the key is needed, or the context is.
            UnknownNameError: If there is no such experiment.
        """
        entry = self._entries.get(self._only if experiment is None else experiment)
        if entry is None:
            entry = self._entry(experiment)
        text = unit if type(unit) is str and unit else unit_text(unit)
        key, layer, version = entry.key, entry.layer, entry.version
        foreign = self._hasher
        # `uniform(text, entry.variant_salt)`, with the hash of the salt made once.
        try:
            bucket = (
                (xxh3_64_intdigest(text.encode(), entry.variant_seed) >> 11) * _STEP
                if foreign is None
                else foreign(text, entry.own_salt)
            )
        except UnicodeEncodeError as error:
            raise unit_error(text) from error
        if entry.guarded or self._sticky is not None or entry.overrides:
            found = self._before_split(entry, text, bucket, context)
            if found is not None:
                return found
        if entry.exposure < 1 and not (
            uniform(text, entry.exposure_salt) < entry.exposure
            if foreign is None
            else entry.exposes(text, bucket)
        ):
            return Assignment(text, key, None, False, "not_exposed", bucket, 0.0, layer, version)
        variant = entry.owner_names[min(bisect_right(entry.edges, bucket), entry.last)]
        if self._sticky is not None:
            given = entry.given(variant)
            stands = self._sticky.put(key, text, given)
            if stands != given:  # another worker was first
                return _as_sticky(entry, text, bucket, stands)
        share = entry.shares[variant]
        return Assignment(text, key, variant, True, "split", bucket, share, layer, version)

    def _before_split(
        self, entry: Entry, text: str, bucket: float, context: Attributes | None
    ) -> Assignment | None:
        """Return what is settled before exposure and variant are drawn, if anything."""
        if entry.targeted and context is None:
            raise MissingInputError("context", "context={...}, {} where nothing is known")
        key, layer, version = entry.key, entry.layer, entry.version
        forced = entry.overrides.get(text)
        if forced is not None:
            return Assignment(text, key, forced, True, "override", bucket, 1.0, layer, version)
        reason = entry.outside(text, context) if entry.guarded else None
        if reason is not None:
            return Assignment(text, key, None, False, reason, bucket, 0.0, layer, version)
        stored = None if self._sticky is None else self._sticky.get(key, text)
        return None if stored is None else _as_sticky(entry, text, bucket, stored)

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
            experiment: Key; not needed where there is one experiment, or one that runs.
            contexts: Attributes of each unit, which an experiment with a targeting needs.

        Raises:
            InvalidDataError: If a unit is empty or of another kind, `units` is one text, or
                there is not one context for each unit.
            MissingInputError: If the key is needed, or contexts are.
            UnknownNameError: If there is no such experiment.
        """
        entry = self._entry(experiment)
        many = Units(units)
        texts = many.texts
        entry.check_contexts(contexts, len(texts))
        if self._hasher is not None:
            return self._one_by_one(entry, texts, contexts)
        inside = entry.inside_many(many, contexts)
        exposed = inside
        if entry.exposure < 1:
            exposed = inside & (many.uniforms(entry.exposure_salt) < entry.exposure)
        codes = entry.codes_many(many, exposed)
        # Code -1 finds the last one: 0 for units outside.
        shares = np.array([*(entry.shares[name] for name in entry.names), 0.0])
        propensity = np.take(shares, codes, mode="wrap")
        if entry.overrides:
            forced = np.fromiter(map(entry.overrides.__contains__, texts), np.bool_, len(texts))
            for row in np.flatnonzero(forced).tolist():  # a handful of testers among them
                codes[row] = entry.names.index(entry.overrides[texts[row]])
            propensity[forced] = 1.0
            inside &= ~forced
        versions = self._stick(entry, texts, inside, codes, propensity)
        return Assignments(
            units=tuple(texts),
            experiment=entry.key,
            variants=entry.names,
            codes=codes,
            propensity=propensity,
            version=entry.version,
            versions=versions,
        )

    def _one_by_one(
        self, entry: Entry, texts: list[str], contexts: Sequence[Attributes] | None
    ) -> Assignments:
        """Foreign hashes have no bulk form."""
        given = contexts if contexts is not None else repeat(None, len(texts))
        found = [
            self.assign(text, entry.key, context=context)
            for text, context in zip(texts, given, strict=True)
        ]
        codes = [-1 if each.variant is None else entry.names.index(each.variant) for each in found]
        return Assignments(
            units=tuple(texts),
            experiment=entry.key,
            variants=entry.names,
            codes=np.array(codes, dtype=np.int8),
            propensity=np.array([each.propensity for each in found], dtype=np.float64),
            version=entry.version,
            versions=np.array([each.version for each in found], dtype=np.int32),
        )

    def peek(self, unit: str | int, experiment: str | None = None) -> str | None:
        """Return the stored variant of a unit without assigning it; raises as `assign` does."""
        entry = self._entry(experiment)
        text = unit_text(unit)
        stored = None if self._sticky is None else self._sticky.get(entry.key, text)
        return None if stored is None else stored.variant

    def of(self, experiment: str) -> BoundAssigner:
        """Return an assigner for one experiment, as hosts wire it in.

        Raises:
            UnknownNameError: If there is no such experiment.
        """
        return BoundAssigner(self, self._entry(experiment).key)

    def _entry(self, experiment: str | None) -> Entry:
        if experiment is None and not self._only:
            raise MissingInputError("experiment", "assign(unit, 'key of the experiment')")
        key = self._only if experiment is None else experiment
        entry = self._entries.get(key)
        if entry is None:
            raise UnknownNameError("experiment", key, self._entries)
        return entry

    def _stick(
        self,
        entry: Entry,
        texts: list[str],
        inside: BoolArray,
        codes: npt.NDArray[np.int8],
        propensity: FloatArray,
    ) -> npt.NDArray[np.int32]:
        """Put what is stored in place of what was drawn, and store what is new."""
        store = self._sticky
        versions = np.full(0 if store is None else len(texts), entry.version, dtype=np.int32)
        if store is None:
            return versions  # empty: all are the present one
        for row in np.flatnonzero(inside).tolist():  # the port answers one unit at a time
            stored = store.get(entry.key, texts[row])
            if stored is None:
                if codes[row] < 0:
                    continue
                given = entry.given(entry.names[codes[row]])
                stored = store.put(entry.key, texts[row], given)
                if stored == given:
                    continue
            variant, propensity[row], versions[row] = entry.recalled(stored)
            codes[row] = -1 if variant is None else entry.names.index(variant)
        return versions


def _as_sticky(entry: Entry, text: str, bucket: float, stored: StickyVariant) -> Assignment:
    variant, propensity, version = entry.recalled(stored)
    inside = variant is not None
    reason = "sticky" if inside else "arm_removed"
    layer = entry.layer
    return Assignment(text, entry.key, variant, inside, reason, bucket, propensity, layer, version)


@final
@dataclass(frozen=True, slots=True, repr=False)
class BoundAssigner(Record):
    """An assigner for one experiment: what the protocol `ExperimentAssigner` asks for.

    Both methods do what those of `HashAssigner` do, and raise what they raise.
    """

    assigner: HashAssigner
    experiment: str

    @override
    def title(self) -> str:
        return f"Assigner of {self.experiment}"

    def assign(self, unit: str, context: Attributes | None = None) -> Assignment:
        """Return the variant of one unit."""
        return self.assigner.assign(unit, self.experiment, context=context)

    def assign_many(
        self, units: Iterable[str], *, contexts: Sequence[Attributes] | None = None
    ) -> Assignments:
        """Return the variants of many units; an experiment with a targeting needs contexts."""
        return self.assigner.assign_many(units, self.experiment, contexts=contexts)
