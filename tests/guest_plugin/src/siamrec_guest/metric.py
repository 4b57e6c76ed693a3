"""A metric: how many items a list has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec.metrics import Metric

if TYPE_CHECKING:
    from siamrec.metrics import EvaluationView
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListLength(Metric):
    """Number of items in the list of a user."""

    stem: ClassVar[str] = "list_length"
    limits: ClassVar[tuple[float, float]] = (0.0, float("inf"))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        length: FloatArray = np.asarray(view.length, dtype=np.float64)
        return length
