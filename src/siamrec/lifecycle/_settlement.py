"""What came of a list: the reward of each arm, a pure function of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core.clock import duration
from siamrec.data import Rewards
from siamrec.errors import InvalidDataError
from siamrec.lifecycle.meaning import earned_by
from siamrec.lifecycle.recommendation import NOBODYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.data import Feedback
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.meaning import Settles
    from siamrec.lifecycle.placement import Placement
    from siamrec.storage import StoredList


def earned(row: StoredList, events: Feedback | None, rule: Settles) -> dict[str, float]:
    """Return what each seen item of a list earned, where the rule says anything of it.

    What its events up to `opened + window` come to. An event cannot come before its list: one
    that says so, by the clock of a device, counts as of the opening.

    Args:
        row: The list.
        events: Events that refer to it; None for none.
        rule: What the events mean.
    """
    if row.opened is None or events is None or not len(events):
        return {}
    seen = {item for _, item, _, _, _, when in row.items if when is not None}
    found = earned_by(rule, events, row.opened + duration("window", rule.window))
    return {item: reward for item, reward in found.items() if item in seen}


def rewards_of(
    row: StoredList, events: Feedback | None, rule: Settles, *, silent: bool = True
) -> dict[str, float]:
    """Return the reward of each arm that has a seen item in the list.

    The mean over its seen items of what they earned, 0 for one of which nothing is said. An arm
    without a seen item has no trial, nor has what the fallback or a rule put in.

    Args:
        row: The list.
        events: Events that refer to it; None for none.
        rule: What the events mean.
        silent: Whether an arm of which the events say nothing yet counts as 0; else it is left
            out.
    """
    if row.opened is None:
        return {}
    best = earned(row, events, rule)
    arms: dict[str, list[float]] = {}
    told: set[str] = set()
    for _, item, _, source, _, when in row.items:
        if source not in NOBODYS and when is not None:
            arms.setdefault(source, []).append(best.get(item, 0.0))
            told |= {source} if item in best else set()
    return {arm: float(np.mean(values)) for arm, values in arms.items() if silent or arm in told}


def settled(ground: Ground, config: Placement, *, n: int) -> int:
    """Let the bandits of a placement learn from lists whose windows are over.

    Args:
        ground: The workspace.
        config: The placement.
        n: Most lists.

    Returns:
        Number of lists.
    """
    now, log = ground.now(), ground.store.recommendations
    owners = _Owners(ground, config)
    rows = log.waiting(config.name, now - owners.shortest(), n=n)
    due = [row for row in rows if now - int(row.opened or 0) >= owners.window(row.bandit)]
    if not due:
        return 0
    events = events_by_list(due, log.events_of([row.id for row in due]))
    by_bandit: dict[str, dict[str, dict[str, float]]] = {}
    for row in due:
        owner = owners.of(row.bandit)
        if row.bandit is not None and owner is not None:
            found = by_bandit.setdefault(row.bandit, {})
            found[row.id] = rewards_of(row, events[row.id], owner.settles)
    for belief, found in by_bandit.items():
        owner = owners.of(belief)
        assert owner is not None
        _learn(ground, owner, found)
    # Rewards are written once however often they are told, so a crash before this is safe; a
    # list of which more was told meanwhile stays to be settled anew.
    counts = {id_: 0 if told is None else len(told) for id_, told in events.items()}
    log.settle(due, counts)
    return len(due)


def settle_at_once(ground: Ground, id_: str) -> None:
    """Let a bandit learn from what is known of one list before its window is over."""
    log = ground.store.recommendations
    row = log.get(id_)
    if row is None or row.bandit is None:
        return
    owner = _Owners(ground, ground.config(row.placement)).of(row.bandit)
    if owner is not None and owner.settles.learn == "at_once":
        found = rewards_of(row, log.events_of([id_]), owner.settles, silent=False)
        _learn(ground, owner, {id_: found})


@final
class _Owners:
    """The placements (or variants, or older revisions) whose beliefs lists belong to."""

    def __init__(self, ground: Ground, config: Placement) -> None:
        self._ground, self._config = ground, config
        self._found: dict[str, Placement | None] = {config.belief: config}

    def of(self, belief: str | None) -> Placement | None:
        if belief is None:
            return None
        if belief not in self._found:
            self._found[belief] = self._ground.owner(self._config, belief)
        return self._found[belief]

    def window(self, belief: str | None) -> int:
        owner = self.of(belief) or self._config
        return duration("window", owner.settles.window)

    def shortest(self) -> int:
        every = self._ground.every(self._config)
        return min(duration("window", each.settles.window) for each in every)


def _learn(ground: Ground, owner: Placement, found: dict[str, dict[str, float]]) -> None:
    rewards = as_rewards(found, ground.now())
    if rewards is not None:
        arms = (*owner.arms, *(arm for each in found.values() for arm in each))
        ground.bandit(owner, arms).learn(rewards)


def events_by_list(
    rows: Sequence[StoredList], events: Feedback | None
) -> dict[str, Feedback | None]:
    """Return the events of each list, of those that name their list."""
    found: dict[str, Feedback | None] = dict.fromkeys((row.id for row in rows), None)
    if events is None:
        return found
    if events.decision is None:
        raise InvalidDataError("Events of lists must name their list.")
    for id_ in found:
        mine = events.decision == id_
        if mine.any():
            found[id_] = events.where(mine)
    return found


def as_rewards(found: dict[str, dict[str, float]], now: int) -> Rewards | None:
    """Return the rewards of many lists as one batch; None where there are none."""
    rows = [(id_, arm, value) for id_, arms in found.items() for arm, value in arms.items()]
    if not rows:
        return None
    ids, arms, values = zip(*rows, strict=True)
    return Rewards(
        decision=np.asarray(ids, dtype=np.str_),
        arm=tuple(arms),
        reward=np.asarray(values, dtype=np.float64),
        time=np.full(len(rows), now, dtype=np.int64),
    )
