"""What every arm must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data import Catalog, Feedback
from siamrec.errors import InvalidParameterError, MissingCapabilityError, UnknownNameError
from siamrec.models.recommenders import Capability
from siamrec.protocols import Recommender
from siamrec.testing.sample import no_global_chance, small_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe
    from siamrec.typing import Id

N_USERS, N_ITEMS = 30, 24


def small_feedback() -> Feedback:
    """Return ratings of 30 users on 24 items; user 0 has rated every item."""
    rng = np.random.default_rng(11)
    rated = rng.random((N_USERS, N_ITEMS)) < 0.3
    rated[0] = True
    rated[1:, 0] |= ~rated[1:].any(axis=1)
    user, item = np.nonzero(rated)
    value = rng.integers(1, 6, user.size)
    return Feedback.of(
        user=[f"u{code}" for code in user.tolist()],
        item=[f"i{code}" for code in item.tolist()],
        value=value,
        time=np.arange(user.size),
    )


def small_catalog() -> Catalog:
    """Return texts of the 24 items and of one item without feedback."""
    ids = [*(f"i{code}" for code in range(N_ITEMS)), "new"]
    return catalog_of(ids)


def catalog_of(ids: Sequence[Id]) -> Catalog:
    """Return a text and a kind for each item."""
    texts = [f"story number {code} about theme {code % 5}" for code in range(len(ids))]
    kinds = [f"kind {code % 4}" for code in range(len(ids))]
    frame = {"item": ids, "text": texts, "kind": kinds}
    return Catalog.from_frame(frame, text="text", attributes=["kind"])


class RecommenderContract(ABC):
    """Subclass it as `class TestMine(RecommenderContract)` and say how to build one.

    Attributes:
        untimed: Whether events without a time can be fitted.
    """

    untimed: bool = True

    @abstractmethod
    def make(self) -> RecommenderRecipe:
        """Return the recipe under test."""

    def load(self, path: Path) -> FittedRecommender:
        """Return a saved arm; by default as the recipe's class loads it, if it does."""
        own = getattr(type(self.make()), "load", None)
        if own is None:
            pytest.skip(f"{type(self).__name__} does not say how to load {path.name}.")
        loaded: FittedRecommender = own(path)
        return loaded

    def fitted(self) -> FittedRecommender:
        """Return the arm fitted to the sample."""
        return self.make().fit(small_feedback(), catalog=small_catalog())

    def test_satisfies_the_protocol(self) -> None:
        assert isinstance(self.fitted(), Recommender)

    def test_lists_are_ranked_and_hold_no_seen_item(self) -> None:
        feedback = small_feedback()
        rankings = self.fitted().recommend(feedback.users.ids, k=7)
        seen = _items_by_user(feedback)
        assert list(rankings.lists()) == list(feedback.users.ids)
        for user, items in rankings.lists().items():
            assert len(items) <= 7
            assert len(set(items)) == len(items)
            assert not set(items) & seen[user]
        assert rankings.score is not None
        falling = np.diff(rankings.score) <= 0
        falling[rankings.start[1:-1] - 1] = True  # from one list to the next it may rise
        assert falling[: rankings.item.size - 1].all()

    def test_who_has_seen_everything_gets_what_is_new_or_nothing(self) -> None:
        listed = self.fitted().recommend(["u0"], k=50).lists()["u0"]
        assert set(listed) <= {"new"}

    def test_seen_items_may_be_asked_for(self) -> None:
        listed = self.fitted().recommend(["u0"], k=5, exclude_seen=False).lists()["u0"]
        assert len(listed) == 5

    def test_candidates_and_deny_are_kept(self) -> None:
        arm = self.fitted()
        ids = ["i1", "i2", "i3", "i4"]
        listed = arm.recommend(["u5"], k=9, candidates=ids, deny=["i2"], exclude_seen=False)
        assert set(listed.lists()["u5"]) <= {"i1", "i3", "i4"}

    def test_the_same_data_gives_the_same_lists(self) -> None:
        one, two = (self.fitted().recommend(["u3", "u4"], k=9) for _ in range(2))
        np.testing.assert_array_equal(one.item, two.item)
        np.testing.assert_array_equal(one.score, two.score)

    def test_fitting_takes_no_global_chance_and_changes_nothing(self) -> None:
        feedback, recipe = small_feedback(), self.make()
        before, told = feedback.fingerprint(), repr(recipe)
        with no_global_chance():
            arm = recipe.fit(feedback, catalog=small_catalog())
            arm.recommend(["u3"], k=5)
        assert feedback.fingerprint() == before
        assert repr(recipe) == told

    def test_two_calls_agree_whatever_is_asked_between(self) -> None:
        arm = self.fitted()
        whole = arm.history.people(np.arange(4, dtype=np.int32))
        kept = arm.score(whole).copy()
        assert kept.shape == (4, len(arm.items))
        assert not np.isnan(kept).any()
        arm.recommend(["u1", "u2", "u3", "u4"], k=5)  # masks what is seen
        np.testing.assert_array_equal(arm.score(whole), kept)

    def test_one_person_after_another(self) -> None:
        arm, people = self.fitted(), ["u3", "u8", "u5"]
        together = arm.recommend(people, k=9).lists()
        for user in people:
            assert arm.recommend([user], k=9).lists()[user] == together[user]

    def test_ids_that_are_whole_numbers_stay_whole_numbers(self) -> None:
        text, whole = small_feedback(), small_numbers(small_feedback())
        ids = [*range(1000, 1000 + len(text.items)), 5000]
        numbered = catalog_of(ids)
        arm = self.make().fit(whole, catalog=numbered)
        lists = arm.recommend([105, 106], k=9).lists()
        assert set(lists) == {105, 106}
        listed = [item for row in lists.values() for item in row]
        assert listed
        assert set(listed) <= set(ids)
        assert not set(lists[105]) & _items_by_user(whole)[105]

    def test_a_longer_list_begins_like_a_shorter_one(self) -> None:
        arm = self.fitted()
        short, long = (arm.recommend(["u3", "u8"], k=k).lists() for k in (3, 9))
        for user, row in short.items():
            assert long[user][: len(row)] == row

    def test_candidates_keep_the_order_of_the_whole_list(self) -> None:
        arm = self.fitted()
        whole = arm.recommend(["u3"], k=50).lists()["u3"]
        some = whole[::2]
        assert arm.recommend(["u3"], k=50, candidates=some).lists()["u3"] == some

    def test_untimed_events_are_taken(self) -> None:
        if not self.untimed:
            pytest.skip("The arm needs times.")
        feedback = small_feedback()
        untimed = Feedback.of(
            user=feedback.users.decode(feedback.user),
            item=feedback.items.decode(feedback.item),
            value=feedback.value,
        )
        arm = self.make().fit(untimed, catalog=small_catalog())
        assert len(arm.recommend(["u3"], k=5).lists()["u3"]) == 5

    def test_users_do_not_influence_each_other(self) -> None:
        arm = self.fitted()
        alone = arm.recommend(["u7"], k=9).lists()["u7"]
        assert arm.recommend(["u9", "u7", "u8"], k=9).lists()["u7"] == alone

    def test_feedback_of_a_known_user_gives_the_list_of_that_user(self) -> None:
        arm, feedback = self.fitted(), small_feedback()
        own = feedback.where(feedback.user == feedback.users.encode(["u6"])[0]).compacted()
        if not arm.capabilities & Capability.COLD_USER:
            pytest.skip("The arm does not rank for people outside training.")
        expected = arm.recommend(["u6"], k=9).lists()["u6"]
        assert arm.recommend_for_feedback(own, k=9).lists()["u6"] == expected

    def test_histories_of_unknown_items_are_passed_over(self) -> None:
        arm = self.fitted()
        if not arm.capabilities & Capability.COLD_USER:
            pytest.skip("The arm does not rank for people outside training.")
        lists = arm.recommend_for_history([["i1", "nobody knows"], []], k=3).lists()
        assert "i1" not in lists[0]
        assert len(lists) == 2

    def test_saving_writes_something(self, tmp_path: Path) -> None:
        self.fitted().save(tmp_path / "arm")
        written = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
        assert written, "save must write what was learned"

    def test_saved_and_loaded_arms_agree(self, tmp_path: Path) -> None:
        arm = self.fitted()
        arm.save(tmp_path / "arm")
        loaded = self.load(tmp_path / "arm")
        one, two = (each.recommend(["u1", "u2", "u0"], k=24) for each in (arm, loaded))
        assert one.lists() == two.lists()
        np.testing.assert_array_equal(one.score, two.score)

    def test_the_recipe_promises_nothing_that_the_arm_cannot_do(self) -> None:
        recipe, arm = self.make(), self.fitted()
        assert recipe.capabilities in arm.capabilities

    def test_what_the_arm_cannot_do_names_who_can(self) -> None:
        arm = self.fitted()
        calls: dict[Capability, Callable[[], object]] = {
            Capability.RATINGS: lambda: arm.predict(["u1"], ["i1"]),
            Capability.SIMILAR: lambda: arm.similar("i1", k=3),
            Capability.EXPLAIN: lambda: arm.explain("u1", "i1", n=3),
            Capability.COLD_USER: lambda: arm.recommend_for_history([["i1"]]),
        }
        for capability, call in calls.items():
            if capability in arm.capabilities:
                call()
            else:
                with pytest.raises(MissingCapabilityError, match="Models that have it: "):
                    call()

    def test_items_without_feedback_are_ranked_where_the_arm_says_so(self) -> None:
        arm = self.fitted()
        if Capability.COLD_ITEM not in arm.capabilities:
            pytest.skip("The arm does not rank items without feedback.")
        assert arm.recommend(["u3"], candidates=["new"]).lists()["u3"] == ["new"]

    def test_explanations_sum_to_the_score(self) -> None:
        arm = self.fitted()
        if Capability.EXPLAIN not in arm.capabilities:
            pytest.skip("The arm does not explain its scores.")
        rankings = arm.recommend(["u3"], k=3)
        assert rankings.score is not None
        for item, score in zip(rankings.lists()["u3"], rankings.score, strict=True):
            parts = [part for _, part in arm.explain("u3", item, n=99)]
            assert sum(parts) == pytest.approx(score, abs=1e-5)
            assert np.all(np.diff(np.abs(parts)) <= 0)

    def test_similar_items_fall_and_leave_out_the_item(self) -> None:
        arm = self.fitted()
        if Capability.SIMILAR not in arm.capabilities:
            pytest.skip("The arm knows no similarity.")
        found = arm.similar("i3", k=5)
        assert len(found) <= 5
        assert "i3" not in [item for item, _ in found]
        assert np.all(np.diff([value for _, value in found]) <= 0)

    def test_ratings_stay_within_the_scale(self) -> None:
        arm = self.fitted()
        if Capability.RATINGS not in arm.capabilities:
            pytest.skip("The arm does not predict ratings.")
        users, items = ["u1", "u1", "u9", "u0"], ["i1", "i2", "i1", "i5"]
        ratings = arm.predict(users, items)
        assert ((ratings >= 1) & (ratings <= 5)).all()
        np.testing.assert_allclose(arm.predict(users[::-1], items[::-1]), ratings[::-1], atol=1e-6)
        with pytest.raises(UnknownNameError, match="No user is named 'nobody'"):
            arm.predict(["nobody"], ["i1"])
        guess = arm.predict(["nobody", "u1", "nobody"], ["i1", "x", "x"], unknown="fallback")
        assert ((guess >= 1) & (guess <= 5)).all()
        assert arm.knows(["nobody", "u1", "u1"], ["i1", "x", "i1"]).tolist() == [0, 0, 1]

    def test_more_feedback_moves_the_person(self) -> None:
        arm = self.fitted()
        more = Feedback.of(user=["u5", "guest"], item=["i2", "i3"], value=5, time=10**6)
        if Capability.COLD_USER not in arm.capabilities:
            with pytest.raises(MissingCapabilityError):
                arm.update(more)
            return
        newer = arm.update(more)
        assert "guest" in newer.users
        assert "guest" not in arm.users
        lists = newer.recommend(["u5", "guest"], k=50).lists()
        assert "i2" not in lists["u5"]
        assert "i3" not in lists["guest"]

    def test_search_ranges_name_settings_and_hold_values_that_work(self) -> None:
        recipe: Any = self.make()
        for name, where in type(recipe).search_space.items():
            for value in where.grid(2):
                assert getattr(replace(recipe, **{name: value}), name) == value

    def test_unknown_user_is_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="No user is named 'nobody'"):
            self.fitted().recommend(["nobody"])

    def test_unknown_candidate_is_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="No candidate item is named 'nothing'"):
            self.fitted().recommend(["u1"], candidates=["nothing"])

    @pytest.mark.parametrize("k", [0, -3])
    def test_k_must_be_positive(self, k: int) -> None:
        with pytest.raises(InvalidParameterError, match="k must be a whole number of at least 1"):
            self.fitted().recommend(["u1"], k=k)


def _items_by_user(feedback: Feedback) -> dict[Any, set[Any]]:
    seen: dict[Any, set[Any]] = {user: set() for user in feedback.users.ids}
    pairs = zip(
        feedback.users.decode(feedback.user), feedback.items.decode(feedback.item), strict=True
    )
    for user, item in pairs:
        seen[user].add(item)
    return seen
