"""What every metric checks, so that no family has to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Rankings
from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.metrics import Metric, PooledMetric, Suite
from siamrec.metrics.families.accuracy import Precision, Recall
from siamrec.metrics.families.catalogue import Coverage, Gini
from siamrec.metrics.families.ranking import NDCG

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.typing import FloatArray, IntArray


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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ndcg:k=5", "ndcg@5"),
        ("recall: k=5, capped=true", Recall(k=5, capped=True).name),
        ("rmse:", None),
        ("ndgc:k=5", None),
        ("ndcg:kk=5", None),
        ("ndcg:k=five", None),
    ],
)
def test_a_metric_takes_its_settings_as_all_parts_do(text: str, name: str | None) -> None:
    if name is None:
        with pytest.raises((InvalidParameterError, UnknownNameError)):
            Suite([text])
        return
    suite = Suite([text])
    assert suite.names == (name,)
    assert suite.metrics[name] == Suite([name]).metrics[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boastful(Metric):
    """A metric that is not in the range that it declares."""

    stem: ClassVar[str] = "boastful"
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)

    answer: float = 5.0

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        return np.full(view.n_users, self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledBoast(PooledMetric):
    """The same over all users."""

    stem: ClassVar[str] = "pooled_boast"
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @override
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        return np.ones((n_groups, 1))

    @override
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        return -2.0


def test_a_metric_outside_of_its_range_is_refused_by_name() -> None:
    lists = Rankings.from_lists({"ann": ["x"], "bob": ["y"]})
    for answer in (0.0, 1.0, 1.0 + 1e-9, float("nan")):
        Suite([Boastful(answer=answer)]).evaluate(lists)
    for answer, said in ((5.0, "5"), (-0.1, "-0.1"), (float("inf"), "inf")):
        with pytest.raises(InvalidDataError, match=rf"boastful.* must be in its .*, got {said}"):
            Suite([Boastful(answer=answer)]).evaluate(lists)
    with pytest.raises(InvalidDataError, match="'pooled_boast' must be in its range .*, got -2"):
        _ = Suite([PooledBoast()]).evaluate(lists)["pooled_boast"].mean
