"""The columns of training pairs: what holds of them is proved once, when they are made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import counted
from siamrec.data.columnar import Columnar, days_of, plain_row
from siamrec.data.frames import NO_TIME
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    import numpy.typing as npt

    from siamrec.typing import BoolArray, CodeArray, Float32Array, IntArray

    OriginArray: TypeAlias = npt.NDArray[np.int8]

SplitUnit: TypeAlias = Literal["user", "query", "time", "cluster"]
"""What may not be on both sides of a split."""


class PairOrigin(IntEnum):
    """Where a pair comes from."""

    POSITIVE = 0
    """Feedback says that the two belong together."""
    NEGATIVE = 1
    """Feedback says that they do not."""
    HARD = 2
    """A mined negative: near in the encoder, not known to belong together."""
    SYNTHETIC = 3
    """Made without feedback; never used for validation."""
    REPLAY = 4
    """A pair of an earlier training, kept against forgetting."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PairColumns(Columnar):
    """What `Pairs` holds; see there for each column."""

    texts: tuple[str, ...]
    left: CodeArray
    right: CodeArray
    label: Float32Array
    weight: Float32Array
    origin: OriginArray
    user: CodeArray
    left_item: CodeArray
    right_item: CodeArray
    time: IntArray
    negatives: CodeArray | None = None
    users: Vocabulary = field(default_factory=Vocabulary)
    items: Vocabulary = field(default_factory=Vocabulary)
    liked_user: CodeArray = field(default_factory=lambda: np.empty(0, np.int32))
    liked_text: CodeArray = field(default_factory=lambda: np.empty(0, np.int32))
    miner: Any = field(default=None, repr=False, compare=False)
    split_by: SplitUnit | None = field(default=None, repr=False, compare=False)
    liked_time: IntArray | None = None

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, check.frozen(getattr(self, name), dtype))
        _check_lengths(self)
        _check_values(self)

    @override
    def row(self, place: int) -> dict[str, Any]:
        users, items = (*self.users.ids, None), (*self.items.ids, None)
        cells = plain_row({name: getattr(self, name) for name in _ROW_COLUMNS}, place)
        cells |= {"left": self.texts[cells["left"]], "right": self.texts[cells["right"]]}
        cells |= {"origin": PairOrigin(cells["origin"]).name.lower(), "user": users[cells["user"]]}
        for name in ("left_item", "right_item"):
            cells[name] = items[cells[name]]
        return cells

    @override
    def title(self) -> str:
        counts = np.bincount(self.origin, minlength=len(PairOrigin))
        kinds = [f"{counts[kind]:,} {kind.name.lower()}" for kind in PairOrigin if counts[kind]]
        return (
            f"Pairs: {counted(len(self), 'pair')} ({', '.join(kinds) or 'none'}) of "
            f"{counted(len(self.texts), 'text')}{days_of(self.time)}"
        )

    @override
    def where(self, rows: BoolArray | IntArray) -> Self:
        """Return the rows of a mask, or rows by number in the order given.

        The table of texts, ids and liked texts stay.
        """
        return self.part(check.rows("rows", rows, len(self)), None)

    def part(self, rows: BoolArray | IntArray, likes: BoolArray | None) -> Self:
        """Return some rows with some of the likes, or with all of them."""
        part = {name: getattr(self, name)[rows] for name in _ROW_COLUMNS}
        negatives = None if self.negatives is None else self.negatives[rows]
        named = _LIKED_COLUMNS if self.liked_time is None else (*_LIKED_COLUMNS, "liked_time")
        liked = {} if likes is None else {name: getattr(self, name)[likes] for name in named}
        return replace(self, negatives=negatives, **part, **liked)

    def fingerprint(self) -> str:
        """Return a hash of the rows and liked texts, independent of how codes were given."""
        texts = _digests(self.texts)
        users, items = (_digests(map(_id_text, v.ids)) for v in (self.users, self.items))
        negatives = np.empty((0, 0), np.int32) if self.negatives is None else self.negatives
        return content_hash(
            texts[self.left],
            texts[self.right],
            texts[negatives],
            users[self.user],
            items[self.left_item],
            items[self.right_item],
            *(self.label, self.weight, self.origin, self.time),
            users[self.liked_user],
            texts[self.liked_text],
            *([] if self.liked_time is None else [self.liked_time]),
        )

    @override
    def __len__(self) -> int:
        return int(self.left.size)


_ROW_COLUMNS = (
    *("left", "right", "label", "weight", "origin"),
    *("user", "left_item", "right_item", "time"),
)
_LIKED_COLUMNS = ("liked_user", "liked_text")
_DTYPES: dict[str, type[np.generic]] = {
    **dict.fromkeys(_ROW_COLUMNS, np.int32),
    **dict.fromkeys(_LIKED_COLUMNS, np.int32),
    "label": np.float32,
    "weight": np.float32,
    "origin": np.int8,
    "time": np.int64,
}


def _id_text(id_: object) -> str:
    return f"{type(id_).__name__}:{id_}"


def _digests(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """One row of 128 bits for each text, and a last row of zeros, which the code -1 picks."""
    import hashlib

    raw = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    rows = np.frombuffer(raw, dtype=np.uint64).reshape(-1, 2)
    return np.concatenate([rows, np.zeros((1, 2), np.uint64)])


def _check_lengths(pairs: PairColumns) -> None:
    """Pass when all columns of rows are as long as each other, and so are all of likes."""
    n = check.same_length(**{name: getattr(pairs, name) for name in _ROW_COLUMNS})
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


def _check_values(pairs: PairColumns) -> None:
    """Pass when texts are texts, codes are in range and numbers too."""
    texts = pairs.texts
    _check_texts(texts)
    pairs.users.checked("a user")
    pairs.items.checked("an item")
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
    _in_range("origin", pairs.origin, 0, len(PairOrigin))
    if pairs.negatives is not None:
        _in_range("negatives", pairs.negatives, UNKNOWN, n_texts)
    if not ((pairs.label >= 0) & (pairs.label <= 1)).all():
        raise InvalidDataError("label must be in [0, 1] in every row.")
    if not (np.isfinite(pairs.weight) & (pairs.weight >= 0)).all():
        raise InvalidDataError("weight must be finite and not below 0 in every row.")


def _check_texts(texts: tuple[object, ...]) -> None:
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise InvalidDataError(f"texts must be text that is not blank, got {shown(text)}.")
        if not writable(text):
            raise InvalidDataError(f"texts must be valid Unicode, got {shown(text)}.")


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
    for place, text in enumerate(check.many(name, texts, what="texts")):
        if not isinstance(text, str):
            raise InvalidDataError(f"{name} must be texts, got {shown(text)} at place {place}.")


def _in_range(name: str, codes: npt.NDArray[Any], low: int, high: int) -> None:
    if codes.size and not (codes.min() >= low and codes.max() < high):
        raise InvalidDataError(
            f"{name} must be codes from {low} to {high - 1}, got {codes.min()} to {codes.max()}."
        )
