"""Held-out users, and the lists of a candidate beside what serves and popularity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core.hashing import uniforms
from siamrec.data import Rankings
from siamrec.data.liking import threshold
from siamrec.errors import InvalidDataError
from siamrec.lifecycle._draft import Pool, drafted
from siamrec.lifecycle.holdout import HeldOut, hold_out_users
from siamrec.metrics import Suite
from siamrec.models.recommenders import Popularity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.data import Feedback, Truth, Vocabulary
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.release import Release
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.typing import BoolArray, FloatArray

CANDIDATE, SERVING, POPULAR = "candidate", "serving", "popularity"
_TEST_SHARE = 0.2
_DEPTH = 20


def positive_of(feedback: Feedback) -> float | None:
    """Return the least rating that is a like; None where every event is one."""
    return threshold("scale", feedback.kind, feedback.value)


def held_out(salt: str, feedback: Feedback) -> HeldOut | None:
    """Hold out the test users of the ground; None where there is nothing to test."""
    held = users_that_test(salt, feedback.users)
    if not held.any() or held.all():
        return None
    rng = np.random.default_rng([*salt.encode()])
    try:
        return hold_out_users(feedback, held, rng=rng, positive=_least(feedback))
    except InvalidDataError:
        return None


def _least(feedback: Feedback) -> float:
    positive = positive_of(feedback)
    return float("-inf") if positive is None else positive


def users_that_test(salt: str, users: Vocabulary) -> BoolArray:
    """Return which users test, for ever: no version is trained on what they did."""
    chosen: BoolArray = uniforms(map(str, users.ids), f"test|{salt}") < _TEST_SHARE
    return chosen


def measured_beside(
    placement: Placement, release: Release, serving: Release | None, split: HeldOut | None
) -> tuple[dict[str, FloatArray], dict[str, tuple[float, float]]]:
    """Return the deciding metric of every held-out user by list, and what is guarded.

    What is guarded are two numbers for each metric of a guardrail: of what serves, and of the
    candidate.
    """
    if split is None or not len(split.profile.users):
        return {}, {}
    metric = placement.promotion.metric
    popular = Popularity().fit(split.train)
    lists = {POPULAR: {POPULAR: _lists(popular, split)}}
    for name, each in ((CANDIDATE, release), (SERVING, serving)):
        if each is not None:
            lists[name] = {arm: _lists(fitted, split) for arm, fitted in each.arms.items()}
    suite, truth = Suite([metric]), split.truth(split.warm)
    found: dict[str, FloatArray] = {}
    shared: dict[str, Rankings] = {}
    for name, by_arm in lists.items():
        for arm, rankings in by_arm.items():
            if name != POPULAR:
                found[f"{name} {arm}"] = _values(suite, metric, rankings, truth)
        made = {CANDIDATE: release, SERVING: serving}.get(name)
        shared[name] = _shared(by_arm, None if made is None else made.fallback, split)
        found[name] = _values(suite, metric, shared[name], truth)
    guarded = {}
    if serving is not None:
        for rail in placement.promotion.guardrails:
            before, after = (
                _guarded(rail.metric, shared[name], split, truth) for name in (SERVING, CANDIDATE)
            )
            guarded[rail.metric] = (before, after)
    return found, guarded


def _guarded(metric: str, rankings: Rankings, split: HeldOut, truth: Truth) -> float:
    counts = np.bincount(split.train.item, minlength=len(split.train.items))
    place = rankings.items.translate(split.train.items)
    report = Suite([metric]).evaluate(
        rankings,
        truth,
        catalog_size=len(split.warm),
        popularity=np.where(place >= 0, counts[place], 0),
        n_users=len(split.train.users),
    )
    return float(report[metric].mean)


def _lists(arm: FittedRecommender, split: HeldOut) -> Rankings:
    """Return the lists of an arm as it serves: empty where it has nothing to say of a person."""
    known = [item for item in split.warm.ids if item in arm.items]
    lists = arm.recommend_for_feedback(split.profile, k=_DEPTH, candidates=known)
    if lists.source is None or lists.arms[-1:] != (POPULAR,):
        return lists
    silent = lists.source == len(lists.arms) - 1
    keep = ~silent
    start = np.concatenate([[0], np.cumsum(np.bincount(lists.owner[keep], minlength=len(lists)))])
    return Rankings(users=lists.users, items=lists.items, item=lists.item[keep], start=start)


def _shared(
    by_arm: Mapping[str, Rankings], fallback: FittedRecommender | None, split: HeldOut
) -> Rankings:
    """Return the lists of a placement whose arms all take turns, filled by its fallback."""
    users = split.profile.users
    rows = {arm: rankings.lists() for arm, rankings in by_arm.items()}
    filled: dict[Any, list[Any]] = {}
    if fallback is not None:
        known = [item for item in split.warm.ids if item in fallback.items]
        filled = fallback.recommend_for_feedback(split.profile, k=_DEPTH, candidates=known).lists()
    lists = {}
    for user in users.ids:
        pools = {}
        for arm, of_users in rows.items():
            items = split.warm.encode(of_users.get(user, ()), unknown="code").astype(np.int64)
            pools[arm] = Pool(items[items >= 0], -np.arange((items >= 0).sum(), dtype=np.float64))
        picks = drafted(pools, k=_DEPTH, id_=str(user))
        items_of = [split.warm[pick.item] for pick in picks]
        rest = [item for item in filled.get(user, ()) if item not in items_of]
        lists[user] = (items_of + rest)[:_DEPTH]
    return Rankings.from_lists(lists)


def _values(suite: Suite, metric: str, rankings: Rankings, truth: Truth) -> FloatArray:
    values: FloatArray = suite.evaluate(rankings, truth).per_user(metric)
    return values
