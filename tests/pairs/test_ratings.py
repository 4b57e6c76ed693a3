"""Pairs from ratings: what is joined, what is parted, how often, and how heavily."""

from __future__ import annotations

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.data.liking import speakers
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.feedback import QualityWeights
from siamrec.pairs import MinimumCounts, RatingPairs
from siamrec.pairs.base import capped
from siamrec.testing.pairs import PairGeneratorContract, catalog_of, ratings_of

ANY = MinimumCounts(positive=0, negative=0, total=0)


class TestRatingPairs(PairGeneratorContract):
    @override
    def make(self) -> RatingPairs:
        return RatingPairs()


class TestWeightedRatingPairs(PairGeneratorContract):
    @override
    def make(self) -> RatingPairs:
        return RatingPairs(weights=QualityWeights(), centred=True, per_item=20)


def small(values: list[float], items: str = "abcd") -> tuple[Feedback, Catalog]:
    feedback = Feedback.of(
        user=["u"] * len(values),
        item=list(items[: len(values)]),
        value=values,
        time=np.arange(len(values)),
    )
    names = tuple("abcd")
    return feedback, Catalog(items=Vocabulary(names), text=tuple(f"text {n}" for n in names))


def test_likes_are_joined_and_dislikes_parted() -> None:
    feedback, catalog = small([5, 4, 3, 1])
    pairs = RatingPairs(minimum=ANY, negatives_per_positive=1.0).generate(
        feedback, catalog, rng=np.random.default_rng(0)
    )
    rows = {
        (pairs.texts[left][-1], pairs.texts[right][-1], float(label))
        for left, right, label in zip(pairs.left, pairs.right, pairs.label, strict=True)
    }
    assert {row for row in rows if row[2] == 1} <= {("a", "b", 1.0), ("b", "a", 1.0)}
    assert {row for row in rows if row[2] == 0} <= {("a", "d", 0.0), ("b", "d", 0.0)}
    assert [pairs.texts[code][-1] for code in pairs.liked_text] == ["a", "b"]


def test_last_rating_counts() -> None:
    feedback = Feedback.of(
        user=["u"] * 4, item=["a", "a", "b", "c"], value=[1, 5, 5, 5], time=[2, 1, 1, 1]
    )
    assert sorted(feedback.value[speakers(feedback)].tolist()) == [1, 5, 5]
    catalog = Catalog(items=Vocabulary(tuple("abc")), text=("ta", "tb", "tc"))
    pairs = RatingPairs(minimum=ANY).generate(feedback, catalog, rng=np.random.default_rng(0))
    assert {pairs.texts[code] for code in pairs.liked_text} == {"tb", "tc"}


def test_centred_ratings_know_generous_users() -> None:
    feedback = Feedback.of(
        user=["kind"] * 4 + ["strict"] * 4,
        item=list("abcd") * 2,
        value=[5, 5, 5, 4, 3, 3, 1, 1],
    )
    _, catalog = small([5, 4, 3, 1])
    pairs = RatingPairs(centred=True, minimum=ANY).generate(
        feedback, catalog, rng=np.random.default_rng(0)
    )
    liked = {
        (pairs.users[u], pairs.texts[t][-1])
        for u, t in zip(pairs.liked_user, pairs.liked_text, strict=True)
    }
    assert ("kind", "d") not in liked
    assert ("strict", "a") in liked


def test_draws_grow_with_the_root_of_the_likes() -> None:
    feedback = Feedback.of(
        user=["few"] * 16 + ["many"] * 256,
        item=[*range(16), *range(256)],
        value=np.full(272, 5.0),
    )
    catalog = Catalog(items=Vocabulary(tuple(range(256))), text=tuple(f"t{k}" for k in range(256)))
    pairs = RatingPairs(per_root=6, minimum=ANY).generate(
        feedback, catalog, rng=np.random.default_rng(0)
    )
    few, many = np.bincount(pairs.user)
    # 24 draws among 240 ordered couples and 96 among 65,280; repeats are dropped.
    assert 20 <= few <= 24
    assert 90 <= many <= 96


def test_items_without_text_give_no_pairs() -> None:
    feedback, catalog = small([5, 5, 5, 1])
    silent = Catalog(items=catalog.items, text=("ta", "tb", None, "td"))
    pairs = RatingPairs(minimum=ANY).generate(feedback, silent, rng=np.random.default_rng(0))
    assert set(pairs.texts) == {"ta", "tb", "td"}
    with pytest.raises(InvalidDataError, match="text for at least one of the 4 items"):
        RatingPairs(minimum=ANY).generate(
            feedback, Catalog(items=Vocabulary(("z",)), text=("t",)), rng=np.random.default_rng(0)
        )


def test_cap_keeps_that_many_of_each_group() -> None:
    group = np.array([0, 1, 0, 0, 1, 2], np.int32)
    kept = capped(group, 2, np.random.default_rng(0))
    assert np.bincount(group[kept]).tolist() == [2, 2, 1]


def test_item_cap_holds() -> None:
    feedback, catalog = ratings_of(), catalog_of()
    pairs = RatingPairs(per_item=3, minimum=ANY).generate(
        feedback, catalog, rng=np.random.default_rng(0)
    )
    positive = pairs.label == 1
    assert np.bincount(pairs.right_item[positive]).max() <= 3


def test_clear_ratings_weigh_more() -> None:
    feedback, catalog = small([5, 5, 4, 4])
    pairs = RatingPairs(minimum=ANY).generate(feedback, catalog, rng=np.random.default_rng(0))
    by_text = {
        (pairs.texts[a][-1], pairs.texts[b][-1]): w
        for a, b, w in zip(pairs.left, pairs.right, pairs.weight, strict=True)
    }
    strong = by_text.get(("a", "b")) or by_text[("b", "a")]
    weak = by_text.get(("c", "d")) or by_text[("d", "c")]
    assert strong == pytest.approx(2 * weak, rel=1e-5)  # margins 2 and 1 to the middle 3


def test_too_few_pairs_say_how_many_and_what_to_lower() -> None:
    feedback, catalog = small([5, 4, 3, 1])
    with pytest.raises(
        InvalidDataError,
        match=r"gave \d positive and \d negative pairs, but at least 50 positive, 50 negative, "
        r"100 total .* lower minimum to MinimumCounts\(positive=\d, negative=\d, total=\d\)",
    ):
        RatingPairs().generate(feedback, catalog, rng=np.random.default_rng(0))


def test_no_liked_item_is_an_error() -> None:
    feedback, catalog = small([1, 2, 3, 3])
    with pytest.raises(
        InvalidDataError, match=r"ratings of at least 4, .*the largest rating is 3\.0"
    ):
        RatingPairs().generate(feedback, catalog, rng=np.random.default_rng(0))


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="negative must be below positive, 4"):
        RatingPairs(positive=4, negative=4)
    with pytest.raises(InvalidParameterError, match="per_item"):
        RatingPairs(per_item=0)
