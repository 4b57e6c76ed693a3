"""An installed guest's parts are found by name in every place that takes such a part."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import siamrec

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
