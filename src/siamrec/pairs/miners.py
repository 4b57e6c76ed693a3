"""The miner of sentence-transformers, on pairs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidParameterError
from siamrec.pairs.base import MinerRecipe, require_parts
from siamrec.pairs.hard_negatives import Known

if TYPE_CHECKING:
    from siamrec.data import Pairs
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import CodeArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceTransformersMiner(MinerRecipe):
    """`mine_hard_negatives` of sentence-transformers, on pairs.

    It draws on the nearest texts of each anchor, below a share of the positive's similarity. Where
    it drops a row, the row stays and has no negative. What is known to suit the user or the anchor
    is left out afterwards, so a row may end with fewer than wanted.

    Args:
        per_positive: Negatives of each positive pair.
        skip: Texts left out at the head of the ranking.
        pool: Texts looked at for each anchor, nearest first.
        percent: Largest similarity, as a share of the positive's own.
        co_likes: Users that must like two texts for them to belong together; 0 leaves this out.
        faiss: Whether it searches with faiss (extra `[faiss]`).
        encoder: A `SentenceEncoder` that says what is near, where `mine` is not told.

    Raises:
        InvalidParameterError: If a number is out of its range.
    """

    per_positive: int = 4
    skip: int = 0
    pool: int = 100
    percent: float = 0.95
    co_likes: int = 5
    faiss: bool = False
    encoder: SiameseEncoder | None = None

    def __post_init__(self) -> None:
        check.count("per_positive", self.per_positive)
        check.count("pool", self.pool)
        check.count("skip", self.skip, least=0)
        check.count("co_likes", self.co_likes, least=0)
        check.share("percent", self.percent)
        check.flag("faiss", self.faiss)
        require_parts(self, "encoder")

    @override
    def mine(self, pairs: Pairs, encoder: SiameseEncoder | None = None) -> Pairs:
        """Return the same pairs with `negatives`, of shape `(n, per_positive)`.

        Args:
            pairs: Pairs; every text of their table may become a negative.
            encoder: A `SentenceEncoder`, before the miner's own.

        Raises:
            InvalidParameterError: If there is no encoder of sentence-transformers.
        """
        negatives = np.full((len(pairs), self.per_positive), UNKNOWN, dtype=np.int32)
        rows = np.flatnonzero(pairs.label >= 0.5)
        if rows.size:
            negatives[rows] = self._found(pairs, encoder or self.encoder, rows)
        again = self if encoder is None else replace(self, encoder=encoder)
        return replace(pairs, negatives=negatives, miner=again)

    def _found(self, pairs: Pairs, encoder: Any, rows: IntArray) -> CodeArray:
        from datasets import Dataset
        from sentence_transformers.util import mine_hard_negatives

        model = getattr(encoder, "model", None)
        if model is None:
            raise InvalidParameterError("encoder", encoder, "a SentenceEncoder for this miner")
        couples, place = np.unique(
            np.stack([pairs.left[rows], pairs.right[rows]], axis=1), axis=0, return_inverse=True
        )
        anchors, positives = ([pairs.texts[code] for code in side] for side in couples.T.tolist())
        mined = mine_hard_negatives(
            Dataset.from_dict({"anchor": anchors, "positive": positives}),
            model,
            corpus=list(pairs.texts),
            range_min=self.skip,
            range_max=min(self.pool, len(pairs.texts) - 1),
            relative_margin=1.0 - self.percent,
            num_negatives=self.per_positive,
            sampling_strategy="top",
            output_format="triplet",
            use_faiss=self.faiss,
            verbose=False,
        )
        code_of = {text: code for code, text in enumerate(pairs.texts)}
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row in mined:
            couple = code_of[row["anchor"]], code_of[row["positive"]]
            found[couple].append(code_of[row["negative"]])
        listed = [(found[left, right] + [UNKNOWN] * self.per_positive)[: self.per_positive]
                  for left, right in couples.tolist()]  # fmt: skip
        codes = np.array(listed, dtype=np.int32)[place.reshape(-1)]
        known = Known.of(pairs, self.co_likes)(pairs.user[rows], pairs.left[rows], codes)
        return np.where(known, np.int32(UNKNOWN), codes)
