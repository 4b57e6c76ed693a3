"""Stores that remember the first variant of a unit, and with what probability it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table
from siamrec.errors import InvalidParameterError


@final
@dataclass(frozen=True, slots=True, repr=False)
class StickyVariant(Record):
    """The variant that a unit was given first.

    Analysis needs to know under which shares that was: a unit that keeps its variant after the
    shares have changed belongs to the version that gave it, with the probability it had there.

    Attributes:
        variant: Name of the variant.
        propensity: Its probability when it was given; None where a store did not keep it.
        version: Version of the allocation that gave it, at least 1; None as before.

    Raises:
        InvalidParameterError: If the variant has no name, the propensity is not in (0, 1], or
            the version is below 1.

    Examples:
        >>> StickyVariant("new", 0.1, 1).propensity
        0.1
    """

    variant: str
    propensity: float | None = None
    version: int | None = None

    def __post_init__(self) -> None:
        name: object = self.variant
        if not isinstance(name, str) or not name:
            raise InvalidParameterError("variant", name, "the name of a variant")
        if self.propensity is not None and not 0 < self.propensity <= 1:
            raise InvalidParameterError("propensity", self.propensity, "in (0, 1]")
        if self.version is not None:
            check.count("version", self.version)

    @override
    def title(self) -> str:
        return f"Sticky variant {self.variant}, version {self.version}"


class StickyStore(Protocol):
    """Remembers the first variant of a unit, so that later changes do not move it."""

    def get(self, experiment: str, unit: str) -> StickyVariant | None:
        """Return what is stored, None where there is nothing."""
        ...

    def put(self, experiment: str, unit: str, given: StickyVariant) -> StickyVariant:
        """Store a variant, and return what stands: a variant that is there already stays."""
        ...


@final
class MemorySticky(Shown):
    """A sticky store in this process's memory; mutable."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], StickyVariant] = {}

    @override
    def title(self) -> str:
        return f"Sticky variants in memory: {len(self._given):,}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "kept": len(self._given),
        }
        return Table.of(self.title(), facts)

    def get(self, experiment: str, unit: str) -> StickyVariant | None:
        """Return what is stored, None where there is nothing."""
        return self._given.get((experiment, unit))

    def put(self, experiment: str, unit: str, given: StickyVariant) -> StickyVariant:
        """Store a variant, and return what stands: a variant that is there already stays."""
        return self._given.setdefault((experiment, unit), given)
