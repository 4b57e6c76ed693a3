"""Held-out users, and the lists of a candidate beside what serves and popularity."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.data import Rankings, Vocabulary
from siamrec.data.liking import threshold
from siamrec.errors import InvalidDataError
from siamrec.lifecycle._draft import Pool, drafted
from siamrec.lifecycle.holdout import TEST_SHARE, HeldOut, fixed_points, hold_out_users
from siamrec.metrics import Suite
from siamrec.models.recommenders import Capability, Popularity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.data import Feedback, Truth
    from siamrec.lifecycle.placement import Placement
    from siamrec.lifecycle.release import Release
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.typing import FloatArray, Id

CANDIDATE, SERVING, POPULAR = "candidate", "serving", "popularity"
_DEPTH = 20


def positive_of(feedback: Feedback) -> float | None:
    """Return the least rating that is a like; None where every event is one."""
    return threshold("scale", feedback.kind, feedback.value)


def held_out(salt: str, feedback: Feedback) -> HeldOut | None:
    """Hold out the test users of the ground; None where there is nothing to test."""
    held = fixed_points(salt, feedback.users) < TEST_SHARE
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


def measured_beside(
    split: HeldOut | None,
    candidate: tuple[Placement, Release],
    serving: tuple[Placement, Release] | None,
) -> tuple[dict[str, FloatArray], dict[str, tuple[float, float]]]:
    """Return the deciding metric of every held-out user by list, and what is guarded.

    What is guarded are two numbers for each metric of a guardrail: of what serves, and of the
    candidate.

    Args:
        split: The held-out users; None where there are none.
        candidate: What might serve, where it would.
        serving: What serves, where it does; None where nothing does.
    """
    if split is None or not len(split.profile.users):
        return {}, {}
    promotion = candidate[0].promotion
    metric = promotion.metric
    suite, truth = Suite([metric]), split.truth(split.warm)
    popular = _lists(Popularity().fit(split.train), split.profile, split.warm, _DEPTH)
    found = {POPULAR: _values(suite, metric, popular, truth)}
    shared: dict[str, Rankings] = {}
    for name, pair in ((CANDIDATE, candidate), (SERVING, serving)):
        if pair is None:
            continue
        placement, each = pair
        lists = {
            arm: _lists(fitted, split.profile, split.warm, _DEPTH)
            for arm, fitted in each.arms.items()
        }
        for arm, rankings in lists.items():
            found[f"{name} {arm}"] = _values(suite, metric, rankings, truth)
        shown = {arm: lists[arm] for arm in shown_arms(placement, each)}
        shared[name] = _shared(shown, each.fallback, split.profile, split.warm, _DEPTH)
        found[name] = _values(suite, metric, shared[name], truth)
    guarded = {}
    if serving is not None:
        for rail in promotion.guardrails:
            before, after = (
                _guarded(rail.metric, shared[name], split, truth) for name in (SERVING, CANDIDATE)
            )
            guarded[rail.metric] = (before, after)
    return found, guarded


def shown_arms(placement: Placement, release: Release) -> list[str]:
    """Return the arms of a release that can be shown: those that the static weights name, or all.

    While the bandit is off an arm without a weight is never shown.
    """
    weighed = placement.shares() if placement.mode == "static" else {}
    shown = [arm for arm in release.arms if weighed.get(arm, 0.0) > 0]
    return sorted(shown or release.arms)


@final
class Served:
    """A release as it serves: a list that its arms share by turns, filled by its fallback.

    Args:
        placement: Where it serves.
        release: The release.
    """

    capabilities = Capability.RANKING | Capability.COLD_USER

    def __init__(self, placement: Placement, release: Release) -> None:
        self._release = release
        self._shown = shown_arms(placement, release)

    def recommend_for_feedback(
        self, feedback: Feedback, *, k: int, candidates: Sequence[Id]
    ) -> Rankings:
        """Return lists in the order of the users of `feedback`."""
        items, arms = Vocabulary(tuple(candidates)), self._release.arms
        lists = {arm: _lists(arms[arm], feedback, items, k) for arm in self._shown}
        return _shared(lists, self._release.fallback, feedback, items, k)


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


def _lists(arm: FittedRecommender, feedback: Feedback, items: Vocabulary, k: int) -> Rankings:
    """Return the lists of an arm as it serves: empty where it has nothing to say of a person."""
    known = [item for item in items.ids if item in arm.items]
    lists = arm.recommend_for_feedback(feedback, k=k, candidates=known)
    if lists.source is None or lists.arms[-1:] != (POPULAR,):
        return lists
    silent = lists.source == len(lists.arms) - 1
    keep = ~silent
    start = np.concatenate([[0], np.cumsum(np.bincount(lists.owner[keep], minlength=len(lists)))])
    return Rankings(users=lists.users, items=lists.items, item=lists.item[keep], start=start)


def _shared(
    by_arm: Mapping[str, Rankings],
    fallback: FittedRecommender,
    feedback: Feedback,
    items: Vocabulary,
    k: int,
) -> Rankings:
    """Return the lists of arms that all take turns, filled by a fallback."""
    rows = {arm: rankings.lists() for arm, rankings in by_arm.items()}
    known = [item for item in items.ids if item in fallback.items]
    filled = fallback.recommend_for_feedback(feedback, k=k, candidates=known).lists()
    lists = {}
    for user in feedback.users.ids:
        pools = {}
        for arm, of_users in rows.items():
            item = items.encode(of_users.get(user, ()), unknown="code").astype(np.int64)
            pools[arm] = Pool(item[item >= 0], -np.arange((item >= 0).sum(), dtype=np.float64))
        mine = [items[pick.item] for pick in drafted(pools, k=k, id_=str(user))]
        taken = set(mine)
        lists[user] = (mine + [item for item in filled.get(user, ()) if item not in taken])[:k]
    return Rankings.from_lists(lists)


def _values(suite: Suite, metric: str, rankings: Rankings, truth: Truth) -> FloatArray:
    values: FloatArray = suite.evaluate(rankings, truth).per_user(metric)
    return values
