"""The contract of an arm: a frozen recipe, and the fitted value it returns.

An author writes two classes. The recipe holds settings and has `fit`; the fitted value holds
what was learned and has `score`. Everything else (ids, seen items, candidates, ties, short
lists, unknown people) is done once, here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from scipy import sparse

from siamrec._core import check
from siamrec.data import Rankings, Vocabulary
from siamrec.errors import NotTrainedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from siamrec.data import Catalog, Feedback
    from siamrec.typing import BoolArray, Float32Array, FloatArray, Id

_BLOCK = 1024  # users scored at a time: the score block stays near the cache


@final
class Capability(Flag):
    """What a fitted arm can do beside ranking known users."""

    RANKING = auto()
    RATINGS = auto()
    SEQUENTIAL = auto()
    COLD_USER = auto()
    COLD_ITEM = auto()
    INCREMENTAL_EXACT = auto()
    EXPLAIN = auto()
    SIMILAR = auto()


@final
@dataclass(frozen=True, slots=True)
class Histories:
    """What people did, as the fitted arm sees it: rows of events over its items.

    Attributes:
        value: Ratings or strengths, shape `(n_people, n_items)`; every stored entry is a seen
            item, whatever its value.
    """

    value: sparse.csr_array

    @classmethod
    def of(cls, feedback: Feedback, users: Vocabulary, items: Vocabulary) -> Histories:
        """Return the last value of every user and item; items unknown to the arm are dropped."""
        order = np.argsort(feedback.time, kind="stable")
        row = feedback.users.translate(users)[feedback.user[order]].astype(np.int64)
        column = feedback.items.translate(items)[feedback.item[order]].astype(np.int64)
        known = (row >= 0) & (column >= 0)
        key = row[known] * max(len(items), 1) + column[known]
        distinct, from_end = np.unique(key[::-1], return_index=True)
        last = key.size - 1 - from_end
        value = feedback.value[order][known][last].astype(np.float32)
        shape = (len(users), len(items))
        row, column = np.divmod(distinct, max(len(items), 1))
        start = np.searchsorted(row, np.arange(len(users) + 1))
        return cls(sparse.csr_array((value, column.astype(np.int32), start), shape=shape))

    def liked(self, positive: float | None) -> sparse.csr_array:
        """Return ones where the value is at least `positive`, or everywhere with None."""
        liked = self.value.copy()
        keep = np.ones(liked.nnz, bool) if positive is None else self.value.data >= positive
        liked.data = keep.astype(np.float32)
        liked.eliminate_zeros()
        return liked

    def rows(self, start: int, stop: int) -> Histories:
        """Return the people from `start` up to `stop`."""
        return Histories(self.value[start:stop])

    def __len__(self) -> int:
        return int(self.value.shape[0])


class FittedRecommender(ABC):
    """What an arm has learned: ranks items for known users and for new histories.

    An author sets the four attributes and writes `score` and `save`.

    Attributes:
        users: Users of the training feedback.
        items: Items that can be ranked.
        history: What the training users did.
        capabilities: What the arm can do.
    """

    capabilities: ClassVar[Capability] = Capability.RANKING
    users: Vocabulary
    items: Vocabulary
    history: Histories

    @abstractmethod
    def score(self, histories: Histories) -> Float32Array:
        """Return the score of every item for each history, shape `(n, n_items)`.

        An item that the arm cannot rank has the score minus infinity; NaN is an error.
        """

    @abstractmethod
    def save(self, path: str | Path) -> None:
        """Write the arm to a folder as JSON and safetensors; nothing is half-written."""

    @final
    def recommend(
        self,
        users: Sequence[Id],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[Id] | None = None,
        deny: Sequence[Id] = (),
    ) -> Rankings:
        """Return ranked lists for users of the training feedback.

        Args:
            users: Ids of users.
            k: Longest list, at least 1; a list is shorter where fewer items are left.
            exclude_seen: Whether items with feedback of the user are left out.
            candidates: The only items to rank; None for all.
            deny: Items never to rank.

        Raises:
            siamrec.errors.UnknownNameError: If a user or candidate is unknown.
            siamrec.errors.InvalidParameterError: If `k` is not positive.
        """
        rows = self.users.encode(users, name="user")
        histories = Histories(self.history.value[rows])
        allowed = self._allowed(candidates, deny)
        names = Vocabulary(tuple(users))
        return self._ranked(histories, names, k=k, allowed=allowed, exclude_seen=exclude_seen)

    @final
    def recommend_for_history(
        self,
        histories: Sequence[Sequence[Id]],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[Id] | None = None,
        deny: Sequence[Id] = (),
    ) -> Rankings:
        """Return ranked lists for people known by what they liked, in the order given.

        Items that the arm does not know are passed over; the people are numbered from 0.
        """
        lengths = [len(history) for history in histories]
        row = np.repeat(np.arange(len(histories)), lengths)
        flat = [item for history in histories for item in history]
        column = self.items.encode(flat, unknown="code")
        pairs = np.unique(np.stack([row, column], axis=1)[column >= 0], axis=0).reshape(-1, 2)
        # 5 is "liked" on every usual scale; the order of the ids carries no rating.
        value = np.full(len(pairs), 5.0, dtype=np.float32)
        matrix = sparse.csr_array(
            (value, (pairs[:, 0], pairs[:, 1])), shape=(len(histories), len(self.items))
        )
        return self._ranked(
            Histories(matrix),
            Vocabulary(tuple(range(len(histories)))),
            k=k,
            allowed=self._allowed(candidates, deny),
            exclude_seen=exclude_seen,
        )

    @final
    def recommend_for_feedback(
        self,
        feedback: Feedback,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[Id] | None = None,
        deny: Sequence[Id] = (),
    ) -> Rankings:
        """Return ranked lists for the users of `feedback`, known or not, by that feedback alone.

        Ratings count as in training. The lists follow the order of `feedback.users`.
        """
        histories = Histories.of(feedback, feedback.users, self.items)
        return self._ranked(
            histories,
            feedback.users,
            k=k,
            allowed=self._allowed(candidates, deny),
            exclude_seen=exclude_seen,
        )

    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        """Return the `k` items most like `item`, with their similarity, best first.

        Raises:
            siamrec.errors.NotTrainedError: If the arm knows no similarity.
        """
        _ = item, k
        raise NotTrainedError(f"{type(self).__name__} has no item similarity; EASE has one.")

    def explain(self, user: Id, item: Id, *, n: int = 5) -> list[tuple[Id, float]]:
        """Return the `n` seen items that add most to the score of `item`, with what they add.

        Raises:
            siamrec.errors.NotTrainedError: If the arm cannot explain its scores.
        """
        _ = user, item, n
        raise NotTrainedError(f"{type(self).__name__} does not explain its scores; EASE does.")

    def _allowed(self, candidates: Sequence[Id] | None, deny: Sequence[Id]) -> BoolArray:
        allowed = np.ones(len(self.items), dtype=bool)
        if candidates is not None:
            allowed[:] = False
            allowed[self.items.encode(candidates, name="candidate item")] = True
        denied = self.items.encode(deny, unknown="code")
        allowed[denied[denied >= 0]] = False
        return allowed

    def _ranked(
        self,
        histories: Histories,
        users: Vocabulary,
        *,
        k: int,
        allowed: BoolArray,
        exclude_seen: bool,
    ) -> Rankings:
        check.count("k", k)
        blocks = []
        for first in range(0, len(histories), _BLOCK):
            block = histories.rows(first, first + _BLOCK)
            table = self.score(block)
            table[:, ~allowed] = -np.inf
            if exclude_seen:
                seen = block.value.tocoo()
                table[seen.row, seen.col] = -np.inf
            blocks.append(Rankings.from_scores(table, k=k, items=self.items))
        return Rankings(
            users=users,
            items=self.items,
            item=np.concatenate([np.empty(0, np.int32), *(block.item for block in blocks)]),
            start=np.concatenate([[0], *(block.length for block in blocks)]).cumsum(),
            score=np.concatenate([np.empty(0), *(_score(block) for block in blocks)]),
        )


def _score(rankings: Rankings) -> FloatArray:
    assert rankings.score is not None
    return rankings.score


class RecommenderRecipe(ABC):
    """Settings of an arm; fitting returns a new value and leaves the recipe untouched.

    Leaves are frozen keyword-only dataclasses.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @abstractmethod
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedRecommender:
        """Return the arm fitted to `feedback`.

        Args:
            feedback: Training events.
            catalog: Items with texts and attributes, for arms that use them.
        """
