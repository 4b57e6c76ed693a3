"""Rules that every room keeps, checked over the whole package."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import siamrec

if TYPE_CHECKING:
    from collections.abc import Callable

SRC = Path(siamrec.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(SRC)], "siamrec.")
    if ".migrations." not in module.name  # Alembic runs these, nobody imports them
)
SOURCES = sorted(SRC.rglob("*.py"))
HEAVY = ("numpy", "scipy", "torch", "pydantic", "pluggy", "sqlalchemy", "sentence_transformers")


def own_classes() -> list[type]:
    return [
        cls
        for name in MODULES
        for _, cls in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if cls.__module__ == name
    ]


CLASSES = own_classes()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__qualname__}")
def test_a_class_is_abstract_or_final(cls: type) -> None:
    is_protocol = getattr(cls, "_is_protocol", False)
    is_final = getattr(cls, "__final__", False)
    is_value = issubclass(cls, BaseException | Enum) or hasattr(cls, "_fields")
    # An abstract class may fill every method with a default; inheriting ABC marks it.
    marked = any(base.__name__ == "ABC" for base in cls.__mro__)
    assert is_protocol or is_final or is_value or inspect.isabstract(cls) or marked


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__qualname__}")
def test_dataclasses_are_frozen(cls: type) -> None:
    if dataclasses.is_dataclass(cls) and cls.__name__ != "Stopwatch":  # a stopwatch runs
        assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SRC)))
def test_files_and_functions_stay_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= 450
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= 60, node.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_file_says_what_lives_there(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree)
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":"))


def test_nothing_prints_pickles_or_draws_by_itself() -> None:
    banned = re.compile(
        r"(?<![\w.])print\(|import pickle|np\.random\.(seed|rand|normal)\(|datetime\.now\("
    )
    for path in SOURCES:
        code = re.sub(r'"""[\s\S]*?"""', "", path.read_text(encoding="utf-8"))
        assert not banned.search(code), path


def test_the_facade_is_complete_sorted_and_documented() -> None:
    assert sorted(siamrec._HOMES) == sorted(siamrec.__all__)
    tree = ast.parse((SRC / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("siamrec.")
        for alias in node.names
    }
    found = {"siamrec._core.installed.find_plugins_at"}  # called, not shown
    assert typed - found == {f"{home}.{name}" for name, home in siamrec._HOMES.items()}
    for name in siamrec.__all__:
        assert getattr(siamrec, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = siamrec.nothing


def test_every_abstraction_and_port_is_importable_from_the_top() -> None:
    names = """FeedbackSource PairGenerator SiameseEncoder Bandit ExperimentAssigner MetricSuite
        FeedbackSink DocumentStore BlobStore Clock Recommender Loss Executor"""
    assert set(names.split()) <= set(siamrec.__all__)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("siamrec", HEAVY),
        ("siamrec.metrics", ("torch", "pyarrow", "pandas", "sqlalchemy", "scipy")),
        ("siamrec.metrics.online", ("torch", "pyarrow", "pandas", "sqlalchemy", "scipy")),
        ("siamrec.statistics", ("torch", "pyarrow", "pandas", "sqlalchemy", "scipy")),
        ("siamrec.bandits", ("torch", "pyarrow", "pandas", "sqlalchemy", "scipy")),
        ("siamrec.experiments", ("torch", "pyarrow", "pandas", "sqlalchemy", "scipy")),
        ("siamrec.data", ("torch", "pyarrow", "pandas", "pydantic")),
        ("siamrec.storage", ("torch", "pyarrow", "pandas", "alembic", "scipy")),
        ("siamrec.storage", ("siamrec.experiments", "sqlalchemy.dialects.postgresql")),
        ("siamrec.models", ("torch", "sentence_transformers", "pyarrow")),
        ("siamrec.cli", ("torch", "numpy", "sqlalchemy")),
        ("siamrec.plugins", ("torch", "numpy", "scipy", "sqlalchemy", "pydantic")),
    ],
)
def test_imports_are_light(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(sorted(set({absent!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_sorted_and_there(name: str) -> None:
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    # constants, then classes, then functions: the order that the linter keeps
    assert len(set(names)) == len(names)
    for each in names:
        assert hasattr(module, each)


def imports_of(path: Path) -> set[str]:
    """Every module of the package that a file imports, type checking and functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("siamrec"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("siamrec")}
    return found


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_rooms_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        parts = path.relative_to(SRC.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name == "siamrec" or ".migrations" in name:
            continue  # the facade knows every room, and no room imports it
        rooms = {room_of(module) for module in imports_of(path)} - {"siamrec", room_of(name)}
        graph.setdefault(room_of(name), set()).update(rooms)
    # protocols name types of data for the type checker only, and data never names protocols
    done: list[str] = []
    while len(done) < len(graph):
        free = [room for room in graph if room not in done and graph[room] <= set(done)]
        assert free, {room: graph[room] - set(done) for room in graph if room not in done}
        done += free


def all_imports(name: str, path: Path) -> set[str]:
    """Modules of the package that a file names anywhere: at load, in functions, for types.

    A recipe and its torch half name each other: the import in the recipe says so.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    found: set[str] = set()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("siamrec"):
            if "its torch half" in lines[node.lineno - 1]:
                continue
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("siamrec.")}
    return {module for module in found if module in MODULES and module != name}


def top_level_imports(name: str, path: Path) -> set[str]:
    """Modules of the package that running a file imports: not for types only, not in functions."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("siamrec"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("siamrec.")}
    # a package stands for its modules; what a module imports of its own package is that module
    return {module for module in found if module in MODULES and module != name}


@pytest.mark.parametrize("imports", [top_level_imports, all_imports])
def test_modules_do_not_import_each_other_in_a_circle(
    imports: Callable[[str, Path], set[str]],
) -> None:
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        parts = path.relative_to(SRC.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name in MODULES:
            graph[name] = imports(name, path)
    done: set[str] = set()
    while len(done) < len(graph):
        free = {module for module in graph if module not in done and graph[module] <= done}
        assert free, {m: graph[m] - done for m in graph if m not in done}
        done |= free
