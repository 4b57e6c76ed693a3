"""A small cycle that runs in a second or two: a simulated world and a hashing encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.lifecycle import ImprovementLoop
from siamrec.models import HashingEncoder
from siamrec.simulation import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siamrec.simulation import SimulatedWorld


@pytest.fixture(scope="session")
def world() -> SimulatedWorld:
    return World(n_users=220, n_items=96, ratings_per_user=24).simulate(np.random.default_rng(5))


@pytest.fixture
def make_loop(world: SimulatedWorld, tmp_path: Path) -> Callable[..., ImprovementLoop]:
    def make(**changes: Any) -> ImprovementLoop:
        settings: dict[str, Any] = {
            "source": world.feedback,
            "catalog": world.catalog,
            "encoder": HashingEncoder(dim=64),
            "out": tmp_path / "run",
            "seed": 3,
        }
        return ImprovementLoop(**{**settings, **changes})

    return make
