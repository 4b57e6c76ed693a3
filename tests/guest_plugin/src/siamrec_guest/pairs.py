"""A pair generator and a miner: what follows on each other, and what stands first in the table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data import Pairs
from siamrec.pairs import Generator, MinerRecipe

if TYPE_CHECKING:
    from siamrec.data import Catalog, Feedback
    from siamrec.protocols import SiameseEncoder


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours(Generator):
    """Joins the texts of two events that follow on each other in one user's history.

    Args:
        positive: Least value of an event that counts.
    """

    positive: float = 1.0

    @override
    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        order = np.lexsort((feedback.item, feedback.time, feedback.user))
        order = order[feedback.value[order] >= self.positive]
        text = catalog.aligned(feedback.items).text
        user, item = feedback.user[order], feedback.item[order]
        place = rng.permutation(np.flatnonzero((user[1:] == user[:-1]) & (item[1:] != item[:-1])))
        rows = [
            (text[item[at]], text[item[at + 1]], feedback.users.ids[user[at]])
            for at in place.tolist()
        ]
        known = [row for row in rows if row[0] and row[1] and row[0] != row[1]]
        columns = dict(zip(("left", "right", "user"), zip(*known, strict=True), strict=True))
        return Pairs.from_frame(
            {name: list(column) for name, column in columns.items()}, user="user"
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTexts(MinerRecipe):
    """Takes the first texts of the table that are not in the pair.

    Args:
        per_positive: Negatives of each pair.
    """

    per_positive: int = 1

    def __post_init__(self) -> None:
        check.count("per_positive", self.per_positive)

    @override
    def mine(self, pairs: Pairs, encoder: SiameseEncoder | None = None) -> Pairs:
        found = np.full((len(pairs), self.per_positive), -1, dtype=np.int32)
        for row, (left, right) in enumerate(zip(pairs.left, pairs.right, strict=True)):
            free = [code for code in range(len(pairs.texts)) if code not in {left, right}]
            found[row, : len(free)] = free[: self.per_positive]
        return replace(pairs, negatives=found, miner=self)
