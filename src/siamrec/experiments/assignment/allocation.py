"""Ranges of [0, 1) that belong to variants; changing shares moves as few units as can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from siamrec.typing import FloatArray

_EXACT = 1e-9
_MOST = 127


@final
@dataclass(frozen=True, slots=True, repr=False)
class Allocation(Shown):
    """A partition of [0, 1) among variants.

    Attributes:
        variants: Names of the variants.
        edges: Rising ends of the ranges; the last one is 1.
        owners: Code of the variant that owns the range below each edge.

    Raises:
        InvalidParameterError: If a variant has no name, the edges do not rise to 1 or an owner
            is out of range.

    Examples:
        >>> half = Allocation.of({"control": 0.5, "new": 0.5})
        >>> half.variant(0.2), half.variant(0.7)
        ('control', 'new')
        >>> wider = half.reweighted({"control": 0.25, "new": 0.75})
        >>> wider.variant(0.7), wider.moved_from(half)
        ('new', 0.25)
    """

    variants: tuple[str, ...]
    edges: tuple[float, ...]
    owners: tuple[int, ...]

    def __post_init__(self) -> None:
        check.distinct("variants", self.variants)
        _check_names(self.variants)
        if len(self.variants) > _MOST:
            raise InvalidParameterError("variants", len(self.variants), f"at most {_MOST}")
        ends = (0.0, *self.edges)
        rising = all(low < high for low, high in pairwise(ends))
        if (
            not self.edges
            or not rising
            or self.edges[-1] != 1.0
            or len(self.edges) != len(self.owners)
        ):
            raise InvalidParameterError("edges", self.edges, "rising numbers that end in 1")
        if not all(0 <= owner < len(self.variants) for owner in self.owners):
            raise InvalidParameterError("owners", self.owners, "codes of the variants")

    @override
    def title(self) -> str:
        variants = counted(len(self.variants), "variant")
        return f"Allocation of {variants} in {counted(len(self.owners), 'range')}"

    @override
    def table(self) -> Table:
        """Return one row for each range of buckets."""
        rows = tuple(
            (self.variants[owner], (low, high))
            for owner, (low, high) in zip(self.owners, pairwise((0.0, *self.edges)), strict=True)
        )
        return Table(head=("variant", "buckets"), rows=rows, title=self.title())

    @classmethod
    def of(cls, shares: Mapping[str, float]) -> Allocation:
        """Return adjoining ranges in the order of `shares`.

        Raises:
            InvalidParameterError: If shares are not a mapping of names to numbers of at least 0
                that sum to 1.
        """
        _check_shares(shares)
        ends = np.cumsum(list(shares.values()))
        kept = [code for code, share in enumerate(shares.values()) if share > 0]
        edges = [float(ends[code]) for code in kept]
        edges[-1] = 1.0
        return cls(tuple(shares), tuple(edges), tuple(kept))

    def share(self, variant: str) -> float:
        """Return the total length of a variant's ranges."""
        return self.shares()[check.one_of("variant", variant, self.variants)]

    def shares(self) -> dict[str, float]:
        """Return the total length of each variant's ranges."""
        lengths = np.diff(np.array([0.0, *self.edges]))
        totals = np.bincount(self.owners, lengths, len(self.variants))
        return dict(zip(self.variants, totals.tolist(), strict=True))

    def variant(self, bucket: float) -> str:
        """Return the owner of a number in [0, 1)."""
        return self.variants[int(self.codes(np.array([bucket]))[0])]

    def codes(self, buckets: FloatArray) -> npt.NDArray[np.int8]:
        """Return the code of the owner of each number in [0, 1)."""
        owners = np.array(self.owners, dtype=np.int8)
        place = np.zeros(buckets.shape, dtype=np.int8 if owners.size < 128 else np.int16)
        for edge in self.edges[:-1]:  # ranges are few; comparing beats searching
            place += buckets >= edge
        found: npt.NDArray[np.int8] = np.take(owners, place, mode="clip")
        return found

    def reweighted(self, shares: Mapping[str, float]) -> Allocation:
        """Return an allocation with new shares that moves the least possible mass.

        A variant that shrinks gives up the upper ends of its ranges, and only that mass goes to
        variants that grow or are new; everyone else stays. A variant that is missing from
        `shares` gives up everything.

        Raises:
            InvalidParameterError: If shares are not a mapping of names to numbers of at least 0
                that sum to 1.
        """
        _check_shares(shares)
        names = (*self.variants, *(name for name in shares if name not in self.variants))
        target = [float(shares.get(name, 0.0)) for name in names]
        kept, freed = self._shrink(target)
        have = [0.0] * len(names)
        for low, high, owner in kept:
            have[owner] += high - low
        pieces = list(kept)
        wants = [(code, target[code] - have[code]) for code in range(len(names))]
        queue = [[code, want] for code, want in wants if want > _EXACT]
        for low, high in freed:
            start = low
            while start < high - _EXACT and queue:
                code, want = queue[0]
                stop = min(high, start + want)
                pieces.append((start, stop, int(code)))
                queue[0][1] = want - (stop - start)
                if queue[0][1] <= _EXACT:
                    queue.pop(0)
                start = stop
            if start < high:  # what rounding leaves over stays with the last one
                pieces.append((start, high, pieces[-1][2]))
        return _joined(names, pieces)

    def moved_from(self, before: Allocation) -> float:
        """Return the share of [0, 1) whose owner differs from `before`."""
        points = np.unique([0.0, *self.edges, *before.edges])
        middles = (points[1:] + points[:-1]) / 2
        moved = [self.variant(x) != before.variant(x) for x in middles.tolist()]
        return round(float(np.diff(points)[moved].sum()), 12)

    def _shrink(
        self, target: list[float]
    ) -> tuple[list[tuple[float, float, int]], list[tuple[float, float]]]:
        """Cut each variant's ranges, from below, to its target; return what stays and the rest."""
        left = list(target)
        kept: list[tuple[float, float, int]] = []
        freed: list[tuple[float, float]] = []
        for low, high, owner in zip((0.0, *self.edges), self.edges, self.owners, strict=False):
            stay = min(high - low, left[owner])
            stay = high - low if high - low - stay < _EXACT else max(stay, 0.0)
            left[owner] -= stay
            if stay > 0:
                kept.append((low, low + stay, owner))
            if stay < high - low:
                freed.append((low + stay, high))
        return kept, freed


def _joined(names: tuple[str, ...], pieces: list[tuple[float, float, int]]) -> Allocation:
    edges: list[float] = []
    owners: list[int] = []
    for _, high, owner in sorted(pieces):
        if high - (edges[-1] if edges else 0.0) < _EXACT:
            continue  # a sliver from rounding goes to its right neighbour
        if owners and owners[-1] == owner:
            edges[-1] = high
        else:
            edges.append(high)
            owners.append(owner)
    edges[-1] = 1.0
    return Allocation(names, tuple(edges), tuple(owners))


def _check_shares(shares: object) -> None:
    if not isinstance(shares, Mapping):
        raise InvalidParameterError("variants", shares, "a mapping of names to shares")
    _check_names(shares)
    values = list(shares.values())
    numbers = all(isinstance(each, Real) and not isinstance(each, bool) for each in values)
    finite = bool(values) and numbers and bool(np.isfinite(values).all()) and min(values) >= 0
    if not finite or abs(sum(values) - 1.0) > _EXACT:
        raise InvalidParameterError("variants", dict(shares), "shares of at least 0 that sum to 1")


def _check_names(names: Iterable[object]) -> None:
    for name in names:
        if not isinstance(name, str) or not name:
            raise InvalidParameterError("name of a variant", name, "text that is not empty")
