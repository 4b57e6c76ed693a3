"""Writing a new plugin: a package with one part of a kind, and the contract test of that kind."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import NamedTuple, final

from siamrec._core import check
from siamrec._core.book import HOUSE
from siamrec.errors import InvalidParameterError, StorageError
from siamrec.plugins.hookspecs import COMPONENTS

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@final
class _Kind(NamedTuple):
    """What the templates of one kind need: its hook, and what the hook returns."""

    hook: str
    factory: str = "$Name"


KINDS: dict[str, _Kind] = {
    "adjuster": _Kind("siamrec_adjusters"),
    "encoder": _Kind("siamrec_encoders"),
    "estimator": _Kind("siamrec_estimators"),
    "feedback-source": _Kind("siamrec_feedback_sources"),
    "file-format": _Kind("siamrec_file_formats", "FORMAT"),
    "format": _Kind("siamrec_exporters", "FORMAT"),
    "hasher": _Kind("siamrec_hashers"),
    "looking-rule": _Kind("siamrec_looking_rules"),
    "loss": _Kind("siamrec_losses", "SPEC"),
    "metric": _Kind("siamrec_metrics"),
    "miner": _Kind("siamrec_miners"),
    "pair-generator": _Kind("siamrec_pair_generators"),
    "policy": _Kind("siamrec_policies"),
    "recommender": _Kind("siamrec_recommenders"),
    "selector": _Kind("siamrec_selectors"),
}
"""Kinds of parts that a plugin can begin with: all that have a hook."""

_PROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "$name"
version = "0.1.0"
description = "A plugin of siamrec: the $kind $key."
requires-python = ">=3.11"
dependencies = ["siamrec"]

[project.optional-dependencies]
dev = ["hypothesis>=6.120", "pytest>=8.3"]

[project.entry-points.siamrec]
$name = "$package"

[tool.hatch.build.targets.wheel]
packages = ["src/$package"]

[tool.pytest.ini_options]
pythonpath = ["src"]
testpaths = ["tests"]
"""

_PACKAGE = '''\
"""A plugin of siamrec that offers the $kind `$key`."""

from siamrec.plugins import hookimpl


@hookimpl
def $hook():
    """Offer the $kind."""
    from $package.part import $factory  # loaded when siamrec asks

    return {"$key": $factory}
'''

_README = """\
# $name

A plugin of [siamrec](https://pypi.org/project/siamrec/): the $kind `$key`.

```console
$$ pip install -e '.[dev]'
$$ pytest
$$ siamrec plugins --name $key
```

The part stands in `src/$package/part.py`; `tests/test_part.py` holds it to the laws of its kind.
"""


def write_plugin(name: str, *, kind: str, folder: Path | None = None) -> Path:
    """Write a package with one part, its contract test, and its entry point; return its folder.

    Args:
        name: Name of the package and of the part: small letters, digits and `-`.
        kind: What to begin with, one of `KINDS`.
        folder: Where; a folder of that name here when absent. It must not hold anything yet.

    Raises:
        siamrec.errors.InvalidParameterError: If the name cannot be one, is taken by the house or
            by a package that can be imported, or the folder holds something.
        siamrec.errors.UnknownNameError: If there is no such kind; the nearest are offered.
        siamrec.errors.StorageError: If the folder cannot be written; nothing is left of it.
    """
    check.one_of("kind of part", kind, KINDS)
    words = _values(name, kind)
    target = Path(name) if folder is None else folder
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidParameterError("folder", str(target), "empty, or not there yet")
    if _is_installed(name, words["package"]):
        raise InvalidParameterError("name", name, "of a package that is not installed yet")
    room = files("siamrec.plugins") / "templates" / kind
    texts = {
        "pyproject.toml": _PROJECT,
        "README.md": _README,
        f"src/{words['package']}/__init__.py": _PACKAGE,
        f"src/{words['package']}/part.py": (room / "part.py.txt").read_text("utf-8"),
        "tests/test_part.py": (room / "test_part.py.txt").read_text("utf-8"),
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".plugin-") as draft:
            fresh = Path(draft) / "fresh"
            for place, text in texts.items():
                (fresh / place).parent.mkdir(parents=True, exist_ok=True)
                (fresh / place).write_text(Template(text).substitute(words), encoding="utf-8")
            if target.exists():
                target.rmdir()
            shutil.move(fresh, target)
    except OSError as error:
        raise StorageError(f"{target} could not be written: {error}") from error
    return target


def _values(name: str, kind: str) -> dict[str, str]:
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package) or package == HOUSE:
        raise InvalidParameterError(
            "name", name, "small letters, digits and '-' such as 'newest-first', no Python word"
        )
    key = package if kind == "metric" else name
    component = COMPONENTS[KINDS[kind].hook]
    if key in component.book().house():
        raise InvalidParameterError("name", name, f"free: siamrec has a {component.kind} {key!r}")
    title = "".join(word.capitalize() for word in name.split("-"))
    return {
        "name": name,
        "Name": title,
        "key": key,
        "stem": package,
        "package": package,
        "kind": component.kind,
        "hook": KINDS[kind].hook,
        "factory": Template(KINDS[kind].factory).substitute(Name=title),
    }


def _is_installed(name: str, package: str) -> bool:
    """Whether a new package of this name would take the place of another."""
    if package in sys.stdlib_module_names:
        return True
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:  # a mere folder on the path has none
        return True
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
