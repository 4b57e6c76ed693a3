"""What training works on: one table of texts, rows to learn from, and who likes what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core.hashing import uniforms
from siamrec.data import Vocabulary
from siamrec.data.pairs import PairOrigin
from siamrec.data.pairs.splits import refuse_leaks
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError, LeakageError, shown

if TYPE_CHECKING:
    from siamrec.data import Pairs
    from siamrec.typing import BoolArray, FloatArray


@final
@dataclass(frozen=True, slots=True)
class Material:
    """Training and validation pairs over one table of texts.

    Args:
        train: Pairs to learn from.
        valid: Pairs to judge by.
        hidden: Texts kept out of training to see how texts without feedback fare, `(n_texts,)`.
    """

    train: Pairs
    valid: Pairs
    hidden: BoolArray

    @classmethod
    def of(cls, train: Pairs, valid: Pairs, *, cold_share: float, seed: int) -> Material:
        """Bring both to one table and draw the hidden texts by a hash of the text.

        Raises:
            InvalidDataError: If a side has nothing to learn or to judge by.
            LeakageError: If both have users in common, or, as sides of one split by another unit,
                what that parts.
        """
        _require(train, valid)
        table = Vocabulary(train.texts).extend(valid.texts)
        texts = tuple(str(text) for text in table.ids)
        both = [_over(pairs, table, texts) for pairs in (train, valid)]
        hidden = np.zeros(len(texts), dtype=np.bool_)
        if cold_share:
            hidden = np.asarray(uniforms(texts, f"cold-{seed}") < cold_share, dtype=np.bool_)
        material = cls(both[0], both[1], hidden)
        return replace(material, hidden=hidden & ~material.asked())  # a query is no item

    @property
    def texts(self) -> tuple[str, ...]:
        """The table."""
        return self.train.texts

    def asked(self) -> BoolArray:
        """Return the texts that are queries: anchors that are no item, and never an answer."""
        anchor = np.zeros(len(self.texts), dtype=np.bool_)
        answer = np.zeros(len(self.texts), dtype=np.bool_)
        for side in (self.train, self.valid):
            anchor[side.left[queries(side)]] = True
            answer[side.left[~queries(side)]] = True
            answer[side.right] = True
            answer[side.liked_text] = True
        return anchor & ~answer

    def without_hidden(self) -> Pairs:
        """Return the training pairs and likes in which no hidden text appears.

        A mined negative that is hidden leaves its place empty.
        """
        train, hidden = self.train, self.hidden
        shown = ~(hidden[train.left] | hidden[train.right])
        likes = ~hidden[train.liked_text]
        kept = train.where(shown)
        negatives = kept.negatives
        if negatives is not None:
            negatives = np.where(hidden[negatives], np.int32(UNKNOWN), negatives)
        return replace(
            kept,
            negatives=negatives,
            liked_user=train.liked_user[likes],
            liked_text=train.liked_text[likes],
            liked_time=None if train.liked_time is None else train.liked_time[likes],
        )

    def popularity(self) -> FloatArray:
        """Return how many training users like each text.

        Where no likes are given: in how many rows it is positive.
        """
        train = self.train
        texts = train.liked_text
        if not texts.size:
            texts = train.right[train.label >= 0.5]
        return np.bincount(texts, minlength=len(self.texts)).astype(np.float64)


def require_rivals(train: Pairs) -> None:
    """Pass when there are texts that somebody does not like.

    Raises:
        InvalidDataError: If all anchors are of one user, for whom no other text of a batch is a
            rival.
    """
    rows = learnable(train)
    users = np.unique(train.user[rows])
    if users.size == 1 and users[0] != UNKNOWN and train.negatives is None:
        raise InvalidDataError(
            f"train must hold pairs of at least two users, got {int(rows.sum())} pairs of "
            f"{shown(train.users[int(users[0])])} alone: everything in a batch suits this user, "
            "so nothing is left to tell apart. Bring more users, or mine with HardNegatives."
        )


def learnable(pairs: Pairs) -> BoolArray:
    """Return the rows that pull two texts together: positive, with weight."""
    mined = (pairs.origin == PairOrigin.NEGATIVE) | (pairs.origin == PairOrigin.HARD)
    rows: BoolArray = (pairs.label >= 0.5) & (pairs.weight > 0) & ~mined
    return rows


def queries(pairs: Pairs) -> BoolArray:
    """Return the rows in which something that is no item asks for one that is."""
    rows: BoolArray = (pairs.left_item == UNKNOWN) & (pairs.right_item != UNKNOWN)
    return rows


def _over(pairs: Pairs, table: Vocabulary, texts: tuple[str, ...]) -> Pairs:
    move = np.append(Vocabulary(pairs.texts).translate(table), np.int32(UNKNOWN))
    return replace(
        pairs,
        texts=texts,
        left=move[pairs.left],
        right=move[pairs.right],
        liked_text=move[pairs.liked_text],
        negatives=None if pairs.negatives is None else move[pairs.negatives],
    )


def _require(train: Pairs, valid: Pairs) -> None:
    rows = learnable(train)
    if not rows.any():
        raise InvalidDataError(
            f"train must hold positive pairs with weight, got none in {len(train)} rows; "
            "one class only cannot be learned."
        )
    if np.unique(np.stack([train.left[rows], train.right[rows]])).size < 3:
        raise InvalidDataError("train must hold at least three different texts in positive pairs.")
    if not len(valid):
        raise InvalidDataError(
            "valid must hold pairs to judge by, got none; split with a larger fraction."
        )
    if train.split_by == valid.split_by and valid.split_by not in {None, "user"}:
        refuse_leaks(train, valid, str(valid.split_by))  # rows may have been added since
        return
    shared = _known_users(train) & _known_users(valid)
    if shared:
        raise LeakageError(
            f"Training and validation share {len(shared)} users; split by 'user', or give both "
            "sides of one split by another unit as they are.",
            {"users": len(shared)},
        )


def _known_users(pairs: Pairs) -> set[object]:
    codes = np.unique(np.concatenate([pairs.user[pairs.user != UNKNOWN], pairs.liked_user]))
    return set(pairs.users.decode(codes))
