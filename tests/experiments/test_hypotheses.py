"""One-sided, non-inferiority and equivalence tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.experiments import Mean, Plan, analyze
from siamrec.experiments.analysis import equivalence, one_sided
from siamrec.statistics import Effect


def effect(estimate: float, error: float) -> Effect:
    return Effect(estimate=estimate, interval=(-1.0, 1.0), p=1.0, log_p=0.0, error=error, rule="")


def test_by_hand() -> None:
    assert one_sided(effect(1.0, 0.5))[0] == pytest.approx(stats.norm.sf(2))
    assert one_sided(effect(1.0, 0.5), better="lower")[0] == pytest.approx(stats.norm.sf(-2))
    assert one_sided(effect(-1.0, 0.5), margin=2.0)[0] == pytest.approx(stats.norm.sf(2))
    assert equivalence(effect(0.2, 0.5), margin=1.5)[0] == pytest.approx(stats.norm.sf(2.6))
    assert one_sided(effect(30.0, 0.1))[1] < -1e4


def test_edge_cases_have_a_stated_result() -> None:
    assert one_sided(effect(0.0, 0.0)) == (1.0, 0.0)
    assert one_sided(effect(1.0, 0.0)) == (1.0, 0.0)  # no error is no proof
    assert equivalence(effect(0.0, 0.0), margin=1.0) == (1.0, 0.0)


def test_on_an_analysis() -> None:
    rng = np.random.default_rng(1)
    data = {"variant": np.repeat(["control", "new"], 3000), "y": rng.normal(size=6000)}
    found = analyze(data, Plan(metrics=[Mean("y")]))["y"].fixed
    assert equivalence(found, margin=0.2)[0] < 1e-3
    assert equivalence(found, margin=0.001)[0] > 0.3


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="margin"):
        equivalence(effect(0.0, 1.0), margin=0.0)
    with pytest.raises(InvalidParameterError, match="margin"):
        one_sided(effect(0.0, 1.0), margin=-1.0)
    with pytest.raises(UnknownNameError, match="better"):
        one_sided(effect(0.0, 1.0), better="up")  # type: ignore[arg-type]
