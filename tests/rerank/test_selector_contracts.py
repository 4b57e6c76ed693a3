"""The public contract suite, run over every selector of the house."""

from __future__ import annotations

from typing import Any

from siamrec.rerank import ADJUSTERS, SELECTORS, Adjuster, Selector
from siamrec.testing.rerank import SelectorContract


def suite_of(name: str) -> type[SelectorContract]:
    """Return a test class for one selector with its own settings."""
    selector: Any = SELECTORS.make(name)
    return type(f"Test_{name}", (SelectorContract,), {"make": lambda _self: selector})


globals().update({f"Test_{name}": suite_of(name) for name in SELECTORS.house()})


def test_every_step_is_final_frozen_and_named() -> None:
    steps: dict[str, Any] = {**SELECTORS.house(), **ADJUSTERS.house()}
    for name, made in steps.items():
        assert issubclass(made, Selector | Adjuster), name
        assert made.__final__, name
        assert made.__dataclass_params__.frozen, name
        assert made.name.replace("_", "-") == name
