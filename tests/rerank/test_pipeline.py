"""Adjusters, normalisation, exposure, explanations and tuning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.rerank import (
    MMR,
    Candidates,
    ExposureCoverage,
    ItemExposure,
    LongTailBoost,
    NicheBoost,
    Pipeline,
    PopularityDamping,
    Serendipity,
    in_turns,
    normalised,
    tune_trade_off,
)

ITEMS = Vocabulary(tuple("abcd"))
LISTS = Rankings.from_lists(
    {"ann": ["a", "b", "c"], "bob": ["d"], "eve": []},
    scores={"ann": [3.0, 1.0, 2.0], "bob": [7.0], "eve": []},
    items=ITEMS,
)
COUNTS = [99.0, 0.0, 9.0, 0.0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("none", [3.0, 1.0, 2.0, 7.0]),
        ("minmax", [1.0, 0.0, 0.5, 1.0]),
        ("zscore", [1.5**0.5, -(1.5**0.5), 0.0, 0.0]),
        ("rank", [1.0, 1 / 3, 2 / 3, 1.0]),
    ],
)
def test_scores_are_brought_onto_one_scale(rule: str, expected: list[float]) -> None:
    np.testing.assert_allclose(normalised(Candidates(LISTS), rule), expected, atol=1e-15)


def test_equal_scores_share_their_rank() -> None:
    lists = Rankings.from_lists({"u": ["a", "b", "c"]}, scores={"u": [1.0, 1.0, 0.0]})
    assert normalised(Candidates(lists), "rank").tolist() == [2.5 / 3, 2.5 / 3, 1 / 3]


@given(st.floats(0.1, 50), st.floats(-100, 100))
@settings(max_examples=50, deadline=None)
def test_scale_and_shift_of_scores_change_no_list(scale: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    score = np.round(rng.uniform(0, 1, (3, 20)), 3)
    item = np.stack([rng.permutation(30)[:20] for _ in range(3)])
    vectors = rng.standard_normal((30, 5))
    pipeline = Pipeline(PopularityDamping(), MMR(trade_off=0.6))
    counts = rng.integers(0, 50, 30)
    plain, moved = (
        pipeline.rerank(
            Rankings.from_arrays(item, score=s, items=Vocabulary(tuple(range(30)))),
            k=5,
            embeddings=vectors,
            popularity=counts,
        ).lists()
        for s in (score, score * scale + shift)
    )
    assert plain == moved


def test_popularity_damping_log_and_power() -> None:
    explained = Pipeline(PopularityDamping(strength=0.5)).rerank(
        LISTS, k=3, popularity=COUNTS, explain=True
    )
    assert explained.rankings.lists() == {"ann": ["a", "c", "b"], "bob": ["d"], "eve": []}
    np.testing.assert_allclose(explained.parts["popularity_damping"], [-0.5, -0.25, 0.0, 0.0])
    power = Pipeline(PopularityDamping(strength=1.0, form="power")).rerank(
        LISTS, k=1, popularity=COUNTS
    )
    assert power.score is not None
    assert power.score[0] == pytest.approx(1 / (1 + np.log(100)))
    with pytest.raises(InvalidDataError, match="Scores must not be negative for form='power'"):
        Pipeline(PopularityDamping(form="power"), normalise="zscore").rerank(
            LISTS, k=1, popularity=COUNTS
        )


def test_long_tail_boost_by_rule_and_smooth() -> None:
    rule = Pipeline(LongTailBoost(weight=0.3, votes=50, rating=7.5), normalise="none").rerank(
        LISTS, k=3, popularity=COUNTS, quality=[9.0, 8.0, 7.0, 8.0], explain=True
    )
    assert rule.parts["long_tail_boost"].tolist() == [0.0, 0.0, 0.3, 0.3]  # a, c, b and d
    smooth = Pipeline(LongTailBoost(weight=1.0, votes=10, rating=None, smooth=1.0)).rerank(
        LISTS, k=3, popularity=COUNTS, explain=True
    )
    added = dict(zip(smooth.rankings.item.tolist(), smooth.parts["long_tail_boost"], strict=True))
    # sigmoid(log 10 - log(1 + c)) = 10 / (11 + c)
    assert added == pytest.approx({0: 10 / 110, 1: 10 / 11, 2: 10 / 20, 3: 10 / 11})


def test_few_votes_do_not_make_a_top_rating() -> None:
    believed = LongTailBoost(weight=1.0, votes=50, rating=7.5, prior=10.0)
    explained = Pipeline(believed, normalise="none").rerank(
        LISTS, k=3, popularity=[90.0, 2.0, 9.0, 0.0], quality=[6.0, 10.0, 9.5, 0.0], explain=True
    )
    boosted = dict(
        zip(explained.rankings.lists()["ann"], explained.parts["long_tail_boost"], strict=False)
    )
    overall = (90 * 6 + 2 * 10 + 9 * 9.5) / 101
    assert (9 * 9.5 + 10 * overall) / 19 > 7.5
    assert boosted == {"a": 0.0, "b": 0.0, "c": 1.0}


def test_niche_boost() -> None:
    explained = Pipeline(NicheBoost(weight=0.2)).rerank(
        LISTS, k=3, popularity=COUNTS, explain=True
    )
    parts = dict(zip("acb", explained.parts["niche_boost"], strict=False))
    assert parts == pytest.approx({"a": 0.0, "c": 0.1, "b": 0.2})


def test_serendipity_looks_at_the_nearest_or_the_mean_of_the_history() -> None:
    vectors = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]
    past = Truth.from_lists({"ann": ["a", "b"]})
    for to, distance in (("nearest", 1 - 0.5**0.5), ("mean", 1 - 0.5**0.5)):
        explained = Pipeline(Serendipity(weight=1.0, to=to), normalise="none").rerank(  # type: ignore[arg-type]
            LISTS, k=3, embeddings=vectors, history=past, explain=True
        )
        parts = dict(
            zip(explained.rankings.item.tolist(), explained.parts["serendipity"], strict=True)
        )
        assert parts[2] == pytest.approx(distance if to == "nearest" else 1 - 2**0.5 / 2)
        assert parts[0] == pytest.approx(0.0 if to == "nearest" else 0.5)
        assert parts[3] == 0.0  # bob has no history


def test_explained_parts_add_up_to_the_score() -> None:
    rng = np.random.default_rng(3)
    item = np.stack([rng.permutation(30)[:12] for _ in range(4)])
    candidates = Rankings.from_arrays(item, score=rng.uniform(0, 1, (4, 12)))
    vectors = rng.standard_normal((len(candidates.items), 4))
    explained = Pipeline(PopularityDamping(), NicheBoost(), NicheBoost(), MMR()).rerank(
        candidates,
        k=5,
        popularity=rng.integers(0, 99, len(candidates.items)),
        embeddings=vectors,
        explain=True,
    )
    assert list(explained.parts) == ["score", "popularity_damping", "niche_boost", "niche_boost_2"]
    assert explained.rankings.score is not None
    np.testing.assert_allclose(sum(explained.parts.values()), explained.rankings.score, rtol=1e-12)
    table = explained.to_arrow().to_pydict()
    assert table["rank"][:5] == [1, 2, 3, 4, 5]


def test_source_travels_with_the_items() -> None:
    candidates = Rankings(
        users=Vocabulary(("u",)),
        items=ITEMS,
        item=np.array([0, 1], dtype=np.int32),
        start=np.array([0, 2]),
        score=np.array([1.0, 2.0]),
        source=np.array([0, 1], dtype=np.int32),
        arms=("svd", "tail"),
    )
    lists = Pipeline(NicheBoost()).rerank(candidates, k=1, popularity=COUNTS)
    assert lists.to_arrow().to_pydict()["source"] == ["tail"]


def test_steps_must_be_in_order() -> None:
    with pytest.raises(InvalidParameterError, match="adjusters before one selector"):
        Pipeline(MMR(), NicheBoost())
    with pytest.raises(InvalidParameterError, match="one or more adjusters and selectors"):
        Pipeline()
    with pytest.raises(UnknownNameError, match="Did you mean 'minmax'"):
        Pipeline(MMR(), normalise="min-max")


def test_exposure_adds_in_any_order_and_fades() -> None:
    day = 24 * 3600 * 10**9
    start = ItemExposure.start(half_life="1d")
    first = start.plus(Rankings.from_lists({"u": ["a", "b"]}), time=0)
    second = start.plus(Rankings.from_lists({"u": ["b", "c"]}), time=2 * day)
    one, other = first + second, second + first
    assert one.time == other.time == 2 * day
    amounts = [
        dict(zip(total.items.ids, total.amount.tolist(), strict=True)) for total in (one, other)
    ]
    assert amounts[0] == amounts[1] == {"a": 0.25, "b": 1.25, "c": 1.0}
    straight = first.plus(Rankings.from_lists({"u": ["b", "c"]}), time=2 * day)
    assert straight.amount.tolist() == one.amount.tolist()
    again = ItemExposure.from_json(one.to_json())
    assert (again.items, again.time, again.half_life) == (one.items, one.time, one.half_life)
    assert again.amount.tolist() == one.amount.tolist()


def test_exposure_refuses_nonsense() -> None:
    with pytest.raises(InvalidDataError, match="JSON of an Exposure"):
        ItemExposure.from_json("{}")
    with pytest.raises(InvalidDataError, match="share a half-life"):
        ItemExposure.start(half_life="1d") + ItemExposure.start()
    with pytest.raises(InvalidDataError, match="not negative"):
        ItemExposure(items=ITEMS, amount=np.full(4, -1.0))


def test_turns_spread_exposure_over_the_catalogue() -> None:
    # 60 users with the same candidates: without exposure all get the same two items.
    item = np.tile(np.arange(10), (60, 1))
    score = np.tile(np.linspace(1.0, 0.5, 10), (60, 1))
    candidates = Rankings.from_arrays(item, score=score)

    def rerank(part: Rankings, exposure: ItemExposure) -> Rankings:
        step = ExposureCoverage(exposure=exposure, weight=2.0)
        return Pipeline(step, normalise="none").rerank(part, k=2)

    lists, exposure = in_turns(
        rerank, candidates, ItemExposure.start(), turns=20, rng=np.random.default_rng(0)
    )
    assert lists.users is candidates.users
    assert set(lists.length.tolist()) == {2}
    assert exposure.total == 120
    assert np.unique(lists.item).size == 10
    plain = Pipeline(ExposureCoverage(exposure=ItemExposure.start())).rerank(candidates, k=2)
    assert np.unique(plain.item).size == 2


def test_tuning_keeps_the_accuracy_and_finds_the_front() -> None:
    table = {0.2: (0.30, 0.9), 0.5: (0.397, 0.8), 0.7: (0.40, 0.5), 0.9: (0.39, 0.4)}
    marked = {setting: Rankings.from_lists({"u": [str(setting)]}) for setting in table}

    def setting_of(lists: Rankings) -> float:
        return float(lists.items[0])

    front = tune_trade_off(
        lambda setting: marked[setting],
        settings=list(table),
        accuracy=lambda lists: table[setting_of(lists)][0],
        diversity=lambda lists: table[setting_of(lists)][1],
        budget=0.01,
    )
    assert front.best.setting == 0.5
    assert front.floor == pytest.approx(0.396)
    assert [point.on_front for point in front.points] == [True, True, True, False]
    with pytest.raises(InvalidParameterError, match="enough for a setting"):
        tune_trade_off(
            lambda setting: marked[setting],
            settings=[0.2],
            accuracy=lambda lists: 0.1,
            diversity=lambda lists: 0.1,
            reference=0.4,
        )
