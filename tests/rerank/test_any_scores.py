"""Any finite scores, any trade-off: different places, the promised order, and no lost digit."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data import Rankings, Truth, Vocabulary
from siamrec.rerank import SELECTORS, Pipeline
from siamrec.rerank.candidates import Candidates
from siamrec.rerank.normalise import RULES, normalised

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray

N = 20
RNG = np.random.default_rng(4)
SELECTS = {name: SELECTORS.make(name) for name in sorted(SELECTORS.house())}
TRADING = [
    name
    for name, made in SELECTS.items()
    if any(field.name == "trade_off" for field in fields(made))  # type: ignore[arg-type]
]
SCALE_FREE = {"dpp"}
"""At no trade-off are these led by scores alone: their own goes from 0 upwards."""

SCORES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "ranks": lambda rank: rank,
    "far from zero": lambda rank: 1e8 + rank,
    "far below zero": lambda rank: rank - 1e8,
    "tiny": lambda rank: 1e-8 * rank,
    "close to one": lambda rank: 1 + 1e-9 * rank,
    "huge": lambda rank: 5e306 * rank,
    "huge both ways": lambda rank: 1.7e308 * (rank / N - 0.5) * 2,
    "next to nothing": lambda rank: 1e-300 * rank,
    "ties": lambda rank: rank // 2,
    "all alike": lambda rank: 0 * rank + 0.7,
}


def inputs_of(n: int, *, twins: bool = False) -> dict[str, Any]:
    """Return what selectors ask for; with `twins` two items each are the same but for scores."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) // 2 if twins else np.arange(n)
    return {
        "embeddings": rng.standard_normal((n, 5))[kind],
        "popularity": np.ones(n),
        "quality": np.ones(n),
        "categories": {item: [f"c{kind[item] % 4}"] for item in range(n)},
        "groups": {item: f"g{kind[item] % 5}" for item in range(n)},
        "history": Truth.from_lists({0: [0, 4, 9]}),
    }


def row_of(scores: FloatArray, order: Any = None) -> Rankings:
    places = list(range(len(scores))) if order is None else order.tolist()
    items = Vocabulary(tuple(range(len(scores))))
    return Rankings.from_lists({0: places}, scores={0: scores[places].tolist()}, items=items)


def reranked(selector: Any, row: Rankings, rule: str, **inputs: Any) -> list[Any]:
    with np.errstate(all="raise", under="ignore"):
        lists = Pipeline(selector, normalise=rule).rerank(row, k=row.item.size, **inputs)
    assert lists.score is not None
    assert np.isfinite(lists.score).all()
    return list(lists.lists()[0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("name", SELECTS)
def test_places_are_different_whatever_the_scores(name: str, scores: str, rule: str) -> None:
    row = row_of(SCORES[scores](RNG.permutation(N).astype(float)))
    for value in (0.0, 0.5, 1.0) if name in TRADING else (None,):
        selector: Any = SELECTS[name]
        selector = selector if value is None else replace(selector, trade_off=value)
        assert sorted(reranked(selector, row, rule, **inputs_of(N))) == list(range(N))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("name", sorted(set(TRADING) - SCALE_FREE))
def test_scores_alone_sort_by_score_then_place(name: str, scores: str, rule: str) -> None:
    order = RNG.permutation(N)
    row = row_of(SCORES[scores](RNG.permutation(N).astype(float)), order)
    selector: Any = SELECTS[name]
    found = reranked(replace(selector, trade_off=1.0), row, rule, **inputs_of(N))
    assert row.score is not None
    by_score = np.argsort(-row.score, kind="stable")
    assert found == [row.lists()[0][place] for place in by_score]


@pytest.mark.parametrize("value", [0.0, 0.3])
@pytest.mark.parametrize("name", TRADING)
def test_of_twins_the_better_comes_first(name: str, value: float) -> None:
    for _ in range(5):
        scores = RNG.permutation(N).astype(float)
        row = row_of(scores, RNG.permutation(N))
        selector: Any = replace(SELECTS[name], trade_off=value)  # type: ignore[type-var]
        place = np.argsort(reranked(selector, row, "minmax", **inputs_of(N, twins=True)))
        first, second = np.arange(0, N, 2), np.arange(1, N, 2)
        assert ((place[first] < place[second]) == (scores[first] > scores[second])).all()


@pytest.mark.parametrize("rule", ["zscore", "minmax"])
def test_one_scale_is_reached_from_anywhere(rule: str) -> None:
    plain = normalised(Candidates(row_of(np.arange(N, dtype=float))), rule)
    for scores in ("far below zero", "huge", "huge both ways", "next to nothing"):
        other = Candidates(row_of(SCORES[scores](np.arange(N, dtype=float))))
        np.testing.assert_allclose(normalised(other, rule), plain, atol=1e-6)
    alike = Candidates(row_of(SCORES["all alike"](np.arange(N, dtype=float))))
    assert set(normalised(alike, "zscore").tolist()) == {0.0}
