"""Visits against a slow replay that walks through every event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from siamrec._core.clock import MINUTE
from siamrec.lifecycle import hold_out
from siamrec.lifecycle.traffic import replay
from siamrec.models.recommenders import EASE, Popularity

if TYPE_CHECKING:
    from siamrec.lifecycle import HeldOut
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.simulation import SimulatedWorld


def slow_hits(split: HeldOut, arm: FittedRecommender, k: int) -> list[tuple[str, int, bool]]:
    """Walk through each user's later events; return user, time of the visit, and hit."""
    found = []
    warm = set(split.warm.ids)
    profile, later = split.profile, split.later
    for code, user in enumerate(profile.users.ids):
        history = [
            (item, value)
            for item, value, owner in zip(
                profile.items.decode(profile.item), profile.value, profile.user, strict=True
            )
            if owner == code
        ]
        events = [
            (int(time), item, float(value))
            for time, item, value, owner in zip(
                later.time, later.items.decode(later.item), later.value,
                later.users.decode(later.user), strict=True,
            )
            if owner == user and item in warm
        ]  # fmt: skip
        start = 0
        while start < len(events):
            end = start + 1
            while (
                end < len(events)
                and end - start < 5
                and events[end][0] - events[end - 1][0] <= 30 * MINUTE
            ):
                end += 1
            liked_before = [item for item, value in history if value >= 4]
            seen = [item for item, _ in history]
            lists = arm.recommend_for_history(
                [liked_before], k=k, candidates=split.warm.ids, deny=seen
            )
            wanted = {item for _, item, value in events[start:] if value >= 4}
            found.append((str(user), events[start][0], bool(set(lists.lists()[0]) & wanted)))
            history += [(item, value) for _, item, value in events[start:end]]
            start = end
    return found


def test_replay_equals_the_slow_walk(world: SimulatedWorld) -> None:
    split = hold_out(world.feedback, world.catalog, rng=np.random.default_rng(2))
    arms: dict[str, FittedRecommender] = {
        "popularity": Popularity(positive=4.0).fit(split.train),
        "ease": EASE(l2=20.0, positive=4.0).fit(split.train),
    }
    shares: list[float] = []
    traffic = replay(split, arms, k=5, progress=shares.append)
    assert shares == [0.5, 1.0]
    assert (np.diff(traffic.time) >= 0).all()
    for place, arm in enumerate(arms.values()):
        fast = sorted(
            zip(traffic.unit, traffic.time.tolist(), traffic.hit[:, place].tolist(), strict=True)
        )
        assert fast == sorted(slow_hits(split, arm, 5))


def test_the_context_says_what_is_known(world: SimulatedWorld) -> None:
    split = hold_out(world.feedback, world.catalog, rng=np.random.default_rng(2))
    traffic = replay(split, {"p": Popularity().fit(split.train)}, k=5, progress=lambda _: None)
    for context, time in zip(traffic.context, traffic.time.tolist(), strict=True):
        stamp = np.datetime64(time, "ns").astype("datetime64[s]").item()
        weekend = stamp.weekday() >= 5
        assert context["day"] == ("weekend" if weekend else "weekday")
        names = ("night", "morning", "afternoon", "evening", "night")
        assert (
            context["time_of_day"] == names[np.searchsorted([6, 12, 18, 22], stamp.hour, "right")]
        )
        assert context["profile_size"] in {"small", "medium", "large"}
