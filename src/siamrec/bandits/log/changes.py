"""Since when each arm has been what it is: the change points of a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec.bandits.insight import change_point

if TYPE_CHECKING:
    from siamrec.bandits.log.ledger import Ledger
    from siamrec.bandits.policies.base import Space
    from siamrec.typing import IntArray

ALWAYS = np.iinfo(np.int64).min
"""Start of an arm that never changed."""


def starts(ledger: Ledger, space: Space, false_alarm: float) -> IntArray:
    """Return the instant since which each arm has not changed in each cell.

    Every (cell, arm) is tested apart, so that an arm which comes to be chosen in other contexts
    does not look changed. Rewards are in the order of their decisions, whoever made them; after
    a change the rest is searched again. The levels of all tests together are `false_alarm`.

    Returns:
        Shape `(n_cells, n_arms)`; `ALWAYS` where nothing changed.
    """
    found = np.full((space.n_cells, space.n_arms), ALWAYS)
    rows = ledger.rewarded()
    if not rows.size:
        return found
    stream = ledger.column("cell").astype(np.int64) * space.n_arms + ledger.column("arm")
    time = ledger.column("time")
    names = ledger.row_ids()[rows]
    order = rows[np.lexsort((ledger.column("rank")[rows], names, time[rows], stream[rows]))]
    cuts = np.flatnonzero(np.diff(stream[order])) + 1
    rewards = ledger.column("reward").astype(np.float64)
    for part in np.split(order, cuts):  # cells and arms, not outcomes
        place = 0
        while change := change_point(rewards[part[place:]], false_alarm=false_alarm / found.size):
            place += change.place
        if place:
            found.flat[stream[part[0]]] = time[part[place]]
    return found
