"""An installed guest's parts are found by name in every place that takes such a part."""

from __future__ import annotations

import doctest
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

import siamrec
from siamrec.simulation import World

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
GUEST = HERE.parent / "guest_plugin" / "src"
SCRIPT = HERE / "by_name.py"
COMMAND = "from siamrec.cli import main; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the guest as an installer leaves it, found before any other copy of it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "siamrec_guest").symlink_to(GUEST / "siamrec_guest")
    about = folder / "siamrec_guest-1.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: siamrec-guest\nVersion: 1.0.0\n")
    (about / "entry_points.txt").write_text("[siamrec]\nguest = siamrec_guest\n")
    return folder


def run(installed: Path, arguments: Sequence[object], folder: Path) -> str:
    source = Path(siamrec.__file__).parents[1]
    paths = os.pathsep.join(map(str, (installed, source)))
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_place_finds_the_guest_by_name(installed: Path, tmp_path: Path) -> None:
    found = json.loads(run(installed, [SCRIPT, tmp_path], tmp_path).splitlines()[-1])
    places: dict[str, Any] = runpy.run_path(str(SCRIPT))["PLACES"]
    assert found == {name: wanted for name, (_, wanted) in places.items()}


def test_the_command_finds_the_guest_by_name(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(run(installed, ["-c", COMMAND, "plugins", "--json"], tmp_path))
    assert {entry["name"] for entry in listed["plugins"]} >= {"siamrec", "guest"}


def page_as_a_package(folder: Path) -> Path:
    """The code of the page as it stands there, installed as the page says."""
    page = (HERE.parents[1] / "docs" / "how-to" / "write-a-plugin.md").read_text(encoding="utf-8")
    examples = [example.source for example in doctest.DocTestParser().get_examples(page)]
    parts = ("from ", "import ", "@dataclass", "class FittedNewest")
    code = [source for source in examples if source.startswith(parts)]
    hook = "\n@hookimpl\ndef siamrec_recommenders():\n    return {'newest': Newest}\n"
    (folder / "my_package.py").write_text("".join(code) + hook, encoding="utf-8")
    about = folder / "newest-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: newest\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[siamrec]\nnewest = my_package\n")
    return folder


def test_the_arm_of_the_page_runs_in_the_command(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    world = World(n_users=220, n_items=96, ratings_per_user=24).simulate(np.random.default_rng(5))
    rows = world.feedback.to_arrow().select(["user", "item", "value", "time"])
    csv.write_csv(rows, tmp_path / "ratings.csv")
    items = {"item": list(world.catalog.items.ids), "text": list(world.catalog.text)}
    csv.write_csv(pa.table(items), tmp_path / "items.csv")
    options = ["--feedback", "ratings.csv", "--items", "items.csv", "--out", "run"]
    named = ["--arm", "newest", "--arm", "long-tail:base=newest", "--model", "hashing:dim=64"]
    command = ["-c", COMMAND, "improve", *options, *named]
    run(page_as_a_package(site), command, tmp_path)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert {"newest", "long-tail"} <= set(summary["arms"])
    assert {"newest", "long-tail"} <= set(summary["bandit"]["fixed"])
