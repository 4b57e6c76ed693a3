"""A fitted arm whose scores are fading weights of a person's last items times item weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec.models.recommenders._linear import FittedWeights
from siamrec.models.recommenders.capability import Capability

if TYPE_CHECKING:
    from siamrec.models.recommenders.histories import Histories
    from siamrec.typing import Id


@final
class FittedSequenceWeights(FittedWeights):
    """The latest item of a person counts 1, each one before it `decay` times the one after it.

    The recipe holds `recent`, the number of items looked at, and `decay`.
    """

    capabilities: ClassVar[Capability] = FittedWeights.capabilities | Capability.SEQUENTIAL

    @override
    def strengths(self, histories: Histories) -> sparse.csr_array:
        recent, decay = int(self._recipe["recent"]), float(self._recipe["decay"])
        item, there = histories.latest(recent, self._recipe["positive"])
        back = there.sum(axis=1, keepdims=True) - 1 - np.arange(recent)
        row = np.nonzero(there)[0]
        values = (decay ** back[there]).astype(np.float32)
        return sparse.csr_array((values, (row, item[there])), shape=histories.value.shape)

    @override
    def similar(self, item: Id, *, k: int = 10) -> list[tuple[Id, float]]:
        """Return the `k` items that most often come next, with their weight, best first."""
        return [(other, weight) for other, weight in super().similar(item, k=k) if weight > 0]
