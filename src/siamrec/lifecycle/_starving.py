"""Starvation: how many of the lists that were served lacked items, or needed the fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core import check
from siamrec.lifecycle.recommendation import FALLBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siamrec.lifecycle.recommendation import Recommendation

SERVED: Mapping[str, Callable[[Recommendation], bool]] = {
    "starved_share": lambda each: each.too_few is not None,
    "fallback_share": lambda each: FALLBACK in each.sources,
}
"""Shares of the lists that were served, by name: what is true of such a list."""


def served_shares(
    names: Sequence[str],
    lists: Sequence[tuple[Recommendation, Mapping[str, str]]],
    by: Sequence[str],
) -> list[tuple[tuple[str, ...], str, float, None, int]]:
    """Return rows of `Measured`: of every list that was served, seen or not.

    A list without any item cannot be seen, and is the one that starves most.

    Args:
        names: Names of `SERVED`.
        lists: The lists, each with its levels.
        by: Names of levels to slice by.

    Raises:
        siamrec.errors.UnknownNameError: If a name is none of what lists are told apart by.
    """
    known = sorted({name for _, levels in lists for name in levels})
    for name in by if known else ():
        check.one_of("column of lists", name, known)
    slices: dict[tuple[str, ...], list[Recommendation]] = {} if by else {(): []}
    for each, levels in lists:
        slices.setdefault(tuple(levels.get(name, "none") for name in by), []).append(each)
    rows: list[Any] = []
    for levels_of, part in sorted(slices.items(), key=lambda pair: pair[0]):
        for name in names:
            share = float(np.mean([SERVED[name](each) for each in part])) if part else np.nan
            rows.append((levels_of, name, share, None, len(part)))
    return rows
