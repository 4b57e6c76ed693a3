"""`siamrec db`: upgrade, check, verify, archive and erase."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from siamrec.bandits import BetaThompson
from siamrec.cli import app
from siamrec.data import Feedback
from siamrec.storage import FolderBlobs, Store, inspected
from siamrec.testing.feedback import sample_feedback

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner(env={"COLUMNS": "200"})

DAY = 24 * 3600 * 10**9


def db(*arguments: object, **given: Any) -> Any:
    return runner.invoke(app, ["db", *map(str, arguments)], **given)


def open_all(store: Store) -> None:
    store.bandit("home", BetaThompson(), ("a", "b"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = Store(f"sqlite:///{tmp_path / 'log.db'}")
    store.feedback.write(sample_feedback())
    store.feedback.write(Feedback.of(user=[7], item=["x"], time=[20_000 * DAY]))
    open_all(store)
    bandit = store.bandit("home", BetaThompson(), ("a", "b"))
    bandit.learn(bandit.select(unit="ann").id, reward=1.0)
    store.close()
    return tmp_path / "log.db"


def test_upgrade_makes_and_keeps(tmp_path: Path, url: str) -> None:
    done = db("upgrade", "--db", url)
    assert (done.exit_code, "revision 0009" in done.output) == (0, True)
    assert db("upgrade", "--db", url).output == done.output
    assert inspected(url).state == "current"


def test_check_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    done = db("check", "--db", path)
    assert done.exit_code == 0
    assert "revision 0009 is up to date" in done.output
    assert ["event", "11"] in [line.split() for line in done.output.splitlines()]
    assert path.read_bytes() == before
    with sqlite3.connect(path) as base:
        base.execute("UPDATE siamrec_schema SET version_num = '0001'")
    base.close()
    done = db("check", "--db", path)
    assert (done.exit_code, "is older than 0009" in done.output) == (1, True)
    with sqlite3.connect(path) as base:
        base.execute("UPDATE siamrec_schema SET version_num = '9999'")
    base.close()
    done = db("check", "--db", path)
    assert (done.exit_code, "newer version of siamrec" in done.output) == (1, True)
    done = db("upgrade", "--db", path)
    assert (done.exit_code, "newer version of siamrec" in done.output) == (2, True)


def test_check_finds_damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    for page in range(20, len(data) // size):
        data[page * size : page * size + 64] = b"\x5a" * 64
    path.write_bytes(data)
    done = db("check", "--db", path)
    assert done.exit_code in {1, 2}
    assert "Damaged" in done.output or "malformed" in done.output


def test_verify_says_what_it_could_not_check(path: Path) -> None:
    done = db("verify", "--db", path)
    assert (done.exit_code, "bandit:home: not checked" in done.output) == (0, True)
    done = db("verify", "--db", path, "--bandits", "tests.storage.test_db_command:open_all")
    assert "bandit:home: 4 sums agree with the log" in done.output
    with sqlite3.connect(path) as base:
        base.execute("UPDATE fold SET value = 5")
    base.close()
    done = db("verify", "--db", path, "--bandits", "tests.storage.test_db_command:open_all")
    assert (done.exit_code, "is not the fold of its log" in done.output) == (2, True)
    done = db("verify", "--db", path, "--bandits", "nothing:here")
    assert (done.exit_code, "--bandits must be module:function" in done.output) == (2, True)


def test_archive_and_erase(path: Path) -> None:
    done = db("archive", "--db", path, "--before", "2024-01-01", "--segment-rows", 4)
    assert "10 events in 3 new files" in done.output
    assert "0 events" in db("archive", "--db", path, "--before", "36500d").output
    done = db("archive", "--db", path, "--before", "yesterday")
    assert (done.exit_code, "--before must be a duration" in done.output) == (2, True)
    assert db("erase", "ann", "--db", path, input="n\n").exit_code == 1
    done = db("erase", "ann", "--db", path, input="y\n")
    assert "3 events erased, 3 files written anew" in done.output
    assert "1 decisions detached" in done.output
    assert "0 events erased" in db("erase", "7", "--db", path, "--yes").output
    assert "1 events erased" in db("erase", "7", "--db", path, "--yes", "--number").output
    done = db("erase", "x", "--db", path, "--yes", "--number")
    assert (done.exit_code, "user must be a whole number" in done.output) == (2, True)
    assert "7 events as sealed" in db("verify", "--db", path).output


@pytest.mark.parametrize("command", ["check", "verify"])
def test_a_mistyped_name_makes_no_database(tmp_path: Path, command: str) -> None:
    done = db(command, "--db", tmp_path / "nothing.db")
    assert (done.exit_code, "There is no database at" in done.output) == (2, True)
    assert not (tmp_path / "nothing.db").exists()
    sqlite3.connect(tmp_path / "other.db").close()
    (tmp_path / "other.db").touch()
    done = db(command, "--db", tmp_path / "other.db")
    assert done.exit_code == (1 if command == "check" else 2)
    assert "tables of siamrec" in done.output


def test_verify_looks_at_the_files_of_versions(path: Path, tmp_path: Path) -> None:
    lifecycle = pytest.importorskip("siamrec.lifecycle", exc_type=ImportError)  # needs torch
    assert "files of versions: none" in db("verify", "--db", path).output
    files = FolderBlobs.beside(path, "models")
    with closing(Store(f"sqlite:///{path}")) as store:
        lifecycle.ModelRegistry(store, files).register("m", {"w.json": b"[1]"})
    assert "files of versions: as registered" in db("verify", "--db", path).output
    done = db("verify", "--db", path, "--blobs", tmp_path / "elsewhere")
    assert (done.exit_code, "is gone" in done.output) == (2, True)
    (key,) = files.keys()
    (path.with_name(f"{path.name}.models") / key).write_bytes(b"[2]")
    done = db("verify", "--db", path)
    assert (done.exit_code, "was changed" in done.output) == (2, True)
