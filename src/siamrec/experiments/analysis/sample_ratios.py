"""The sample ratio of every day or segment: when, or where, the shares went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted, number
from siamrec.errors import InvalidDataError
from siamrec.experiments.analysis.checks import sample_ratio, sample_ratio_within
from siamrec.experiments.analysis.observations import Observations
from siamrec.statistics.corrections import adjust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.analysis.report import SampleRatio
    from siamrec.typing import IntArray


@final
@dataclass(frozen=True, slots=True, repr=False)
class SampleRatios(Record):
    """Sample ratios of parts, such as days or segments.

    Attributes:
        parts: The sample ratio of each part.
        adjusted_p: Its p-value after Holm's correction: the probability that any part of an
            experiment without fault falls below alpha is at most alpha.
        together: All parts in one test: chi-squares and degrees of freedom add.
        n_mixed: Units that met several variants and were left out.
    """

    parts: Mapping[str, SampleRatio]
    adjusted_p: Mapping[str, float]
    together: SampleRatio
    n_mixed: int = 0

    @override
    def title(self) -> str:
        p = min(self.adjusted_p.values(), default=1.0)
        return f"Sample ratios of {counted(len(self.parts), 'part')}: least adjusted p {number(p)}"

    def found(self, alpha: float = 1e-3) -> tuple[str, ...]:
        """Return the parts whose numbers do not fit, with an error rate of alpha over all."""
        check.share("alpha", alpha)
        return tuple(name for name, p in self.adjusted_p.items() if p <= alpha)


def sample_ratio_by(
    data: object,
    by: str,
    *,
    variant: str = "variant",
    unit: str | None = None,
    shares: Mapping[str, float] | None = None,
    part_shares: Mapping[str, Mapping[str, float]] | None = None,
) -> SampleRatios:
    """Test the sample ratio of each day, segment or whatever else a column tells apart.

    A ratio that is right on the whole may hide a day on which assignment was down, or a browser
    whose users of one variant are lost.

    Args:
        data: A frame.
        by: Column of the day or the segment; rows of one value are a part.
        variant: Column of the variant; rows without one are left out.
        unit: Column of the unit, where units repeat. A unit counts once, in the least of its
            parts (its first day), and not at all if it met several variants.
        shares: Planned shares in every part; even when absent.
        part_shares: Planned shares of parts that have their own, by their names as text.

    Raises:
        InvalidDataError: If the data are no frame, hold no row with a variant, or a part or a unit
            is null.
        InvalidParameterError: If a share is negative or not finite.
        UnknownNameError: If a column is missing or a variant has no planned share.

    References:
        Fabijan et al. (2019), KDD: diagnosing sample ratio mismatch.

    Examples:
        >>> day = np.repeat(["mon", "tue", "wed"], 1000)
        >>> variant = np.where(np.arange(3000) % 2, "new", "control")
        >>> lost = (day == "tue") & (variant == "new") & (np.arange(3000) % 3 == 0)
        >>> kept = {"day": day[~lost], "variant": variant[~lost]}
        >>> sample_ratio_by(kept, "day").found()
        ('tue',)
    """
    rows = Observations.read(data, (), variant=variant, unit=unit, strata=by)
    if not len(rows):
        raise InvalidDataError("The data must hold at least one row with a variant.")
    group, n_mixed = rows.variant, 0
    part = np.zeros(len(rows), dtype=np.int64) if rows.part is None else rows.part
    if rows.unit is not None:
        group, part, n_mixed = _first_parts(rows.unit, group, part)
    table_of_counts = np.zeros((len(rows.parts), len(rows.variants)), dtype=np.int64)
    np.add.at(table_of_counts, (part, group), 1)
    counts = {
        name: dict(zip(rows.variants, row, strict=True))
        for name, row in zip(rows.parts, table_of_counts.tolist(), strict=True)
        if sum(row)
    }
    planned = part_shares or {}
    parts = {name: sample_ratio(each, planned.get(name, shares)) for name, each in counts.items()}
    adjusted = adjust(np.array([each.p for each in parts.values()]), "holm")
    return SampleRatios(
        parts,
        dict(zip(parts, adjusted.tolist(), strict=True)),
        sample_ratio_within(counts, shares, part_shares),
        n_mixed,
    )


def _first_parts(
    units: IntArray, group: IntArray, part: IntArray
) -> tuple[IntArray, IntArray, int]:
    """Return the variant and the least part of each unit of one variant, and how many had more."""
    order = np.lexsort((part, units))
    first = np.flatnonzero(np.diff(units[order], prepend=-1))
    ordered = group[order]
    mixed = np.minimum.reduceat(ordered, first) != np.maximum.reduceat(ordered, first)
    kept = order[first[~mixed]]
    return group[kept], part[kept], int(mixed.sum())
