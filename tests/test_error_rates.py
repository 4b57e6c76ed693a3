"""What the page "What our error rates are" says, in small: fixed seeds, bounds at 5 sigma."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.data import Moments
from siamrec.experiments import Mean, Plan, Proportion, analyze

if TYPE_CHECKING:
    from types import ModuleType

_FILE = Path(__file__).parents[1] / "benchmarks" / "error_rates.py"


@pytest.fixture(scope="module")
def programme() -> ModuleType:
    spec = importlib.util.spec_from_file_location("error_rates", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["error_rates"] = module
    spec.loader.exec_module(module)
    return module


def strays(rates: Any) -> list[Any]:
    return [each for each in rates if not each.fits(5.0)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "repeats"),
    [("looks", 0.05), ("power", 0.5), ("calibrations", 0.05), ("adaptive", 0.2)],
)
def test_rates_are_what_they_ought_to_be(programme: ModuleType, part: str, repeats: float) -> None:
    rates = getattr(programme, part)(repeats)
    assert rates
    assert not strays(rates)


@pytest.mark.slow
def test_off_policy_intervals_cover_where_they_are_supported(programme: ModuleType) -> None:
    found = programme.off_policy(0.1, ("moderate",))
    for each in found:
        _, rate, size, _ = each.name
        assert not strays(each.rates(0.9 if (rate, size) == ("0.05", "2000") else 0.0)[::2])
        if 4 * each.supported >= each.n:  # fewer are those that were lucky
            assert not strays(each.rates(0.0)[1:2])


@pytest.mark.parametrize("label", ["Mean", "Proportion 2 %"])
def test_the_deviates_of_looks_are_those_that_rules_judge_by(
    programme: ModuleType, label: str
) -> None:
    metric, draw = programme.METRICS[label]
    rng = np.random.default_rng(4)
    frames = [draw(rng, 2000, 0.0), draw(rng, 2000, 0.9)]
    data = {name: Moments.of(each) for name, each in zip(("control", "new"), frames, strict=True)}
    wide = analyze(data, Plan(metrics=[metric], sequential=programme._WIDE))
    z = programme.deviate_of(wide[metric.name].absolute.log_p, 4000.0)
    assert isinstance(metric, Mean | Proportion)
    for rule in (programme.AsymptoticCS(planned=4000), programme.GroupSequential(planned=4000)):
        found = analyze(data, Plan(metrics=[metric], sequential=rule))[metric.name].absolute
        assert z > 2
        assert found.log_p == pytest.approx(rule.log_p(z, 4000.0, 0.05), rel=1e-3)
        assert found.significant == (z > rule.multiplier(4000.0, 0.05))


def test_a_rate_fits_within_its_bounds_and_errors(programme: ModuleType) -> None:
    rate = programme.Rate(("a",), 70, 1000, most=0.05)
    assert rate.error(0.05) == pytest.approx(0.00689, abs=1e-5)
    assert (rate.fits(2.0), rate.fits(3.0)) == (False, True)
    assert programme.Rate(("a",), 920, 1000, least=0.93).fits(2.0)
    assert not programme.Rate(("a",), 900, 1000, least=0.93).fits(2.0)
