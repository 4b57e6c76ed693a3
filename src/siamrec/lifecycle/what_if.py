"""What another policy, or another blend, would have earned on the lists that were seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from siamrec._core import check
from siamrec._core.clock import ManualClock, duration
from siamrec.bandits import POLICIES, ContextualBandit
from siamrec.bandits.ope import Log, evaluate
from siamrec.errors import InvalidDataError, InvalidParameterError, SiamrecError
from siamrec.lifecycle._settlement import earned, events_by_list, rewards_of
from siamrec.lifecycle.measuring import lists_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.bandits.ope import Evaluation
    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.recommendation import Recommendation
    from siamrec.typing import FloatArray, Instant

_ESTIMATORS = ("ips", "snips")


class _Trial(NamedTuple):
    """A seen list, the reward of each of its arms, and that of the whole list."""

    shown: Recommendation
    arms: Mapping[str, float]
    whole: float


def what_if(
    ground: Ground,
    config: Placement,
    policy: Any,
    *,
    since: Instant | None,
    until: Instant | None,
) -> Evaluation:
    """Return what another policy would have earned; see `Workspace.what_if`."""
    blended = config.blend == "weights"
    if not isinstance(policy, Mapping):
        policy = POLICIES.make(policy)
        if blended:
            expected = "weights of arms where lists are blended: no belief learns from them"
            raise InvalidParameterError("policy", policy, expected)
    trials = _trials(ground, config, since, until, blended=blended)
    if not trials:
        raise InvalidDataError(
            "No seen list with a decision, and a window that is over, is in the log of this time."
        )
    drawn = (arm for each in trials for arm in each.shown.arms)
    arms = tuple(dict.fromkeys((*config.arms, *drawn)))
    if isinstance(policy, Mapping):
        weights = _weights(policy, arms)
        log, target = (
            _of_lists(trials, weights) if blended else _of_first_arms(trials, arms, weights)
        )
        return evaluate(log, target, estimators=_ESTIMATORS)
    trials = [each for each in trials if _fits(config, each)]
    if not trials:
        raise InvalidDataError("No seen list has the context that the placement has now.")
    middle = len(trials) // 2
    early, late = trials[:middle], trials[middle:]
    if not late:
        raise InvalidDataError("Too few lists were seen to learn from one half and judge by one.")
    log, _ = _of_first_arms(late, arms, dict.fromkeys(arms, 1.0))
    return evaluate(log, _learned(config, policy, arms, early, late), estimators=_ESTIMATORS)


def _trials(
    ground: Ground,
    config: Placement,
    since: Instant | None,
    until: Instant | None,
    *,
    blended: bool,
) -> list[_Trial]:
    now, window = ground.now(), duration("window", config.settles.window)
    lists = [
        (each, row)
        for each, row in lists_of(ground, config.name, since, until)
        if each.decision is not None
        and row.opened is not None
        and int(row.opened) + window <= now  # what is said of the others may still change
        and (row.bandit is None) == blended
    ]
    rows = [row for _, row in lists]
    told = events_by_list(rows, ground.store.recommendations.events_of([r.id for r in rows]))
    trials = []
    for each, row in lists:
        gained = earned(row, told[row.id], config.settles)
        n_seen = sum(when is not None for *_, when in row.items)
        arms = rewards_of(row, told[row.id], config.settles)
        trials.append(_Trial(each, arms, sum(gained.values()) / max(n_seen, 1)))
    return trials


def _fits(config: Placement, each: _Trial) -> bool:
    """Return whether a list has the context of the placement, which may have changed since."""
    had = dict(each.shown.context)
    if had.keys() != {factor.name for factor in config.context.factors}:
        return False
    try:
        config.context.cell(had)
    except SiamrecError:
        return False
    return True


def _weights(given: Mapping[str, float], arms: tuple[str, ...]) -> dict[str, float]:
    for arm, weight in given.items():
        check.one_of("arm", arm, arms)
        check.not_negative(f"weight of {arm}", weight)
    if not sum(given.values()) > 0:
        raise InvalidDataError("At least one weight must be above 0.")
    return {arm: float(given.get(arm, 0.0)) for arm in arms}


def _of_first_arms(
    trials: Sequence[_Trial], arms: tuple[str, ...], weights: Mapping[str, float]
) -> tuple[Log, FloatArray]:
    """Return the first arms as actions, with their rewards, and the target.

    A first arm that had nothing to show earned nothing: to leave its draws out would favour it.
    """
    log = Log(
        action=np.array([arms.index(each.shown.arms[0]) for each in trials]),
        reward=np.array([each.arms.get(each.shown.arms[0], 0.0) for each in trials]),
        propensity=np.array([each.shown.propensities[0] for each in trials]),
        n_actions=len(arms),
        reward_range=(0.0, 1.0),
    )
    row = np.array([weights[arm] for arm in arms])
    return log, np.tile(row / row.sum(), (len(trials), 1))


def _of_lists(trials: Sequence[_Trial], weights: Mapping[str, float]) -> tuple[Log, FloatArray]:
    """Return whole lists as actions: the one that was made, or another.

    A list is made by the arms that were drawn, in their order, so its probability is the product
    of the propensities of its ranks; the target draws rank by rank by its weights.
    """
    chance = np.empty(len(trials))
    for number, each in enumerate(trials):
        left, product = dict(weights), 1.0
        for arm in each.shown.arms:
            total = sum(left.values())
            product *= left.pop(arm) / total if total > 0 else 0.0
        chance[number] = product
    log = Log(
        action=np.zeros(len(trials), dtype=np.int64),
        reward=np.array([each.whole for each in trials]),
        propensity=np.array([np.prod(each.shown.propensities) for each in trials]),
        n_actions=2,
        reward_range=(0.0, 1.0),
    )
    return log, np.column_stack([chance, 1.0 - chance])


def _learned(
    config: Placement,
    policy: Any,
    arms: tuple[str, ...],
    early: Sequence[_Trial],
    late: Sequence[_Trial],
) -> FloatArray:
    """Return the probabilities, for the later half, of a policy that learned from the earlier."""
    bandit: ContextualBandit[Any] = ContextualBandit(
        policy, arms, context=config.context, clock=ManualClock()
    )
    for each in early:
        assert each.shown.decision is not None
        bandit.record(each.shown.decision)
        for arm, reward in each.arms.items():
            bandit.learn(each.shown.id, reward, arm=arm, time=each.shown.time)
    now = late[-1].shown.time
    cells: dict[tuple[tuple[str, str], ...], list[float]] = {}
    rows = []
    for each in late:
        key = tuple(sorted(each.shown.context.items()))
        if key not in cells:
            chance = bandit.probabilities(dict(each.shown.context), time=now)
            cells[key] = [chance[arm] for arm in arms]
        rows.append(cells[key])
    return np.array(rows)
