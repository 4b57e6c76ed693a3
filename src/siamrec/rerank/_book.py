"""The names of the steps of a re-ranking: adjusters of scores, and selectors of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec._core.book import Book, named
from siamrec.errors import UnknownNameError
from siamrec.rerank.base import Adjuster, Selector

if TYPE_CHECKING:
    from siamrec._core.book import Named

_HERE = "siamrec.rerank"

SELECTORS: Book[Selector] = Book(
    "selector",
    {
        "calibrated": f"{_HERE}.topical:Calibrated",
        "dpp": f"{_HERE}.dpp:DPP",
        "facility-coverage": f"{_HERE}.spectrum:FacilityCoverage",
        "max-per-group": f"{_HERE}.limits:MaxPerGroup",
        "max-sum": f"{_HERE}.greedy:MaxSum",
        "mmr": f"{_HERE}.greedy:MMR",
        "quotas": f"{_HERE}.limits:Quotas",
        "sliding-window": f"{_HERE}.limits:SlidingWindow",
        "ssd": f"{_HERE}.spectrum:SSD",
        "xquad": f"{_HERE}.topical:XQuAD",
    },
    contract=Selector,
    recipes=Selector,
)
"""Every selector by name."""

ADJUSTERS: Book[Adjuster] = Book(
    "adjuster",
    {
        "exposure-coverage": f"{_HERE}.exposure:ExposureCoverage",
        "long-tail-boost": f"{_HERE}.adjusters:LongTailBoost",
        "niche-boost": f"{_HERE}.adjusters:NicheBoost",
        "popularity-damping": f"{_HERE}.adjusters:PopularityDamping",
        "serendipity": f"{_HERE}.adjusters:Serendipity",
    },
    contract=Adjuster,
    recipes=Adjuster,
)
"""Every adjuster of scores by name."""


def step(part: Adjuster | Selector | Named) -> Adjuster | Selector:
    """Return a step given as an object or by name, whichever of the two books has it.

    Raises:
        siamrec.errors.UnknownNameError: If neither has it; the nearest are offered.
        siamrec.errors.InvalidParameterError: If it is of another kind.
    """
    if isinstance(part, Adjuster | Selector):
        return part
    name = named(part)
    if name is None or name in SELECTORS.names():
        return SELECTORS.make(part)
    if name not in ADJUSTERS and name not in SELECTORS:
        raise UnknownNameError("step", name, [*SELECTORS.names(), *ADJUSTERS.names()])
    return ADJUSTERS.make(part) if name in ADJUSTERS else SELECTORS.make(part)
