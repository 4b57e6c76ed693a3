"""Training pairs as columns: two texts, how well they belong together, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, final

import numpy as np

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec.data.frames import NO_TIME
from siamrec.data.pairs.checks import check_lengths, check_values, require_texts
from siamrec.data.vocabulary import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Self

    import numpy.typing as npt

    from siamrec.data.pairs.splits import Mines
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


@final
@dataclass(frozen=True, slots=True)
class PairStatistics:
    """Counts of a set of pairs.

    Args:
        total: Rows.
        positive: Rows whose origin is feedback and whose label is at least 0.5.
        negative: Rows whose origin is feedback and whose label is below 0.5.
        hard: Mined rows, plus the mined negatives beside other rows.
        synthetic: Rows made without feedback.
        replayed: Rows of an earlier training.
        texts: Distinct texts in use.
        users: Distinct users in use.
        per_user: Mean number of rows of a user (NaN without users).
        effective: Effective sample size `(sum w)^2 / sum w^2` of the weights.
    """

    total: int
    positive: int
    negative: int
    hard: int
    synthetic: int
    replayed: int
    texts: int
    users: int
    per_user: float
    effective: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs of texts with label, weight and origin; texts are stored once.

    Args:
        texts: Distinct texts.
        left: Code of each pair's anchor (the query, or the item liked before), `(n,)`.
        right: Code of the text beside it, `(n,)`.
        label: How well the two belong together, in [0, 1].
        weight: How much the pair counts, 0 or more.
        origin: A `PairOrigin` of each pair.
        user: Code of the user whose feedback it is; -1 where there is none.
        left_item: Item code of the anchor where it is an item, else -1.
        right_item: Item code of the other text where it is an item, else -1.
        time: Instant of the feedback, `NO_TIME` where unknown.
        negatives: Codes of texts that do not belong to the anchor, `(n, m)`, -1 for none.
        users: The users behind `user`.
        items: The items behind `left_item` and `right_item`.
        liked_user: With `liked_text`: everything that a user is known to like, also what was
            not drawn as a pair, in order of time; keeps it from serving as a negative.
        liked_text: Code of the liked text.
        miner: What found `negatives`; a split asks it again for each side, so that likes of
            validation users decide no negative of training. It is not saved.
        split_by: What the other side of the split, where these pairs are one, does not share.
        liked_time: Instant of each like, `NO_TIME` where unknown; None where no one is known.

    Raises:
        InvalidDataError: If columns differ in length, codes are out of range, texts repeat or
            are empty, a label is outside [0, 1], or a weight is negative or not finite.

    Examples:
        >>> pairs = Pairs.from_frame(
        ...     {"query": ["heist", "heist"], "document": ["Heat", "Babe"], "score": [1.0, 0.0]},
        ...     left="query", right="document", label="score",
        ... )
        >>> pairs.statistics().positive, pairs.statistics().negative
        (1, 1)
        >>> pairs.texts
        ('heist', 'Heat', 'Babe')
    """

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
    miner: Mines | None = field(default=None, repr=False, compare=False)
    split_by: SplitUnit | None = field(default=None, repr=False, compare=False)
    liked_time: IntArray | None = None

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, check.frozen(getattr(self, name), dtype))
        check_lengths(self, _ROW_COLUMNS)
        check_values(self)

    @classmethod
    def of(
        cls,
        left: list[str],
        right: list[str],
        *,
        label: npt.ArrayLike = 1.0,
        weight: npt.ArrayLike = 1.0,
    ) -> Self:
        """Return pairs of plain texts; label and weight may be one number for all.

        Raises:
            InvalidDataError: If something is no text, or columns differ in length.
        """
        require_texts("left", left)
        require_texts("right", right)
        n = len(left)
        table, codes = Vocabulary.factorize([*left, *right])
        labels = np.broadcast_to(np.asarray(label, np.float32), (n,))
        none = np.full(n, UNKNOWN, np.int32)
        return cls(
            texts=cast("tuple[str, ...]", table.ids),  # checked as all texts are
            left=codes[:n],
            right=codes[n:],
            label=labels,
            weight=np.broadcast_to(np.asarray(weight, np.float32), (n,)),
            origin=_origins(labels),
            user=none,
            left_item=none,
            right_item=none,
            time=np.full(n, NO_TIME),
        )

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        left: str = "left",
        right: str = "right",
        label: str | None = None,
        weight: str | None = None,
        user: str | None = None,
        time: str | None = None,
    ) -> Self:
        """Return the pairs of a data frame.

        Args:
            frame: Anything with `__arrow_c_stream__`, or a mapping of columns.
            left: Column of the anchors' texts.
            right: Column of the other texts.
            label: Column of labels in [0, 1]; all 1 when not given.
            weight: Column of weights; all 1 when not given.
            user: Column of user ids; null means none.
            time: Column of instants.

        Raises:
            UnknownNameError: If a named column does not exist.
            InvalidDataError: If a text is missing, a number is out of range, or a column mixes
                kinds of values.
        """
        from siamrec.data.pairs.files import pairs_of_frame  # pyarrow on use

        names = {"left": left, "right": right}
        optional = {"label": label, "weight": weight, "user": user, "time": time}
        names |= {role: name for role, name in optional.items() if name is not None}
        return cls(**pairs_of_frame(frame, names))

    @classmethod
    def concat(cls, parts: Iterable[Pairs]) -> Self:
        """Return all rows of `parts`, one after the other, over joined tables.

        Raises:
            InvalidDataError: If there is no part.
        """
        from siamrec.data.pairs.joins import joined

        return cls(**joined(list(parts)))

    def to_arrow(self) -> Any:
        """Return a pyarrow table with one row per pair, texts and ids written out."""
        from siamrec.data.pairs.files import arrow_of

        return arrow_of(self)

    def save(self, path: str | Path) -> None:
        """Write to a `.csv`, `.json`, `.jsonl` or `.parquet` file, whole or not at all.

        A file holds one row per pair, one per liked text (origin `liked`), and one with the unit
        of the split (origin `split`) where there is one. `miner` stays behind.

        Raises:
            UnknownNameError: If the suffix is another one.
            StorageError: If the file cannot be written.
            InvalidDataError: If it cannot hold the ids: no file holds other than text and numbers,
                and no column of Parquet both.
        """
        from siamrec.data.pairs.files import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; the fingerprint is the same.

        Raises:
            UnknownNameError: If the suffix is another one.
            InvalidDataError: If the file is not one of pairs.
            StorageError: If it cannot be read.
        """
        from siamrec.data.pairs.files import load

        return cls(**load(path))

    def split(
        self, *, by: SplitUnit = "user", fraction: float = 0.2, seed: int = 0
    ) -> tuple[Self, Self]:
        """Return training and validation pairs that share no unit.

        Units are drawn by a hash of their id and `seed`, so that a unit keeps its side when
        pairs are added. Synthetic pairs stay in training. By user, liked texts go with their
        user. Where negatives were mined and the miner is known, each side is mined anew.

        Args:
            by: `"user"`; `"query"` (the anchor's text, case and spaces aside); `"cluster"` (the
                anchor's text, punctuation aside too); or `"time"` (the last rows are validation).
                By query and cluster, rows of other anchors with a held-out text are on neither
                side, and so are likes of such texts and those that only held-out rows tell. By
                time, likes go by their instant.
            fraction: Share of the units (by time: of the rows) for validation, in (0, 1).
            seed: Chooses among splits; without effect by time.

        Raises:
            LeakageError: If the two sides still overlap; `overlap` says in what.
            InvalidDataError: If one side would be empty, or the unit is not known.
        """
        from siamrec.data.pairs.splits import mined_anew, split_masks

        train, valid = split_masks(self, by=by, fraction=fraction, seed=seed)
        sides = (replace(self._part(*side), split_by=by) for side in (train, valid))
        first, second = map(mined_anew, sides)
        return first, second

    def where(self, mask: BoolArray) -> Self:
        """Return the rows in `mask`; the text table, ids and liked texts stay."""
        return self._part(np.asarray(mask, dtype=np.bool_), None)

    def _part(self, rows: BoolArray, likes: BoolArray | None) -> Self:
        part = {name: getattr(self, name)[rows] for name in _ROW_COLUMNS}
        negatives = None if self.negatives is None else self.negatives[rows]
        named = _LIKED_COLUMNS if self.liked_time is None else (*_LIKED_COLUMNS, "liked_time")
        liked = {} if likes is None else {name: getattr(self, name)[likes] for name in named}
        return replace(self, negatives=negatives, **part, **liked)

    def statistics(self) -> PairStatistics:
        """Return counts by origin, texts, users and the effective sample size."""
        from siamrec.data.pairs.counts import counts_of

        return PairStatistics(**counts_of(self))

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


def _origins(labels: Float32Array) -> OriginArray:
    return np.where(labels >= 0.5, PairOrigin.POSITIVE, PairOrigin.NEGATIVE).astype(np.int8)


def _id_text(id_: object) -> str:
    return f"{type(id_).__name__}:{id_}"


def _digests(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """One row of 128 bits for each text, and a last row of zeros, which the code -1 picks."""
    import hashlib

    raw = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    rows = np.frombuffer(raw, dtype=np.uint64).reshape(-1, 2)
    return np.concatenate([rows, np.zeros((1, 2), np.uint64)])
