"""The suites bite: parts with one fault each are run through the suite of their kind.

A right part of every kind passes; a broken one fails at least one law. What no suite can know
stands in `NOT_CAUGHT`, each with its reason.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

NOT_CAUGHT = {
    "HalvesRewards": "what a reward is worth is the policy's own scale",
    "ForgetsTheUnit": "what a decision logs beside its arms is the log's matter",
    "LowerCase": "whether two spellings are one unit is the host's rule",
    "ErrorTooLarge": "an interval may be wide; coverage is simulated in the room's tests",
    "OffByOne": "the suite knows no taste; each arm has an answer computed by hand in its room",
    "LikesWhatIsDisliked": "an arm may look for what people have not seen the like of",
    "FirstWord": "which texts mean the same is measured, not known",
    "WeightTwice": "only the shares of weights are used",
    "LowerCaseIds": "all ids of the sample are small",
    "ByPlace": "a pipeline hands over candidates in order of score, so places are scores",
    "ScoresInFloat16": "of scores that are rounded to one the better still stands first",
}
"""Faults that the suites let pass, with the reason."""

LEAST_BROKEN, LEAST_CAUGHT = 100, 90


def module_of(name: str) -> ModuleType:
    path = Path(__file__).parent / "broken" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"siamrec_broken_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks for its module
    spec.loader.exec_module(module)
    return module


def parts() -> Iterator[tuple[type, str, Any, bool]]:
    """Yield suite, name, part and whether it is right."""
    for each in ("choices", "lists", "texts", "events"):
        module = module_of(each)
        for suite, right in module.KINDS.items():
            yield suite, right.__name__, right, True
            if suite not in getattr(module, "MORE", {}):
                for broken in right.__subclasses__():
                    yield suite, broken.__name__, broken, False
        for suite, right in getattr(module, "RIGHT", {}).items():
            yield suite, f"Right{suite.__name__}", right, True
        for suite, more in getattr(module, "MORE", {}).items():
            for name, broken in more.items():
                yield suite, name, broken, False


def _case(suite: type, part: Any) -> Any:
    if hasattr(suite, "made") or "made" in getattr(suite, "__annotations__", {}):
        body: dict[str, Any] = {"made": part}
        if "make" not in vars(suite) and hasattr(suite, "encoder"):
            body["make"] = lambda _self: part()
    elif suite.__name__ == "BanditContract":
        body = {"make": lambda _self, arms: part(arms)}
    else:
        body = {"make": lambda _self: part()}
    return type(f"Case{suite.__name__}", (suite,), body)()


def _calls(method: Any) -> Iterator[dict[str, Any]]:
    tables = []
    for mark in getattr(method, "pytestmark", []):
        if mark.name == "parametrize":
            names = mark.args[0]
            listed = (
                [each.strip() for each in names.split(",")] if isinstance(names, str) else names
            )
            rows = [row if len(listed) > 1 else (row,) for row in mark.args[1]]
            tables.append([dict(zip(listed, row, strict=True)) for row in rows])
    for chosen in itertools.product(*tables):
        yield {name: value for row in chosen for name, value in row.items()}


def _run(method: Any, given: dict[str, Any]) -> str | None:
    """Return how a law is broken, None where it is kept or does not apply."""
    code = getattr(method, "__code__", None)
    with tempfile.TemporaryDirectory() as folder:
        if code is not None and "tmp_path" in code.co_varnames[: code.co_argcount]:
            given = {**given, "tmp_path": Path(folder)}
        try:
            method(**given)
        except pytest.skip.Exception:
            return None
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  whatever it raises
            return f"{type(error).__name__}: {str(error)[:200]}"
    return None


def failing(suite: type, part: Any) -> str | None:
    """Return the first law that a part breaks, None where it keeps all."""
    case = _case(suite, part)
    for name in sorted(dir(case)):
        if name.startswith("test_"):
            method = getattr(case, name)
            for given in _calls(method):
                broken = _run(method, given)
                if broken is not None:
                    return f"{name}: {broken}"
    return None


EVERY = list(parts())


@pytest.mark.parametrize(
    ("suite", "name", "part"),
    [pytest.param(*row[:3], id=row[1]) for row in EVERY if row[3]],
)
def test_a_right_part_passes(suite: type, name: str, part: Any) -> None:
    assert failing(suite, part) is None, name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("suite", "name", "part"),
    [pytest.param(*row[:3], id=row[1]) for row in EVERY if not row[3]],
)
def test_a_broken_part_is_caught(suite: type, name: str, part: Any) -> None:
    law = failing(suite, part)
    if name in NOT_CAUGHT:
        assert law is None, f"{name} is caught now, by {law}: take it off the list"
    else:
        assert law is not None, f"{name} passes the whole suite"


def test_there_are_enough_and_the_list_names_no_others() -> None:
    broken = [name for _, name, _, right in EVERY if not right]
    assert len(set(broken)) == len(broken)
    assert set(NOT_CAUGHT) <= set(broken)
    assert len(broken) >= LEAST_BROKEN
    assert len(broken) - len(NOT_CAUGHT) >= LEAST_CAUGHT
