"""A new plugin works as it is written: its contract test passes, and the registry takes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import siamrec
from siamrec.errors import InvalidParameterError, StorageError, UnknownNameError
from siamrec.plugins._scaffold import KINDS, write_plugin


@pytest.mark.parametrize("kind", KINDS)
def test_a_written_plugin_passes_its_contract(kind: str, tmp_path: Path) -> None:
    folder = write_plugin("my-part", kind=kind, folder=tmp_path / "deep" / "my-part")
    environment = {**os.environ, "PYTHONPATH": str(Path(siamrec.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "README.md",
        "pyproject.toml",
        "src",
        "tests",
    ]


def test_the_files_say_what_they_are(tmp_path: Path) -> None:
    folder = write_plugin("newest-first", kind="recommender", folder=tmp_path / "new")
    project = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points.siamrec]\nnewest-first = "newest_first"' in project
    package = (folder / "src" / "newest_first" / "__init__.py").read_text(encoding="utf-8")
    assert 'return {"newest-first": NewestFirst}' in package
    every = [path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()]
    assert not any("$" in text.replace("$ pip", "").replace("$ py", "").replace("$ si", "")
                   for text in every)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Newest", "name must be small letters, digits and '-'"),
        ("a/b", "name must be small letters"),
        ("../up", "name must be small letters"),
        ("class", "name must be small letters"),
        ("siamrec", "name must be small letters"),
        ("", "name must be small letters"),
        ("ease", "name must be free: siamrec has a recommender 'ease'"),
        ("numpy", "name must be of a package that is not installed yet, got 'numpy'"),
        ("json", "name must be of a package that is not installed yet"),
        ("typing-extensions", "name must be of a package that is not installed yet"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        write_plugin(name, kind="recommender", folder=tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_of_that_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "newest").mkdir()
    folder = write_plugin("newest", kind="recommender", folder=tmp_path / "newest")
    assert (folder / "src" / "newest" / "part.py").exists()


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidParameterError, match="folder must be empty, or not there yet"):
        write_plugin("newest", kind="recommender", folder=tmp_path)
    with pytest.raises(UnknownNameError, match="No kind of part is named 'arm'"):
        write_plugin("newest", kind="arm", folder=tmp_path / "new")
    with pytest.raises(StorageError, match="could not be written"):
        write_plugin("newest", kind="recommender", folder=tmp_path / "mine.txt" / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
