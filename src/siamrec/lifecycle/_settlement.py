"""What came of a list: the reward of each arm, a pure function of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core.clock import duration
from siamrec.data import NO_TIME, Rewards
from siamrec.errors import InvalidDataError
from siamrec.lifecycle.recommendation import FALLBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.bandits import SuccessRule
    from siamrec.data import Feedback
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement
    from siamrec.storage import StoredList


def rewards_of(
    row: StoredList, events: Feedback | None, rule: SuccessRule, *, silent: bool = True
) -> dict[str, float]:
    """Return the reward of each arm that has a seen item in the list.

    The reward of an item is the greatest that the rule gives to its events in
    `[opened, opened + window]`, 0 where it says nothing; that of an arm is the mean over its
    seen items. An arm without a seen item has no trial, nor has what the fallback put in.

    Args:
        row: The list.
        events: Events that refer to it; None for none.
        rule: What counts as success.
        silent: Whether an arm of which the events say nothing yet counts as 0; else it is left
            out.
    """
    if row.opened is None:
        return {}
    seen = {item: source for _, item, _, source, _, when in row.items if when is not None}
    best: dict[str, float] = {}
    if events is not None and len(events):
        end = row.opened + duration("window", rule.window)
        score = rule.score(events)
        inside = (events.time >= row.opened) & (events.time <= end) & (events.time != NO_TIME)
        for place in np.flatnonzero(inside & np.isfinite(score)).tolist():
            item = str(events.items[int(events.item[place])])
            if item in seen:
                best[item] = max(best.get(item, 0.0), float(score[place]))
    arms: dict[str, list[float]] = {}
    told: set[str] = set()
    for item, source in seen.items():
        if source != FALLBACK:
            arms.setdefault(source, []).append(best.get(item, 0.0))
            told |= {source} if item in best else set()
    return {arm: float(np.mean(values)) for arm, values in arms.items() if silent or arm in told}


def settled(ground: Ground, config: Placement, *, n: int) -> int:
    """Let the bandit of a placement learn from lists whose windows are over.

    Args:
        ground: The workspace.
        config: The placement.
        n: Most lists.

    Returns:
        Number of lists.
    """
    now, log = ground.now(), ground.store.recommendations
    rows = log.waiting(config.name, now - duration("window", config.reward.window), n=n)
    if not rows:
        return 0
    events = events_by_list(rows, log.events_of([row.id for row in rows]))
    by_bandit: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        if row.bandit is not None:
            found = by_bandit.setdefault(row.bandit, {})
            found[row.id] = rewards_of(row, events[row.id], config.reward)
    for belief, found in by_bandit.items():
        _learn(ground, config, belief, found)
    # Rewards are written once however often they are told, so a crash before this is safe.
    log.settle([row.id for row in rows])
    return len(rows)


def settle_at_once(ground: Ground, id_: str) -> None:
    """Let a bandit learn from what is known of one list before its window is over."""
    log = ground.store.recommendations
    row = log.get(id_)
    if row is None or row.bandit is None:
        return
    config = ground.config(row.placement)
    found = rewards_of(row, log.events_of([id_]), config.reward, silent=False)
    _learn(ground, config, row.bandit, {id_: found})


def _learn(
    ground: Ground, config: Placement, belief: str, found: dict[str, dict[str, float]]
) -> None:
    rewards = as_rewards(found, ground.now())
    owner = ground.owner(config, belief)
    if rewards is not None and owner is not None:
        ground.bandit(owner).learn(rewards)


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
