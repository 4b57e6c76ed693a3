"""How often texts come into a batch, for the correction of popularity (logQ)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from siamrec._core import check
from siamrec._core.table import Arrays
from siamrec.data.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor

    from siamrec.data import Pairs
    from siamrec.typing import CodeArray, IntArray


@final
@dataclass(frozen=True, slots=True, repr=False)
class TextRates(Arrays):
    r"""How often each text stands among the candidates of a batch.

    Of n rows, of which a batch takes b, text j is the positive of :math:`n_j` and a mined negative
    of :math:`m_j`; in the mean it stands :math:`Q_j = b (n_j + m_j) / n` times in a batch. Mined
    texts come in with their rows, and so they have a rate like any other; one that is also a
    positive elsewhere has one rate for both. A text that was never counted has the rate of one
    that was counted once.

    Args:
        positive: Rows of which each text is the positive, `(n_texts,)`.
        batch_size: Rows in a batch.
        strength: Strength of the correction, in [0, 1].

    Raises:
        InvalidParameterError: If a number is out of its range.

    References:
        Yi et al. (2019), Sampling-bias-corrected neural modeling, RecSys, section 3.

    Examples:
        >>> rates = TextRates(np.array([3, 1, 0]), batch_size=2)
        >>> rates.log_q(np.array([[2], [2], [1], [-1]], np.int32)).exp().tolist()
        [1.5, 1.0, 1.0]
    """

    positive: IntArray
    batch_size: int
    strength: float = 1.0

    def __post_init__(self) -> None:
        check.count("batch_size", self.batch_size)
        check.share("popularity", self.strength)

    @classmethod
    def of(cls, pairs: Pairs, *, batch_size: int, strength: float = 1.0) -> Self:
        """Return the rates of the positives of `pairs`."""
        right = pairs.right[pairs.label >= 0.5]
        return cls(np.bincount(right, minlength=len(pairs.texts)), batch_size, strength)

    def log_q(self, negatives: CodeArray | None = None) -> Tensor:
        r"""Return :math:`\tau \log Q` of each text, `(n_texts,)`.

        Args:
            negatives: Codes of mined texts in any shape, -1 for none.
        """
        total = max(int(self.positive.sum()), 1)
        count = self.positive.astype(np.float64)
        if negatives is not None:
            mined = negatives[negatives != UNKNOWN]
            count = count + np.bincount(mined, minlength=count.size)
        rate = self.batch_size * np.maximum(count, 1.0) / total
        return torch.from_numpy((self.strength * np.log(rate)).astype(np.float32))


def mined_negatives(pairs: Pairs) -> CodeArray | None:
    """Return the negatives that stand beside the positive rows of `pairs`."""
    if pairs.negatives is None:
        return None
    return pairs.negatives[pairs.label >= 0.5]
