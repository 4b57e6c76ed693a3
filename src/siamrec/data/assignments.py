"""Which variant units were given, why, and with what probability."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted
from siamrec.data.columnar import Columnar, one_or_more, plain_row, same
from siamrec.data.frames import arrow_table, floats_of, optional_codes_of, pick, table_of
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import BoolArray, FloatArray, Instant, IntArray

OUTSIDE = -1
"""Code of a unit that is not in the experiment."""


@final
class Assignment(NamedTuple):
    """The variant of one unit; a tuple, because it is made half a million times a second.

    Attributes:
        unit: The unit as it was hashed: text.
        experiment: Key of the experiment.
        variant: Name of the variant; None for a unit outside the experiment.
        in_experiment: Whether the unit takes part.
        reason: Why: `split`, `sticky`, `override`, or for units outside `not_exposed`,
            `not_targeted`, `holdout`, `other_experiment`, `not_running`, and `arm_removed` for
            a unit whose stored variant the experiment no longer has.
        bucket: The uniform number in [0, 1) that chooses the variant.
        propensity: Probability of this variant for a unit that takes part, at the version that
            gave it; 1 for what was not drawn (an override) or cannot be known any more (version
            0), 0 outside.
        layer: Name of the layer, if any.
        version: Version of the experiment's allocation that gave the variant, for a sticky unit
            an earlier one; 0 where a stored variant does not say.
    """

    unit: str
    experiment: str
    variant: str | None
    in_experiment: bool
    reason: str
    bucket: float
    propensity: float
    layer: str | None = None
    version: int = 1


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Assignments(Columnar):
    """The variants of many units as columns of length `n`.

    Attributes:
        units: The units, in the order asked for.
        experiment: Key of the experiment.
        variants: Names of the variants.
        codes: Code of each unit's variant in `variants`, int8; -1 outside the experiment.
        propensity: Probability of the variant for a unit that takes part, at the version that
            gave it, float64; 1 for what was not drawn or is not known, 0 outside.
        version: Present version of the experiment's allocation.
        versions: Version that gave each unit its variant, int32; all are `version` when absent.
            Sticky units have earlier ones, and 0 where a stored variant does not say.

    Raises:
        InvalidDataError: If lengths differ or a code is out of range.

    Examples:
        >>> many = Assignments(
        ...     units=("a", "b"), experiment="x", variants=("control", "new"),
        ...     codes=np.array([1, -1]), propensity=np.array([0.5, 0.0]),
        ... )
        >>> many.names()
        ['new', None]
    """

    units: tuple[str, ...]
    experiment: str
    variants: tuple[str, ...]
    codes: npt.NDArray[np.int8]
    propensity: FloatArray
    version: int = 1
    versions: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", check.frozen(self.codes, np.int8))
        object.__setattr__(
            self, "propensity", check.frozen(check.finite("propensity", self.propensity), float)
        )
        versions = (  # one number seen n times costs nothing
            check.frozen(self.versions, np.int32)
            if self.versions.size
            else np.broadcast_to(np.int32(self.version), self.codes.shape)
        )
        object.__setattr__(self, "versions", versions)
        n = check.same_length(codes=self.codes, propensity=self.propensity, versions=versions)
        if n != len(self.units):
            raise InvalidDataError(
                f"codes must have one entry per unit, got {self.codes.size} for {len(self.units)}."
            )
        if self.codes.size and not (
            self.codes.min() >= OUTSIDE and self.codes.max() < len(self.variants)
        ):
            raise InvalidDataError(f"codes must be -1 to {len(self.variants) - 1}.")

    @property
    def in_experiment(self) -> BoolArray:
        """Which units take part."""
        inside: BoolArray = self.codes >= 0
        return inside

    def names(self) -> list[str | None]:
        """Return the name of each unit's variant, None outside the experiment."""
        labels = (*self.variants, None)
        return [labels[code] for code in self.codes.tolist()]

    def counts(self) -> dict[str, int]:
        """Return how many units each variant has."""
        sizes = np.bincount(self.codes[self.in_experiment], minlength=len(self.variants))
        return dict(zip(self.variants, sizes.tolist(), strict=True))

    @override
    def __len__(self) -> int:
        return int(self.codes.size)

    @override
    def row(self, place: int) -> dict[str, Any]:
        variant = (*self.variants, None)[self.codes[place]]
        cells: dict[str, Any] = {"propensity": self.propensity, "version": self.versions}
        return {"unit": self.units[place], "variant": variant, **plain_row(cells, place)}

    @override
    def title(self) -> str:
        shares = ", ".join(f"{name} {n:,}" for name, n in self.counts().items())
        inside = int(self.in_experiment.sum())
        return (
            f"Assignments: {counted(len(self), 'unit')} of {self.experiment}, {inside:,} in it "
            f"({shares})"
        )

    @override
    def where(self, rows: BoolArray | IntArray) -> Self:
        chosen = check.rows("rows", rows, len(self))
        return replace(
            self,
            units=tuple(np.array(self.units, dtype=object)[chosen]),
            codes=self.codes[chosen],
            propensity=self.propensity[chosen],
            versions=self.versions[chosen],
        )

    @classmethod
    @override
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return all rows of `parts`, one after the other, over the variants of all of them.

        Raises:
            InvalidDataError: If there is no part, or they are of several experiments.
        """
        listed = one_or_more(parts, cls, "assignments")
        variants = tuple(dict.fromkeys(name for part in listed for name in part.variants))
        moved = [
            np.array([*map(variants.index, part.variants), OUTSIDE])[part.codes] for part in listed
        ]
        return cls(
            units=tuple(unit for part in listed for unit in part.units),
            experiment=same("experiment", (part.experiment for part in listed)),
            variants=variants,
            codes=np.concatenate(moved).astype(np.int8),
            propensity=np.concatenate([part.propensity for part in listed]),
            version=max(part.version for part in listed),
            versions=np.concatenate([part.versions for part in listed]),
        )

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        experiment: str,
        unit: str = "unit",
        variant: str = "variant",
        propensity: str | None = None,
        version: str | None = None,
    ) -> Self:
        """Return the assignments of a data frame; a null variant is a unit outside.

        Args:
            frame: Anything with `__arrow_c_stream__`, or a mapping of columns.
            experiment: Key of the experiment.
            unit: Column of the units.
            variant: Column of the variants' names.
            propensity: Column of the propensities; without it every one is 1 inside and 0
                outside.
            version: Column of the versions; without it every one is 1.

        Raises:
            InvalidDataError: If a column breaks the contract of the class.
            UnknownNameError: If a column is missing.
        """
        table = table_of(frame)
        units = tuple(map(str, pick(table, unit, "the unit").to_pylist()))
        vocabulary, codes = optional_codes_of(pick(table, variant, "the variant"))
        names = tuple(map(str, vocabulary.ids))
        chance = (
            (codes >= 0).astype(np.float64)
            if propensity is None
            else floats_of(pick(table, propensity, "the propensity"), propensity)
        )
        versions = np.ones(codes.size, dtype=np.int32)
        if version is not None:
            given = floats_of(pick(table, version, "the version"), version)
            versions = check.finite(version, given).astype(np.int32)
        return cls(
            units=units,
            experiment=experiment,
            variants=names,
            codes=codes.astype(np.int8),
            propensity=chance,
            version=int(versions.max(initial=1)),
            versions=versions,
        )

    def to_arrow(self) -> Any:
        """Return a pyarrow table with the columns unit, variant, propensity and version."""
        return arrow_table(
            {
                "unit": list(self.units),
                "variant": self.names(),
                "propensity": self.propensity,
                "version": np.ascontiguousarray(self.versions),
            }
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Exposure(Record):
    """A unit has met its variant: the event that analysis starts from.

    Attributes:
        assignment: What the unit was given.
        time: When, in nanoseconds since the epoch.
    """

    assignment: Assignment
    time: Instant

    @override
    def title(self) -> str:
        variant = self.assignment.variant
        return f"{self.assignment.unit} met {variant} of {self.assignment.experiment}"
