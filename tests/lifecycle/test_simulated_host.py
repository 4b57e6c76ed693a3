"""A host with known probabilities of clicks: what the log says is what the simulator counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec import Placement, Workspace
from siamrec._core.clock import DAY, SECOND, ManualClock
from siamrec.bandits import Limits
from siamrec.data import Rankings
from siamrec.experiments import Experiment
from siamrec.metrics import Suite

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.lifecycle import Recommendation
    from siamrec.simulation import SimulatedWorld

CLICKS = {"graph": 0.3, "long_tail": 0.2, "top": 0.1, "fallback": 0.05}
"""Probability of a click on an item, by the arm that put it there."""


@pytest.mark.parametrize("n_lists", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_the_log_says_what_was_counted(
    world: SimulatedWorld, tmp_path: Path, n_lists: int
) -> None:
    clock = ManualClock(20_000 * DAY)
    arms = {"graph": "rp3beta", "long_tail": "long-tail:base=ease", "top": "popularity"}
    with Workspace(f"sqlite:///{tmp_path}/app.db", clock=clock, salt="host") as ws:
        ws.feedback.write(world.feedback)
        limits = Limits(floor=0.05)
        home = ws.place(Placement(name="home", arms=arms, k=5, n_arms=2, limits=limits))
        ws.activate("home", ws.train("home").release, reason="for the test")
        halves = {"control": 0.5, "new": 0.5}
        home.test(Experiment(key="one-arm", variants=halves), {"new": {"n_arms": 1}})
        lists, shown, clicked = _visited(ws, clock, n_lists)
        release = home.release
        assert release is not None
        found = ws.measure(["ctr", "gini", "coverage"], by=("arm", "variant"))
        n_slices = 0
        for levels, metric, value, _, _ in found.rows:
            if metric == "ctr":
                n_slices += 1
                assert value == pytest.approx(clicked[levels] / shown[levels])
        assert n_slices == len(shown)
        whole = ws.measure(["gini", "coverage"], by=("variant",))
        for variant in halves:
            kept = Rankings.from_lists(
                {each.id: list(each.items) for each in lists if each.variant == variant}
            )
            suite = Suite(["coverage@5", "gini@5"])
            report = suite.evaluate(kept, catalog_size=len(release.items))
            for metric in ("coverage", "gini"):
                measured = whole.value(metric, variant=variant)
                assert measured == pytest.approx(report[f"{metric}@5"].mean)


def _visited(
    ws: Workspace, clock: ManualClock, n: int
) -> tuple[list[Recommendation], Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """Return the lists, and how often each arm of each variant was shown and clicked."""
    home, rng = ws.placement("home"), np.random.default_rng(8)
    lists: list[Recommendation] = []
    shown, clicked = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for number in range(n):
        clock.advance(SECOND // 10)
        each = home.recommend(f"person-{number % 220 + 1:04}", request=f"visit-{number}")
        lists.append(each)
        for item, arm in zip(each.items, each.sources, strict=True):
            slice_ = (arm, str(each.variant))
            shown[slice_] += 1
            if rng.random() < CLICKS[arm]:
                clicked[slice_] += 1
                ws.feedback.click(each, item)
    return lists, shown, clicked
