"""An adjuster of scores and a selector of lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.rerank import Adjuster, Selector

if TYPE_CHECKING:
    from siamrec.rerank import Candidates
    from siamrec.typing import FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten(Adjuster):
    """Move every score towards 0.

    Args:
        share: How far, in [0, 1].
    """

    name: ClassVar[str] = "flatten"

    share: float = 0.5

    def __post_init__(self) -> None:
        check.share("share", self.share)

    @override
    def shift(self, candidates: Candidates, score: FloatArray) -> FloatArray:
        return -self.share * score


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SkipFirst(Selector):
    """Take the best by score, but the very best last of all."""

    name: ClassVar[str] = "skip_first"

    @override
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        chosen = []
        for first, end in candidates.users():
            item = candidates.item[first:end]
            order = first + np.lexsort((item, -score[first:end]))
            chosen.append(np.roll(order, -1)[:k])
        places = np.concatenate([np.empty(0, dtype=np.int64), *chosen])
        return places, score[places]
