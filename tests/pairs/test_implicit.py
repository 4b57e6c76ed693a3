"""Pairs from clicks, queries and co-engagement; synthetic pairs; joining."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Catalog, Feedback, FeedbackKind, PairOrigin, Pairs, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.pairs import (
    ClickPairs,
    CoEngagementPairs,
    HardNegatives,
    MinimumCounts,
    QueryPairs,
    RatingPairs,
    ReplayedPairs,
    Synthetic,
)
from siamrec.testing.pairs import PairGeneratorContract, catalog_of, ratings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.protocols import PairGenerator

ANY = MinimumCounts(positive=0, negative=0, total=0)
NAMES = tuple("abcdef")
CATALOG = Catalog(items=Vocabulary(NAMES), text=tuple(f"text {n}" for n in NAMES))


def clicks_of() -> Feedback:
    rated = ratings_of()
    return replace(
        rated,
        value=np.ones(len(rated), np.float32),
        kind=np.full(len(rated), FeedbackKind.CLICK, np.int8),
    ).where(rated.value > 1)


class TestClickPairs(PairGeneratorContract):
    @override
    def make(self) -> PairGenerator:
        return ClickPairs()

    @override
    def feedback(self) -> Feedback:
        return clicks_of()


class TestCoEngagementPairs(PairGeneratorContract):
    draws = False  # every couple is taken

    @override
    def make(self) -> PairGenerator:
        return CoEngagementPairs(positive=4, lift=1.0, minimum=ANY)


class TestQueryPairs(PairGeneratorContract):
    @override
    def make(self) -> PairGenerator:
        return QueryPairs(positive=4, negative=2)

    @override
    def feedback(self) -> Feedback:
        rated = ratings_of()
        queries = Vocabulary(tuple(f"find theme {k}" for k in range(4)))
        return replace(rated, queries=queries, query=(rated.user % 4).astype(np.int32))


class TestSynthetic(PairGeneratorContract):
    @override
    def make(self) -> PairGenerator:
        return Synthetic(methods=("attributes", "noise"))


class TestEverything(PairGeneratorContract):
    @override
    def make(self) -> PairGenerator:
        return RatingPairs(
            hard_negatives=HardNegatives(per_positive=2, seed=0),
            synthetic=Synthetic(share=0.2, methods=("attributes",)),
        )


def shown(clicked: Sequence[int]) -> Feedback:
    """One list of four items for one user, with views of all and clicks at some places."""
    base = Feedback.of(
        user=["u"] * (4 + len(clicked)),
        item=[*NAMES[:4], *(NAMES[place - 1] for place in clicked)],
        kind=np.array([FeedbackKind.VIEW] * 4 + [FeedbackKind.CLICK] * len(clicked)),
    )
    return replace(
        base,
        decision=np.array(["d"] * len(base)),
        position=np.array([1, 2, 3, 4, *clicked], np.int32),
    )


def test_items_above_a_click_were_passed_over_and_items_below_say_nothing() -> None:
    pairs = ClickPairs(minimum=ANY).generate(shown([2, 3]), CATALOG, rng=np.random.default_rng(0))
    negative = {pairs.texts[c] for c in pairs.right[pairs.label == 0]}
    positive = {pairs.texts[c] for c in pairs.right[pairs.label == 1]}
    assert negative == {"text a"}
    assert positive == {"text b", "text c"}


def test_deep_clicks_weigh_more_up_to_the_clip() -> None:
    weights = {}
    for clip in (100.0, 2.0):
        pairs = ClickPairs(minimum=ANY, skipped=0.0, clip=clip).generate(
            shown([1, 2, 4]), CATALOG, rng=np.random.default_rng(0)
        )
        by_pair = {
            frozenset((pairs.texts[a][-1], pairs.texts[b][-1])): float(w)
            for a, b, w in zip(pairs.left, pairs.right, pairs.weight, strict=True)
        }
        weights[clip] = by_pair[frozenset("bd")] / by_pair[frozenset("ab")]
    # sqrt(2 * 4) / sqrt(1 * 2) = 2, and sqrt(2 * 2) / sqrt(1 * 2) = sqrt(2) when cut at 2.
    assert weights[100.0] == pytest.approx(2.0, rel=1e-5)
    assert weights[2.0] == pytest.approx(2**0.5, rel=1e-5)


def events(rows: list[tuple[str, FeedbackKind, float, int]], **columns: object) -> Feedback:
    """Events of one user, as (item, kind, value, time)."""
    item, kind, value, time = zip(*rows, strict=True)
    base = Feedback.of(
        user=["u"] * len(rows), item=item, kind=np.array(kind), value=value, time=time
    )
    return replace(base, **columns)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [3, 4, 0, 1, 2]])
def test_the_view_of_a_clicked_item_is_no_skip_in_whatever_order_rows_come(
    order: list[int],
) -> None:
    view, click = FeedbackKind.VIEW, FeedbackKind.CLICK
    rows = [("a", view, 1.0, 0), ("b", view, 1.0, 0), ("c", view, 1.0, 0)]
    rows += [("b", click, 1.0, 0), ("c", click, 1.0, 0)]
    position = np.array([1, 2, 3, 2, 3], np.int32)[order]
    feedback = events([rows[k] for k in order], decision=np.array(["d"] * 5), position=position)
    pairs = ClickPairs(minimum=ANY).generate(feedback, CATALOG, rng=np.random.default_rng(0))
    said = {
        (pairs.texts[a][-1], pairs.texts[b][-1], float(y))
        for a, b, y in zip(pairs.left, pairs.right, pairs.label, strict=True)
    }
    assert {row for row in said if row[2]} == {("b", "c", 1.0), ("c", "b", 1.0)}
    assert {row[1] for row in said if not row[2]} == {"a"}
    assert {pairs.texts[code][-1] for code in pairs.liked_text} == {"b", "c"}


@pytest.mark.parametrize("again", ["a", "d"])
def test_an_item_that_was_clicked_once_is_never_passed_over(again: str) -> None:
    """a and b are clicked, later c below a's second showing; as a text, d is a again."""
    view, click = FeedbackKind.VIEW, FeedbackKind.CLICK
    rows = [("a", click, 1.0, 1), ("b", click, 1.0, 1)]
    rows += [(again, view, 1.0, 5), ("c", view, 1.0, 5), ("c", click, 1.0, 5)]
    feedback = events(
        rows,
        decision=np.array(["d1"] * 2 + ["d2"] * 3),
        position=np.array([1, 2, 1, 2, 2], np.int32),
    )
    text = ("text a", "text b", "text c", "text a", "e", "f")
    catalog = Catalog(items=Vocabulary(NAMES), text=text if again == "d" else CATALOG.text)
    pairs = ClickPairs(minimum=ANY).generate(feedback, catalog, rng=np.random.default_rng(0))
    assert (pairs.label == 1).all()
    assert {pairs.texts[code][-1] for code in pairs.liked_text} == {"a", "b", "c"}


def test_the_weights_of_clicks_count() -> None:
    click = FeedbackKind.CLICK
    rows = [(name, click, 1.0, 0) for name in "abc"]
    feedback = events(rows, weight=np.array([1.0, 4.0, 0.0], np.float32))
    pairs = ClickPairs(minimum=ANY).generate(feedback, CATALOG, rng=np.random.default_rng(0))
    assert {pairs.texts[code][-1] for code in pairs.right} == {"a", "b"}, "weight 0 says nothing"
    rows.append(("d", click, 1.0, 0))
    weight = np.array([1.0, 4.0, 1.0, 1.0], np.float32)
    pairs = ClickPairs(minimum=ANY).generate(
        events(rows, weight=weight), CATALOG, rng=np.random.default_rng(0)
    )
    with_b = (pairs.left == pairs.texts.index("text b")) | (
        pairs.right == pairs.texts.index("text b")
    )
    ratio = pairs.weight[with_b].mean() / pairs.weight[~with_b].mean()
    assert ratio == pytest.approx(2.0)  # sqrt(4 * 1) / sqrt(1 * 1)


def test_what_an_event_says_of_a_query_hangs_on_its_kind() -> None:
    kind = FeedbackKind
    rows = [
        ("a", kind.RATING, 1.0, 0),
        ("b", kind.RATING, 3.0, 0),
        ("c", kind.RATING, 4.0, 0),
        ("d", kind.VIEW, 1.0, 0),
        ("e", kind.CLICK, 1.0, 0),
        ("f", kind.THUMB, -1.0, 0),
    ]
    asked = {"queries": Vocabulary(("what",)), "query": np.zeros(6, np.int32)}
    feedback = events(rows, **asked)
    pairs = QueryPairs(minimum=ANY).generate(feedback, CATALOG, rng=np.random.default_rng(0))
    said = {pairs.texts[b][-1]: float(y) for b, y in zip(pairs.right, pairs.label, strict=True)}
    assert said == {"a": 0.0, "c": 1.0, "e": 1.0, "f": 0.0}
    rows = [(name, kind.RATING, 1.0, 0) for name in NAMES]
    with pytest.raises(InvalidDataError, match="largest rating is 1.0; lower positive"):
        QueryPairs(positive=4, negative=2, minimum=ANY).generate(
            events(rows, **asked), CATALOG, rng=np.random.default_rng(0)
        )
    relevance = QueryPairs(positive=1, negative=0, minimum=ANY)
    assert (
        len(relevance.generate(events(rows, **asked), CATALOG, rng=np.random.default_rng(0))) == 6
    )


def test_views_alone_give_no_pairs() -> None:
    with pytest.raises(InvalidDataError, match="must hold clicks, conversions or thumbs up"):
        ClickPairs().generate(shown([]), CATALOG, rng=np.random.default_rng(0))


def test_co_engagement_by_hand() -> None:
    # a and b share 3 of 6 users, each with 3: lift 2, cosine 1; c is everywhere: lift 1.
    user = [1, 2, 3] * 2 + [1, 2, 3, 4, 5, 6]
    item = ["a"] * 3 + ["b"] * 3 + ["c"] * 6
    feedback = Feedback.of(user=user, item=item, value=np.ones(12))
    pairs = CoEngagementPairs(minimum=ANY).generate(
        feedback, CATALOG, rng=np.random.default_rng(0)
    )
    found = {
        (pairs.texts[a], pairs.texts[b]) for a, b in zip(pairs.left, pairs.right, strict=True)
    }
    assert found == {("text a", "text b"), ("text b", "text a")}


def test_queries_need_queries() -> None:
    with pytest.raises(MissingInputError, match="query of each event"):
        QueryPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))


def test_synthetic_share_origin_and_writers() -> None:
    class Writer:
        def generate(self, item: str, n: int, rng: np.random.Generator) -> list[str]:
            return [f"question about {item}"]

    recipe = RatingPairs(synthetic=Synthetic(share=0.3, methods=(), synthesizers=(Writer(),)))
    pairs = recipe.generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    made = pairs.origin == PairOrigin.SYNTHETIC
    assert made.mean() == pytest.approx(0.3, abs=0.01)
    assert all(pairs.texts[c].startswith("question about") for c in pairs.left[made])
    train, valid = pairs.split(by="user", fraction=0.3)
    assert not (valid.origin == PairOrigin.SYNTHETIC).any()
    assert (train.origin == PairOrigin.SYNTHETIC).any()


def test_beginnings_find_the_rest() -> None:
    texts = ("Heat (1995)\nCrime\nA crew of thieves plans one last robbery.", "short")
    catalog = Catalog(items=Vocabulary(("h", "s")), text=texts)
    feedback = Feedback.of(user=["u", "u"], item=["h", "s"])
    pairs = Synthetic(methods=("beginning",)).generate(
        feedback, catalog, rng=np.random.default_rng(0)
    )
    assert [pairs.texts[c] for c in pairs.left] == ["Heat (1995)"]
    assert pairs.texts[pairs.right[0]] == "Crime\nA crew of thieves plans one last robbery."
    with pytest.raises(InvalidDataError, match="texts of at least 6 words"):
        Synthetic(methods=("crop",)).generate(
            Feedback.of(user=["u"], item=["s"]), catalog, rng=np.random.default_rng(0)
        )
    with pytest.raises(InvalidParameterError, match="one or more, or synthesizers"):
        Synthetic(methods=())


def test_joined_pairs_are_all_there() -> None:
    recipe = RatingPairs(hard_negatives=HardNegatives(per_positive=2))
    first = recipe.generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    second = Pairs.of(["heist crew vault film 0", "new"], ["new", "other"])
    both = Pairs.concat([first, second])
    assert len(both) == len(first) + 2
    assert both.where(np.arange(len(both)) < len(first)).fingerprint() == first.fingerprint()
    assert both.texts[both.right[-1]] == "other"
    assert both.negatives is not None
    assert (both.negatives[-2:] == -1).all()
    with pytest.raises(InvalidDataError, match="at least one part"):
        Pairs.concat([])


def test_replay_keeps_the_new_and_draws_from_the_old() -> None:
    old = RatingPairs().generate(ratings_of(1), catalog_of(), rng=np.random.default_rng(0))
    new = RatingPairs().generate(ratings_of(2), catalog_of(), rng=np.random.default_rng(1))
    both = ReplayedPairs(share=0.25, per_user=10).mixed(new, old, rng=np.random.default_rng(2))
    assert both.statistics().replayed == pytest.approx(0.25 * len(both), abs=2)
    again = ReplayedPairs(share=0.25, per_user=10).mixed(new, old, rng=np.random.default_rng(2))
    assert both.fingerprint() == again.fingerprint()
    assert both.where(np.arange(len(both)) < len(new)).statistics() == new.statistics()
    with pytest.raises(InvalidParameterError, match="share"):
        ReplayedPairs(share=0.0)


def test_templates_are_filled_with_attributes() -> None:
    recipe = Synthetic(methods=(), templates=("a {genres} film",))
    pairs = recipe.generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    said = {pairs.texts[code] for code in pairs.left}
    assert said == {"a heist film", "a space film", "a love film", "a robot film"}
    for left, right in zip(pairs.left, pairs.right, strict=True):
        assert pairs.texts[left].split()[1] in pairs.texts[right]
    with pytest.raises(MissingInputError, match="attribute 'colour' of a template"):
        Synthetic(templates=("{colour}",)).generate(
            ratings_of(), catalog_of(), rng=np.random.default_rng(0)
        )
    with pytest.raises(InvalidParameterError, match="one with an attribute"):
        Synthetic(templates=("a film",))


def test_neighbours_are_liked_by_the_same_users_and_come_from_training_alone() -> None:
    recipe = Synthetic(methods=("neighbours",))
    pairs = recipe.generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    assert len(pairs) > 20
    theme = [
        pairs.texts[left].split()[0] == pairs.texts[right].split()[0]
        for left, right in zip(pairs.left, pairs.right, strict=True)
    ]
    assert np.mean(theme) > 0.9, "users like one theme"
    assert (pairs.origin == PairOrigin.SYNTHETIC).all()
    with pytest.raises(InvalidParameterError, match="likes of validation users into training"):
        RatingPairs(synthetic=recipe).generate(
            ratings_of(), catalog_of(), rng=np.random.default_rng(0)
        )


def test_synthetic_pairs_take_their_texts_where_documents_are() -> None:
    """Nothing is asked of the catalogue, which may know none of the items."""

    class Store:
        __final__ = True

        def texts(self, ids: Sequence[object]) -> list[str | None]:
            return [f"a long text about {id_} with many words inside it" for id_ in ids]

    feedback = Feedback.from_frame(
        {"user": ["u"] * 6, "item": list("uvwxyz"), "value": [5.0] * 6, "query": ["heist"] * 6},
        value="value",
        query="query",
    )
    made_of = Synthetic(share=0.4, methods=("crop", "attributes"))
    recipe = QueryPairs(documents=Store(), synthetic=made_of, minimum=ANY)
    pairs = recipe.generate(
        feedback, Catalog(items=Vocabulary(()), text=()), rng=np.random.default_rng(0)
    )
    made = pairs.origin == PairOrigin.SYNTHETIC
    assert made.any()
    assert all(pairs.texts[code].startswith("a long text about") for code in pairs.right[made])
