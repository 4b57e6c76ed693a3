"""What every selector of re-ranking must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.rerank import Pipeline
from siamrec.testing.sample import no_global_chance

if TYPE_CHECKING:
    from siamrec.rerank import Selector

N_ITEMS, N_USERS, K = 40, 9, 6


def candidates_of(seed: int) -> tuple[Rankings, dict[str, Any]]:
    """Return candidates of different lengths, some users with none, and every input."""
    rng = np.random.default_rng(seed)
    sizes = [30, 0, 1, 4, 30, 17, 2, 30, 9]
    lists = {u: rng.permutation(N_ITEMS)[:n].tolist() for u, n in enumerate(sizes)}
    scores = {u: np.sort(rng.uniform(0, 1, n))[::-1].tolist() for u, n in enumerate(sizes)}
    items = Vocabulary(tuple(range(N_ITEMS)))
    inputs = {
        "embeddings": rng.standard_normal((N_ITEMS, 5)),
        "popularity": rng.integers(0, 100, N_ITEMS).astype(float),
        "quality": rng.uniform(1, 10, N_ITEMS),
        "categories": {i: [f"c{i % 4}", f"d{i % 3}"] for i in range(N_ITEMS)},
        "groups": {i: f"g{i % 5}" for i in range(N_ITEMS)},
        "history": Truth.from_lists({u: rng.permutation(N_ITEMS)[:5].tolist() for u in lists}),
    }
    return Rankings.from_lists(lists, scores=scores, items=items), inputs


class SelectorContract(ABC):
    """Laws of a selector; subclass it and say how to build one."""

    @abstractmethod
    def make(self) -> Selector:
        """Return the selector under test."""

    @pytest.mark.parametrize("seed", range(3))
    def test_lists_are_full_and_hold_candidates_once(self, seed: int) -> None:
        candidates, inputs = candidates_of(seed)
        lists = Pipeline(self.make()).rerank(candidates, k=K, **inputs)
        np.testing.assert_array_equal(lists.length, np.minimum(candidates.length, K))
        assert not lists.n_repeats
        given = candidates.lists()
        for user, row in lists.lists().items():
            assert set(row) <= set(given[user])

    @pytest.mark.parametrize("seed", range(3))
    def test_a_user_alone_gets_the_same_list(self, seed: int) -> None:
        candidates, inputs = candidates_of(seed)
        together = Pipeline(self.make()).rerank(candidates, k=K, **inputs).lists()
        for user in range(N_USERS):
            alone = candidates.places(np.flatnonzero(candidates.owner == user))
            lists = Pipeline(self.make()).rerank(alone, k=K, **inputs).lists()
            assert lists[user] == together[user]

    @pytest.mark.parametrize("seed", range(3))
    def test_order_of_candidates_does_not_matter(self, seed: int) -> None:
        candidates, inputs = candidates_of(seed)
        rng = np.random.default_rng(seed)
        order = np.lexsort((rng.uniform(size=candidates.item.size), candidates.owner))
        plain = Pipeline(self.make()).rerank(candidates, k=K, **inputs).lists()
        assert (
            plain == Pipeline(self.make()).rerank(candidates.places(order), k=K, **inputs).lists()
        )

    @pytest.mark.parametrize("k", [1, 2, 5])
    def test_no_list_is_longer_than_asked(self, k: int) -> None:
        candidates, inputs = candidates_of(1)
        lists = Pipeline(self.make()).rerank(candidates, k=k, **inputs)
        np.testing.assert_array_equal(lists.length, np.minimum(candidates.length, k))

    def test_two_calls_agree_and_change_nothing(self) -> None:
        candidates, inputs = candidates_of(2)
        before = candidates.lists()
        pipeline = Pipeline(self.make())
        with no_global_chance():
            first, second = (pipeline.rerank(candidates, k=K, **inputs).lists() for _ in range(2))
        assert first == second
        assert candidates.lists() == before

    @pytest.mark.parametrize("height", [0.0, 1e8, -1e8])
    @pytest.mark.parametrize("step", [0.0, 1.0])
    def test_any_finite_scores_give_different_places(self, height: float, step: float) -> None:
        items = Vocabulary(tuple(range(N_ITEMS)))
        scores = [height + step * rank for rank in range(10)][::-1]
        row = Rankings.from_lists({0: list(range(10))}, scores={0: scores}, items=items)
        _, inputs = candidates_of(0)
        lists = Pipeline(self.make(), normalise="none").rerank(row, k=K, **inputs)
        assert lists.length.tolist() == [K]
        assert not lists.n_repeats

    def test_a_candidate_alone_is_the_list(self) -> None:
        candidates, inputs = candidates_of(0)
        lists = Pipeline(self.make()).rerank(candidates.top(1), k=K, **inputs).lists()
        assert lists == candidates.top(1).lists()
