"""Training pairs: two texts, how well they belong together, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
from typing_extensions import override

from siamrec.data.columnar import one_or_more
from siamrec.data.frames import NO_TIME
from siamrec.data.pairs.columns import PairColumns, PairOrigin, require_texts
from siamrec.data.pairs.counts import statistics_of
from siamrec.data.pairs.joins import joined
from siamrec.data.pairs.splits import mined_anew, split_masks
from siamrec.data.vocabulary import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Self

    import numpy.typing as npt

    from siamrec.data.pairs.columns import OriginArray, SplitUnit
    from siamrec.data.pairs.counts import PairStatistics
    from siamrec.typing import Float32Array


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pairs(PairColumns):
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
    @override
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return all rows of `parts`, one after the other, over joined tables.

        Raises:
            InvalidDataError: If there is no part.
        """
        return cls(**joined(one_or_more(parts, cls, "pairs")))

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
        train, valid = split_masks(self, by=by, fraction=fraction, seed=seed)
        sides = (replace(self.part(*side), split_by=by) for side in (train, valid))
        first, second = map(mined_anew, sides)
        return first, second

    def statistics(self) -> PairStatistics:
        """Return counts by origin, texts, users and the effective sample size."""
        return statistics_of(self)


def _origins(labels: Float32Array) -> OriginArray:
    return np.where(labels >= 0.5, PairOrigin.POSITIVE, PairOrigin.NEGATIVE).astype(np.int8)
