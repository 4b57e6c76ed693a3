"""Every column of an event counts in every arm, or is refused by name; likes follow the scale."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.models.every_arm import NAMES, make

from siamrec.data import Feedback, FeedbackKind
from siamrec.errors import InvalidDataError
from siamrec.models.recommenders import IALS, Capability, Histories, ItemKNN, Popularity
from siamrec.testing.recommenders import catalog_of

if TYPE_CHECKING:
    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe
    from siamrec.typing import FloatArray

N_USERS, N_ITEMS = 24, 12
ITEMS = tuple(f"i{code}" for code in range(N_ITEMS))
CATALOG = catalog_of(ITEMS)
HALF = N_ITEMS // 2
NO_WEIGHT_MOVES = {"random"}
"""Arms whose lists are drawn from nothing but the items that were met."""


def events(seed: int = 0) -> Feedback:
    """Two tastes: half of the people rate the first items high and the others low."""
    rng = np.random.default_rng(seed)
    met = rng.random((N_USERS, N_ITEMS)) < 0.6
    met[:, :1] = True
    user, item = np.nonzero(met)
    fits = (item < HALF) == (user % 2 == 0)
    value = np.where(fits, rng.integers(4, 6, user.size), rng.integers(1, 3, user.size))
    order = rng.permutation(user.size)
    return Feedback.of(
        user=[f"u{code}" for code in user[order]],
        item=[ITEMS[code] for code in item[order]],
        value=value[order],
        time=np.arange(1, user.size + 1) * 10**9,
    )


EVENTS = events()


def fitted(recipe: RecommenderRecipe, feedback: Feedback = EVENTS) -> FittedRecommender:
    return recipe.fit(feedback, catalog=CATALOG)


def scores(arm: FittedRecommender, users: tuple[Any, ...] = EVENTS.users.ids) -> FloatArray:
    """Scores of all items in one order of users and items."""
    people = arm.history.people(arm.users.encode(users))
    place = [arm.items.ids.index(item) for item in ITEMS]
    return arm.score(people)[:, place].astype(np.float64)


def with_more(feedback: Feedback, **columns: Any) -> Feedback:
    """Return the feedback with more events behind it."""
    more = Feedback.of(**columns)
    return Feedback.concat([feedback, more])


def pairs_without(feedback: Feedback) -> tuple[list[Any], list[Any]]:
    met = np.zeros((len(feedback.users), len(feedback.items)), bool)
    met[feedback.user, feedback.item] = True
    user, item = np.nonzero(~met)
    return feedback.users.decode(user), feedback.items.decode(item)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_view_after_a_rating_takes_nothing_back(name: str) -> None:
    viewed = replace(
        EVENTS,
        kind=np.full(len(EVENTS), FeedbackKind.VIEW, np.int8),
        value=np.ones(len(EVENTS), np.float32),
        time=EVENTS.time + 10**15,
    )
    plain, more = fitted(make(name)), fitted(make(name), Feedback.concat([EVENTS, viewed]))
    np.testing.assert_array_equal(scores(more), scores(plain))


@pytest.mark.parametrize("name", NAMES)
def test_an_event_of_weight_nothing_is_not_there(name: str) -> None:
    users, items = pairs_without(EVENTS)
    nothing = with_more(EVENTS, user=users, item=items, value=1.0, weight=0.0, time=10**17)
    plain, more = fitted(make(name)), fitted(make(name), nothing)
    np.testing.assert_array_equal(scores(more), scores(plain))
    assert more.history.value.nnz == plain.history.value.nnz


@pytest.mark.parametrize("name", NAMES)
def test_weights_count_or_are_refused(name: str) -> None:
    rng = np.random.default_rng(1)
    # a weight of its own for people of one taste, else means over people would stay the same
    heavy = np.where(EVENTS.user % 2 == 0, 0.2, 1.0) * rng.uniform(0.5, 2.0, len(EVENTS))
    uneven = replace(EVENTS, weight=heavy.astype(np.float32))
    alike = replace(EVENTS, weight=np.full(len(EVENTS), 0.5, np.float32))
    plain = fitted(make(name))
    fitted(make(name), alike)  # what weighs the same everywhere is no reason to say no
    if Capability.WEIGHTS not in plain.capabilities:
        with pytest.raises(InvalidDataError, match=r"weight must be the same .*EASE, IALS"):
            fitted(make(name), uneven)
        if Capability.COLD_USER in plain.capabilities:
            with pytest.raises(InvalidDataError, match="weight must be the same"):
                plain.update(uneven)
            with pytest.raises(InvalidDataError, match="weight must be the same"):
                plain.recommend_for_feedback(uneven)
        return
    weighed = fitted(make(name), uneven)
    assert name in NO_WEIGHT_MOVES or not np.allclose(scores(weighed), scores(plain))


@pytest.mark.parametrize("name", NAMES)
def test_seconds_and_thumbs_are_no_stars(name: str) -> None:
    users, items = pairs_without(EVENTS)
    dwelled = with_more(EVENTS, user=users, item=items, value=900.0, kind="dwell", time=10**17)
    thumbs = with_more(
        EVENTS,
        user=users,
        item=items,
        value=np.where(np.arange(len(users)) % 2, 1.0, -1.0),
        kind="thumb",
        time=10**17,
    )
    arm = fitted(make(name))
    if Capability.RATINGS not in arm.capabilities:
        pytest.skip("The arm does not predict ratings.")
    plain = arm.predict(users, items)
    for feedback in (dwelled, thumbs):
        other = fitted(make(name), feedback)
        rating = other.predict(users, items)
        assert ((rating >= 1) & (rating <= 5)).all()
        np.testing.assert_allclose(rating, plain, atol=0.1)  # trained nets see other batches
        listed = other.recommend([users[0]], k=N_ITEMS).lists()[users[0]]
        assert items[0] not in listed  # it was met all the same


@pytest.mark.parametrize("name", NAMES)
def test_clicks_alone_are_no_ratings_but_are_liked(name: str) -> None:
    good = EVENTS.where(EVENTS.value >= 4)
    clicks = replace(
        good,
        kind=np.full(len(good), FeedbackKind.CLICK, np.int8),
        value=np.ones(len(good), np.float32),
    )
    recipe: Any = make(name)
    if "positive" in {field.name for field in fields(recipe)} and name != "stacking":
        recipe = replace(recipe, positive=4.0)
    if Capability.RATINGS in fitted(recipe).capabilities:
        with pytest.raises(InvalidDataError, match="needs at least one rating"):
            fitted(recipe, clicks)
        return
    lists = fitted(recipe, clicks).recommend(list(clicks.users.ids), k=3)
    if lists.arms[-1:] == ("popularity",) and name not in {"fallback", "switching"}:
        # who has clicked all that suits is told by nobody what comes next
        assert lists.source is not None
        assert (lists.source == len(lists.arms) - 1).mean() < 0.5


@pytest.mark.parametrize("name", NAMES)
def test_any_order_of_delivery_gives_the_same_state(name: str) -> None:
    arm = fitted(make(name))
    if Capability.COLD_USER not in arm.capabilities:
        pytest.skip("The arm takes nothing in.")
    rng = np.random.default_rng(2)
    n = 90
    later = Feedback.of(
        user=[f"u{code}" for code in rng.integers(0, N_USERS + 4, n)],
        item=[ITEMS[code] for code in rng.integers(0, N_ITEMS, n)],
        value=rng.integers(1, 6, n),
        kind=rng.choice([0, 0, 0, 1, 2, 3], n),
        time=rng.permutation(10 * n)[:n] * 10**9 + 5,  # among the first events and after them
    )
    parts = np.array_split(rng.permutation(n), 3)
    arms = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        newer = arm
        for part in order:
            newer = newer.update(later.where(parts[part]).compacted())
        arms.append(newer)
    arms.append(arm.update(later))
    users = tuple(arms[0].users.ids)
    for other in arms[1:]:
        assert set(other.users.ids) == set(users)
        np.testing.assert_allclose(scores(other, users), scores(arms[0], users), atol=1e-4)


SCALES: dict[str, tuple[float, float, FeedbackKind]] = {
    "1 to 10": (2.0, 0.0, FeedbackKind.RATING),
    "0 to 100": (25.0, -25.0, FeedbackKind.RATING),
    "-10 to 10": (5.0, -15.0, FeedbackKind.RATING),
    "-1 to 1": (0.5, -1.5, FeedbackKind.RATING),
}
EVEN_TASTE = {"bias", "popularity", "random", "hidden-gems", "niche", "coverage", "serendipity"}
"""Arms that rank alike for both tastes, or turn away from taste on purpose."""


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_a_history_is_liked_on_every_scale(name: str, scale: str) -> None:
    factor, offset, kind = SCALES[scale]
    moved = replace(
        EVENTS,
        value=(EVENTS.value * factor + offset).astype(np.float32),
        kind=np.full(len(EVENTS), kind, np.int8),
    )
    liked = [list(ITEMS[:2]), list(ITEMS[HALF : HALF + 2])]
    found = []
    for feedback in (EVENTS, moved):
        arm = fitted(make(name), feedback)
        if Capability.COLD_USER not in arm.capabilities:
            pytest.skip("The arm ranks for training users only.")
        lists = arm.recommend_for_history(liked, k=N_ITEMS)
        assert lists.arms[-1:] != ("popularity",) or name in {"fallback", "switching", "cascade"}
        found.append(lists.lists())
    # scores of gradient descent and of ridge penalties are not the same on two scales, tastes are
    both = [len(set(found[0][row][:4]) & set(found[1][row][:4])) for row in (0, 1)]
    assert min(both) >= 2 or name in EVEN_TASTE


def test_of_what_was_said_the_strongest_and_latest_speaks() -> None:
    kind = FeedbackKind
    said = [
        ("rated", kind.RATING, 5, 3),
        ("rated", kind.VIEW, 1, 9),
        ("rated", kind.RATING, 2, 1),
        ("clicked", kind.VIEW, 1, 9),
        ("clicked", kind.CLICK, 1, 2),
        ("thumbed", kind.RATING, 5, 2),
        ("thumbed", kind.THUMB, -1, 7),
        ("dwelled", kind.DWELL, 300, 7),
        ("viewed", kind.VIEW, 1, 7),
    ]
    item, kinds, value, time = zip(*said, strict=True)
    feedback = Feedback.of(user=["ann"] * 9, item=item, kind=kinds, value=value, time=time)
    history = Histories.of(feedback, feedback.users, feedback.items)
    expected = {
        "rated": (5.0, kind.RATING, 3.0),
        "clicked": (1.0, kind.CLICK, 2.0),
        "thumbed": (-1.0, kind.THUMB, 2.0),
        "dwelled": (300.0, kind.DWELL, 1.0),
        "viewed": (1.0, kind.VIEW, 1.0),
    }
    assert history.events is not None
    entries = zip(
        history.value.indices, history.value.data, history.kinds, history.events.data, strict=True
    )
    assert {feedback.items[code]: tuple(entry) for code, *entry in entries} == expected

    def liked(positive: float | None) -> set[Any]:
        return set(feedback.items.decode(history.liked(positive).indices))

    assert liked(4.0) == {"rated", "clicked"}
    assert liked(None) == {"rated", "clicked", "dwelled", "viewed"}


def test_plays_count_as_strength_where_that_is_asked() -> None:
    plays = Feedback.of(
        user=["a", "a", *["b"] * 7], item=["x", "y", *["x"] * 7], kind="click", time=range(9)
    )
    history = Histories.of(plays, plays.users, plays.items)
    np.testing.assert_allclose(history.liked(None).toarray(), [[1, 1], [1, 0]])
    np.testing.assert_allclose(history.liked(None, strength="events").toarray(), [[1, 1], [3, 0]])
    counted = Feedback.of(user=["a", "a", "b"], item=["x", "y", "x"], value=[1, 1, 7])
    history = Histories.of(counted, counted.users, counted.items)
    np.testing.assert_allclose(history.liked(None, strength="value").toarray(), [[1, 1], [3, 0]])
    below = replace(counted, value=np.array([1, 1, -7], np.float32))
    with pytest.raises(InvalidDataError, match="values of at least 0, got -7"):
        IALS(strength="value").fit(below)


@pytest.mark.parametrize("recipe", [IALS(factors=2), ItemKNN(shrinkage=0.0)])
def test_many_plays_weigh_more_than_one(recipe: Any) -> None:
    users = ["a", "a", "b", "b", "c", "c", "d"]
    items = ["x", "y", "x", "z", "x", "z", "y"]
    many = Feedback.of(
        user=users + ["a"] * 300, item=items + ["y"] * 300, kind="click", time=range(307)
    )
    once = recipe.fit(many)
    often = replace(recipe, strength="events").fit(many)
    history = [["x"]]
    plain = once.recommend_for_history(history, k=1).lists()[0]
    assert plain == ["z"]  # more people
    assert not np.allclose(scores_of(once), scores_of(often))
    assert sum(part for _, part in often.explain("a", "z", n=9)) == pytest.approx(
        float(scores_of(often)[often.users.encode(["a"])[0], often.items.encode(["z"])[0]]),
        abs=1e-5,
    )


def scores_of(arm: FittedRecommender) -> FloatArray:
    return arm.score(arm.history.people(np.arange(len(arm.users), dtype=np.int32))).astype(float)


def test_popularity_counts_weights_and_each_person_once() -> None:
    feedback = Feedback.of(
        user=["a", "a", "b", "c"], item=["x", "x", "y", "y"], weight=[3.0, 5.0, 1.0, 1.5],
        time=[1, 2, 3, 4],
    )  # fmt: skip
    arm = Popularity().fit(feedback)
    assert dict(zip(arm.items.ids, arm.weight.tolist(), strict=True)) == {"x": 5.0, "y": 2.5}


@pytest.mark.parametrize("name", NAMES)
def test_twenty_times_the_stars_are_twenty_times_the_ratings(name: str) -> None:
    plain = fitted(make(name))
    if Capability.RATINGS not in plain.capabilities:
        pytest.skip("The arm does not predict ratings.")
    percent = fitted(make(name), replace(EVENTS, value=(EVENTS.value * 20).astype(np.float32)))
    users, items = pairs_without(EVENTS)
    expected = 20 * plain.predict(users, items)
    np.testing.assert_allclose(percent.predict(users, items), expected, rtol=1e-3)
