"""Sequential rules: what people met soon after what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec.models.recommenders._linear import WeightsRecipe
from siamrec.models.recommenders._sequence import FittedSequenceWeights
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.models.recommenders._linear import FittedWeights, Weights
    from siamrec.models.recommenders.capability import Capability
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialRules(WeightsRecipe[FittedSequenceWeights]):
    """Rank items by how soon after a person's last items others met them.

    `w_ij = Σ 1/d` over the places where `j` came `d ≤ window` after `i`, each row then summing to
    1; the scores are `Σ_p decay^p w_{i_p}` over a person's last items, `p = 0` the latest.

    Args:
        window: Largest distance of a rule, at least 1.
        recent: Last items of a person that speak, at least 1.
        decay: Weight of an item against the one after it, in (0, 1].
        positive: Smallest value that counts as liking; None counts every event.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, if nothing is liked.

    References:
        Ludewig and Jannach (2018), Evaluation of session-based recommendation algorithms, UMUAI
        28, section 3.1.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "a", "b", "b", "c"], item=["tea", "cup", "tea", "pot", "tea"],
        ...     time=[1, 2, 1, 2, 9],
        ... )
        >>> SequentialRules().fit(feedback).recommend_for_history([["cup"], ["tea"]]).lists()
        {0: ['tea', 'pot'], 1: ['cup', 'pot']}
    """

    kind: ClassVar[str] = "sequential-rules"
    fitted: ClassVar[type[FittedWeights]] = FittedSequenceWeights
    capabilities: ClassVar[Capability] = FittedSequenceWeights.capabilities
    search_space: ClassVar[Mapping[str, Range]] = {
        "window": Integer(2, 20),
        "recent": Integer(1, 20),
        "decay": Float(0.3, 1.0),
    }

    window: int = 10
    recent: int = 10
    decay: float = 0.8
    positive: float | None = None

    def __post_init__(self) -> None:
        check.real_or_none("positive", self.positive)
        check.count("window", self.window)
        check.count("recent", self.recent)
        check.positive("decay", self.decay)
        check.share("decay", self.decay)

    @override
    def weigh(self, history: Histories) -> Weights:
        history.require_even("SequentialRules").some_liked(self.positive, "SequentialRules")
        owner, item = history.sequences(self.positive)
        n = history.value.shape[1]
        rules = sparse.csr_array((n, n), dtype=np.float64)
        for distance in range(1, min(self.window, item.size - 1) + 1):
            together = owner[distance:] == owner[:-distance]
            before, after = item[:-distance][together], item[distance:][together]
            weight = np.full(before.size, 1.0 / distance)
            rules = rules + sparse.csr_array((weight, (before, after)), shape=(n, n))
        total = np.asarray(rules.sum(axis=1)).ravel()
        even = sparse.diags_array(1.0 / np.maximum(total, 1e-12)) @ rules
        return sparse.csr_array(even.astype(np.float32))
