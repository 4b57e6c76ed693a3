"""SLIT: from what people did to what they did next, by ridge regression in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._linear import WeightsRecipe
from siamrec.models.recommenders._sequence import FittedSequenceWeights
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from siamrec.models.recommenders._linear import FittedWeights, Weights
    from siamrec.models.recommenders.capability import Capability
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range

_BLOCK = 65_536  # moments in memory at a time


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SLIT(WeightsRecipe[FittedSequenceWeights]):
    """Predict the items to come from those before, with fading weights on both sides.

    Every moment of every history is a row: `S` holds its last `recent` items with weights
    `decay^p` backwards, `T` its next `future` items with weights `future_decay^p` forwards. The
    weights are `B = (SᵀS + l2 I)⁻¹ SᵀT`, the scores `s B` of a person's last items.

    Args:
        l2: Ridge penalty, above 0.
        recent: Last items that speak, at least 1.
        decay: Weight of an item against the one after it, in (0, 1].
        future: Next items to be predicted, at least 1.
        future_decay: Weight of an item to come against the one before it, in (0, 1].
        positive: Smallest value that counts as liking; None counts every event.
        max_items: Refuse more items than this: memory is `4 n²` bytes, about `32 n²` to make, and
            time grows as `n³`.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked or items are too many.

    References:
        Choi, Kim, Lee, Shim and Lee (2021), Session-aware linear item-item models for
        session-based recommendation, WWW, section 3.3 (SLIT).

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "pot", "cup"],
        ...     time=[1, 2, 1, 2, 9],
        ... )
        >>> SLIT(l2=0.1).fit(feedback).recommend_for_history([["tea"]]).lists()
        {0: ['cup', 'pot']}
    """

    kind: ClassVar[str] = "slit"
    fitted: ClassVar[type[FittedWeights]] = FittedSequenceWeights
    capabilities: ClassVar[Capability] = FittedSequenceWeights.capabilities
    instead: ClassVar[str] = "fit it on the most popular items, use SequentialRules"
    search_space: ClassVar[Mapping[str, Range]] = {
        "l2": Float(5.0, 1000.0, log=True),
        "decay": Float(0.4, 1.0),
        "future_decay": Float(0.2, 1.0),
        "future": Integer(1, 10),
    }

    l2: float = 100.0
    recent: int = 15
    decay: float = 0.8
    future: int = 5
    future_decay: float = 0.6
    positive: float | None = None
    max_items: int = 20_000

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.positive("l2", self.l2)
        check.count("recent", self.recent)
        check.count("future", self.future)
        for name in ("decay", "future_decay"):
            check.positive(name, getattr(self, name))
            check.share(name, getattr(self, name))
        check.count("max_items", self.max_items)

    @override
    def weigh(self, history: Histories) -> Weights:
        history.require_even("SLIT").some_liked(self.positive, "SLIT")
        owner, item = history.sequences(self.positive)
        n = history.value.shape[1]
        gram, wanted = np.zeros((n, n)), np.zeros((n, n))
        gram[np.diag_indices(n)] = self.l2
        for first in range(0, item.size, _BLOCK):
            moments = np.arange(first, min(first + _BLOCK, item.size))
            past = _fading(owner, item, moments, -1, self.recent, self.decay, n)
            coming = _fading(owner, item, moments, 1, self.future, self.future_decay, n)
            some = np.diff(coming.indptr) > 0
            gram += (past[some].T @ past[some]).toarray()
            wanted += (past[some].T @ coming[some]).toarray()
        weights = cho_solve(cho_factor(gram, overwrite_a=True), wanted, overwrite_b=True)
        return weights.astype(np.float32)


def _fading(  # noqa: PLR0917
    owner: npt.NDArray[Any],
    item: npt.NDArray[Any],
    moments: npt.NDArray[Any],
    step: int,
    reach: int,
    decay: float,
    n: int,
) -> sparse.csr_array:
    """Return rows of items before (`step` −1, the moment's own first) or after (+1) moments."""
    rows, columns, values = [], [], []
    for place in range(reach):
        at = moments + (place + 1 if step > 0 else -place)
        inside = (at >= 0) & (at < item.size)
        inside[inside] = owner[at[inside]] == owner[moments[inside]]
        rows.append(np.flatnonzero(inside))
        columns.append(item[at[inside]])
        values.append(np.full(rows[-1].size, decay**place))
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array((np.concatenate(values), where), shape=(moments.size, n))
