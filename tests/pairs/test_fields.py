"""Every column of an event counts in every pair generator, and likes follow the scale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data import Feedback, FeedbackKind, Vocabulary
from siamrec.pairs import PAIR_GENERATORS, MinimumCounts
from siamrec.testing.pairs import N_ITEMS, catalog_of, ratings_of

if TYPE_CHECKING:
    from siamrec.data import Pairs

NAMES = sorted(PAIR_GENERATORS.house())
FEW = MinimumCounts(positive=0, negative=0, total=0)
CLICKED = {"clicks"}
"""Generators that read no ratings."""
SILENT = {"synthetic"}
"""Generators whose pairs have weights of their own, whatever the events weigh."""
CATALOG = catalog_of()


def events(name: str) -> Feedback:
    """Ratings of two themes; with queries, and clicks instead of high ratings, where needed."""
    feedback = ratings_of()
    if name in CLICKED:
        good = feedback.where(feedback.value == 5)
        feedback = replace(good, kind=np.full(len(good), FeedbackKind.CLICK, np.int8))
    if name == "queries":
        asked = feedback.item % 4
        queries = Vocabulary(("heist", "space", "love", "robot"))
        feedback = replace(feedback, queries=queries, query=asked.astype(np.int32))
    return feedback


def make(name: str) -> Any:
    if name == "synthetic":
        return PAIR_GENERATORS.make({"name": name, "methods": ["neighbours"]})
    return PAIR_GENERATORS.make({"name": name, "minimum": FEW})


def pairs_of(name: str, feedback: Feedback) -> Pairs:
    pairs: Pairs = make(name).generate(feedback, CATALOG, rng=np.random.default_rng(0))
    assert len(pairs)
    return pairs


def labelled(pairs: Pairs) -> set[tuple[str, str, float]]:
    rows = zip(pairs.left, pairs.right, pairs.label, strict=True)
    return {(pairs.texts[a], pairs.texts[b], float(label)) for a, b, label in rows}


def as_kind(feedback: Feedback, kind: FeedbackKind, **columns: Any) -> Feedback:
    return replace(feedback, kind=np.full(len(feedback), kind, np.int8), **columns)


@pytest.mark.parametrize("kind", [FeedbackKind.VIEW, FeedbackKind.DWELL])
@pytest.mark.parametrize("name", NAMES)
def test_a_view_or_a_dwell_makes_no_pair_and_undoes_none(name: str, kind: FeedbackKind) -> None:
    feedback = events(name)
    later = as_kind(feedback, kind, value=np.ones(len(feedback), np.float32),
                    time=feedback.time + 10**15)  # fmt: skip
    more = pairs_of(name, Feedback.concat([feedback, later]))
    assert labelled(more) == labelled(pairs_of(name, feedback))


@pytest.mark.parametrize("name", NAMES)
def test_an_event_of_weight_nothing_is_not_there(name: str) -> None:
    feedback = events(name)
    # the opposite of everything that was said, which counts nothing
    turned = replace(feedback, value=6 - feedback.value, time=feedback.time + 10**15,
                     weight=np.zeros(len(feedback), np.float32))  # fmt: skip
    more = pairs_of(name, Feedback.concat([feedback, turned]))
    assert labelled(more) == labelled(pairs_of(name, feedback))


@pytest.mark.parametrize("name", sorted(set(NAMES) - SILENT))
def test_pairs_weigh_by_their_events(name: str) -> None:
    feedback = events(name)
    heavy = np.where(feedback.user % 3 == 0, 4.0, 1.0).astype(np.float32)
    plain, weighed = pairs_of(name, feedback), pairs_of(name, replace(feedback, weight=heavy))
    assert labelled(plain) == labelled(weighed)
    assert not np.allclose(plain.weight, weighed.weight)


@pytest.mark.parametrize(("factor", "offset"), [(2.0, 0.0), (20.0, 0.0), (5.0, -15.0)])
@pytest.mark.parametrize("name", sorted(set(NAMES) - CLICKED))
def test_likes_follow_the_scale(name: str, factor: float, offset: float) -> None:
    feedback = events(name)
    moved = replace(feedback, value=(feedback.value * factor + offset).astype(np.float32))
    found = labelled(pairs_of(name, moved))
    expected = labelled(pairs_of(name, feedback))
    assert {row[:2] for row in found} == {row[:2] for row in expected}
    high = {row[:2] for row in expected if row[2] >= 0.5}
    assert {row[:2] for row in found if row[2] >= 0.5} == high


def test_a_low_opinion_takes_a_click_back() -> None:
    clicks = Feedback.of(
        user=["a"] * 4, item=["i0", "i4", "i8", "i8"], value=[1, 1, 1, -1], time=[1, 2, 3, 4],
        kind=[FeedbackKind.CLICK] * 3 + [FeedbackKind.THUMB],
    )  # fmt: skip
    pairs = pairs_of("clicks", clicks)
    assert {pairs.texts[code].split()[-1] for code in pairs.liked_text} == {"0", "4"}


def test_thumbs_are_opinions() -> None:
    ratings = ratings_of()
    told = ratings.where(ratings.value != 3)
    thumbs = as_kind(told, FeedbackKind.THUMB, value=np.sign(told.value - 3).astype(np.float32))
    assert labelled(pairs_of("ratings", thumbs)) == labelled(pairs_of("ratings", told))
    assert N_ITEMS == 40
