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
from siamrec.plugins.hookspecs import COMPONENTS


def run_tests(where: Path, *paths: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of written plugins in one process."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths],
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(Path(siamrec.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_written_plugin_passes_its_contract(tmp_path: Path) -> None:
    folder = write_plugin("my-part", kind="metric", folder=tmp_path / "deep" / "my-part")
    done = run_tests(folder, "tests")
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "README.md",
        "pyproject.toml",
        "src",
        "tests",
    ]


def test_every_kind_of_part_can_be_begun() -> None:
    assert sorted(kind.hook for kind in KINDS.values()) == sorted(COMPONENTS)


def test_a_plugin_of_each_kind_passes_its_contract(tmp_path: Path) -> None:
    """All kinds in one process, which loads what they need once."""
    names = [f"my-{kind}" for kind in KINDS]
    for kind, name in zip(KINDS, names, strict=True):
        write_plugin(name, kind=kind, folder=tmp_path / name)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --import-mode=importlib\nfilterwarnings = error\npythonpath = "
        + " ".join(f"{name}/src" for name in names),
        encoding="utf-8",
    )
    done = run_tests(tmp_path, *(f"{name}/tests" for name in names), "-rA")
    assert done.returncode == 0, done.stdout[-3000:]
    for name in names:
        assert f"PASSED {name}/tests/test_part.py::test_it_is_found_by_its_name" in done.stdout


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
