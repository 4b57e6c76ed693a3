"""Preferences and scores: a hand-computed answer, the gap, and queries with documents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Catalog, Feedback, PairOrigin, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.pairs import MinimumCounts, PreferencePairs, QueryPairs, ScoredPairs, Synthetic
from siamrec.testing.pairs import PairGeneratorContract, catalog_of, ratings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.data import Pairs
    from siamrec.protocols import PairGenerator

FEW = MinimumCounts(positive=1, negative=0, total=1)
FILMS = Catalog.from_frame(
    {"item": ["heat", "ronin", "babe", "jaws"], "text": ["Heat", "Ronin", "Babe", "Jaws"]},
    text="text",
)
ANN = Feedback.of(user=["ann"] * 3, item=["heat", "ronin", "babe"], value=[5, 4, 1])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class TestPreferences(PairGeneratorContract):
    @override
    def make(self) -> PairGenerator:
        return PreferencePairs(gap=2.0)


class TestScores(PairGeneratorContract):
    @override
    def make(self) -> PairGenerator:
        return ScoredPairs()


def triplets(pairs: Pairs) -> set[tuple[str, str, str]]:
    assert pairs.negatives is not None
    columns = (pairs.left, pairs.right, pairs.negatives[:, 0])
    return {tuple(pairs.texts[c] for c in row) for row in zip(*columns, strict=True)}


def test_three_ratings_by_hand() -> None:
    pairs = PreferencePairs(per_root=50.0, minimum=FEW).generate(ANN, FILMS, rng=rng())
    assert triplets(pairs) == {("Ronin", "Heat", "Babe"), ("Heat", "Ronin", "Babe")}
    weight = dict(zip((pairs.texts[c] for c in pairs.right), pairs.weight, strict=True))
    assert weight["Heat"] / weight["Ronin"] == pytest.approx(4 / 3), "gaps of 4 and 3"
    assert pairs.weight.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("gap", [1.0, 2.0, 4.0])
def test_the_worse_text_was_valued_less_by_the_same_user(gap: float) -> None:
    feedback, catalog = ratings_of(), catalog_of()
    pairs = PreferencePairs(gap=gap).generate(feedback, catalog, rng=rng())
    value = {
        (feedback.users[u], catalog.text[catalog.items.encode([feedback.items[i]])[0]]): v
        for u, i, v in zip(feedback.user, feedback.item, feedback.value, strict=True)
    }
    assert pairs.negatives is not None
    for row in range(len(pairs)):
        who = pairs.users[int(pairs.user[row])]
        better, worse = pairs.texts[pairs.right[row]], pairs.texts[pairs.negatives[row, 0]]
        assert value[who, better] - value[who, worse] >= gap
        assert value[who, pairs.texts[pairs.left[row]]] >= 4


ASKED = replace(
    Feedback.of(
        user=["ann", "ann", "bob", "bob"],
        item=["heat", "babe", "heat", "jaws"],
        value=[1.0, 0.0, 1.0, 0.0],
    ),
    query=np.array([0, 0, 1, 0], np.int32),
    queries=Vocabulary(("heist", "sharks")),
)


def test_a_query_is_its_own_anchor() -> None:
    pairs = PreferencePairs(minimum=FEW).generate(ASKED, FILMS, rng=rng())
    assert triplets(pairs) == {("heist", "Heat", "Babe")}, "bob's two were not for one query"


def test_scores_by_hand() -> None:
    recipe = ScoredPairs(per_root=50.0, lowest=1.0, highest=5.0, minimum=FEW)
    pairs = recipe.generate(ANN, FILMS, rng=rng())
    label = {
        (pairs.texts[a], pairs.texts[b]): float(y)
        for a, b, y in zip(pairs.left, pairs.right, pairs.label, strict=True)
    }
    assert label == {
        ("Heat", "Ronin"): 0.75,
        ("Heat", "Babe"): 0.0,
        ("Ronin", "Heat"): 1.0,
        ("Ronin", "Babe"): 0.0,
    }


def test_scores_need_two_heights() -> None:
    flat = replace(ANN, value=np.full(3, 4.0, np.float32))
    with pytest.raises(InvalidDataError, match="values of different height, got 4 only"):
        ScoredPairs(minimum=FEW).generate(flat, FILMS, rng=rng())
    with pytest.raises(InvalidDataError, match="The preferences gave 0 positive"):
        PreferencePairs(minimum=FEW).generate(flat, FILMS, rng=rng())


class Shelf:
    """A store of two documents."""

    def texts(self, ids: Sequence[object]) -> list[str | None]:
        known = {"heat": "A heist in Los Angeles.", "babe": " "}
        return [known.get(str(id_)) for id_ in ids]


def test_documents_come_from_a_store_by_id() -> None:
    recipe = QueryPairs(positive=1, negative=0, documents=Shelf(), minimum=FEW)
    pairs = recipe.generate(ASKED, FILMS, rng=rng())
    couples = {
        (pairs.texts[a], pairs.texts[b]) for a, b in zip(pairs.left, pairs.right, strict=True)
    }
    assert couples == {("heist", "A heist in Los Angeles."), ("sharks", "A heist in Los Angeles.")}


class Archive:
    """A store that knows every id."""

    def texts(self, ids: Sequence[object]) -> list[str | None]:
        return [f"a long text that tells all about {id_}" for id_ in ids]


def test_synthetic_pairs_are_made_of_the_texts_of_a_store() -> None:
    recipe = QueryPairs(
        positive=1,
        negative=0,
        documents=Archive(),
        minimum=FEW,
        synthetic=Synthetic(share=0.5, methods=("noise", "attributes")),
    )
    empty = Catalog(items=Vocabulary(()), text=(), attributes={"genres": []})
    pairs = recipe.generate(ASKED, empty, rng=rng())
    made = pairs.origin == PairOrigin.SYNTHETIC
    assert made.any()
    told = {pairs.texts[code] for code in pairs.right[made]}
    assert told <= set(Archive().texts(["heat", "babe", "jaws"]))


def test_a_store_must_answer_for_each_id() -> None:
    class Short:
        def texts(self, ids: Sequence[object]) -> list[str | None]:
            return ["a"]

    with pytest.raises(InvalidDataError, match="documents must answer for each of 3 ids, got 1"):
        QueryPairs(documents=Short()).generate(ASKED, FILMS, rng=rng())


def test_nothing_with_a_text_is_an_error() -> None:
    empty = Catalog(items=Vocabulary(("heat", "ronin")), text=("Heat", None))
    with pytest.raises(InvalidDataError, match="thumbs, of items with a text, got none"):
        PreferencePairs().generate(ANN.where(np.array([False, True, False])), empty, rng=rng())


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="gap must be"):
        PreferencePairs(gap=0.0)
    with pytest.raises(InvalidParameterError, match="highest - lowest"):
        ScoredPairs(lowest=2.0, highest=1.0)


def test_a_triplet_is_as_late_as_the_last_of_its_three_events() -> None:
    feedback = ratings_of()
    pairs = PreferencePairs().generate(feedback, catalog_of(), rng=np.random.default_rng(0))
    text = {f"i{k}": catalog_of().text[k] for k in range(40)}
    said = zip(feedback.user, feedback.item, feedback.time, strict=True)
    time = {(int(u), text.get(str(feedback.items[int(i)]))): t for u, i, t in said}
    assert pairs.negatives is not None
    for row in range(0, len(pairs), 7):
        codes = (pairs.left[row], pairs.right[row], pairs.negatives[row, 0])
        events = [time[int(pairs.user[row]), pairs.texts[code]] for code in codes]
        assert pairs.time[row] == max(events)
        anchor = pairs.items[int(pairs.left_item[row])]
        assert text[str(anchor)] == pairs.texts[pairs.left[row]]
    assert pairs.liked_time is not None
    for user, code, instant in zip(
        pairs.liked_user, pairs.liked_text, pairs.liked_time, strict=True
    ):
        assert time[int(user), pairs.texts[code]] == instant
