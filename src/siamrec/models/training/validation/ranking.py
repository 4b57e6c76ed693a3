"""Ranking texts for held-out users: what validation measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core.table import Arrays
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError
from siamrec.models.training.strategies.material import queries

if TYPE_CHECKING:
    from siamrec.data import Pairs
    from siamrec.typing import BoolArray, Float32Array, FloatArray, IntArray

K = 10


@final
@dataclass(frozen=True, slots=True, repr=False)
class RankingTask(Arrays):
    """Units (users or queries) with the texts known of each, and the texts to be found.

    Args:
        profile_unit: Unit of each profile text, `(p,)`, ascending.
        profile_text: Text known of the unit.
        truth_unit: Unit of each text to be found, `(t,)`, ascending.
        truth_text: Text to be found.
        candidates: Texts among which it is to be found.
        n_units: Number of units.
    """

    profile_unit: IntArray
    profile_text: IntArray
    truth_unit: IntArray
    truth_text: IntArray
    candidates: IntArray
    n_units: int

    @classmethod
    def of(cls, valid: Pairs, candidates: IntArray, *, train: Pairs | None = None) -> RankingTask:
        """Return the task that validation pairs set.

        The first half of what a user likes is the profile and the second half is to be found. Of
        a user whom training knows too, as after a split by time, all that training knows is the
        profile.
        Rows of a query, rows without a user, and all rows of a split by query or cluster set one
        task for each anchor: find the texts that go with it.

        Args:
            valid: Pairs of validation.
            candidates: Texts among which is searched.
            train: Pairs of training over the same texts.

        Raises:
            InvalidDataError: If there is nothing to be found.
        """
        alone = queries(valid) | (valid.user == UNKNOWN)
        if valid.split_by in {"query", "cluster"}:
            alone[:] = True
        units, texts, first = _halves(valid, ~alone, train)
        n_users = int(units.max()) + 1 if units.size else 0
        asked = alone & (valid.label >= 0.5)
        anchors, unit = np.unique(valid.left[asked], return_inverse=True)
        couples = np.unique(np.stack([unit, valid.right[asked]], axis=1), axis=0)
        task = cls(
            np.concatenate([units[first], n_users + np.arange(anchors.size)]),
            np.concatenate([texts[first], anchors]).astype(np.int64),
            np.concatenate([units[~first], n_users + couples[:, 0]]),
            np.concatenate([texts[~first], couples[:, 1]]).astype(np.int64),
            candidates,
            n_users + anchors.size,
        )
        if not task.truth_text.size:
            raise InvalidDataError(
                "Validation must hold users with at least two liked texts, or queries with a "
                "positive text, got none."
            )
        return task

    def among(self, mask: BoolArray, *, profile: BoolArray) -> RankingTask:
        """Return the task of finding only the texts in `mask`, among themselves.

        Args:
            mask: Texts that can be found, `(n_texts,)`.
            profile: Texts that may stand in a profile, `(n_texts,)`.
        """
        truth, known = mask[self.truth_text], profile[self.profile_text]
        return RankingTask(
            self.profile_unit[known],
            self.profile_text[known],
            self.truth_unit[truth],
            self.truth_text[truth],
            self.candidates[mask[self.candidates]],
            self.n_units,
        )

    def profiles(self, vectors: Float32Array) -> FloatArray:
        """Return the mean vector of each unit's profile, `(n_units, dim)`."""
        sums = np.zeros((self.n_units, vectors.shape[1]))
        np.add.at(sums, self.profile_unit, vectors[self.profile_text])
        count = np.bincount(self.profile_unit, minlength=self.n_units)
        return sums / np.maximum(count, 1)[:, None]

    def ndcg(self, vectors: Float32Array) -> FloatArray:
        """Return NDCG@10 of each unit, NaN without a profile or truth, `(n_units,)`."""
        return self.ndcg_of_scores(self.profiles(vectors) @ vectors[self.candidates].T)

    def ndcg_of_popularity(self, counts: FloatArray) -> FloatArray:
        """Return NDCG@10 of each unit when texts are ranked by `counts`, `(n_texts,)`."""
        return self.ndcg_of_scores(np.tile(counts[self.candidates], (self.n_units, 1)))

    def ndcg_of_scores(self, scores: FloatArray) -> FloatArray:
        """Return NDCG@10 of each unit; profile texts are never recommended.

        Args:
            scores: Score of each candidate, `(n_units, n_candidates)`; changed in place.
        """
        place = np.full(self._n_texts(), UNKNOWN, dtype=np.int64)
        place[self.candidates] = np.arange(self.candidates.size)
        seen = place[self.profile_text]
        scores[self.profile_unit[seen >= 0], seen[seen >= 0]] = -np.inf
        k = min(K, self.candidates.size)
        top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        wanted = np.zeros(scores.shape, dtype=np.bool_)
        truth = place[self.truth_text]
        wanted[self.truth_unit[truth >= 0], truth[truth >= 0]] = True
        wanted[~np.isfinite(scores)] = False
        discount = 1.0 / np.log2(np.arange(2, K + 2))
        gained = np.take_along_axis(wanted, top, axis=1) @ discount[:k]
        best = np.r_[0.0, np.cumsum(discount)][np.minimum(wanted.sum(1), K)]
        known = np.bincount(self.profile_unit, minlength=self.n_units) > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where((best > 0) & known, gained / best, np.nan)

    def _n_texts(self) -> int:
        parts = (self.candidates, self.profile_text, self.truth_text)
        return 1 + max((int(part.max()) for part in parts if part.size), default=0)


def _halves(
    valid: Pairs, of_user: BoolArray, train: Pairs | None
) -> tuple[IntArray, IntArray, BoolArray]:
    """Liked texts by unit, and whether each belongs to its unit's profile."""
    users, texts = _liked(valid, of_user)
    if not users.size:
        return users, texts, np.zeros(0, dtype=np.bool_)
    known = before = users[:0]
    if train is not None:
        known, before = _known_before(train, valid, np.unique(users))
    users, texts = np.concatenate([known, users]), np.concatenate([before, texts])
    couples = users * (int(texts.max()) + 1) + texts
    _, first = np.unique(couples, return_index=True)
    rows = np.sort(first)
    order = rows[np.argsort(users[rows], kind="stable")]
    _, unit = np.unique(users[order], return_inverse=True)
    size = np.bincount(unit)
    n_known = np.bincount(unit[order < known.size], minlength=size.size)
    rank = np.arange(order.size) - (np.cumsum(size) - size)[unit]
    profile = np.where(n_known > 0, n_known, (size + 1) // 2)
    return unit, texts[order], rank < profile[unit]


def _liked(valid: Pairs, of_user: BoolArray) -> tuple[IntArray, IntArray]:
    """Users and the texts that they like, in order of time.

    Users all of whose pairs set tasks of their own are left out. Where no likes are given, they
    are read from the positive rows in `of_user`.
    """
    positive = (valid.user != UNKNOWN) & (valid.label >= 0.5)
    rows = positive & of_user
    users, texts = valid.liked_user.astype(np.int64), valid.liked_text.astype(np.int64)
    if users.size:
        kept = ~np.isin(users, np.setdiff1d(valid.user[positive], valid.user[rows]))
        return users[kept], texts[kept]
    users = np.concatenate([valid.user[rows], valid.user[rows]]).astype(np.int64)
    texts = np.concatenate([valid.left[rows], valid.right[rows]]).astype(np.int64)
    return users, texts


def _known_before(train: Pairs, valid: Pairs, users: IntArray) -> tuple[IntArray, IntArray]:
    """What training knows of these users of validation, by code of validation."""
    move = np.append(train.users.translate(valid.users), np.int32(UNKNOWN))
    rows = (train.user != UNKNOWN) & (train.label >= 0.5)
    who = np.concatenate([train.liked_user, train.user[rows], train.user[rows]])
    what = np.concatenate([train.liked_text, train.left[rows], train.right[rows]])
    shared = np.isin(move[who], users)
    return move[who][shared].astype(np.int64), what[shared].astype(np.int64)
