"""What every metric checks, so that no family has to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import pytest
from typing_extensions import override

from siamrec.errors import InvalidParameterError
from siamrec.metrics import Metric
from siamrec.metrics.families.accuracy import Precision
from siamrec.metrics.families.catalogue import Coverage, Gini
from siamrec.metrics.families.ranking import NDCG

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Own(Metric):
    """A metric of an author who checks nothing."""

    stem: ClassVar[str] = "own"

    k: int | None = None
    rel: float | None = None

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return np.zeros(view.n_users)


@pytest.mark.parametrize("kind", [Own, NDCG, Coverage, Gini])
@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_a_cut_off_is_a_whole_number_above_0(kind: Any, k: Any) -> None:
    with pytest.raises(InvalidParameterError, match="^k must be"):
        kind(k=k)


@pytest.mark.parametrize("kind", [Own, Precision])
def test_a_relevant_grade_is_above_0(kind: Any) -> None:
    with pytest.raises(InvalidParameterError, match="^rel must be"):
        kind(rel=0.0)


def test_a_leaf_adds_its_own_checks() -> None:
    with pytest.raises(InvalidParameterError, match="^least must be"):
        Coverage(least=0)
