"""The bandit on replayed traffic, and the A/B test that decides whether it may serve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.bandits import POLICIES, Context, ContextualBandit, Factor, Learning, Limits
from siamrec.data import Rewards
from siamrec.experiments import AsymptoticCS, Experiment, HashAssigner, Plan, Ratio, analyze
from siamrec.lifecycle._host import CONTROL, TREATMENT, assigned, decision_of
from siamrec.metrics import RatioOfSums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siamrec._core.clock import ManualClock
    from siamrec.bandits import Policy
    from siamrec.data import Decision
    from siamrec.lifecycle._in_use import InUse
    from siamrec.lifecycle.traffic import Traffic
    from siamrec.protocols import Bandit, Clock, ExperimentAssigner
    from siamrec.typing import BoolArray, FloatArray, IntArray

EXPERIMENT = "siamrec-cycle"
_LOOKS = 25
_POINTS = 60


def bandit_with(
    policy: Policy[Any],
    traffic: Traffic,
    *,
    arms: tuple[str, ...],
    seed: int,
    clock: ManualClock,
) -> Bandit:
    """Return a bandit over arms of the traffic, and the context that it has."""
    factors = [Factor("profile_size", ("small", "medium", "large"))]
    if len(traffic) and "day" in traffic.context[0]:
        factors += [
            Factor("day", ("weekday", "weekend")),
            Factor("time_of_day", ("night", "morning", "afternoon", "evening")),
        ]
    return ContextualBandit(
        policy,
        arms=arms,
        context=Context(tuple(factors)),
        limits=Limits(floor=0.02),
        seed=seed,
        name="cycle",
        learning=Learning(refresh_every=4),
        clock=clock,
    )


def every_visit(traffic: Traffic) -> IntArray:
    """Return the row numbers of all visits."""
    return np.arange(len(traffic))


def as_rewards(decisions: Sequence[Decision], rewards: FloatArray) -> Rewards:
    """Return rewards as the log takes them."""
    ids = np.asarray([decision.id for decision in decisions], dtype=np.str_)
    return Rewards(decision=ids, reward=rewards)


def default_assigner(seed: int, clock: Clock) -> ExperimentAssigner:
    """Return an even split of the users by hash."""
    experiment = Experiment(
        key=EXPERIMENT, variants={CONTROL: 0.5, TREATMENT: 0.5}, salt=f"cycle-{seed}"
    )
    return HashAssigner([experiment], clock=clock).of(EXPERIMENT)


def run_bandit(
    bandit: Bandit,
    traffic: Traffic,
    clock: ManualClock,
    *,
    rows: IntArray,
    progress: Callable[[float], None],
) -> tuple[list[Decision], FloatArray]:
    """Let the bandit choose an arm at each visit of `rows` and learn from what came of it."""
    place = {name: code for code, name in enumerate(traffic.arms)}
    decisions: list[Decision] = []
    rewards = np.zeros(rows.size)
    for done, row in enumerate(rows.tolist()):  # each choice depends on the rewards before it
        clock.set(int(traffic.time[row]))
        unit = traffic.unit[row]
        answer = bandit.select(traffic.context[row], n=1, unit=unit)
        decision = decision_of(answer, time=int(traffic.time[row]), unit=unit)
        rewards[done] = float(traffic.hit[row, place[decision.arms[0]]])
        bandit.learn(Rewards(decision=np.asarray([decision.id]), reward=rewards[done : done + 1]))
        decisions.append(decision)
        if done % 50 == 0:
            progress(done / rows.size)
    return decisions, rewards


def control_of(
    in_use: InUse, traffic: Traffic, clock: ManualClock, *, seed: int
) -> Callable[[IntArray], FloatArray]:
    """Return what gives the rewards of what serves today: an arm, or a bandit that begins anew."""

    def of_arm(rows: IntArray) -> FloatArray:
        hit: FloatArray = traffic.hit[rows, traffic.arms.index(in_use.control)].astype(np.float64)
        return hit

    def of_bandit(rows: IntArray) -> FloatArray:
        policy: Policy[Any] = POLICIES.make(in_use.policy)  # type: ignore[arg-type]  # as JSON
        arms = tuple(arm for arm in in_use.arms if arm in traffic.arms)
        bandit = bandit_with(policy, traffic, arms=arms, seed=seed, clock=clock)
        return run_bandit(bandit, traffic, clock, rows=rows, progress=lambda _: None)[1]

    return of_bandit if in_use.arm is None else of_arm


def bandit_summary(
    traffic: Traffic, decisions: Sequence[Decision], rewards: FloatArray
) -> dict[str, Any]:
    """Return the bandit's mean reward beside what fixed arms and even chance would have earned."""
    arm = np.asarray([traffic.arms.index(d.arms[0]) for d in decisions], dtype=np.int64)
    means = traffic.hit.mean(axis=0)
    best = int(means.argmax())
    return {
        "visits": len(traffic),
        "reward": _with_interval(traffic, rewards),
        "best_fixed": {
            "arm": traffic.arms[best],
            **_with_interval(traffic, traffic.hit[:, best].astype(np.float64)),
        },
        "uniform": _with_interval(traffic, traffic.hit.mean(axis=1)),
        "fixed": {name: float(mean) for name, mean in zip(traffic.arms, means, strict=True)},
        "shares": {name: float((arm == code).mean()) for code, name in enumerate(traffic.arms)},
        "least_propensity": min(d.propensities[0] for d in decisions),
        "over_time": _over_time(arm, len(traffic.arms)),
    }


def _with_interval(traffic: Traffic, reward: FloatArray) -> dict[str, float]:
    """Mean reward with a 95 % interval by the delta method: visits of one user go together."""
    _, user = np.unique(np.asarray(traffic.unit), return_inverse=True)
    total, visits = np.bincount(user, weights=reward), np.bincount(user)
    found = RatioOfSums.of(total, visits, range=(0.0, 1.0)).estimate()
    return {"mean": found.mean, "low": found.interval[0], "high": found.interval[1]}


def _over_time(arm: IntArray, n_arms: int) -> dict[str, list[Any]]:
    """Share of each arm in a moving window, at evenly spaced visits."""
    window = max(20, arm.size // 10)
    chosen = np.vstack([np.zeros(n_arms), np.cumsum(np.eye(n_arms)[arm], axis=0)])
    at = np.unique(np.linspace(min(window, arm.size), arm.size, _POINTS).astype(int))
    start = np.maximum(at - window, 0)
    share = (chosen[at] - chosen[start]) / (at - start)[:, None]
    return {"visit": at.tolist(), "share": np.round(share, 6).T.tolist()}


def run_experiment(
    traffic: Traffic,
    assigner: ExperimentAssigner,
    treatment: Callable[[IntArray], FloatArray],
    control: Callable[[IntArray], FloatArray],
    *,
    named: str,
    alpha: float = 0.05,
) -> dict[str, Any]:
    """Return the A/B test of what serves against the bandit over the same traffic.

    Both sides are functions that give the rewards of visits. Units are users; the hit rate is a
    ratio metric (hits over visits, delta method). The test is looked at 25 times while visits come
    in, with a confidence sequence that allows it.
    """
    names = assigned(assigner, traffic.unit)
    treated, inside = names == TREATMENT, (names == TREATMENT) | (names == CONTROL)
    reward = np.zeros(len(traffic))
    reward[treated] = treatment(np.flatnonzero(treated))
    reward[inside & ~treated] = control(np.flatnonzero(inside & ~treated))
    rows = np.flatnonzero(inside)
    n_users = len({traffic.unit[row] for row in rows.tolist()})
    plan = Plan(
        metrics=[Ratio("hit_rate", "hits", "visits", role="primary")],
        sequential=AsymptoticCS(planned=n_users),
        alpha=alpha,
    )
    looks: list[dict[str, Any]] = []
    final: Any = None
    for end in np.unique(np.linspace(rows.size / _LOOKS, rows.size, _LOOKS).astype(int)).tolist():
        seen = rows[:end]
        frame = _by_user(traffic, seen, reward, treated)
        if min(frame["variant"].count(CONTROL), frame["variant"].count(TREATMENT)) < 5:
            continue
        final = analyze(frame, plan, variant="variant", unit="user", control=CONTROL)
        interval = final["hit_rate"].absolute.interval
        looks.append(
            {
                "visit": end,
                "estimate": final["hit_rate"].absolute.estimate,
                "low": _finite(interval[0]),
                "high": _finite(interval[1]),
            }
        )
    return _verdict(final, looks, named, inside, treated)


def _by_user(
    traffic: Traffic, rows: IntArray, reward: FloatArray, treated: BoolArray
) -> dict[str, list[Any]]:
    unit, place = np.unique(np.asarray(traffic.unit)[rows], return_inverse=True)
    side = np.zeros(unit.size, dtype=bool)
    side[place] = treated[rows]
    return {
        "user": unit.tolist(),
        "variant": [TREATMENT if t else CONTROL for t in side.tolist()],
        "hits": np.bincount(place, weights=reward[rows]).tolist(),
        "visits": np.bincount(place).astype(float).tolist(),
    }


def _verdict(
    final: Any, looks: list[dict[str, Any]], control: str, inside: BoolArray, treated: BoolArray
) -> dict[str, Any]:
    base = {
        "control": control,
        "treatment": "bandit",
        "users_visits": {
            "control": int((inside & ~treated).sum()),
            "bandit": int(treated.sum()),
        },
        "looks": looks,
    }
    if final is None:
        empty = dict.fromkeys(("lift", "low", "high", "srm_p"))
        reasons = ["Fewer than five users on a side: nothing can be said."]
        return {**base, **empty, "absolute": None, "decision": "inconclusive", "reasons": reasons}
    metric = final["hit_rate"]
    low, high = metric.relative.interval
    return {
        **base,
        "lift": _finite(metric.relative.estimate),
        "low": _finite(low),
        "high": _finite(high),
        "absolute": {
            "estimate": metric.absolute.estimate,
            "low": _finite(metric.absolute.interval[0]),
            "high": _finite(metric.absolute.interval[1]),
        },
        "srm_p": final.srm.p,
        "decision": str(final.decision),
        "reasons": [str(reason) for reason in final.reasons],
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
