"""What holds of every set of pairs, proved once when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core import check
from siamrec.data.frames import NO_TIME
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siamrec.data.pairs.columns import Pairs

_ORIGINS = 5


def check_lengths(pairs: Pairs, rows: Sequence[str]) -> None:
    """Pass when all columns of rows are as long as each other, and so are all of likes."""
    n = check.same_length(**{name: getattr(pairs, name) for name in rows})
    check.same_length(liked_user=pairs.liked_user, liked_text=pairs.liked_text)
    if pairs.liked_time is not None:
        times = check.frozen(pairs.liked_time, np.int64)
        check.same_length(liked_user=pairs.liked_user, liked_time=times)
        object.__setattr__(pairs, "liked_time", times if (times != NO_TIME).any() else None)
    if pairs.negatives is None:
        return
    negatives = check.frozen(np.asarray(pairs.negatives), np.int32)
    if negatives.ndim != 2 or negatives.shape[0] != n:
        raise InvalidDataError(f"negatives must have shape ({n}, m), got {negatives.shape}.")
    object.__setattr__(pairs, "negatives", negatives)


def check_values(pairs: Pairs) -> None:
    """Pass when texts are texts, codes are in range and numbers too."""
    texts = pairs.texts
    _check_texts(texts)
    if len(set(texts)) != len(texts):
        raise InvalidDataError("texts must differ from one another.")
    n_texts, n_users, n_items = len(texts), len(pairs.users), len(pairs.items)
    _in_range("left", pairs.left, 0, n_texts)
    _in_range("right", pairs.right, 0, n_texts)
    _in_range("user", pairs.user, UNKNOWN, n_users)
    _in_range("left_item", pairs.left_item, UNKNOWN, n_items)
    _in_range("right_item", pairs.right_item, UNKNOWN, n_items)
    _in_range("liked_user", pairs.liked_user, 0, n_users)
    _in_range("liked_text", pairs.liked_text, 0, n_texts)
    _in_range("origin", pairs.origin, 0, _ORIGINS)
    if pairs.negatives is not None:
        _in_range("negatives", pairs.negatives, UNKNOWN, n_texts)
    if not ((pairs.label >= 0) & (pairs.label <= 1)).all():
        raise InvalidDataError("label must be in [0, 1] in every row.")
    if not (np.isfinite(pairs.weight) & (pairs.weight >= 0)).all():
        raise InvalidDataError("weight must be finite and not below 0 in every row.")


def _check_texts(texts: tuple[object, ...]) -> None:
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise InvalidDataError(f"texts must be text that is not blank, got {text!r}.")
        if not writable(text):
            raise InvalidDataError(f"texts must be valid Unicode, got {text!r}.")


def writable(text: str) -> bool:
    """Return whether a text holds no half of a pair of UTF-16, which no file can hold."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_texts(name: str, texts: Sequence[object]) -> None:
    """Pass when every one is a text.

    Raises:
        InvalidDataError: If one is missing or of another kind.
    """
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidDataError(f"{name} must be texts, got {text!r} at place {place}.")


def _in_range(name: str, codes: npt.NDArray[Any], low: int, high: int) -> None:
    if codes.size and not (codes.min() >= low and codes.max() < high):
        raise InvalidDataError(
            f"{name} must be codes from {low} to {high - 1}, got {codes.min()} to {codes.max()}."
        )
