"""The public contract suites, run over every metric of the house and over a guest's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.metrics import Metric, PooledMetric, Suite
from siamrec.metrics._builtin import METRICS
from siamrec.testing.metrics import MetricContract, PooledMetricContract

if TYPE_CHECKING:
    from siamrec.metrics import EvaluationView
    from siamrec.typing import FloatArray

REQUIRED = {"partial_auc": {"negatives": 3}, "short_lists": {"k": 5}}


def suite_of(stem: str) -> type[MetricContract | PooledMetricContract]:
    """Return a test class for one metric of the house, at k = 5 where it has a cut-off."""
    made: Any = METRICS.factory(stem)
    settings: dict[str, Any] = dict(REQUIRED.get(stem, {}))
    if "k" in made.__dataclass_fields__:
        settings["k"] = 5
    metric = made(**settings)
    base: Any = MetricContract if isinstance(metric, Metric) else PooledMetricContract
    return type(f"Test_{stem}", (base,), {"make": lambda _self: metric})


globals().update({f"Test_{stem}": suite_of(stem) for stem in METRICS.house()})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LastPlace(Metric):
    """A guest's metric: whether the last of the first k places is a hit."""

    stem: ClassVar[str] = "last_place"
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)

    k: int = 3

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        found = view.found(self.k)
        return view.sum_by_user(found.user, (found.rank == self.k - 1).astype(np.float64))


class TestGuest(MetricContract):
    @override
    def make(self) -> Metric:
        return LastPlace(k=2)


def test_a_guest_is_built_by_name_or_given_as_an_object() -> None:
    lists, truth = Rankings.from_lists({"u": ["a", "b"]}), Truth.from_lists({"u": ["b"]})
    by_name = Suite(["last_place@2", "hit@2"], extra={"last_place": LastPlace})
    by_object = Suite([LastPlace(k=2), "hit@2"])
    for suite in (by_name, by_object):
        assert suite.names == ("last_place@2", "hit@2")
        assert suite.evaluate(lists, truth)["last_place@2"].mean == 1.0


def test_every_metric_of_the_house_is_frozen_final_and_documented() -> None:
    for stem, made in METRICS.house().items():
        kind: Any = made
        assert issubclass(kind, Metric | PooledMetric), stem
        assert kind.__final__, stem
        assert kind.__dataclass_params__.frozen, stem
        assert len(kind.__doc__) > 40, stem


def test_a_metric_of_the_wrong_shape_is_refused() -> None:
    @final
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Short(Metric):
        stem: ClassVar[str] = "short"

        @override
        def per_user(self, view: EvaluationView) -> FloatArray:
            return np.zeros(1)

    lists = Rankings.from_lists({"u": ["a"], "v": ["a"]})
    with pytest.raises(ValueError, match=r"per_user of short must return shape \(2,\)"):
        Suite([Short()]).evaluate(lists)
