"""Training pairs as the columns that the trainer of sentence-transformers reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError
from siamrec.models.training._material import learnable

if TYPE_CHECKING:
    from siamrec.data import Pairs
    from siamrec.typing import BoolArray, CodeArray


def learned_rows(pairs: Pairs, columns: tuple[str, ...]) -> BoolArray:
    """Return the rows of `pairs` that stand in the training set of a loss, in their order."""
    rows = learnable(pairs) if columns[0] != "left" else pairs.weight > 0
    return rows & (_negatives(pairs) != UNKNOWN) if "negative" in columns else rows


def training_set(
    pairs: Pairs, columns: tuple[str, ...], *, mined: bool = False, numbered: bool = False
) -> Any:
    """Return a `datasets.Dataset` with text columns and a label row for each pair.

    Args:
        pairs: Pairs to learn from.
        columns: `("anchor", "positive")`, with `"negative"` behind them where a loss needs it, or
            `("left", "right")` for losses that read labels.
        mined: Whether mined negatives, where the pairs have them, stand behind the positives as
            `"negative_1"` and so on; a copy of the positive fills a place that is empty.
        numbered: Whether each label row ends with the number of its row.

    Raises:
        InvalidDataError: If the loss needs negatives and the pairs have none.
    """
    from datasets import Dataset  # noqa: PLC0415

    rows, texts = learned_rows(pairs, columns), [pairs.left, pairs.right]
    if "negative" in columns:
        texts = [*texts, _negatives(pairs)]
        if not rows.any():
            raise InvalidDataError(
                "This loss needs triplets, but no positive pair has a negative; mine some with "
                "hard_negatives=HardNegatives(…), or bring ratings of disliked items."
            )
    if mined and pairs.negatives is not None:
        filled = np.where(pairs.negatives == UNKNOWN, pairs.right[:, None], pairs.negatives)
        texts = [*texts, *filled.T]
        columns = (*columns, *(f"negative_{k + 1}" for k in range(filled.shape[1])))
    codes = np.stack([column[rows] for column in texts], axis=1)
    side = np.stack([pairs.label[rows], pairs.weight[rows], pairs.user[rows]], axis=1)
    spoken = {
        name: [pairs.texts[code] for code in codes[:, place].tolist()]
        for place, name in enumerate(columns)
    }
    number = np.arange(len(codes))[:, None][:, : int(numbered)]
    label = np.concatenate([side, codes, number], axis=1).astype(np.float32)
    return Dataset.from_dict({**spoken, "label": list(label)})


def _negatives(pairs: Pairs) -> CodeArray:
    """A negative of each row: a mined one, or else a text that the same user dislikes."""
    chosen = np.full(len(pairs), UNKNOWN, dtype=np.int32)
    if pairs.negatives is not None and pairs.negatives.shape[1]:
        chosen = pairs.negatives[:, 0].copy()
    disliked: BoolArray = (pairs.label < 0.5) & (pairs.user != UNKNOWN)  # noqa: PLR2004
    user, text = pairs.user[disliked], pairs.right[disliked]
    order = np.argsort(user, kind="stable")
    user, text = user[order], text[order]
    first = np.searchsorted(user, pairs.user)
    count = np.searchsorted(user, pairs.user, side="right") - first
    place = first + np.arange(len(pairs)) % np.maximum(count, 1)
    open_rows = (chosen == UNKNOWN) & (count > 0) & (pairs.user != UNKNOWN)
    chosen[open_rows] = text[place[open_rows]]
    return chosen
