"""What is in use is the one to beat: a second cycle on the database of the first."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.errors import InvalidDataError
from siamrec.lifecycle import ImprovementLoop, Judging, Workspace
from siamrec.lifecycle.promotion import Promotion, judge
from siamrec.models import HashingEncoder
from siamrec.pairs import MinimumCounts, RatingPairs
from siamrec.simulation import World

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Catalog, Feedback, Pairs
    from siamrec.simulation import SimulatedWorld


class PairsByChance:
    """Pairs whose second texts are shuffled: nothing can be learned from them."""

    def generate(self, feedback: Feedback, catalog: Catalog, *, rng: np.random.Generator) -> Pairs:
        minimum = MinimumCounts(positive=20, negative=0, total=20)
        good = RatingPairs(positive=4.0, negative=2.0, minimum=minimum)
        pairs = good.generate(feedback, catalog, rng=rng)
        mixed = rng.permutation(len(pairs))
        return replace(pairs, right=pairs.right[mixed], right_item=pairs.right_item[mixed])


@pytest.fixture(scope="module")
def world() -> SimulatedWorld:
    return World(n_users=300, n_items=100, ratings_per_user=24).simulate(np.random.default_rng(5))


def cycle(world: SimulatedWorld, folder: Path, out: str, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "source": world.feedback,
        "catalog": world.catalog,
        "encoder": HashingEncoder(dim=64),
        "store": f"sqlite:///{folder / 'app.db'}",
        "out": folder / out,
        "seed": 3,
    }
    return ImprovementLoop(**{**settings, **changes}).run().summary()


@pytest.fixture(scope="module")
def cycles(
    world: SimulatedWorld, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("app")
    good = cycle(world, folder, "first")
    return folder, good, cycle(world, folder, "second", pairs=PairsByChance(), seed=4)


def test_a_poor_second_cycle_replaces_nothing(
    cycles: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    folder, good, poor = cycles
    assert good["tuning"]["verdict"] == "ship"
    assert good["registry"]["active"] == good["registry"]["versions"]["tuned"]
    assert poor["tuning"]["verdict"] == "do not ship"
    assert poor["registry"]["active"] == good["registry"]["active"]
    assert poor["tuning"]["in_use"]["before"] == pytest.approx(good["tuning"]["after"])
    assert poor["tuning"]["in_use"]["high"] < 0
    assert poor["placement"]["serving"] == good["placement"]["serving"]
    page = (folder / "second" / "report.html").read_text()
    assert "beside the encoder in use, loses" in page
    assert "beside the base" in page
    assert {"in_use", "text_base", "text_in_use", "text_tuned", "popularity"} <= set(poor["arms"])


def test_both_cycles_hold_out_the_same_users_and_items(
    cycles: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    _, good, poor = cycles
    assert good["seed"] != poor["seed"]
    assert good["split"] == poor["split"]
    assert poor["arms"]["text_base"] == good["arms"]["text_base"]
    assert poor["arms"]["text_in_use"] == good["arms"]["text_tuned"]


def test_a_bandit_that_serves_is_the_control_of_the_next_test(
    cycles: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    _, good, poor = cycles
    assert good["experiment"]["control"] == "popularity"
    assert good["placement"]["chooses"] == "the bandit"
    assert poor["data"]["in_use"]["policy"]["name"] == "hierarchical-beta"
    assert poor["experiment"]["control"] == "the bandit in use"


def test_the_history_of_both_cycles_leads_back(
    cycles: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    folder, good, _ = cycles
    with Workspace(f"sqlite:///{folder / 'app.db'}") as workspace:
        change = workspace.registry.rollback("encoder@live", reason="to look")
        assert change.version == good["registry"]["versions"]["base"]
        again = good["registry"]["active"]
        workspace.registry.activate("encoder@live", again, reason="and back")
        ended = [entry for entry in workspace.diary("home") if entry.what == "trained"]
        assert [entry.body["verdict"] for entry in ended] == ["promoted", "kept"]


def test_one_folder_holds_cycle_after_cycle(tmp_path: Path) -> None:
    world = World(n_users=60, n_items=60, ratings_per_user=20).simulate(np.random.default_rng(5))

    def again(seed: int) -> dict[str, Any]:
        return cycle(world, tmp_path, "run", store=None, seed=seed)

    first = again(3)
    second = again(4)
    assert second["data"]["in_use"]["encoder"] == first["registry"]["active"]
    kept = tmp_path / "run" / "earlier" / "1"
    assert json.loads((kept / "summary.json").read_text()) == first
    assert {path.name for path in kept.iterdir()} >= {"report.html", "progress.json", "encoder"}
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == second


def test_a_warm_start_goes_on_from_the_encoder_in_use(
    cycles: tuple[Path, dict[str, Any], dict[str, Any]], world: SimulatedWorld, tmp_path: Path
) -> None:
    folder, cold, _ = cycles
    shutil.copytree(folder, tmp_path / "app")
    warm = cycle(world, tmp_path / "app", "third", judging=Judging(warm_start=True))
    assert warm["registry"]["versions"]["base"] == cold["registry"]["versions"]["base"]
    assert warm["registry"]["versions"]["tuned"] != cold["registry"]["versions"]["tuned"]
    assert warm["settings"]["warm_start"]
    assert warm["tuning"]["training"]["validation"]["previous_ndcg@10"] is not None


def test_the_arm_that_the_host_says_serves_stays_until_it_is_beaten(
    world: SimulatedWorld, tmp_path: Path
) -> None:
    found = cycle(world, tmp_path, "run", judging=Judging(serving="ease"))
    assert found["experiment"]["control"] == "ease"
    assert found["experiment"]["decision"] != "ship"
    assert found["placement"]["chooses"] == "ease"
    with Workspace(f"sqlite:///{tmp_path / 'app.db'}") as workspace:
        shown = workspace.placement("home").recommend("person-0003", request="r")
        assert set(shown.sources) == {"ease"}


def test_a_run_that_is_not_finished_keeps_its_folder(
    world: SimulatedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from siamrec.storage import FeedbackLog

    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FeedbackLog, "write", broken)
        with pytest.raises(KeyboardInterrupt):
            cycle(world, tmp_path, "run")
    with pytest.raises(InvalidDataError, match="unfinished run with another settings"):
        cycle(world, tmp_path, "run", seed=9)
    (tmp_path / "run" / "progress.json").write_text('{"key": ')
    with pytest.raises(InvalidDataError, match=r"progress\.json is damaged; remove it"):
        cycle(world, tmp_path, "run")


def test_lists_that_are_as_good_for_every_user_are_no_loss() -> None:
    same: dict[str, Any] = {
        "before": 0.2, "after": 0.2, "difference": 0.0, "low": None, "high": None,
        "users": 90, "same": True,
    }  # fmt: skip
    assert judge(same, Promotion(), serves=True, same_recipe=True)[0]
    assert not judge(same, Promotion(), serves=True, same_recipe=False)[0]
    spread = {**same, "same": False}
    assert not judge(spread, Promotion(), serves=True, same_recipe=True)[0]
