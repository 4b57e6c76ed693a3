"""Chance is passed in: a generator, or the seed of one, with the same draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec._core.chance import generator
from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.experiments import Mean, Plan, null_check
from siamrec.metrics.splits import KFold
from siamrec.simulation import World
from siamrec.statistics import bootstrap_interval, permutation, sign_flip

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = np.random.default_rng(3).normal(size=40)
FEEDBACK = Feedback.of(user=list("aabbccdd"), item=list("xyxyxyxy"))

FOLDS, PLAN = KFold(n_folds=2), Plan(metrics=[Mean("y")])
DOORS: dict[str, Callable[[Any], Any]] = {
    "bootstrap_interval": lambda rng: bootstrap_interval(VALUES, rng=rng),
    "permutation": lambda rng: permutation(VALUES[:20], VALUES[20:], rng=rng),
    "sign_flip": lambda rng: sign_flip(VALUES, rng=rng),
    "splits": lambda rng: [fold.test.tolist() for fold in FOLDS.split(FEEDBACK, rng=rng)],
    "null_check": lambda rng: null_check({"y": VALUES}, PLAN, rng=rng, n_runs=20),
    "world": lambda rng: World(n_users=20, n_items=30).simulate(rng).feedback.fingerprint(),
}


@pytest.mark.parametrize("draw", DOORS.values(), ids=DOORS)
def test_a_seed_stands_for_its_generator(draw: Callable[[Any], Any]) -> None:
    assert draw(5) == draw(np.random.default_rng(5)) == draw(np.int64(5))


def test_a_generator_goes_on_where_it_was() -> None:
    rng = np.random.default_rng(1)
    assert generator(rng) is rng


@pytest.mark.parametrize("rng", [None, 1.5, True, "7", np.random, -1])
def test_what_is_no_source_of_chance_is_refused(rng: Any) -> None:
    with pytest.raises((InvalidParameterError, InvalidDataError), match="rng must be"):
        generator(rng)
