"""Old pairs beside new ones, so that what was learned before is not forgotten."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from siamrec._core import check
from siamrec.data.pairs import PairOrigin, Pairs
from siamrec.pairs.base import capped


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedPairs:
    """Adds pairs of an earlier training to new ones; their origin becomes `REPLAY`.

    Args:
        share: Share of replayed pairs in the result, in (0, 1), where there are enough.
        per_user: Most replayed pairs of a user; no limit by default.

    Raises:
        InvalidParameterError: If a number is out of its range.

    References:
        Rolnick et al. (2019), Experience replay for continual learning, NeurIPS.

    Examples:
        >>> import numpy as np
        >>> old, new = Pairs.of(["a"] * 9, ["b"] * 9), Pairs.of(["c"] * 6, ["d"] * 6)
        >>> both = ReplayedPairs(share=0.25).mixed(new, old, rng=np.random.default_rng(0))
        >>> len(both), both.statistics().replayed
        (8, 2)
    """

    share: float = 0.2
    per_user: int | None = None

    def __post_init__(self) -> None:
        check.share("share", self.share, open_ends=True)
        if self.per_user is not None:
            check.count("per_user", self.per_user)

    def mixed(self, new: Pairs, old: Pairs, *, rng: np.random.Generator) -> Pairs:
        """Return all new pairs and a fair draw of the old ones.

        Args:
            new: Pairs of this training.
            old: Pairs of an earlier one; their likes stay known.
            rng: Draws the old pairs.
        """
        rows = np.arange(len(old))
        if self.per_user is not None:
            rows = rows[capped(old.user, self.per_user, rng)]
        wanted = round(len(new) * self.share / (1 - self.share))
        drawn = rng.choice(rows, min(wanted, rows.size), replace=False)
        mask = np.zeros(len(old), dtype=np.bool_)
        mask[drawn] = True
        kept = old.where(mask)
        origin = np.full(len(kept), PairOrigin.REPLAY, dtype=np.int8)
        return Pairs.concat([new, replace(kept, origin=origin)])
