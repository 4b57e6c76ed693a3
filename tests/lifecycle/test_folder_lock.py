"""Two runs in one folder at once: the second is refused in one line, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from siamrec.cli import app
from siamrec.errors import StorageError
from siamrec.lifecycle import ImprovementLoop
from siamrec.lifecycle._folder_lock import locked

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from siamrec.lifecycle._folder_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with locked(out):
        with pytest.raises(StorageError, match="Another run is at work in .*choose another"):
            ImprovementLoop(out=out, encoder="hashing").run()
        given: list[Any] = ["improve", "--out", str(out), "--model", "hashing"]
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, given)
        assert done.exit_code == 2
        assert "Another run is at work" in done.output
        assert len(done.output.strip().splitlines()) == 1
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_a_run_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="Another run"), locked(tmp_path):
            pass
        other.kill()
    with locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"), locked(tmp_path / "file" / "x"):
        pass
