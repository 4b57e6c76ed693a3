"""Events reduced to what pairs are drawn from: liked and disliked texts of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec.data.pairs import PairOrigin, Pairs

if TYPE_CHECKING:
    from siamrec.data import Vocabulary
    from siamrec.pairs.base import TextTable
    from siamrec.typing import BoolArray, CodeArray, FloatArray, IntArray

_ORIGINS = np.array([PairOrigin.POSITIVE, PairOrigin.NEGATIVE], dtype=np.int8)


@final
@dataclass(frozen=True, slots=True)
class Events:
    """One event for each user and item with a text, in order of time.

    Args:
        user: User of each event.
        item: Item of each event.
        text: Text of the item.
        time: Instant.
        weight: How much the event counts.
        liked: Whether it speaks for the item.
        disliked: Whether it speaks against it.
        n_users: Number of users.
    """

    user: CodeArray
    item: CodeArray
    text: CodeArray
    time: IntArray
    weight: FloatArray
    liked: BoolArray
    disliked: BoolArray
    n_users: int

    def positives(
        self, *, per_root: float, per_user: int, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Draw two different liked events of one user, many users at a time.

        A user with k liked events is drawn `ceil(per_root * sqrt(k))` times, at most `per_user`;
        repeats are dropped. Where that reaches all k (k - 1) couples, each is taken once.
        """
        rows, size, start = self._by_user(self.liked)
        every = size * (size - 1)
        wanted = np.minimum(np.ceil(per_root * np.sqrt(size)), per_user).astype(np.int64)
        count = np.minimum(wanted, every)
        drawn = np.repeat(np.arange(size.size), count)
        turn = np.arange(drawn.size) - np.repeat(np.cumsum(count) - count, count)
        couple = (rng.random(drawn.size) * every[drawn]).astype(np.int64)
        couple = np.where((wanted >= every)[drawn], turn, couple)
        first, second = np.divmod(couple, np.maximum(size[drawn] - 1, 1))
        second += second >= first
        return self._distinct(rows[start[drawn] + first], rows[start[drawn] + second])

    def negatives(
        self, left: IntArray, *, share: float, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Pair `share` of the events in `left` with disliked events of the same user."""
        rows, size, start = self._by_user(self.disliked)
        has = np.flatnonzero(size[self.user[left]] > 0)
        n = min(round(share * left.size), has.size)
        anchor = left[np.sort(rng.choice(has, n, replace=False))] if n else left[:0]
        user = self.user[anchor]
        disliked = rows[start[user] + (rng.random(user.size) * size[user]).astype(np.int64)]
        return self._distinct(anchor, disliked)

    def pairs(
        self,
        positive: tuple[IntArray, IntArray],
        negative: tuple[IntArray, IntArray],
        *,
        table: TextTable,
        users: Vocabulary,
    ) -> Pairs:
        """Return drawn couples of events as pairs; weights are geometric means of mean 1."""
        first = np.concatenate([positive[0], negative[0]])
        second = np.concatenate([positive[1], negative[1]])
        sizes = [positive[0].size, negative[0].size]
        weight = np.sqrt(self.weight[first] * self.weight[second])
        mean = float(weight.mean()) if weight.size else 0.0
        likes, _, _ = self._by_user(self.liked)
        return Pairs(
            texts=table.texts,
            left=self.text[first],
            right=self.text[second],
            label=np.repeat(np.array([1.0, 0.0], np.float32), sizes),
            weight=(weight / mean if mean > 0 else weight).astype(np.float32),
            origin=np.repeat(_ORIGINS, sizes),
            user=self.user[first],
            left_item=self.item[first],
            right_item=self.item[second],
            time=np.maximum(self.time[first], self.time[second]),
            users=users,
            items=table.items,
            liked_user=self.user[likes],
            liked_text=self.text[likes],
            liked_time=self.time[likes],
        )

    def _by_user(self, mask: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
        """Rows in `mask` by user and then by time, with each user's count and first place."""
        rows = np.flatnonzero(mask)
        rows = rows[np.argsort(self.user[rows], kind="stable")]
        size = np.bincount(self.user[rows], minlength=self.n_users)
        return rows, size, np.cumsum(size) - size

    def _distinct(self, left: IntArray, right: IntArray) -> tuple[IntArray, IntArray]:
        different = self.text[left] != self.text[right]
        kept = np.unique(np.stack([left, right], axis=1)[different], axis=0)
        return kept[:, 0], kept[:, 1]
