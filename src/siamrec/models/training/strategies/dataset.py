"""Training pairs as the columns that the trainer of sentence-transformers reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.training.strategies.material import learnable

if TYPE_CHECKING:
    from siamrec.data import Pairs
    from siamrec.typing import BoolArray, CodeArray, FloatArray


def learned_rows(pairs: Pairs, columns: tuple[str, ...]) -> BoolArray:
    """Return the rows of `pairs` that stand in the training set of a loss, in their order.

    Raises:
        InvalidParameterError: If the loss learns from texts and not from pairs.
    """
    if "text" in columns:
        raise InvalidParameterError("loss", columns, "one that reads pairs")
    rows = learnable(pairs) if columns[0] != "left" else pairs.weight > 0
    return rows & (_negatives(pairs) != UNKNOWN) if "negative" in columns else rows


def training_set(
    pairs: Pairs,
    columns: tuple[str, ...],
    *,
    mined: bool = False,
    numbered: bool = False,
    seed: int = 0,
) -> Any:
    """Return a `datasets.Dataset` with text columns and a label row for each pair.

    Args:
        pairs: Pairs to learn from.
        columns: `("anchor", "positive")`, with `"negative"` behind them where a loss needs it;
            `("left", "right")` for losses that read labels; or those of `text_set`.
        mined: Whether mined negatives, where the pairs have them, stand behind the positives as
            `"negative_1"` and so on; a copy of the positive fills a place that is empty.
        numbered: Whether each label row ends with the number of its row.
        seed: Of what is drawn for losses that learn from texts.

    Raises:
        InvalidDataError: If the loss needs negatives and the pairs have none, or learns from
            labels and all are equal.
    """
    if "text" in columns:
        return text_set(pairs, columns, seed=seed)
    rows, texts = learned_rows(pairs, columns), [pairs.left, pairs.right]
    if "negative" in columns:
        texts = [*texts, _negatives(pairs)]
        if not rows.any():
            raise InvalidDataError(
                "This loss needs triplets, but no positive pair has a negative; mine some with "
                "hard_negatives=HardNegatives(…), or bring ratings of disliked items."
            )
    if columns[0] == "left" and np.ptp(pairs.label[rows]) == 0:
        raise InvalidDataError(
            f"This loss learns from labels, but all {int(rows.sum())} pairs have the label "
            f"{pairs.label[rows][0]:g}; one class only cannot be learned. Bring ratings of "
            "disliked items, or take a loss of positives such as 'feedback-infonce'."
        )
    if mined and pairs.negatives is not None:
        filled = np.where(pairs.negatives == UNKNOWN, pairs.right[:, None], pairs.negatives)
        texts = [*texts, *filled.T]
        columns = (*columns, *(f"negative_{k + 1}" for k in range(filled.shape[1])))
    codes = np.stack([column[rows] for column in texts], axis=1)
    side = np.stack([pairs.label[rows], pairs.weight[rows], pairs.user[rows]], axis=1)
    number = np.arange(len(codes))[:, None][:, : int(numbered)]
    spoken = {
        name: [pairs.texts[code] for code in codes[:, place].tolist()]
        for place, name in enumerate(columns)
    }
    return _set(spoken, np.concatenate([side, codes, number], axis=1))


def text_set(pairs: Pairs, columns: tuple[str, ...], *, seed: int) -> Any:
    """Return a `datasets.Dataset` for losses that learn from texts alone.

    Args:
        pairs: Pairs whose texts are learned from.
        columns: `("text",)`: what each user likes, the user as value; `("text", "other")`: each
            text with itself (value 1) and with three others (0); `("damaged", "text")`: each text
            and what is left of it when six words of ten are dropped.
        seed: Of the drawing.

    References:
        Carlsson et al. (2021), Semantic re-tuning with contrastive tension, ICLR; Wang, Reimers,
        Gurevych (2021), TSDAE, EMNLP findings.
    """
    rng = np.random.default_rng(seed)
    rows = learnable(pairs)
    if columns == ("text",):
        couples = np.stack([pairs.user[rows], pairs.left[rows]], axis=1)
        couples = np.concatenate([couples, np.stack([pairs.user, pairs.right], axis=1)[rows]])
        if pairs.liked_user.size:
            couples = np.stack([pairs.liked_user, pairs.liked_text], axis=1)
        user, codes = np.unique(couples, axis=0).T
        spoken = {"text": [pairs.texts[code] for code in codes.tolist()]}
        return _set(spoken, np.stack([user, np.ones(user.size), user, codes], axis=1))
    codes = np.unique(np.concatenate([pairs.left[rows], pairs.right[rows]]))
    listed = [pairs.texts[code] for code in codes.tolist()]
    if columns == ("damaged", "text"):
        spoken = {"damaged": [damaged(text, rng) for text in listed], "text": listed}
        return _set(spoken, np.ones((codes.size, 2)))
    turns = [codes, *(np.roll(codes, shift) for shift in _shifts(codes.size, rng))]
    both = np.stack([np.tile(codes, len(turns)), np.concatenate(turns)], axis=1)
    spoken = {
        name: [pairs.texts[code] for code in both[:, place].tolist()]
        for place, name in enumerate(columns)
    }
    ones = np.ones(len(both))
    return _set(spoken, np.column_stack([both[:, 0] == both[:, 1], ones, -ones, both]))


def _shifts(n: int, rng: np.random.Generator, most: int = 3) -> list[int]:
    return [int(shift) for shift in rng.permutation(np.arange(1, n))[:most]]


def damaged(text: str, rng: np.random.Generator, *, share: float = 0.6) -> str:
    """Return a text with `share` of its words dropped, and one left at least.

    Examples:
        >>> damaged("a crew of thieves plans one last robbery", np.random.default_rng(1))
        'crew thieves last'
    """
    words = text.split()
    kept = [word for word, u in zip(words, rng.random(len(words)), strict=True) if u >= share]
    return " ".join(kept or words[:1])


def _set(spoken: dict[str, list[str]], label: FloatArray) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({**spoken, "label": list(label.astype(np.float32))})


def _negatives(pairs: Pairs) -> CodeArray:
    """A negative of each row: a mined one, or else a text that the same user dislikes."""
    chosen = np.full(len(pairs), UNKNOWN, dtype=np.int32)
    if pairs.negatives is not None and pairs.negatives.shape[1]:
        chosen = pairs.negatives[:, 0].copy()
    disliked: BoolArray = (pairs.label < 0.5) & (pairs.user != UNKNOWN)
    user, text = pairs.user[disliked], pairs.right[disliked]
    order = np.argsort(user, kind="stable")
    user, text = user[order], text[order]
    first = np.searchsorted(user, pairs.user)
    count = np.searchsorted(user, pairs.user, side="right") - first
    place = first + np.arange(len(pairs)) % np.maximum(count, 1)
    open_rows = (chosen == UNKNOWN) & (count > 0) & (pairs.user != UNKNOWN)
    chosen[open_rows] = text[place[open_rows]]
    return chosen
