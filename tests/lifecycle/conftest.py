"""A small cycle that runs in a second or two: a simulated world and a hashing encoder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec._core.clock import DAY, ManualClock
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.lifecycle import ImprovementLoop, LivePlacement, Placement, Workspace
from siamrec.models import HashingEncoder
from siamrec.simulation import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


SHOP_NOW = 20_000 * DAY
N_ITEMS = 40


def goods() -> Catalog:
    """Forty items, `i0` to `i39`; the last five are in no feedback, and `i34` has no columns."""
    numbers = range(N_ITEMS)
    columns: dict[str, list[Any]] = {
        "stock": [5 + n for n in numbers],
        "language": [("en", "th")[n % 2] for n in numbers],
        "genre": [("noir", "kids", "war", "space")[n % 4] for n in numbers],
        "genres": [(("noir", "kids", "war", "space")[n % 4], "all") for n in numbers],
        "released": [SHOP_NOW - n * 30 * DAY for n in numbers],
        "long_tail": [n >= 20 for n in numbers],
    }
    for column in columns.values():
        column[34] = None
    return Catalog(items=Vocabulary(tuple(f"i{n}" for n in numbers)), attributes=columns)


@pytest.fixture(scope="session")
def trained_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small trained workspace: two arms that know 35 of 40 items."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(11)
    user = np.repeat(np.arange(80), 12)
    item = np.concatenate([rng.choice(35, 12, replace=False) for _ in range(80)])
    item[:35] = np.arange(35)  # every one of them is known
    clicks = Feedback.of(
        user=[f"u{code}" for code in user], item=[f"i{code}" for code in item], kind="click",
        time=[SHOP_NOW - DAY - int(n) for n in range(user.size)],
    )  # fmt: skip
    with Workspace(f"sqlite:///{folder}/app.db", clock=ManualClock(SHOP_NOW), salt="shop") as ws:
        ws.feedback.write(clicks)
        ws.catalog.write(goods())
        arms = {"svd": "pure-svd:factors=4", "top": "popularity"}
        ws.place(Placement(name="home", arms=arms, k=6))
        ws.activate("home", ws.train("home").release, reason="for tests")
    return folder


@pytest.fixture
def shop_clock() -> ManualClock:
    return ManualClock(SHOP_NOW)


@pytest.fixture
def shop(trained_shop: Path, tmp_path: Path, shop_clock: ManualClock) -> Iterator[Workspace]:
    shutil.copytree(trained_shop, tmp_path / "shop")
    with Workspace(f"sqlite:///{tmp_path}/shop/app.db", clock=shop_clock) as opened:
        yield opened


@pytest.fixture
def shelf(shop: Workspace) -> LivePlacement:
    return shop.placement("home")
