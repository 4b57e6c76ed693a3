"""An old log read with a new meaning: a belief of its own beside the old ones, which stay."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from siamrec._core.clock import duration
from siamrec.data import Decision
from siamrec.lifecycle._settlement import as_rewards, events_by_list, rewards_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement
    from siamrec.storage import StoredList

_PORTION = 500


def reread(ground: Ground, config: Placement) -> int:
    """Let the belief of a placement learn from lists that were made under its older beliefs.

    Each list is settled by the meaning of now, and its decision is recorded once more, under a
    name of its own: the belief is a fold of the log, like any other.

    Args:
        ground: The workspace.
        config: The placement.

    Returns:
        Number of lists.
    """
    before = ground.now() - duration("window", config.settles.window)
    factors = {factor.name for factor in config.context.factors}
    rows = [
        row
        for row in ground.store.recommendations.between(config.name, None, None)
        if _older(row, config) and row.opened is not None and row.opened <= before
        if row.decision is not None and set(Decision.from_json(row.decision).context) == factors
    ]
    for first in range(0, len(rows), _PORTION):
        _learn_again(ground, config, rows[first : first + _PORTION])
    told = {"belief": config.belief, "lists": len(rows)}
    ground.store.diary.write(config.name, "reread", told)
    return len(rows)


def _older(row: StoredList, config: Placement) -> bool:
    """Whether a list was made under another belief of the same placement or variant."""
    whose = config.belief.rpartition(".")[0]
    own = row.bandit is not None and row.bandit.rpartition(".")[0] == whose
    return own and row.bandit != config.belief


def _learn_again(ground: Ground, config: Placement, rows: Sequence[StoredList]) -> None:
    events = events_by_list(rows, ground.store.recommendations.events_of([r.id for r in rows]))
    decisions, found = [], {}
    for row in rows:
        made = Decision.from_json(str(row.decision))
        again = replace(made, id=f"{config.belief}:{made.id}", bandit=config.belief)
        decisions.append(again)
        found[again.id] = rewards_of(row, events[row.id], config.settles)
    arms = (*config.arms, *(arm for each in decisions for arm in each.arms))
    bandit = ground.bandit(config, arms)
    for each in decisions:
        bandit.record(each)
    rewards = as_rewards(found, ground.now())
    if rewards is not None:
        bandit.learn(replace(rewards, time=None))  # what is told again, and counts, is not new
